"""The runner: plan, order, background work, retries, failure, interruption and undo, told in events and journal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from installer.domain.diagnosis import Diagnosis, Evidence, Source, diagnose
from installer.domain.errors import BeeyardError, ConnectError, TemporaryError
from installer.domain.events import Event, StepDone, StepFailed
from installer.domain.installed import Installed
from installer.domain.plan import Change
from installer.domain.run_view import cause_of
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options, Run, Step, Tools
from installer.pipeline.runner import RECONNECT, TRIES, Runner


@dataclass
class Recorder:
    """Collects a journal's records and the run's events."""

    run_id: str = "run-1"
    folder: Path = Path()
    records: list[tuple[str, str]] = field(default_factory=list)
    ended: bool | None = None

    def append(self, kind: str, /, **data: Any) -> None:
        self.records.append((kind, data.get("step", "")))

    def end(self, *, ok: bool, **data: Any) -> None:
        self.ended = ok

    def close(self) -> None:
        pass


@dataclass
class FakeStep:
    """A step that notes what is done with it."""

    id: str
    calls: list[str]
    changes: list[Change] = field(default_factory=lambda: [Change("file", "create", "/x")])
    fail: list[BaseException] = field(default_factory=list)
    background: bool = False
    wait: asyncio.Event | None = None
    title: str = "A step"

    async def gather(self, run: Run) -> None:
        self.calls.append(f"{self.id}.gather")

    async def check(self, run: Run) -> list[Change]:
        return self.changes

    async def apply(self, run: Run) -> None:
        self.calls.append(f"{self.id}.apply")
        if self.fail:
            raise self.fail.pop(0)

    async def verify(self, run: Run) -> str:
        if self.wait:
            await self.wait.wait()
        self.calls.append(f"{self.id}.verify")
        return "fine"

    async def undo(self, run: Run) -> None:
        self.calls.append(f"{self.id}.undo")


class Clock:
    """Counts up by one at every look."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1
        return self.time


def make_run(events: list[Event], **options: Any) -> Run:
    tools = cast(Tools, SimpleNamespace(now=Clock(), explain=options.pop("explain", None)))
    return Run(ClusterSpec(), Options(**options), tools, events.append, Installed(), table=cast(Any, None))


async def execute(
    steps: list[FakeStep], **options: Any
) -> tuple[list[Event], Recorder, BaseException | None, list[str]]:
    events: list[Event] = []
    runner = Runner(cast(list[Step], steps), make_run(events, **options))
    journal = Recorder()
    plan = await runner.plan()
    caught: BaseException | None = None
    try:
        await runner.execute(plan, journal)
    except BaseException as error:
        caught = error
    return events, journal, caught, runner.result.changed


async def test_steps_run_in_order_and_later_ones_look_again() -> None:
    calls: list[str] = []
    steps = [FakeStep("one", calls), FakeStep("two", calls)]
    events, journal, error, changed = await execute(steps)
    assert error is None
    assert calls == [
        "one.gather", "two.gather",
        "one.apply", "one.verify",
        "two.gather", "two.apply", "two.verify",
    ]  # fmt: skip
    assert changed == ["one", "two"]
    assert journal.ended is True
    assert [event.step for event in events if isinstance(event, StepDone)] == ["one", "two"]


async def test_a_step_without_changes_is_only_verified_and_not_journalled() -> None:
    calls: list[str] = []
    _, journal, error, changed = await execute([FakeStep("one", calls, changes=[])])
    assert error is None
    assert calls == ["one.gather", "one.verify"]
    assert changed == []
    assert journal.records == []


async def test_a_proof_is_carried_out_and_is_no_change() -> None:
    calls: list[str] = []
    _, _, _, changed = await execute([FakeStep("one", calls, changes=[Change("proof", "run", "network")])])
    assert "one.apply" in calls
    assert changed == []


