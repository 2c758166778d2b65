"""The history of runs, read from their journals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.domain.errors import BeeyardError, UsageError
from installer.domain.history import Outcome, RunPast, StepPast
from installer.domain.undo import Changes, changes_of
from installer.ports.store import RunLock, RunRecord, RunStore

_STATES = {
    "step-started": "begun",
    "step-done": "done",
    "step-failed": "failed",
    "step-interrupted": "stopped",
    "step-undone": "undone",
}


@dataclass(frozen=True, slots=True)
class RunHistory:
    """Tells of runs.

    Attributes:
        runs: their journals.
        lock: tells whether a run goes on.
    """

    runs: RunStore
    lock: RunLock

    def list(self) -> list[RunPast]:
        """Return all runs, the newest first; one whose journal cannot be read is told as damaged."""
        found: dict[str, RunRecord | BeeyardError] = {}
        for run_id in self.runs.ids():
            try:
                if (record := self.runs.read(run_id)) is not None:
                    found[run_id] = record
            except BeeyardError as error:
                found[run_id] = error
        records = [one for one in found.values() if isinstance(one, RunRecord)]
        at_work = self._at_work(records)
        return [
            _past(one, records, running=one.run_id == at_work) if isinstance(one, RunRecord) else _damaged(run_id, one)
            for run_id, one in found.items()
        ]

    def show(self, run_id: str) -> RunPast:
        """Return one run; the beginning of its id is enough.

        Raises:
            UsageError: ``E-RUN-005`` there is none, or more than one.
        """
        return next(run for run in self.list() if run.run_id == find(run_id, self.runs.ids()))

    def _at_work(self, records: Sequence[RunRecord]) -> str:
        newest = next(iter(records), None)
        if newest is None or newest.ended is not None:
            return ""
        try:
            with self.lock.hold("beeyard runs"):
                return ""
        except BeeyardError:
            return newest.run_id


def find(wanted: str, ids: Sequence[str]) -> str:
    """Return the id that begins so.

    Raises:
        UsageError: ``E-RUN-005``.
    """
    found = [one for one in ids if one.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"more than one run begins with {wanted!r}" if found else f"there is no run {wanted!r}",
        why="\n".join(found[:10]),
        fix="`beeyard runs` lists them.",
        code="E-RUN-005",
    )


def chain(record: RunRecord, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return a run with those that it went on with, the oldest first."""
    known = {one.run_id: one for one in records}
    found = [record]
    while (earlier := known.get(found[0].resumed)) is not None and earlier not in found:
        found.insert(0, earlier)
    return found


def changes_in(records: Iterable[RunRecord]) -> Changes:
    """Return what runs changed."""
    return changes_of([(run.run_id, [(one.kind, one.data) for one in run.records]) for run in records])


def undone_by(record: RunRecord, records: Sequence[RunRecord]) -> str:
    """Return the id of the run that took this one back (it may have done so itself), empty where none did."""
    if record.ok is False and any(one.kind == "step-undone" for one in record.records):
        return record.run_id
    for later in records:
        if later.run_id <= record.run_id:
            continue
        undoes = any(record.run_id in one.data.get("runs", ()) for one in later.records if one.kind == "undoes")
        if later.ok and (undoes or (later.kind == "uninstall" and record.kind in ("install", "hubble", "upgrade"))):
            return later.run_id
    return ""


def _past(record: RunRecord, records: Sequence[RunRecord], *, running: bool) -> RunPast:
    undone = undone_by(record, records)
    continued = next((one.run_id for one in reversed(records) if one.resumed == record.run_id), "")
    outcome = Outcome.UNDONE if undone else Outcome.RUNNING if running else _outcome(record)
    return RunPast(
        run_id=record.run_id,
        kind=record.kind,
        outcome=outcome,
        started=record.started,
        seconds=None if record.ended is None else max(record.ended - record.started, 0.0),
        version=record.version,
        resumed=record.resumed,
        by=undone or continued,
        steps=tuple(_steps(record)),
        changes=tuple(_lines(changes_in([record]))),
    )


def _outcome(record: RunRecord) -> Outcome:
    if record.ended is None:
        return Outcome.KILLED
    if record.ok:
        return Outcome.DONE
    kinds = {one.kind for one in record.records}
    return Outcome.STOPPED if "step-interrupted" in kinds and "step-failed" not in kinds else Outcome.FAILED


def _steps(record: RunRecord) -> Iterable[StepPast]:
    found: dict[str, StepPast] = {}
    for one in record.records:
        step = str(one.data.get("step", ""))
        if step and one.kind in _STATES:
            error = f"{one.data.get('code', '')} {one.data.get('what', '')}".strip()
            found[step] = StepPast(step, _STATES[one.kind], one.data.get("seconds"), error)
    return found.values()


def _lines(changes: Changes) -> Iterable[str]:
    for file in changes.files:
        yield f"file {file.path} {'changed' if file.copy else 'made'}"
    for service in changes.services:
        yield f"service {service.name} {'changed' if service.installed else 'made'}"
    for release in changes.releases:
        before = f"revision {release.revision} before" if release.revision else "made"
        yield f"Helm release {release.namespace}/{release.name} {before}"


def _damaged(run_id: str, error: BeeyardError) -> RunPast:
    return RunPast(run_id, "", Outcome.DAMAGED, note=f"{error.code} {error.what}: {error.why}")
