"""Runs of the past, as they are told to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from installer.domain.text import human_seconds


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    KILLED = "killed"
    RUNNING = "running"
    UNDONE = "undone"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class StepPast:
    """A step of a run that had something to do.

    Attributes:
        step: step id.
        state: ``done``, ``failed``, ``stopped``, ``undone``, or ``begun`` where the run was killed in it.
        seconds: time it took, None where that is unknown.
        error: code and text of what failed, or empty.
    """

    step: str
    state: str
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunPast:
    """One run.

    Attributes:
        run_id: its id.
        kind: what was run, such as ``install``; empty where its journal is damaged.
        outcome: how it ended.
        started: UNIX time in seconds.
        seconds: time it took, None where it was killed or still runs.
        version: version of beeyard, empty where that is unknown.
        resumed: id of the run that it continued, or empty.
        by: id of the run that undid or continued it, or empty.
        steps: what it did.
        changes: what it changed, one line each.
        note: one more thing to know, such as why the journal cannot be read.
    """

    run_id: str
    kind: str
    outcome: Outcome
    started: float = 0.0
    seconds: float | None = None
    version: str = ""
    resumed: str = ""
    by: str = ""
    steps: tuple[StepPast, ...] = ()
    changes: tuple[str, ...] = ()
    note: str = ""

    @property
    def when(self) -> str:
        """When it began, for people."""
        return datetime.fromtimestamp(self.started, UTC).strftime("%Y-%m-%d %H:%M:%S") if self.started else "-"

    @property
    def took(self) -> str:
        """How long it took, for people."""
        return "-" if self.seconds is None else human_seconds(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "run": self.run_id,
            "kind": self.kind,
            "outcome": str(self.outcome),
            "started": self.started,
            "seconds": self.seconds,
            "version": self.version,
            "resumed": self.resumed,
            "by": self.by,
            "steps": [
                {"step": one.step, "state": one.state, "seconds": one.seconds, "error": one.error} for one in self.steps
            ],
            "changes": list(self.changes),
            "note": self.note,
        }


def table(runs: Sequence[RunPast]) -> str:
    """Return the history as a table, the newest first."""
    rows = [("RUN", "KIND", "WHEN (UTC)", "OUTCOME", "TOOK", "CHANGES")]
    rows += [(one.run_id, one.kind or "-", one.when, _told(one), one.took, str(len(one.changes))) for one in runs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _told(run: RunPast) -> str:
    if run.outcome in (Outcome.KILLED, Outcome.FAILED, Outcome.STOPPED) and run.by:
        return f"{run.outcome}, continued"
    return str(run.outcome)


def details(run: RunPast) -> str:
    """Return all that is known of a run."""
    lines = [
        f"run {run.run_id}",
        f"  {run.kind or 'unknown'}: {_told(run)}",
        f"  began {run.when} UTC, took {run.took}",
    ]
    if run.version:
        lines.append(f"  beeyard {run.version}")
    if run.resumed:
        lines.append(f"  continued {run.resumed}")
    if run.by:
        lines.append(f"  {'undone' if run.outcome is Outcome.UNDONE else 'continued'} by {run.by}")
    if run.note:
        lines.append(f"  {run.note}")
    if run.steps:
        lines.append("steps")
        lines += [f"  {_step(one)}" for one in run.steps]
    if run.changes:
        lines.append("changes")
        lines += [f"  {change}" for change in run.changes]
    return "\n".join(lines)


def _step(step: StepPast) -> str:
    took = f" in {human_seconds(step.seconds)}" if step.seconds is not None else ""
    return f"{step.step}: {step.state}{took}" + (f" ({step.error})" if step.error else "")
