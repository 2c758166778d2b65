"""Builds the testbed's own Go programs: static, stripped, without any module download."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.cache import cache_dir
from tests.testbed.debian import apt_install
from tests.testbed.shell import run

# Debian keeps Go libraries as sources here.
_GOPATH = "/usr/share/gocode"


def build(source: Path, out: Path, *, packages: tuple[str, ...] = (), settings: dict[str, str] | None = None) -> Path:
    """Compile the program in `source` to `out`; `settings` are string variables of its main package."""
    apt_install(("golang-go", *packages))
    flags = ["-s", "-w", *(f"-X main.{name}={value}" for name, value in (settings or {}).items())]
    env = {
        "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": _GOPATH, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local",
        "GOCACHE": str(cache_dir() / "gocache"),
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    run(["go", "build", "-trimpath", "-ldflags", " ".join(flags), "-o", str(out), "."], cwd=source, env=env)
    return out