async def test_background_work_overlaps_and_is_waited_for() -> None:
    calls: list[str] = []
    landed = asyncio.Event()
    first = FakeStep("fetch", calls, background=True, wait=landed)
    second = FakeStep("k3s", calls)

    async def apply(run: Run) -> None:
        calls.append("k3s.apply")
        landed.set()

    second.apply = apply  # type: ignore[method-assign]
    _, _, error, _ = await execute([first, second])
    assert error is None
    assert calls.index("k3s.apply") < calls.index("fetch.verify")


async def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("installer.pipeline.runner.asyncio.sleep", pause)
    calls: list[str] = []
    step = FakeStep("one", calls, fail=[TemporaryError("busy", delay=3, code="E-X-1")])
    _, _, error, _ = await execute([step])
    assert error is None
    assert pauses == [3]
    assert calls.count("one.apply") == 2

    hopeless = FakeStep("one", [], fail=[TemporaryError("busy", delay=1, code="E-X-1") for _ in range(TRIES)])
    _, _, error, _ = await execute([hopeless])
    assert isinstance(error, TemporaryError)


async def test_an_api_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("installer.pipeline.runner.asyncio.sleep", pause)
    away = ConnectError("the API is away", code="E-KUBE-001")
    _, _, error, _ = await execute([FakeStep("one", [], fail=[away, away])])
    assert error is None
    assert pauses == [RECONNECT, RECONNECT]


async def test_a_failure_ends_the_run_and_is_told() -> None:
    calls: list[str] = []
    steps = [
        FakeStep("one", calls),
        FakeStep("two", calls, fail=[BeeyardError("no", code="E-X-2")]),
        FakeStep("three", calls),
    ]
    events, journal, error, _ = await execute(steps)
    assert isinstance(error, BeeyardError)
    assert "three.apply" not in calls
    assert journal.ended is False
    assert ("step-failed", "two") in journal.records
    failed = [event for event in events if isinstance(event, StepFailed)]
    assert [event.step for event in failed] == ["two"]
    assert not any(call.endswith("undo") for call in calls)


async def test_undo_on_failure_takes_back_in_reverse_what_changed() -> None:
    calls: list[str] = []
    steps = [
        FakeStep("one", calls),
        FakeStep("same", calls, changes=[]),
        FakeStep("two", calls, fail=[BeeyardError("no", code="E-X-2")]),
    ]
    await execute(steps, undo_on_failure=True)
    assert calls[-2:] == ["two.undo", "one.undo"]


async def test_background_failure_ends_the_run_with_its_own_error() -> None:
    calls: list[str] = []

    class Failing(FakeStep):
        async def verify(self, run: Run) -> str:
            raise BeeyardError("lost", code="E-X-3")

    blocked = FakeStep("k3s", calls, wait=asyncio.Event())
    _, journal, error, _ = await execute([Failing("fetch", calls, background=True), blocked])
    assert isinstance(error, BeeyardError)
    assert error.code == "E-X-3"
    assert ("step-failed", "fetch") in journal.records


async def test_an_interruption_is_journalled_and_passed_on() -> None:
    calls: list[str] = []
    blocked = FakeStep("one", calls, wait=asyncio.Event())
    events: list[Event] = []
    runner = Runner(cast(list[Step], [blocked]), make_run(events))
    plan = await runner.plan()
    journal = Recorder()
    task = asyncio.ensure_future(runner.execute(plan, journal))
    while ("step-started", "one") not in journal.records:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ("step-interrupted", "one") in journal.records
    assert journal.ended is False


async def test_a_failure_is_explained_before_anything_is_taken_back() -> None:
    calls: list[str] = []

    async def explain(run: Run, error: BeeyardError) -> Diagnosis:
        calls.append(f"explained {error.code} in {run.current}")
        return diagnose([Evidence(Source.K3S, "log of k3s", "failed to find memory cgroup (v2)")])

    steps = [FakeStep("one", calls), FakeStep("two", calls, fail=[BeeyardError("no", code="E-X-2")])]
    _, _, error, _ = await execute(steps, explain=explain, undo_on_failure=True)
    assert calls[-3:] == ["explained E-X-2 in two", "two.undo", "one.undo"]
    assert isinstance(error, BeeyardError)
    cause = cause_of(error)
    assert cause is not None
    assert cause.mode == 30
