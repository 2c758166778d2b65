"""History of policy changes: one JSON line each, readable by its owner only."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from installer.domain.errors import BeeyardError
from installer.ports.policy_history import Change


class FileHistory:
    """Implements ``ports.policy_history.History``.

    Args:
        path: the file; its folder is made when it is missing.
    """

    def __init__(self, path: Path):
        self._path = path

    def add(self, change: Change) -> None:
        """Append a change and bring it to the disk."""
        self._append(asdict(change))

    def fail(self, change_id: str) -> None:
        """Say that a change did not come about."""
        self._append({"failed": change_id})

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":"), default=str).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(b"\n" + line if _ends_broken(file.fileno()) else line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BeeyardError(
                f"the history of policy changes cannot be written: {self._path}",
                why=str(error),
                fix="Make room or correct the folder's rights; nothing was changed in the cluster.",
                code="E-POL-030",
            ) from error

    def all(self) -> list[Change]:
        """Return the changes, the oldest first; damaged lines are left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        records = [record for line in lines if (record := _read(line)) is not None]
        failed = {record.get("failed") for record in records}
        changes = [change for record in records if (change := _change(record)) is not None]
        return [one for one in changes if one.id not in failed]


def _ends_broken(descriptor: int) -> bool:
    """Whether the last line was cut off by a crash."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _change(record: dict[str, Any]) -> Change | None:
    try:
        return Change(**record)
    except TypeError:
        return None
