"""The setup as a person drives it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Button, Checkbox, Input, Static

from installer.adapters.store.lock import FileLock
from installer.domain.errors import RefusedError
from installer.domain.plan import Plan
from installer.domain.run_view import RunView
from installer.domain.setup.question import Answer
from installer.domain.spec import ClusterSpec
from installer.tui.dialogs.error import ErrorDialog
from installer.tui.run.host import RunState
from installer.tui.setup.fields import field_id
from installer.tui.setup.save import SaveFile
from installer.tui.setup.screen import SetupScreen
from tests.support.cockpit import Pauses, cockpit_of, stub_services, text_of, wait_for
from tests.support.setup import BUSY, PLAN, VPS, World, unreachable
from tests.tui.conftest import Open
from tests.tui.setup.driving import answer, codes, field, ready, screen, services


async def test_it_opens_by_itself_where_there_is_no_cluster(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        shown = text_of(pilot.app)
        assert "bee-1" in shown
        assert "debian 12, Linux 6.1.0-18-amd64 on x86_64" in shown
        assert "nothing stands in the way" in shown


async def test_a_walk_with_the_keys_ends_in_an_install(
    cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, started = World(), list[Any]()
    async with cockpit(services(world, tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n", "down", "enter", "tab")  # the latest k3s, then the pod network
        await pilot.press("home", "ctrl+k", *"10.52.0.0/16")
        await pilot.press("ctrl+n", "tab", "tab", "tab", "space")  # WireGuard
        await pilot.press("ctrl+n", "ctrl+n")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)
        wanted = ClusterSpec.model_validate(
            {"k3s": {"channel": "latest", "clusterCIDR": "10.52.0.0/16"}, "cilium": {"encryption": "wireguard"}}
        )
        assert world.asked == [wanted]
        assert "Plan: 7 changes, 78.2 MB to download" in text_of(pilot.app)
        app = cockpit_of(pilot)
        monkeypatch.setattr(app.run_host, "start", lambda spec, options: started.append((spec, options)))
        monkeypatch.setattr(app, "show_run", lambda: started.append("shown"))
        await pilot.press("i")
        assert started == [(wanted, screen(pilot).service.options()), "shown"]


async def test_a_wrong_answer_is_told_beside_it_and_stops_the_plan(cockpit: Open, tmp_path: Path) -> None:
    world = World()
    async with cockpit(services(world, tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        await answer(pilot, "k3s.pods", "10.42.0.9/16")
        assert codes(pilot, "k3s.pods") == ["E-CONFIG-001"]
        assert "✗ Cluster 1" in text_of(pilot.app)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "First mend these answers" in text_of(pilot.app))
        assert "10.42.0.9/16 is an address inside a network" in text_of(pilot.app)
        assert world.asked == []
        await pilot.press("i")  # there is nothing to install
        assert screen(pilot).plan is None


async def test_an_answer_that_would_do_is_taken_with_one_key(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(facts=BUSY), tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        assert codes(pilot, "k3s.pods") == ["E-PRE-043"]
        await pilot.press("tab", "tab", "enter")  # from the release over the network to its button
        await wait_for(pilot, lambda: codes(pilot, "k3s.pods") == [])
        assert screen(pilot).form.answers["k3s.pods"] == "10.44.0.0/16"
        assert screen(pilot).focused is field(pilot, "k3s.pods").control


async def test_overlapping_networks_are_told_beside_the_second(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        await answer(pilot, "k3s.pods", "10.43.0.0/16")
        assert codes(pilot, "k3s.services") == ["E-CONFIG-002"]
        assert codes(pilot, "k3s.pods") == []


async def test_findings_stand_beside_their_questions_also_folded_ones(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(facts=BUSY), tmp_path), size=(120, 36)) as pilot:
        await ready(pilot)
        assert "less than 2 GB of memory" in text_of(pilot.app)
        assert "2 errors, 1 warning: see Cluster" in text_of(pilot.app)
        await pilot.press("ctrl+n")
        await pilot.pause()
        assert codes(pilot, "k3s.port") == ["E-PRE-041"]
        assert field(pilot, "k3s.port").region.height > 0  # unfolded by itself
        assert screen(pilot).query_one("#page-cluster").scroll_y == 0
        await answer(pilot, "k3s.port", "7443")
        assert codes(pilot, "k3s.port") == []


async def test_questions_follow_the_answers(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("downloads")
        assert not field(pilot, "bundle").display
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: field(pilot, "bundle").display)
        assert codes(pilot, "bundle") == ["E-CONFIG-001"]
        await screen(pilot).show_page("cluster")
        assert not field(pilot, "k3s.release").display  # the bundle decides


@pytest.mark.parametrize("path", ["/nowhere/bundle.tar", "/etc/hostname"])
async def test_a_bundle_that_is_none_is_told(cockpit: Open, tmp_path: Path, path: str) -> None:
    pauses = Pauses()
    async with cockpit(services(World(), tmp_path, pause=pauses)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("downloads")
        await pilot.press("down", "down", "enter")
        await answer(pilot, "bundle", path)
        await wait_for(pilot, lambda: 0.6 in pauses.seconds)  # nobody is asked while the user types
        pauses.end()
        await wait_for(pilot, lambda: codes(pilot, "bundle") and codes(pilot, "bundle")[0].startswith("E-BUNDLE"))


async def test_a_mirror_out_of_reach_is_told_beside_it(cockpit: Open, tmp_path: Path) -> None:
    pauses, world = Pauses(), World()
    async with cockpit(services(world, tmp_path, pause=pauses)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("downloads")
        await pilot.press("down", "enter")
        world.web = unreachable("mirror.test")
        await answer(pilot, "mirror.chart", "https://mirror.test/charts")
        await wait_for(pilot, lambda: 0.6 in pauses.seconds)
        pauses.end()
        await wait_for(pilot, lambda: codes(pilot, "mirror.chart"))
        assert set(codes(pilot, "mirror.chart")) == {"E-WEB-001"}


async def test_no_internet_is_told_and_the_host_is_still_judged(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(web=unreachable()), tmp_path)) as pilot:
        await ready(pilot)
        assert "1 error: see Downloads" in text_of(pilot.app)
        await screen(pilot).show_page("downloads")
        await wait_for(pilot, lambda: codes(pilot, "source"))
        assert "cannot connect to update.k3s.io" in text_of(pilot.app)


async def test_without_root_the_possible_is_offered(
    cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world = World(facts=dataclasses.replace(VPS, uid=1000))
    async with cockpit(services(world, tmp_path / "state", root=False)) as pilot:
        await ready(pilot)
        assert "beeyard must run as root to install" in text_of(pilot.app)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "No plan without root" in text_of(pilot.app))
        assert "sudo beeyard install --yes" in text_of(pilot.app)
        assert not screen(pilot).query_one("#install").display
        assert world.asked == []
        await pilot.press("ctrl+y")
        assert pilot.app.clipboard == "sudo beeyard install --yes"
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        await pilot.press("enter")
        await wait_for(pilot, lambda: (tmp_path / "beeyard.yaml").exists())


async def test_a_file_is_replaced_only_after_asking(
    cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "beeyard.yaml"
    file.write_text("mine")
    async with cockpit(services(World(), tmp_path / "state")) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        await pilot.press("enter")
        await wait_for(pilot, lambda: str(pilot.app.screen.query_one("#save", Button).label) == "Replace")
        assert file.read_text() == "mine"
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, SetupScreen))
        assert "kind: Cluster" in file.read_text()
        assert [path.read_text() for path in tmp_path.glob("beeyard.yaml.beeyard-*")] == ["mine"]


async def test_escape_saves_nothing(cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with cockpit(services(World(), tmp_path / "state")) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, SetupScreen))
        assert not (tmp_path / "beeyard.yaml").exists()


async def test_a_place_that_cannot_be_written_is_told(cockpit: Open, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    async with cockpit(services(World(), tmp_path / "state")) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        pilot.app.screen.query_one(Input).value = str(tmp_path / "folder")
        await pilot.press("enter")
        await wait_for(pilot, lambda: "E-HOST-010" in text_of(pilot.app))


@pytest.mark.root
async def test_a_run_that_goes_on_elsewhere_is_told_with_its_pid(cockpit: Open, tmp_path: Path) -> None:
    world = World(plan=None)
    with FileLock(tmp_path).hold("beeyard install"):
        async with cockpit(services(world, tmp_path)) as pilot:
            await ready(pilot)
            await pilot.press("ctrl+r")
            await wait_for(pilot, lambda: "another run of beeyard is going on" in text_of(pilot.app))
            assert f"pid {os.getpid()}" in text_of(pilot.app)


async def test_a_refused_plan_says_why_and_can_be_made_again(cockpit: Open, tmp_path: Path) -> None:
    world = World(plan=RefusedError("no room", why="/ is full", fix="free some", code="E-PRE-009"))
    async with cockpit(services(world, tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "no room" in text_of(pilot.app))
        assert "free some" in text_of(pilot.app)
        world.plan = PLAN
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)


@pytest.mark.parametrize("where", ["plan", "gather"])
async def test_a_worker_that_fails_ends_in_the_dialog(cockpit: Open, tmp_path: Path, where: str) -> None:
    world = dataclasses.replace(World(), **{where: ZeroDivisionError("by zero")})  # type: ignore[arg-type]
    async with cockpit(services(world, tmp_path)) as pilot:
        if where == "plan":
            await ready(pilot)
            await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))
        assert "E-BUG-001" in text_of(pilot.app)
        await pilot.press("escape", "ctrl+n")
        await wait_for(pilot, lambda: screen(pilot).page != "host")


async def test_another_answer_makes_another_plan(cockpit: Open, tmp_path: Path) -> None:
    world = World()
    async with cockpit(services(world, tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)
        await pilot.press("ctrl+b", "ctrl+n")
        assert len(world.asked) == 1  # nothing changed
        await screen(pilot).show_page("network")
        screen(pilot).query_one(f"#{field_id('cilium.kpr')} Checkbox", Checkbox).value = False
        await wait_for(pilot, lambda: screen(pilot).plan is None)
        await screen(pilot).show_page("plan")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)
        assert [spec.cilium.kube_proxy_replacement for spec in world.asked] == [True, False]


async def test_while_a_run_goes_on_it_is_shown_instead_of_a_plan(
    cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, shown = World(), list[str]()
    async with cockpit(services(world, tmp_path)) as pilot:
        await ready(pilot)
        app = cockpit_of(pilot)
        monkeypatch.setattr(app, "show_run", lambda: shown.append("run"))
        app.run_host.state = RunState.RUNNING
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "An install is going on" in text_of(pilot.app))
        assert (shown, world.asked) == (["run"], [])
        app.run_host.state, app.run_host.view = RunState.DONE, RunView()
        screen(pilot).post_message(events.ScreenResume())
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)  # the host is another one now


async def test_diffs_unfold(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(), tmp_path), size=(100, 40)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)
        assert "+cluster-cidr" not in text_of(pilot.app)
        await pilot.press("d")
        await wait_for(pilot, lambda: "+cluster-cidr: 10.42.0.0/16" in text_of(pilot.app))
        await pilot.press("d")
        await wait_for(pilot, lambda: "+cluster-cidr" not in text_of(pilot.app))
        await pilot.press("down", "down", "down", "down", "down", "down", "right")
        await wait_for(pilot, lambda: "+cluster-cidr" in text_of(pilot.app))
        await pilot.press("down", "left", "left")
        await wait_for(pilot, lambda: "+cluster-cidr" not in text_of(pilot.app))


async def test_nothing_to_change_is_said(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(plan=Plan()), tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "Nothing to change." in text_of(pilot.app))


async def test_hostile_names_are_shown_literally(cockpit: Open, tmp_path: Path) -> None:
    facts = dataclasses.replace(VPS, hostname="[red]x[/]\x1b[31m\u202egnp", os_id="[/]")
    async with cockpit(services(World(facts=facts), tmp_path)) as pilot:
        await ready(pilot)
        shown = text_of(pilot.app)
        assert "[red]x[/]\\x1b[31m\\u202egnp" in shown
        assert "[/] 12" in shown
        await pilot.press("ctrl+n")
        await answer(pilot, "k3s.pods", "[bold]\u202e")
        assert "[bold]\\u202e" in str(screen(pilot).query_one(f"#{field_id('k3s.pods')} .note-text", Static).content)


async def test_a_small_terminal_and_back(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(facts=BUSY), tmp_path)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        await answer(pilot, "k3s.pods", "10.99.0.0/16")
        await pilot.resize_terminal(40, 12)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)
        assert "Plan: 7 changes" in text_of(pilot.app)
        await pilot.resize_terminal(80, 24)
        await screen(pilot).show_page("cluster")
        assert field(pilot, "k3s.pods").query_one(Input).value == "10.99.0.0/16"


async def test_an_earlier_setup_is_what_it_starts_from(cockpit: Open, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("spec: {k3s: {clusterCIDR: 10.77.0.0/16}, cilium: {version: '1.19'}}")
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        assert "beeyard set this host up before" in text_of(pilot.app)
        wanted: dict[str, Answer] = {"k3s.pods": "10.77.0.0/16", "cilium.version": "1.19"}
        assert {key: screen(pilot).form.answers[key] for key in wanted} == wanted


async def test_a_damaged_earlier_setup_is_told(cockpit: Open, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("spec: {k3s: {clusterCIDR: [}")
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        assert [note.what for note in screen(pilot).judgement.of("host")] == [f"{tmp_path}/cluster.yaml is damaged"]
        assert screen(pilot).form.read().spec == ClusterSpec()


async def test_the_mouse_works_too(cockpit: Open, tmp_path: Path) -> None:
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        await pilot.click("#stop-network")
        await wait_for(pilot, lambda: screen(pilot).page == "network")
        await pilot.click(f"#{field_id('cilium.gateway')} Checkbox")
        await wait_for(pilot, lambda: screen(pilot).form.answers["cilium.gateway"] is True)
        await pilot.click("#next")
        await wait_for(pilot, lambda: screen(pilot).page == "downloads")
        await pilot.click("#back")
        await wait_for(pilot, lambda: screen(pilot).page == "network")


async def test_a_cockpit_without_a_setup_says_so(cockpit: Open) -> None:
    async with cockpit(stub_services(), area="setup") as pilot:
        await wait_for(pilot, lambda: "sets up none" in text_of(pilot.app) or "set up none" in text_of(pilot.app))
        await pilot.press("ctrl+n", "ctrl+r", "ctrl+s", "ctrl+y", "i")
        assert screen(pilot).page == "host"
