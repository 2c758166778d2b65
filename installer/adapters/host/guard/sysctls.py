"""The kernel's network settings, ``/proc/sys/net``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from installer.adapters.host.guard.links import Deed

NET = Path("/proc/sys/net")
_LEFT_OUT = ("flush", "stable_secret", "tcp_fastopen_key")
"""Triggers, and secrets that belong on no disk."""


def read() -> dict[str, str]:
    """Return the settings that can be read and written, by path below ``/proc/sys/net``."""
    found = {}
    for folder, _, names in os.walk(NET):
        for name in names:
            path = Path(folder, name)
            if name in _LEFT_OUT or (value := _value(path)) is None:
                continue
            found[str(path.relative_to(NET))] = value
    return found


def put_back(before: dict[str, str]) -> Iterator[Deed]:
    """Write what is different; first what changes other settings too."""
    for name in sorted(before, key=_order):
        path = NET / name
        value = _value(path)
        if value is None or value == before[name]:
            continue
        problem = ""
        try:
            path.write_text(before[name] + "\n")
        except OSError as error:
            problem = error.strerror or str(error)
        yield f"sysctl net.{name.replace('/', '.')}: {before[name]}", problem


def _value(path: Path) -> str | None:
    """Return a setting's value; None where it is none or not there."""
    try:
        if path.stat().st_mode & (stat.S_IWUSR | stat.S_IRUSR) != stat.S_IWUSR | stat.S_IRUSR:
            return None
        return path.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return None


def _order(name: str) -> tuple[int, str]:
    """Settings of all links, and forwarding as a whole, are copied into those of each link."""
    wide = name == "ipv4/ip_forward" or "/conf/all/" in name
    return (0 if wide else 1 if "/conf/default/" in name else 2, name)
