"""What is kept of a guard on the disk, shared by whoever armed it and its watchdog; changed under a lock only.

The folder holds ``guard.json`` (the guard and its state), ``snapshot.json`` (the network), ``lock`` and
``watchdog.json`` (the process that waits). A folder that is gone is a guard that was taken off.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARMED, RESTORING, RESTORED, OFF = "armed", "restoring", "restored", "off"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
Record = dict[str, Any]


class GuardFiles:
    """The files of one guard.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from changing the state; ends with the process at the latest.

        Raises:
            OSError: the folder is gone or cannot be written.
        """
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def guard(self) -> Record | None:
        """Return the guard, None where there is none or its file is damaged."""
        return _read(self.folder / "guard.json")

    def keep(self, guard: Record) -> None:
        """Write the guard; it is on the disk when this returns."""
        _write(self.folder / "guard.json", guard)

    def snapshot(self) -> Record | None:
        """Return the network as it was."""
        return _read(self.folder / "snapshot.json")

    def keep_snapshot(self, snapshot: Record) -> None:
        """Write the network down; it is on the disk when this returns."""
        _write(self.folder / "snapshot.json", snapshot)

    def watchdog(self) -> int:
        """Return the pid of the watchdog, 0 where none lives."""
        record = _read(self.folder / "watchdog.json") or {}
        pid = int(record.get("pid", 0))
        return pid if alive(pid, int(record.get("started", -1))) else 0

    def sign_watchdog(self) -> None:
        """Say that this process is the watchdog."""
        _write(self.folder / "watchdog.json", {"pid": os.getpid(), "started": started(os.getpid())})

    def take_due(self, guard_id: str) -> float | None:
        """Return the seconds until the restore; 0 hands it to the caller, None says that the guard was taken off."""
        try:
            with self.locked():
                guard = self.guard()
                if guard is None or guard["id"] != guard_id or guard["state"] != ARMED:
                    return None
                left = float(guard["deadline"]) - uptime()
                if left <= 0:
                    self.keep({**guard, "state": RESTORING})
                return max(left, 0.0)
        except FileNotFoundError:
            return None

    def finish(self, done: list[str], failed: list[str]) -> None:
        """Write down what the restore did."""
        with self.locked():
            guard = self.guard() or {}
            outcome = {"at": time.time(), "done": done, "failed": failed}
            self.keep({**guard, "state": RESTORED, "outcome": outcome})


def uptime() -> float:
    """Return the seconds since boot: the same for all processes, and no clock that is set changes it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the name of this boot."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def started(pid: int) -> int:
    """Return when a process began, in ticks since boot; 0 where there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(pid: int, began: int) -> bool:
    """Whether the process that began then still lives."""
    return pid > 0 and began > 0 and started(pid) == began


def _read(path: Path) -> Record | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, record: Record) -> None:
    partial = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
