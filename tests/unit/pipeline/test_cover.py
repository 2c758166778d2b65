"""When a run is guarded: from its first dangerous step until all is settled, and how a failure ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from installer.domain.errors import BeeyardError, DeadlineError
from installer.domain.events import Event, LogLine
from installer.pipeline.cover import Cover
from installer.pipeline.runner import Runner
from installer.ports.guard import Armed, Settled
from tests.unit.pipeline.test_runner import FakeStep, Recorder, make_run


class Guarding:
    """Notes when it is armed and how that ended."""

    def __init__(self, calls: list[str], *, settled: Settled = Settled(), silent: bool = False) -> None:  # noqa: B008
        self.calls = calls
        self.settled = settled
        self.silent = silent

    async def settle(self) -> Settled:
        return self.settled

    @asynccontextmanager
    async def over(
        self, reason: str, *, seconds: float = 1.0, api: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncIterator[Armed]:
        del seconds
        assert api is not None
        self.calls.append(f"armed: {reason}")
        try:
            yield cast(Armed, None)
        except BaseException as error:
            self.calls.append(f"failed: {type(error).__name__}")
            raise
        if self.silent:
            raise DeadlineError("put back", code="E-GUARD-004")
        self.calls.append("taken off")


async def execute(steps: list[FakeStep], guarding: Guarding, events: list[Event] | None = None) -> Recorder:
    run = make_run(events if events is not None else [])
    cover = Cover(guarding, run, {"k3s": "it cuts", "cilium": "it cuts too"})
    await cover.settle()
    runner, journal = Runner(cast(Any, steps), run, cover), Recorder()
    await runner.execute(await runner.plan(), journal)
    return journal


def steps(calls: list[str], **fail: BaseException) -> list[FakeStep]:
    made = [FakeStep(one, calls, fail=[fail[one]] if one in fail else []) for one in ("fetch", "k3s", "cilium")]
    return [*made, FakeStep("ready", calls, changes=[]), FakeStep("verify", calls)]


async def test_it_stands_from_the_first_danger_until_all_is_ready() -> None:
    calls: list[str] = []
    await execute(steps(calls), Guarding(calls))
    assert [one for one in calls if not one.endswith("gather")] == [
        "fetch.apply", "fetch.verify", "armed: it cuts", "k3s.apply", "k3s.verify", "cilium.apply", "cilium.verify",
        "ready.verify", "taken off", "verify.apply", "verify.verify",
    ]  # fmt: skip


async def test_without_changes_nothing_is_guarded() -> None:
    calls: list[str] = []
    idle = [FakeStep(one, calls, changes=[]) for one in ("k3s", "cilium", "ready")]
    await execute(idle, Guarding(calls))
    assert not [one for one in calls if one.startswith("armed")]


@pytest.mark.parametrize("step", ["k3s", "cilium"])
async def test_a_failure_is_left_to_the_guard_to_judge(step: str) -> None:
    calls: list[str] = []
    with pytest.raises(BeeyardError, match="it broke"):
        await execute(steps(calls, **{step: BeeyardError("it broke", code="E-X-001")}), Guarding(calls))
    assert calls[-1] == "failed: BeeyardError"


async def test_a_failure_before_any_danger_needs_no_guard() -> None:
    calls: list[str] = []
    with pytest.raises(BeeyardError, match="it broke"):
        await execute(steps(calls, fetch=BeeyardError("it broke", code="E-X-001")), Guarding(calls))
    assert not [one for one in calls if one.startswith(("armed", "failed"))]


async def test_a_host_that_does_not_answer_fails_the_run() -> None:
    calls: list[str] = []
    with pytest.raises(DeadlineError, match="put back"):
        await execute(steps(calls), Guarding(calls, silent=True))
    assert "verify.apply" not in calls


async def test_what_an_earlier_guard_left_is_told() -> None:
    events: list[Event] = []
    await execute(steps([]), Guarding([], settled=Settled("taken off")), events)
    assert "taken off" in [event.text for event in events if isinstance(event, LogLine)]
