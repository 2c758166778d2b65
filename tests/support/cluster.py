"""The testbed as tests drive it: beeyard's own command on a bundle, and the host brought back to bare afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BEEYARD = Path(sys.executable).with_name("beeyard")
STATE = Path("/var/lib/beeyard")
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished command."""

    rc: int
    out: str
    err: str

    def json(self) -> Any:
        """Return stdout as JSON."""
        return json.loads(self.out)

    def events(self) -> list[dict[str, Any]]:
        """Return stdout as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def beeyard(*arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300) -> Finished:
    """Run beeyard to its end."""
    done = subprocess.run(
        [BEEYARD, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def run_testbed(*arguments: str) -> str:
    """Run scripts/testbed and return the last line it prints."""
    command = [str(ROOT / "scripts/testbed"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else ""


def install(bundle: Path, *arguments: str, **options: Any) -> Finished:
    """Install from the testbed's bundle; Kubernetes 1.20 is older than any Cilium supports."""
    return beeyard("install", "--yes", "--allow-unsupported", "--bundle", str(bundle), *arguments, **options)


def kubectl(*arguments: str, check: bool = True) -> str:
    """Run k3s' kubectl and return what it prints; unchecked, a host without k3s gives nothing."""
    command = ["/usr/local/bin/k3s", "kubectl", *arguments]
    if not check and not Path(command[0]).exists():
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def objects(*arguments: str) -> Any:
    """Return the JSON that kubectl get prints."""
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def tree_state(roots: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """Return modification time and size of every file below some folders, to prove that nothing was written."""
    found = {}
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                info = path.stat()
                found[str(path)] = (info.st_mtime_ns, info.st_size)
    return found
