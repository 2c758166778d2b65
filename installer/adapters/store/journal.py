"""Journals of runs: ``<state>/runs/<run id>/journal.jsonl``, appended to and synced record by record."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import installer
from installer.adapters.store.lock import unwritable
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor
from installer.ports.store import JournalRecord, RunRecord

FORMAT = 1
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FILE = "journal.jsonl"
_SPARE = ".spare"
_SPARE_BYTES = 64 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)
_RUN_ID = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6}")


class FileJournal:
    """The journal of one run, open for writing.

    Some bytes of the disk are kept free for it: a run that fills the disk can still be told to have failed.

    Args:
        run_id: id of the run.
        folder: the run's folder; it exists.
        clock: UNIX time in seconds; times in a journal never go back, whatever the clock does.
        redactor: masks every string that is written.
    """

    def __init__(self, run_id: str, folder: Path, *, clock: Callable[[], float], redactor: Redactor):
        self.run_id = run_id
        self.folder = folder
        self._path = folder / _FILE
        self._spare = folder / _SPARE
        self._clock = clock
        self._last = 0.0
        self._redactor = redactor
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        try:
            _reserve(self._spare)
        except OSError:
            os.close(self._fd)
            raise

    def append(self, kind: str, /, **data: Any) -> None:
        """Write a record; it is on the disk when this returns, or not at all.

        Raises:
            BeeyardError: ``E-RUN-002``.
        """
        self._last = max(self._last, self._clock())
        record = {"at": self._last, "kind": kind, "data": self._redactor.mask_data(data)}
        line = (json.dumps(record, ensure_ascii=False, default=str) + "\n").encode()
        try:
            self._write(line)
        except OSError as error:
            if error.errno not in _FULL or not self._spare.exists():
                raise unwritable(error, self._path) from error
            self._spare.unlink()  # what was kept for this is used now: no record is lost
            try:
                self._write(line)
            except OSError as again:
                raise unwritable(again, self._path) from again

    def _write(self, line: bytes) -> None:
        """Write a whole line; of one that does not fit nothing stays, for the next to follow the last whole one."""
        size = os.fstat(self._fd).st_size
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, size)
            raise

    def end(self, *, ok: bool, **data: Any) -> None:
        """Write the last record and close."""
        self.append("end", ok=ok, **data)
        self.close()

    def close(self) -> None:
        """Close; without an end before, the run counts as killed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._spare.unlink(missing_ok=True)


class FileRunStore:
    """All runs below a state folder.

    Args:
        state: such as ``/var/lib/beeyard``.
        clock: UNIX time in seconds.
        redactor: masks secrets in what is written.
        boot_id: file that tells boots of the host apart.
    """

    def __init__(
        self,
        state: Path,
        *,
        clock: Callable[[], float] = time.time,
        redactor: Redactor | None = None,
        boot_id: Path = BOOT_ID,
    ):
        self._runs = state / "runs"
        self._clock = clock
        self._redactor = redactor or Redactor()
        self._boot_id = boot_id

    def begin(self, kind: str, inputs_digest: str, *, resumed: str = "") -> FileJournal:
        """Start a run's journal."""
        run_id = self._new_id()
        folder = self._runs / run_id
        for killed in (*self._runs.glob(f"*/{_SPARE}"), *self._runs.glob("*/.*.beeyard-tmp")):
            with suppress(OSError):
                killed.unlink()
        try:
            folder.mkdir(parents=True, mode=0o700)
            journal = FileJournal(run_id, folder, clock=self._clock, redactor=self._redactor)
            journal.append(
                "begin",
                format=FORMAT,
                kind=kind,
                inputs_digest=inputs_digest,
                resumed=resumed,
                boot=self.boot(),
                version=str(installer.__version__),
            )
            for changed in (folder, self._runs, self._runs.parent):
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
        for run_id in self.ids():
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

    def boot(self) -> str:
        """Return the name of this boot, empty where the kernel does not tell."""
        try:
            return self._boot_id.read_text().strip()
        except OSError:
            return ""

    def ids(self) -> list[str]:
        """Return the ids of all runs, the newest first, also of those whose journal cannot be read."""
        try:
            names = [folder.name for folder in self._runs.iterdir()]
        except OSError:
            return []
        return sorted(filter(_RUN_ID.fullmatch, names), reverse=True)

    def _new_id(self) -> str:
        """Return an id that sorts after all others, even when the clock was set back."""
        moment = datetime.fromtimestamp(self._clock(), UTC)
        stamp = f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"
        newest = next(iter(self.ids()), "").partition("-")[0]
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
    if begin.data.get("format", FORMAT) != FORMAT:
        raise _newer(folder, begin)
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
        boot=str(begin.data.get("boot") or ""),
        version=str(begin.data.get("version") or ""),
    )


def _damaged(folder: Path, why: str) -> BeeyardError:
    return BeeyardError(
        f"the journal of run {folder.name} is damaged",
        why=f"{folder / _FILE}: {why}",
        fix="move the run's folder away and run again: every step looks at the host itself before it changes anything",
        code="E-RUN-003",
    )


def _newer(folder: Path, begin: JournalRecord) -> BeeyardError:
    return BeeyardError(
        f"another version of beeyard wrote the journal of run {folder.name}",
        why=f"Its format is {begin.data.get('format')}, this beeyard knows {FORMAT}; it was beeyard "
        f"{begin.data.get('version') or 'of an unknown version'}.",
        fix="Use that version, or a newer one, to go on with the run or to undo it.",
        code="E-RUN-004",
    )


def _reserve(path: Path) -> None:
    """Take a little of the disk, to be given back when it is full."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(os.urandom(_SPARE_BYTES))  # no file system can make zeros small
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
