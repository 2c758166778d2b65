"""The lock that keeps two runs apart: flock, so that it ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from installer.domain.errors import BeeyardError, RefusedError


class FileLock:
    """A lock file in the state folder, with its holder's pid, command and start time inside.

    Args:
        state: the state folder, made if absent.
        now: current time.
    """

    def __init__(self, state: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._path = state / "lock"
        self._now = now

    @contextmanager
    def hold(self, command: str) -> Iterator[None]:
        """Hold the lock while the context lasts.

        Raises:
            RefusedError: ``E-RUN-001`` another run holds it.
            BeeyardError: ``E-RUN-002`` the state folder cannot be written.
        """
        fd = self._open()
        try:
            self._take(fd)
            self._sign(fd, command)
            yield
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise unwritable(error, self._path) from error

    def _take(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(_read_holder(fd), self._path) from None

    def _sign(self, fd: int, command: str) -> None:
        started = self._now().isoformat(timespec="seconds")
        note = json.dumps({"pid": os.getpid(), "command": command, "started": started})
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, note.encode(), 0)
        except OSError as error:
            raise unwritable(error, self._path) from error


def _read_holder(fd: int) -> dict[str, object]:
    """Return what the holder wrote about itself; empty in the moment before it has."""
    try:
        note = json.loads(os.pread(fd, 65536, 0))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _held(holder: dict[str, object], path: Path) -> RefusedError:
    pid, command, started = (holder.get(key) for key in ("pid", "command", "started"))
    known = f"{command} (pid {pid}) since {started}" if holder else "it has not told its name yet"
    return RefusedError(
        "another run of beeyard is going on",
        why=f"{known}; it holds {path}",
        fix=f"wait until it ends, or end it: kill {pid}" if holder else "wait until it ends",
        code="E-RUN-001",
        details=dict(holder),
    )


def unwritable(error: OSError, path: Path) -> BeeyardError:
    """Return the error for a state folder that cannot be written."""
    return BeeyardError(
        "beeyard cannot keep its state",
        why=f"{error.filename or path}: {error.strerror or error}",
        fix="run as root (sudo), and check that the file system is writable and has space left",
        code="E-RUN-002",
    )
