"""``beeyard uninstall`` from outside: what it refuses before it looks at anything."""

from __future__ import annotations

import subprocess
import sys

import pytest


def beeyard(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "installer", "uninstall", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, cwd="/")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-o", "json"], "E-CLI-001"),
        (["--keep-data", "--purge"], "E-UNINSTALL-002"),
        (["--crds", "delete"], "E-UNINSTALL-002"),
        (["--verify-clean", "--yes"], "E-UNINSTALL-002"),
        (["--verify-clean", "--purge"], "E-UNINSTALL-002"),
    ],
)
def test_nonsense_is_refused(arguments: list[str], code: str) -> None:
    done = beeyard(*arguments)
    assert done.returncode == 2
    assert code in done.stderr
    assert "Fix:" in done.stderr


def test_help_tells_what_stays_and_what_never_to_do() -> None:
    done = beeyard("--help")
    assert done.returncode == 0
    for word in ("--verify-clean", "--keep-data", "--purge", "k3s-uninstall.sh"):
        assert word in done.stdout
