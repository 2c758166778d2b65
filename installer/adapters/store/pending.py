"""Changes that wait for their confirmation: one small file each, whose name tells its state."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from installer.domain.errors import BeeyardError
from installer.ports.pending import Pending

_WAITING, _TAKEN, _DONE, _GUARD = ".waiting.json", ".reverting.json", ".outcome", ".guard"


class FilePending:
    """Implements ``ports.pending.PendingStore``.

    Renaming a file is what decides between confirming and reverting: only one of two can do it.

    Args:
        folder: where the files are; it is made when it is missing.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def add(self, pending: Pending) -> None:
        """Write a file and bring it to the disk."""
        path = self._path(pending.id, _WAITING)
        partial = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(asdict(pending), file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise BeeyardError(
                f"{path} cannot be written",
                why=str(error),
                fix="Make room or correct the folder's rights; without it a change cannot go back by itself.",
                code="E-POL-031",
            ) from error

    def all(self) -> list[Pending]:
        """Return all that wait or were left while being reverted, the next deadline first."""
        paths = [*self._folder.glob(f"*{_WAITING}"), *self._folder.glob(f"*{_TAKEN}")]
        found = [pending for path in paths if (pending := _read(path)) is not None]
        return sorted(found, key=lambda pending: pending.deadline)

    def confirm(self, pending_id: str) -> bool:
        """Take the file away."""
        try:
            self._path(pending_id, _WAITING).unlink()
        except FileNotFoundError:
            return False
        return True

    def take(self, pending_id: str) -> Pending | None:
        """Rename the file; a run that was killed while reverting is taken up again."""
        taken = self._path(pending_id, _TAKEN)
        try:
            self._path(pending_id, _WAITING).rename(taken)
        except FileNotFoundError:
            return None
        return _read(taken)

    def resume(self, pending_id: str) -> Pending | None:
        """Return what somebody took and did not finish, such as a process that was killed."""
        return _read(self._path(pending_id, _TAKEN))

    @contextmanager
    def hold(self, pending_id: str) -> Iterator[bool]:
        """Lock a file for as long as the process lives."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(pending_id, _GUARD)
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)

    def held(self, pending_id: str) -> bool:
        """Try to lock the file."""
        try:
            with self._path(pending_id, _GUARD).open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def finish(self, pending_id: str, outcome: str) -> None:
        """Write the outcome and take the file away."""
        self._path(pending_id, _DONE).write_text(outcome)
        self._path(pending_id, _TAKEN).unlink(missing_ok=True)

    def outcome(self, pending_id: str) -> str:
        """Read the outcome."""
        try:
            return self._path(pending_id, _DONE).read_text()
        except OSError:
            return ""

    def _path(self, pending_id: str, suffix: str) -> Path:
        return self._folder / f"{Path(pending_id).name}{suffix}"


def _read(path: Path) -> Pending | None:
    try:
        data = json.loads(path.read_text())
        return Pending(**{**data, "changes": tuple(data["changes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
