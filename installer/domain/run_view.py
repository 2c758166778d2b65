"""A run as a screen shows it: fed by the event stream, it knows steps, progress, pods, log and timings at any moment.

It has no clock: times come with the events, and the one who draws says what time it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from installer.domain.diagnosis import Cause, Diagnosis
from installer.domain.errors import BeeyardError
from installer.domain.events import (
    Event,
    LogLine,
    PlanMade,
    ReadinessChanged,
    RunFinished,
    RunStarted,
    StepDone,
    StepFailed,
    StepProgress,
    StepStarted,
)
from installer.domain.plan import Plan
from installer.domain.rate import Rate
from installer.domain.readiness import Snapshot, State
from installer.domain.run_log import LogEntry, RunLogRing
from installer.domain.text import human_seconds


class StepState(StrEnum):
    """State of a step."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True)
class ItemView:
    """Something that comes in, such as a file.

    Attributes:
        name: its name.
        done: units done.
        total: units in all, 0 when unknown.
        unit: ``B`` or ``items``.
        rate: how fast it comes.
    """

    name: str
    done: int = 0
    total: int = 0
    unit: str = "B"
    rate: Rate = field(default_factory=Rate)

    @property
    def complete(self) -> bool:
        """Whether all of it is here."""
        return self.total > 0 and self.done >= self.total

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it is here, None while unknown."""
        return self.rate.remaining(self.total - self.done) if self.total else None


@dataclass(slots=True)
class StepView:
    """One step.

    Attributes:
        id: step id.
        title: what it does.
        state: its state.
        changes: changes that the plan names.
        changed: whether it changed anything.
        began: when it began, UNIX seconds; None before.
        seconds: time it took, None until it ended.
        note: one line about the result.
        items: what comes in, by name, in order.
    """

    id: str
    title: str
    state: StepState = StepState.WAITING
    changes: int = 0
    changed: bool = False
    began: float | None = None
    seconds: float | None = None
    note: str = ""
    items: dict[str, ItemView] = field(default_factory=dict)

    def elapsed(self, now: float) -> float | None:
        """Return the seconds it took, or has taken until now; None before it began."""
        if self.seconds is not None or self.began is None:
            return self.seconds
        return max(0.0, now - self.began)

    @property
    def active_items(self) -> list[ItemView]:
        """What is on its way."""
        return [item for item in self.items.values() if not item.complete]


@dataclass(slots=True)
class RunView:
    """All that is known of a run.

    Attributes:
        version: changes with every event.
        run_id: id of the run, empty before it began (or when it changes nothing).
        log_path: its log file.
        resumed: id of the run it continues, or empty.
        plan: what it changes, None before that is known.
        steps: by id, in order.
        snapshot: readiness as last told, None before.
        log: the lines.
        error: what ended it.
        began: when the first event came.
        ended: when it ended, None while it goes on.
        ok: whether it reached its goal, None while it goes on.
        changed: whether anything was changed.
        timings: seconds by step, when it has ended.
    """

    version: int = 0
    run_id: str = ""
    log_path: str = ""
    resumed: str = ""
    plan: Plan | None = None
    steps: dict[str, StepView] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    log: RunLogRing = field(default_factory=RunLogRing)
    error: BeeyardError | None = None
    began: float | None = None
    ended: float | None = None
    ok: bool | None = None
    changed: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Take in an event."""
        self.version += 1
        if self.began is None:
            self.began = event.at
        match event:
            case StepProgress():
                self._progress(event)
            case LogLine(step=step, level=level, text=text):
                self._write(event.at, step, level if level in ("debug", "warning") else "info", text)
            case ReadinessChanged(snapshot=snapshot):
                self._readiness(event.at, snapshot)
            case RunStarted(run_id=run_id, log=log, resumed=resumed):
                self.run_id, self.log_path, self.resumed = run_id, log, resumed
                self._write(event.at, "", "info", f"run {run_id}" + (f", goes on from {resumed}" if resumed else ""))
            case PlanMade(plan=plan):
                self._plan(event.at, plan)
            case RunFinished():
                self._finish(event)
            case _:
                self._step_event(event)

    def fail(self, error: BeeyardError, at: float) -> None:
        """Take in the error that ended the run."""
        self.version += 1
        self.error = error
        self._write(at, self._failed_step, "error", f"{error.code} {error.what}")
        for line in filter(None, error.why.splitlines()):
            self._write(at, self._failed_step, "error", f"  {line}")
        if cause := cause_of(error):
            self._write(at, self._failed_step, "error", f"cause {cause.code}: {cause.what}")
            self._write(at, self._failed_step, "error", f"  found in {cause.where}: {cause.evidence}")
        self._end(at, ok=False)

    def stop(self, at: float) -> None:
        """Take in that the run was stopped by the user."""
        self.version += 1
        self._write(at, "", "warning", "stopped; the next run goes on from here")
        self._end(at, ok=False)

    def write(self, at: float, level: str, text: str) -> None:
        """Add lines of our own to the log."""
        self.version += 1
        self._write(at, "", level, text)

    def elapsed(self, now: float) -> float:
        """Return the seconds since the first event, until now or the end."""
        return 0.0 if self.began is None else max(0.0, (now if self.ended is None else self.ended) - self.began)

    @property
    def running(self) -> list[StepView]:
        """The steps at work."""
        return [step for step in self.steps.values() if step.state is StepState.RUNNING]

    @property
    def done(self) -> int:
        """How many steps ended well."""
        return sum(step.state is StepState.DONE for step in self.steps.values())

    def no_pods(self) -> str:
        """Return why no pods are shown while nothing was told of readiness, for people."""
        k3s = self.steps.get("k3s")
        if self.plan is not None and (k3s is None or k3s.changes == 0 or k3s.state is StepState.DONE):
            return "The cluster is there; its pods are shown as soon as it is waited for them."
        if self.resumed or self.plan is None:
            return "No pods seen yet: nobody has asked the cluster whether it is there."
        return "No pods yet: the cluster is not there."

    @property
    def _failed_step(self) -> str:
        return next((step.id for step in self.steps.values() if step.state is StepState.FAILED), "")

    # -- events

    def _plan(self, at: float, plan: Plan) -> None:
        self.plan = plan
        for step in plan.steps:
            view = self.steps.setdefault(step.step, StepView(step.step, step.title))
            view.changes = len(step.changes)
        self._write(at, "", "info", f"plan: {_count(len(plan.changes), 'change')}")
        for warning in plan.warnings:
            self._write(at, "", "warning", warning)

    def _step_event(self, event: Event) -> None:
        match event:
            case StepStarted(step=step, title=title):
                self.steps[step] = view = self.steps.get(step) or StepView(step, title)
                view.state, view.began, view.seconds = StepState.RUNNING, event.at, None
                self._write(event.at, step, "info", title)
            case StepDone(step=step, changed=changed, seconds=seconds, note=note):
                view = self._step(step)
                view.state, view.seconds, view.note, view.changed = StepState.DONE, seconds, note, changed
                self._write(event.at, step, "info", f"done in {human_seconds(seconds)}" + (f": {note}" if note else ""))
            case StepFailed(step=step, seconds=seconds, error=error):
                view = self._step(step)
                view.state, view.seconds, view.note = StepState.FAILED, seconds, error.what
                self._write(event.at, step, "error", f"failed after {human_seconds(seconds)}")
            case _:
                pass

    def _progress(self, event: StepProgress) -> None:
        items = self._step(event.step).items
        item = items.get(event.item)
        if item is None:
            item = items[event.item] = ItemView(event.item)
            self._write(event.at, event.step, "debug", f"{event.item}: {event.total or '?'} {event.unit}")
        item.done, item.total, item.unit = event.done, event.total, event.unit
        item.rate.add(event.at, event.done)

    def _readiness(self, at: float, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        for level, key, text in _readiness_lines(snapshot):
            if self._told.get(key) != text:
                self._told[key] = text
                self._write(at, "ready", level, text)

    def _finish(self, event: RunFinished) -> None:
        self.changed, self.timings = event.changed, dict(event.timings)
        if event.ok:
            self._write(event.at, "", "info", f"the run is done in {human_seconds(event.seconds)}")
        self._end(event.at, ok=event.ok)

    def _end(self, at: float, *, ok: bool) -> None:
        self.ended, self.ok = at, ok
        for step in self.running:
            step.state = StepState.STOPPED
            step.seconds = step.elapsed(at)

    def _step(self, step: str) -> StepView:
        return self.steps.setdefault(step, StepView(step, step))

    def _write(self, at: float, step: str, level: str, text: str) -> None:
        for line in text.splitlines() or [""]:
            self.log.add(LogEntry(at, step, level, line))


def cause_of(error: BeeyardError) -> Cause | None:
    """Return the cause that was found for an error, None where none was."""
    found = error.details.get("diagnosis")
    return Diagnosis.from_dict(found).cause if found else None


def _readiness_lines(snapshot: Snapshot) -> Iterator[tuple[str, str, str]]:
    """Yield level, subject and words of everything that is enabled."""
    for component in snapshot.components:
        if component.state is not State.DISABLED:
            words = f"{component.name} {component.state}" + (f": {component.detail}" if component.detail else "")
            yield "info", f"{component.kind} {component.name}", words
        for problem in component.problems:
            words = f"{problem.code} {problem.subject}: {problem.what}"
            yield "warning" if problem.fatal else "debug", f"{problem.code} {problem.subject}", words
    for pod in snapshot.pods:
        yield "debug", f"pod {pod.namespace}/{pod.name}", f"{pod.namespace}/{pod.name} {pod.detail or pod.state}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
