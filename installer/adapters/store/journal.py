"""Journals of runs: ``<state>/runs/<run id>/journal.jsonl``, appended to and synced record by record."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from installer.adapters.store.lock import unwritable
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor
from installer.ports.store import JournalRecord, RunRecord

_FILE = "journal.jsonl"
_RUN_ID = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6}")


class FileJournal:
    """The journal of one run, open for writing.

    Args:
        run_id: id of the run.
        folder: the run's folder; it exists.
        clock: UNIX time in seconds.
        redactor: masks every string that is written.
    """

    def __init__(self, run_id: str, folder: Path, *, clock: Callable[[], float], redactor: Redactor):
        self.run_id = run_id
        self.folder = folder
        self._path = folder / _FILE
        self._clock = clock
        self._redactor = redactor
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)

    def append(self, kind: str, /, **data: Any) -> None:
        """Write a record; it is on the disk when this returns.

        Raises:
            BeeyardError: ``E-RUN-002``.
        """
        record = {"at": self._clock(), "kind": kind, "data": self._redactor.mask_data(data)}
        line = memoryview((json.dumps(record, ensure_ascii=False, default=str) + "\n").encode())
        try:
            while line:
                line = line[os.write(self._fd, line) :]
            os.fsync(self._fd)
        except OSError as error:
            raise unwritable(error, self._path) from error

    def end(self, *, ok: bool, **data: Any) -> None:
        """Write the last record and close."""
        self.append("end", ok=ok, **data)
        self.close()

    def close(self) -> None:
        """Close; without an end before, the run counts as killed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FileRunStore:
    """All runs below a state folder.

    Args:
        state: such as ``/var/lib/beeyard``.
        clock: UNIX time in seconds.
        redactor: masks secrets in what is written.
    """

    def __init__(self, state: Path, *, clock: Callable[[], float] = time.time, redactor: Redactor | None = None):
        self._runs = state / "runs"
        self._clock = clock
        self._redactor = redactor or Redactor()

    def begin(self, kind: str, inputs_digest: str, *, resumed: str = "") -> FileJournal:
        """Start a run's journal."""
        run_id = self._new_id()
        folder = self._runs / run_id
        try:
            folder.mkdir(parents=True, mode=0o700)
            journal = FileJournal(run_id, folder, clock=self._clock, redactor=self._redactor)
            journal.append("begin", kind=kind, inputs_digest=inputs_digest, resumed=resumed)
            for changed in (folder, self._runs):
                _sync(changed)
        except OSError as error:
            raise unwritable(error, folder) from error
        return journal

    def unfinished(self, kind: str = "") -> RunRecord | None:
        """Return the newest run (of that kind) if it did not reach its goal."""
        for run in self.history():
            if not kind or run.kind == kind:
                return None if run.ok else run
        return None

    def history(self) -> list[RunRecord]:
        """Return all runs, the newest first; what cannot be read is left out."""
        runs = []
        for run_id in self._ids():
            try:
                run = self.read(run_id)
            except BeeyardError:
                continue
            if run is not None:
                runs.append(run)
        return runs

    def read(self, run_id: str) -> RunRecord | None:
        """Return one run, or None where there is none (or only the beginning of a first line)."""
        folder = self._runs / run_id
        try:
            data = (folder / _FILE).read_bytes() if _RUN_ID.fullmatch(run_id) else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _damaged(folder, error.strerror or str(error)) from error
        records = _parse(data, folder)
        return _summary(run_id, folder, records) if records else None

    def _ids(self) -> list[str]:
        try:
            names = [folder.name for folder in self._runs.iterdir()]
        except OSError:
            return []
        return sorted(filter(_RUN_ID.fullmatch, names), reverse=True)

    def _new_id(self) -> str:
        """Return an id that sorts after all others, even when the clock was set back."""
        moment = datetime.fromtimestamp(self._clock(), UTC)
        stamp = f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"
        newest = next(iter(self._ids()), "").partition("-")[0]
        return f"{max(stamp, _after(newest)) if newest else stamp}-{secrets.token_hex(3)}"


def _after(stamp: str) -> str:
    """Return the stamp one millisecond later."""
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp() + 0.001
    later = datetime.fromtimestamp(round(moment, 3), UTC)
    return f"{later:%Y%m%dT%H%M%S}.{later.microsecond // 1000:03d}Z"


def _parse(data: bytes, folder: Path) -> list[JournalRecord]:
    """Parse the lines; a last one that was torn by a crash is left out."""
    *lines, torn = data.split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
            records.append(JournalRecord(float(content["at"]), str(content["kind"]), dict(content["data"])))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and not torn:
                break
            raise _damaged(folder, f"line {number}: {error}") from error
    return records


def _summary(run_id: str, folder: Path, records: list[JournalRecord]) -> RunRecord:
    begin, last = records[0], records[-1]
    if begin.kind != "begin":
        raise _damaged(folder, "its first record is not the begin of a run")
    ended = last.kind == "end"
    return RunRecord(
        run_id=run_id,
        kind=str(begin.data.get("kind", "")),
        inputs_digest=str(begin.data.get("inputs_digest", "")),
        folder=folder,
        started=begin.at,
        ended=last.at if ended else None,
        ok=bool(last.data.get("ok")) if ended else None,
        resumed=str(begin.data.get("resumed") or ""),
        records=tuple(records[1:-1] if ended else records[1:]),
    )


def _damaged(folder: Path, why: str) -> BeeyardError:
    return BeeyardError(
        f"the journal of run {folder.name} is damaged",
        why=f"{folder / _FILE}: {why}",
        fix="move the run's folder away and run again: every step looks at the host itself before it changes anything",
        code="E-RUN-003",
    )


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
