"""Names for processes that outlive them, so that what a killed one has left can be told from what a living one uses."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_PROC = Path("/proc")


def own_identity() -> str:
    """Return this process's name: host, boot, process id and its start."""
    return f"{platform.node()}/{_boot()}/{os.getpid()}/{_start(os.getpid())}"


def is_gone(identity: str) -> bool:
    """Tell whether the process of that name was one of this host and has ended; False where that cannot be known."""
    parts = identity.rsplit("/", 3)
    if len(parts) != 4 or parts[0] != platform.node() or not parts[2].isdecimal():
        return False
    return parts[1] != _boot() or _start(int(parts[2])) != parts[3]


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _start(pid: int) -> str:
    """Return when a process began, in ticks since boot; empty where there is none."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
