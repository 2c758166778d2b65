"""A run as a screen shows it, fed by events alone."""

from __future__ import annotations

import pytest

from installer.domain.errors import BeeyardError
from installer.domain.events import (
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
from installer.domain.plan import Change, Plan, StepPlan
from installer.domain.rate import Rate
from installer.domain.readiness import Component, PodState, Snapshot, State
from installer.domain.run_log import FilteredLog, LogEntry, LogFilter, RunLogRing
from installer.domain.run_view import RunView, StepState

PLAN = Plan(
    (
        StepPlan("fetch", "Fetch what is needed", (Change("download", "fetch", "https://x/k3s", size=1000),)),
        StepPlan("k3s", "Install k3s", (Change("file", "create", "/etc/x"), Change("service", "start", "k3s"))),
        StepPlan("ready", "Wait", ()),
    ),
    ("the kernel is old",),
)


def view(*events: object) -> RunView:
    made = RunView()
    for event in (PlanMade(1.0, PLAN), RunStarted(2.0, "r1", "/log"), *events):
        made.take(event)  # type: ignore[arg-type]
    return made


def texts(run: RunView) -> list[str]:
    return [run.log[number].text for number in range(run.log.first, run.log.added)]


def test_steps_come_from_the_plan_and_follow_the_events() -> None:
    run = view(StepStarted(3.0, "fetch", "Fetch"), StepStarted(4.0, "k3s", "Install k3s"))
    assert [step.state for step in run.steps.values()] == [StepState.RUNNING, StepState.RUNNING, StepState.WAITING]
    assert run.steps["k3s"].changes == 2
    assert run.steps["k3s"].elapsed(10.0) == 6.0
    assert run.steps["ready"].elapsed(10.0) is None
    run.take(StepDone(9.0, "k3s", True, 5.0, "k3s runs"))
    assert run.steps["k3s"].elapsed(99.0) == 5.0
    assert run.done == 1


def test_what_is_said_of_pods_that_are_not_seen_is_true() -> None:
    run = RunView()
    assert "nobody has asked" in run.no_pods()
    run = view()
    assert run.no_pods() == "No pods yet: the cluster is not there."
    run.take(StepStarted(4.0, "k3s", "Install k3s"))
    run.take(StepDone(9.0, "k3s", True, 5.0, "k3s runs"))
    assert run.no_pods().startswith("The cluster is there")
    resumed = RunView()
    resumed.take(PlanMade(1.0, PLAN))
    resumed.take(RunStarted(2.0, "r2", "/log", "r1"))
    assert "nobody has asked" in resumed.no_pods()
    standing = RunView()
    standing.take(PlanMade(1.0, Plan((StepPlan("k3s", "Install k3s", ()), StepPlan("ready", "Wait", ())))))
    assert standing.no_pods().startswith("The cluster is there")


def test_progress_has_rate_and_time_left() -> None:
    run = view(StepStarted(3.0, "fetch", "Fetch"))
    for second in range(5):
        run.take(StepProgress(10.0 + second, "fetch", "k3s", 100 * second, 1000))
    item = run.steps["fetch"].items["k3s"]
    assert item.rate.per_second == 100.0
    assert item.seconds_left == 6.0
    run.take(StepProgress(15.0, "fetch", "k3s", 1000, 1000))
    assert item.complete
    assert run.steps["fetch"].active_items == []


def test_a_rate_forgets_what_is_long_ago_and_begins_anew_after_a_restart() -> None:
    rate = Rate()
    assert rate.per_second == 0
    assert rate.remaining(10) is None
    for second in range(20):
        rate.add(float(second), second * second)
    assert rate.per_second == pytest.approx((19**2 - 14**2) / 5)
    rate.add(20.0, 0)
    assert rate.per_second == 0


def test_a_failure_is_told_with_its_step_and_stops_the_others() -> None:
    error = BeeyardError("it broke", why="line one\nline two", fix="mend it", code="E-X-001")
    run = view(
        StepStarted(3.0, "fetch", "Fetch"),
        StepStarted(4.0, "k3s", "k3s"),
        StepFailed(6.0, "k3s", 2.0, error),
        RunFinished(6.5, "r1", False, True, 4.5, {"fetch": 1.0}),
    )
    run.fail(error, 7.0)
    states = {step.id: step.state for step in run.steps.values()}
    assert states == {"fetch": StepState.STOPPED, "k3s": StepState.FAILED, "ready": StepState.WAITING}
    assert run.ok is False
    assert run.error is error
    assert texts(run)[-3:] == ["E-X-001 it broke", "  line one", "  line two"]
    assert run.elapsed(100.0) == 6.0


def test_a_plan_that_is_refused_has_no_step() -> None:
    run = RunView()
    run.fail(BeeyardError("no", code="E-PRE-001"), 5.0)
    assert run.ok is False
    assert run.ended == 5.0


def test_stopping_stops_the_running_steps() -> None:
    run = view(StepStarted(3.0, "fetch", "Fetch"))
    run.stop(5.0)
    assert run.steps["fetch"].state is StepState.STOPPED
    assert run.steps["fetch"].elapsed(50.0) == 2.0


def test_readiness_is_logged_only_where_it_changed() -> None:
    waiting = Snapshot((Component("cilium", "DaemonSet", State.PROGRESSING, 1, 0, "init 1/6"),))
    ready = Snapshot((Component("cilium", "DaemonSet", State.READY, 1, 1, "1/1 ready"),))
    pods = Snapshot(ready.components, (PodState("c-1", "kube-system", "one", State.READY, "ready"),))
    run = view(*(ReadinessChanged(5.0, snapshot) for snapshot in (waiting, waiting, ready, ready, pods)))
    assert run.snapshot == pods
    assert [text for text in texts(run) if "c" in text][-3:] == [
        "cilium progressing: init 1/6",
        "cilium ready: 1/1 ready",
        "kube-system/c-1 ready",
    ]


def test_lines_of_a_log_are_split() -> None:
    run = view(LogLine(3.0, "k3s", "info", "a\nb"), LogLine(3.0, "", "strange", ""))
    assert texts(run)[-3:] == ["a", "b", ""]
    assert run.log[run.log.added - 1].level == "info"


def test_every_event_changes_the_version() -> None:
    run = view()
    before = run.version
    run.take(LogLine(3.0, "k3s", "info", "a"))
    assert run.version == before + 1


def entry(text: str, step: str = "k3s", level: str = "info") -> LogEntry:
    return LogEntry(0.0, step, level, text)


def test_a_filter_knows_step_level_and_text() -> None:
    ring = RunLogRing()
    for one in (
        entry("Alpha"),
        entry("beta", step="fetch"),
        entry("gamma", level="warning"),
        entry("delta", level="debug"),
        entry("omega", level="error"),
    ):
        ring.add(one)

    def shown(**wanted: str) -> list[str]:
        log = FilteredLog(ring, LogFilter(**wanted))
        return [log.entry(index).text for index in range(len(log))]

    assert shown() == ["Alpha", "beta", "gamma", "omega"]
    assert shown(level="debug", step="k3s") == ["Alpha", "gamma", "delta", "omega"]
    assert shown(level="warning") == ["gamma", "omega"]
    assert shown(text="ALPHA") == ["Alpha"]


def test_a_filtered_log_keeps_up_and_counts_what_was_evicted() -> None:
    ring = RunLogRing(capacity=10)
    log = FilteredLog(ring, LogFilter(text="even"))
    for number in range(8):
        ring.add(entry(f"{number} {'odd' if number % 2 else 'even'}"))
    assert len(log) == 4
    for number in range(8, 14):
        ring.add(entry(f"{number} {'odd' if number % 2 else 'even'}"))
    assert len(log) == 5
    assert log.first == 2
    assert log.entry(0).text == "4 even"
    for _ in range(100):  # more than the ring holds at once
        ring.add(entry("odd"))
    assert len(log) == 0
    assert log.first == 7
