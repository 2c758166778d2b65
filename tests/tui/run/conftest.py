"""A cockpit in which a run goes on whose events the test gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.events import Event
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options
from installer.tui.app import Cockpit
from installer.tui.run.host import RunHost
from installer.tui.run.screen import RunScreen
from installer.tui.settings import Settings
from installer.tui.widgets.action_bar import ActionBar
from tests.support.cockpit import cockpit_of, lines_of, stub_services, text_of, wait_for
from tests.support.scripted_run import BEGAN, ScriptedInstall
from tests.tui.conftest import Open


@dataclass
class Stage:
    """The app, its run, and what stands for the install."""

    pilot: Pilot[int]
    script: ScriptedInstall
    clock: list[float]

    @property
    def app(self) -> Cockpit:
        return cockpit_of(self.pilot)

    @property
    def host(self) -> RunHost:
        return self.app.run_host

    @property
    def screen(self) -> RunScreen:
        assert isinstance(self.app.screen, RunScreen)
        return self.app.screen

    def text(self) -> str:
        return text_of(self.app)

    async def start(self, **options: Any) -> None:
        self.host.start(ClusterSpec(), Options(**options))
        self.app.show_run()
        await wait_for(self.pilot, lambda: self.host.view.run_id and isinstance(self.app.screen, RunScreen))
        await self.shown()

    async def play(self, events: Sequence[Event], at: float = 0.0) -> None:
        """Give events; ``at`` is the time then, in seconds since the begin."""
        for event in events:
            self.script.emit(event)
        self.clock[0] = BEGAN + at if at else max(self.clock[0], events[-1].at)
        await self.shown()

    async def shown(self) -> None:
        """Let the screen draw what it knows."""
        await self.pilot.pause()
        if isinstance(self.app.screen, RunScreen):
            self.app.screen.update_run()
            for view in self.app.screen.query("LineView"):
                view.update_lines()  # type: ignore[attr-defined]
        await self.pilot.pause()

    async def settled(self, text: str) -> None:
        """Wait until a text is on the screen, the footer is made, and the picture stands still."""
        await wait_for(self.pilot, lambda: text in self.text() and self.screen.query_one(ActionBar).titles)
        before, same = lines_of(self.app), 0
        while same < 3:
            await self.shown()
            now = lines_of(self.app)
            before, same = now, same + 1 if now == before else 0


Stages = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def stage(cockpit: Open, tmp_path: Path) -> Stages:
    """Open the cockpit with a scripted install."""

    @asynccontextmanager
    async def opened(
        script: ScriptedInstall | None = None, *, theme: str = "beeyard-dark", ascii_only: bool = False, **options: Any
    ) -> AsyncIterator[Stage]:
        script = script or ScriptedInstall()
        services = stub_services(install=lambda: script, reports=tmp_path)
        settings = Settings(theme=theme, ascii=ascii_only)
        async with cockpit(services, settings=settings, **{"areas": (), **options}) as pilot:
            clock = [BEGAN]
            cockpit_of(pilot).run_host.now = lambda: clock[0]
            await wait_for(pilot, lambda: "connected" in text_of(pilot.app))
            yield Stage(pilot, script, clock)

    return opened
