"""The run screen: what it shows while a run goes on, fails, is retried, taken back, stopped and left."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from textual.widgets import Input

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.events import LogLine, ReadinessChanged
from installer.domain.readiness import Component, ContainerState, PodState, Snapshot, State
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options
from installer.ports.store import JournalRecord, RunRecord
from installer.services.install import Unfinished
from installer.tui.dialogs.confirm import Confirm
from installer.tui.run.grid import PodGrid
from installer.tui.run.host import RunState
from installer.tui.run.log import LogView
from installer.tui.run.screen import RunScreen
from tests.support.cockpit import wait_for
from tests.support.scripted_run import BEGAN, PLAN, ScriptedInstall, first_half, snapshot, until_done, until_ready
from tests.tui.run.conftest import Stage, Stages


def log_lines(on: Stage) -> list[str]:
    view = on.screen.query_one(LogView)
    return [view.lines.line(index, 100).text for index in range(len(view.lines))]  # type: ignore[union-attr]


async def failed(on: Stage) -> None:
    await on.start()
    await on.play([*first_half(), *until_ready()])
    on.script.fail()
    await wait_for(on.pilot, lambda: on.host.state is RunState.FAILED)
    await on.shown()


async def test_steps_progress_rate_and_time_left_are_shown(stage: Stages) -> None:
    async with stage(size=(120, 36)) as on:
        await on.start()
        await on.play(first_half(), at=9.5)
        text = on.text()
        assert "1 of 8 steps" in text
        assert "● running Fetch k3s, images, helm and the chart" in text
        assert "62%" in text
        assert "9.5 MB/s" in text
        assert "3.0 s left" in text
        assert "waiting Prove the network" in text


async def test_pods_turn_ready_in_front_of_the_user(stage: Stages) -> None:
    async with stage(size=(80, 24)) as on:
        await on.start()
        await on.play([*first_half(), *until_ready()])
        assert on.screen.pane == "pods"
        assert "4 of 7 ready" in on.text()
        await on.play([ReadinessChanged(BEGAN + 70, snapshot(7))])
        assert "7 of 7 ready" in on.text()


async def test_the_user_chooses_the_pane_until_the_state_changes(stage: Stages) -> None:
    async with stage(size=(80, 24)) as on:
        await on.start()
        await on.play([*first_half(), *until_ready()])
        await on.pilot.press("v")
        assert on.screen.pane == "log"
        await on.play([ReadinessChanged(BEGAN + 70, snapshot(7))])
        assert on.screen.pane == "log"
        on.script.fail()
        await on.shown()
        assert on.screen.pane == "card"


async def test_the_log_is_filtered_by_step_level_and_text(stage: Stages) -> None:
    async with stage(size=(120, 36)) as on:
        await on.start()
        await on.play(first_half())
        everything = len(log_lines(on))
        await on.pilot.press("l")
        assert all("warning" in line or "error" in line for line in log_lines(on))
        await on.pilot.press("l", "l")
        assert len(log_lines(on)) > everything, "debug shows more than info"
        await on.pilot.press("l", "s", "s")
        assert {line[7:18].strip() for line in log_lines(on)} == {"fetch"}
        assert "fetch, info and graver" in on.text()
        await on.pilot.press(*["s"] * 7, "slash", *"swap")
        assert len(log_lines(on)) == 1
        assert 'holding "swap"' in on.text()
        await on.pilot.press("escape")
        assert len(log_lines(on)) == everything
        assert not on.screen.query_one("#run-filter", Input).display


async def test_a_paused_log_stands_still_and_counts(stage: Stages) -> None:
    async with stage(size=(120, 36)) as on:
        await on.start()
        await on.play(first_half())
        await on.pilot.press("p")
        await on.play([LogLine(BEGAN + 12, "k3s", "info", f"line {number}") for number in range(50)], at=9.2)
        assert "50 new (G)" in on.text()
        assert "line 49" not in on.text()
        assert "paused" in on.text()
        await on.pilot.press("G")
        await on.shown()
        assert "line 49" in on.text()


async def test_keys_move_in_the_log_as_soon_as_it_is_shown(stage: Stages) -> None:
    async with stage(size=(80, 24)) as on:
        await on.start()
        await on.play([*first_half(), *until_ready()])
        await on.pilot.press("v")
        await wait_for(on.pilot, lambda: isinstance(on.screen.focused, LogView))
        await on.pilot.press("up")
        assert not on.screen.query_one(LogView).follow


async def test_a_failure_shows_cause_evidence_and_fix(stage: Stages) -> None:
    async with stage(size=(80, 24)) as on:
        await failed(on)
        text = on.text()
        assert "E-POD-004" in text
        assert "kernel lacks" in text
        assert "Load the module cls_bpf" in text
        assert "✗ failed" in text
        assert "Save report" in text


async def test_retry_starts_the_same_run_again_after_the_lock_is_free(stage: Stages) -> None:
    async with stage() as on:
        await failed(on)
        first = on.host.view
        assert on.script.held, "it is kept open, so that it can be taken back"
        await on.pilot.press("r")
        await wait_for(on.pilot, lambda: len(on.script.opened) == 2 and on.host.view.run_id)
        assert on.script.opened[0] == on.script.opened[1]
        assert on.host.view is not first
        await on.play([*first_half(), *until_ready(), *until_done()])
        on.script.finish()
        await wait_for(on.pilot, lambda: on.host.state is RunState.DONE)
        assert not on.script.held


async def test_undo_asks_and_takes_back(stage: Stages) -> None:
    async with stage() as on:
        await failed(on)
        await on.pilot.press("u")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("n")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, RunScreen))
        assert on.script.undone == 0
        await on.pilot.click("#undo")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("y")
        await wait_for(on.pilot, lambda: on.host.state is RunState.UNDONE)
        await on.shown()
        assert on.script.undone == 1
        assert "was taken back" in on.text()
        assert "Install Cilium: taken back" in "\n".join(log_lines(on))
        assert not on.host.can_undo
        assert not on.script.held


async def test_undo_is_not_offered_where_nothing_changed(stage: Stages) -> None:
    async with stage() as on:
        await on.start()
        on.script.emit = lambda event: None  # no event says that something changed
        on.script.fail()
        await wait_for(on.pilot, lambda: on.host.state is RunState.FAILED)
        await on.shown()
        assert on.screen.check_action("undo", ()) is False
        assert not on.script.held


async def test_a_refusal_before_the_first_step_is_shown_too(stage: Stages) -> None:
    refused = RefusedError("another run holds the lock", why="pid 7", fix="Wait for it.", code="E-RUN-001")

    class Refusing(ScriptedInstall):
        async def plan(self) -> object:  # type: ignore[override]
            raise refused

    async with stage(Refusing()) as on:
        on.host.start(ClusterSpec(), Options())
        on.app.show_run()
        await wait_for(on.pilot, lambda: on.host.state is RunState.FAILED and isinstance(on.app.screen, RunScreen))
        await on.shown()
        assert "E-RUN-001" in on.text()
        assert "Wait for it." in on.text()


async def test_an_unexpected_error_ends_the_run_and_not_the_app(stage: Stages) -> None:
    class Broken(ScriptedInstall):
        async def plan(self) -> object:  # type: ignore[override]
            raise ZeroDivisionError("oh")

    async with stage(Broken()) as on:
        on.host.start(ClusterSpec(), Options())
        on.app.show_run()
        await wait_for(on.pilot, lambda: on.host.state is RunState.FAILED and isinstance(on.app.screen, RunScreen))
        await on.shown()
        assert "E-BUG-001" in on.text()


async def test_stopping_asks_and_the_run_can_be_gone_on_with(stage: Stages) -> None:
    async with stage() as on:
        await on.start()
        await on.play(first_half())
        await on.pilot.press("x")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("y")
        await wait_for(on.pilot, lambda: on.host.state is RunState.STOPPED)
        await on.shown()
        assert "The run was stopped" in on.text()
        assert "Go on" in on.text()
        await on.pilot.press("r")
        await wait_for(on.pilot, lambda: len(on.script.opened) == 2)


async def test_leaving_the_screen_does_not_stop_the_run(stage: Stages) -> None:
    async with stage() as on:
        await on.start()
        await on.pilot.press("escape")
        assert not isinstance(on.app.screen, RunScreen)
        for event in (*first_half(), *until_ready(), *until_done()):
            on.script.emit(event)
        on.script.finish()
        await wait_for(on.pilot, lambda: on.host.state is RunState.DONE)
        await wait_for(on.pilot, lambda: "The install is done" in on.text())
        on.app.show_run()
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, RunScreen))
        await on.shown()
        assert "8 of 8 steps" in on.text()
        assert "Where the time went" in on.text()


async def test_quitting_asks_while_a_run_goes_on_and_stops_it_cleanly(stage: Stages) -> None:
    async with stage() as on:
        await on.start()
        await on.pilot.press("q")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("n")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, RunScreen))
        assert on.host.running
        await on.pilot.press("q")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("y")
        await wait_for(on.pilot, lambda: not on.script.held)
        assert on.host.state is RunState.STOPPED


async def test_a_second_run_at_the_same_time_is_refused(stage: Stages) -> None:
    async with stage() as on:
        await on.start()
        with pytest.raises(RefusedError, match="going on"):
            on.host.start(ClusterSpec(), Options())


async def test_a_report_holds_the_story_and_no_secret(stage: Stages, tmp_path: Path) -> None:
    async with stage() as on:
        on.script.redactor.register("sesame-open")
        await on.start()
        await on.play([LogLine(BEGAN, "k3s", "info", "the word is sesame-open"), *first_half(), *until_ready()])
        on.script.fail()
        await wait_for(on.pilot, lambda: on.host.state is RunState.FAILED)
        await on.shown()
        await on.pilot.press("w")
        await wait_for(on.pilot, lambda: list(tmp_path.glob("beeyard-report-*.json")))
        await wait_for(on.pilot, lambda: "The report is saved" in on.text())
        await on.pilot.press("w")
        await wait_for(on.pilot, lambda: len(list(tmp_path.glob("beeyard-report-*.json"))) == 2)
    first, second = sorted(tmp_path.glob("beeyard-report-*.json"), key=lambda path: len(path.name))
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    text = first.read_text()
    assert "sesame-open" not in text
    data = json.loads(text)
    assert data["error"]["code"] == "E-POD-004"
    assert data["plan"]["changes"] == PLAN.to_dict()["changes"]
    assert any("the word is ***" in line["text"] for line in data["log"])
    assert data["steps"][-2]["state"] == "failed"
    assert second.exists()


async def test_a_report_that_cannot_be_written_is_told(stage: Stages, tmp_path: Path) -> None:
    async with stage() as on:
        await failed(on)
        on.app.services.reports = tmp_path / "missing"
        await on.pilot.press("w")
        await wait_for(on.pilot, lambda: "E-RUN-012" in on.text())


def left() -> Unfinished:
    record = RunRecord(
        "20260704T101500.000Z-abc123",
        "install",
        "digest",
        Path("/x"),
        BEGAN,
        records=(JournalRecord(BEGAN, "step-started", {"step": "cilium"}),),
    )
    return Unfinished(record, ClusterSpec.model_validate({"k3s": {"clusterCIDR": "10.52.0.0/16"}}), Options())


async def test_a_killed_run_is_offered_at_start_and_resumed(stage: Stages) -> None:
    script = ScriptedInstall(left())
    async with stage(script) as on:
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        assert "was killed in step cilium" in " ".join(on.text().split())
        await on.pilot.press("y")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, RunScreen) and script.opened)
        assert script.opened[0][0] == left().spec


async def test_a_killed_run_may_be_left_alone(stage: Stages) -> None:
    script = ScriptedInstall(left())
    async with stage(script) as on:
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("escape")
        await wait_for(on.pilot, lambda: not isinstance(on.app.screen, Confirm))
        assert not script.opened
        assert on.host.state is RunState.IDLE


async def test_a_run_that_was_left_alone_is_continued_by_a_command(stage: Stages) -> None:
    script = ScriptedInstall(left())
    async with stage(script) as on:
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("escape")
        await wait_for(on.pilot, lambda: not isinstance(on.app.screen, Confirm))
        await on.app.run_action("app.resume")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, Confirm))
        await on.pilot.press("y")
        await wait_for(on.pilot, lambda: isinstance(on.app.screen, RunScreen) and script.opened)
        assert script.opened[0][0] == left().spec
        await on.app.run_action("app.resume")  # it goes on: there is nothing to ask
        await on.pilot.pause()
        assert isinstance(on.app.screen, RunScreen)
        assert len(script.opened) == 1


async def test_without_an_unfinished_run_the_command_says_so(stage: Stages) -> None:
    async with stage(ScriptedInstall()) as on:
        await on.app.run_action("app.resume")
        await wait_for(on.pilot, lambda: "No run is unfinished" in on.text())


async def test_hostile_names_and_lines_are_shown_literally(stage: Stages) -> None:
    name = "evil[/][red]\x1b[2J\u202epod"
    pods = (PodState(name, "ns", "no[/]de\x07", State.FAILED, "[bold]x\n", (ContainerState("c\x1b", State.FAILED),)),)
    hostile = Snapshot((Component(name, "DaemonSet", State.PROGRESSING, 1, 0, "[/]\x1b]0;t\x07"),), pods)
    error = BeeyardError("[/] \x1b[31mbroke", why="[red]why\u202e[/]\x07\nmore", fix="[/b]", code="E-X-001")
    async with stage(size=(120, 36)) as on:
        await on.start()
        await on.play([ReadinessChanged(BEGAN + 1, hostile), LogLine(BEGAN + 2, "x[/]", "info", "[/]" + "y" * 10_000)])
        text = on.text()
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert r"evil[/][red]\x1b[2J\u202epod" in text
        assert "no[/]de" in text
        assert "[/]yyy" in text
        on.script.fail(error, step="k3s")
        await wait_for(on.pilot, lambda: on.host.state is RunState.FAILED)
        await on.shown()
        assert r"[/] \x1b[31mbroke" in on.text()
        assert r"[red]why\u202e[/]\x07" in on.text()


async def test_five_hundred_pods_are_one_cell_each_and_only_the_others_named(stage: Stages) -> None:
    async with stage(size=(120, 36)) as on:
        await on.start()
        await on.play([ReadinessChanged(BEGAN + 1, snapshot(498, 500, failed=499))])
        grid = on.screen.query_one(PodGrid)
        assert len(grid.lines) < 40
        lines = [grid.lines.line(index, 50).text for index in range(len(grid.lines))]  # type: ignore[union-attr]
        assert sum(line.count("■") for line in lines if "■ ■" in line) >= 490
        assert sum("load-" in line for line in lines) == 2


async def test_a_terminal_made_small_and_large_again(stage: Stages) -> None:
    async with stage(size=(120, 36)) as on:
        await failed(on)
        await on.pilot.resize_terminal(40, 12)
        await on.shown()
        assert "E-POD-004" in on.text()
        await on.pilot.resize_terminal(120, 36)
        await on.shown()
        assert "Where the time" not in on.text()
        assert "Save report" in on.text()


async def test_a_cockpit_that_cannot_install_says_so(stage: Stages) -> None:
    async with stage() as on:
        on.host._make = on.host._service = None
        with pytest.raises(RefusedError, match="cannot install"):
            on.host.start(ClusterSpec(), Options())
        assert await on.host.unfinished({}) is None
