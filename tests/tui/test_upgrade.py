"""The way to an upgrade from the overview: look, plan, agree, run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.events import Event
from installer.domain.plan import Plan
from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.path import Hop, Part, Versions
from installer.domain.upgrade.state import UpgradeState
from installer.pipeline.run import Options
from installer.services.upgrade_outlook import Outlook, Wanted
from installer.tui.overview.upgrade import UpgradeDialog
from installer.tui.run.host import RunState
from installer.tui.run.screen import RunScreen
from tests.support.cockpit import cockpit_of, still, stub_services, text_of, wait_for
from tests.support.scripted_run import PLAN, ScriptedInstall
from tests.tui.conftest import Open

NOW = Versions("v1.35.5+k3s1", "1.19.6")
NEWEST = Versions("v1.36.4+k3s1", "1.20.0")
HOPS = (Hop(Part.CILIUM, "1.19.6", "1.20.0"), Hop(Part.K3S, "v1.35.5+k3s1", "v1.36.4+k3s1"))
AHEAD = Outlook(NOW, NOW, (), ClusterSpec(), newest=NEWEST, newest_hops=HOPS)


class ScriptedUpgrade:
    """Stands for the service that upgrades; a run goes on until the test ends it."""

    def __init__(self, outlook: Outlook, failure: BeeyardError | None = None):
        self.outlook = outlook
        self.failure = failure
        self.script = ScriptedInstall()
        self.wanted: list[Wanted] = []

    async def look(self, wanted: Wanted, options: Options, *, newest: bool = False) -> Outlook:
        assert newest
        if self.failure:
            raise self.failure
        return self.outlook

    async def plan(self, wanted: Wanted, options: Options) -> tuple[Outlook, Plan]:
        self.wanted.append(wanted)
        return Outlook(NOW, NEWEST, HOPS, ClusterSpec()), PLAN

    @asynccontextmanager
    async def run(self, wanted: Wanted, options: Options, emit: Callable[[Event], None]) -> AsyncIterator[Any]:
        self.wanted.append(wanted)
        assert options.undo_on_failure
        async with self.script.open(ClusterSpec(), options, emit) as job:
            yield job


@asynccontextmanager
async def opened(cockpit: Open, service: ScriptedUpgrade | None, **fields: Any) -> AsyncIterator[Pilot[int]]:
    services = stub_services(upgrade=(lambda: service) if service else None, install=ScriptedInstall, **fields)
    async with cockpit(services, size=(100, 36), area="overview") as pilot:
        await wait_for(pilot, lambda: cockpit_of(pilot).current_mode == "overview")
        await pilot.press("U")
        await pilot.pause()
        yield pilot


def dialog(pilot: Pilot[int]) -> UpgradeDialog:
    assert isinstance(pilot.app.screen, UpgradeDialog)
    return pilot.app.screen


async def test_the_plan_is_shown_and_agreed_to_before_the_run(cockpit: Open) -> None:
    service = ScriptedUpgrade(AHEAD)
    async with opened(cockpit, service) as pilot:
        plan = dialog(pilot).query_one("#plan", Button)
        await wait_for(pilot, lambda: not plan.disabled)
        text = text_of(pilot.app)
        assert "Newest supported: k3s v1.36.4+k3s1, Cilium 1.20.0" in text
        assert "1. Cilium 1.19.6 -> 1.20.0" in text
        assert dialog(pilot).query_one("#go", Button).disabled
        await pilot.press("enter")
        await wait_for(pilot, lambda: dialog(pilot).plan is not None)
        await still(pilot)
        assert "Install and start k3s" in text_of(pilot.app)
        await pilot.click("#go")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        assert service.wanted == [Wanted(latest=True)] * 2
        host = cockpit_of(pilot).run_host
        assert host.state is RunState.RUNNING
        service.script.finish()
        await wait_for(pilot, lambda: host.state is RunState.DONE)


async def test_a_failed_upgrade_has_taken_itself_back_and_can_be_tried_again(cockpit: Open) -> None:
    service = ScriptedUpgrade(AHEAD)
    async with opened(cockpit, service) as pilot:
        await wait_for(pilot, lambda: not dialog(pilot).query_one("#plan", Button).disabled)
        await pilot.press("enter")
        await wait_for(pilot, lambda: dialog(pilot).plan is not None)
        await pilot.click("#go")
        host = cockpit_of(pilot).run_host
        await wait_for(pilot, lambda: host.view.run_id)
        service.script.fail()
        await wait_for(pilot, lambda: host.state is RunState.FAILED)
        assert not host.can_undo
        host.retry()
        await wait_for(pilot, lambda: len(service.wanted) == 3)
        service.script.finish()
        await wait_for(pilot, lambda: host.state is RunState.DONE)


async def test_an_unfinished_upgrade_is_gone_on_with(cockpit: Open) -> None:
    service = ScriptedUpgrade(Outlook(NOW, NOW, (), ClusterSpec(), newest=NEWEST, state=UpgradeState(NEWEST)))
    async with opened(cockpit, service) as pilot:
        await wait_for(pilot, lambda: not dialog(pilot).query_one("#plan", Button).disabled)
        assert "is unfinished" in text_of(pilot.app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: dialog(pilot).plan is not None)
        assert service.wanted == [Wanted()]


async def test_without_root_the_command_is_told(cockpit: Open) -> None:
    async with opened(cockpit, ScriptedUpgrade(AHEAD), root=False) as pilot:
        await wait_for(pilot, lambda: "sudo beeyard upgrade --to-latest" in text_of(pilot.app))
        assert dialog(pilot).query_one("#plan", Button).disabled
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, UpgradeDialog))


async def test_why_there_is_no_way_is_told(cockpit: Open) -> None:
    refusal = RefusedError("beeyard installed no cluster on this host", fix="Run it.", code="E-INSTALL-001")
    async with opened(cockpit, ScriptedUpgrade(AHEAD, refusal)) as pilot:
        await wait_for(pilot, lambda: "E-INSTALL-001" in text_of(pilot.app))
        assert dialog(pilot).query_one("#plan", Button).disabled


async def test_nothing_newer_is_told(cockpit: Open) -> None:
    service = ScriptedUpgrade(Outlook(NOW, NOW, (), ClusterSpec(), newest=NOW))
    async with opened(cockpit, service) as pilot:
        await wait_for(pilot, lambda: "Nothing newer is supported." in text_of(pilot.app))
        assert dialog(pilot).query_one("#plan", Button).disabled


async def test_a_cockpit_made_for_looking_says_so(cockpit: Open) -> None:
    async with opened(cockpit, None) as pilot:
        assert not isinstance(pilot.app.screen, UpgradeDialog)
