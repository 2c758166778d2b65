"""What is kept of runs and between them: the journal, the lock, the log."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One line of a journal.

    Attributes:
        at: UNIX time in seconds.
        kind: what happened, such as ``begin``, ``step-done``, ``end``.
        data: its facts, secrets masked.
    """

    at: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its journal tells it.

    Attributes:
        run_id: UTC time and a few random letters; ids sort by time.
        kind: what was run, such as ``install``.
        inputs_digest: digest of what the run was to bring about; equal digests mean the same goal.
        folder: the run's folder.
        started: UNIX time in seconds.
        ended: UNIX time in seconds, None when it was killed or still runs.
        ok: whether it reached its goal; None when it has no end.
        resumed: id of the unfinished run that it continued, or empty.
        records: all records between begin and end, oldest first.
        boot: name of the boot of the host that it ran in, empty where that is unknown.
        version: version of beeyard that ran it, empty where that is unknown.
    """

    run_id: str
    kind: str
    inputs_digest: str
    folder: Path
    started: float
    ended: float | None = None
    ok: bool | None = None
    resumed: str = ""
    records: tuple[JournalRecord, ...] = ()
    boot: str = ""
    version: str = ""


class Journal(Protocol):
    """The journal of the run that is going on. A record is on the disk when ``append`` returns."""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        ...

    @property
    def folder(self) -> Path:
        """Folder of the run (0700): a place for backups that ``undo`` needs."""
        ...

    def append(self, kind: str, /, **data: Any) -> None:
        """Write a record; data is JSON-like, secrets in it are masked.

        Raises:
            BeeyardError: ``E-RUN-002`` it cannot be written.
        """
        ...

    def end(self, *, ok: bool, **data: Any) -> None:
        """Write the last record and close; a run without it counts as killed."""
        ...

    def close(self) -> None:
        """Close without an end, so that the next run continues this one."""
        ...


class RunStore(Protocol):
    """All runs on this host."""

    def begin(self, kind: str, inputs_digest: str, *, resumed: str = "") -> Journal:
        """Start a run's journal.

        Raises:
            BeeyardError: ``E-RUN-002`` the state folder cannot be written.
        """
        ...

    def unfinished(self, kind: str = "") -> RunRecord | None:
        """Return the newest run (of that kind) if it did not reach its goal, else None."""
        ...

    def history(self) -> list[RunRecord]:
        """Return all runs, the newest first; journals that cannot be read are left out."""
        ...

    def ids(self) -> list[str]:
        """Return the ids of all runs, the newest first, also of those whose journal cannot be read."""
        ...

    def boot(self) -> str:
        """Return the name of this boot of the host, which a run's is compared with."""
        ...

    def read(self, run_id: str) -> RunRecord | None:
        """Return one run, or None where there is none.

        Raises:
            BeeyardError: ``E-RUN-003`` its journal is damaged elsewhere than in its last line,
                ``E-RUN-004`` a newer beeyard wrote it.
        """
        ...


class RunLock(Protocol):
    """Keeps two runs apart."""

    def hold(self, command: str) -> AbstractContextManager[None]:
        """Hold the lock while the context lasts; ``command`` is what others are told.

        Raises:
            RefusedError: ``E-RUN-001`` another run holds it (command, pid and start time named).
        """
        ...


class RunLog(Protocol):
    """The log file of a run: secrets masked, control codes stripped."""

    @property
    def path(self) -> Path:
        """Where it is, to be told to the user."""
        ...

    def write(self, text: str) -> None:
        """Add lines; a full disk loses lines and never stops the run."""
        ...

    def close(self) -> None:
        """Close it."""
        ...
