"""The one stream of events that a run emits; text, NDJSON and the TUI are renderers of it.

Every event is a frozen dataclass; ``to_dict`` gives its JSON form with ``event`` as the type's name. Times are UNIX
seconds given by the runner (the domain has no clock).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from installer.domain.errors import BeeyardError
from installer.domain.plan import Plan
from installer.domain.readiness import Snapshot


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    Attributes:
        at: UNIX time in seconds.
    """

    name: ClassVar[str] = ""
    at: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"event": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run began.

    Attributes:
        run_id: id of the run, also its folder's name.
        log: path of the run's log file.
        resumed: id of the unfinished run that this one continues, or empty.
    """

    name: ClassVar[str] = "run-started"
    run_id: str
    log: str
    resumed: str = ""


@dataclass(frozen=True, slots=True)
class PlanMade(Event):
    """Facts are gathered and the changes known."""

    name: ClassVar[str] = "plan"
    plan: Plan

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"event": self.name, "at": self.at, "plan": self.plan.to_dict()}


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A step begins to change or prove something.

    Attributes:
        step: step id.
        title: what it does, for people.
    """

    name: ClassVar[str] = "step-started"
    step: str
    title: str


@dataclass(frozen=True, slots=True)
class StepProgress(Event):
    """Progress of one item within a step.

    Attributes:
        step: step id.
        item: what progresses, such as a file's name.
        done: units done.
        total: units in all, 0 when unknown.
        unit: ``B`` for bytes or ``items``.
    """

    name: ClassVar[str] = "step-progress"
    step: str
    item: str
    done: int
    total: int
    unit: str = "B"


@dataclass(frozen=True, slots=True)
class StepDone(Event):
    """A step ended well.

    Attributes:
        step: step id.
        changed: whether it changed anything.
        seconds: time it took.
        note: one line for people, may be empty.
    """

    name: ClassVar[str] = "step-done"
    step: str
    changed: bool
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step failed; the run ends."""

    name: ClassVar[str] = "step-failed"
    step: str
    seconds: float
    error: BeeyardError

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "event": self.name,
            "at": self.at,
            "step": self.step,
            "seconds": self.seconds,
            "error": self.error.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class LogLine(Event):
    """A line worth keeping in the run's log.

    Attributes:
        step: step id, empty outside steps.
        level: ``debug``, ``info`` or ``warning``.
        text: the line, secrets masked.
    """

    name: ClassVar[str] = "log"
    step: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class ReadinessChanged(Event):
    """What is ready and what is not has changed."""

    name: ClassVar[str] = "readiness"
    snapshot: Snapshot

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"event": self.name, "at": self.at, "readiness": self.snapshot.to_dict()}


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The run ended.

    Attributes:
        run_id: id of the run.
        ok: whether it reached its goal.
        changed: whether anything was changed.
        seconds: time of the whole run.
        timings: seconds by step id, in order.
    """

    name: ClassVar[str] = "run-finished"
    run_id: str
    ok: bool
    changed: bool
    seconds: float
    timings: dict[str, float] = field(default_factory=dict)
