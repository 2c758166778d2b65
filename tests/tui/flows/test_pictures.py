from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.errors import ConnectError
from installer.domain.flows.feed import Connected, Disconnected, Flows
from installer.domain.flows.times import to_ns
from installer.tui.areas import AREAS
from installer.tui.flows.screen import SLOW, FlowsScreen
from installer.tui.settings import Settings
from tests.support.cockpit import VERSIONS, cockpit_of, still, stub_services, text_of, wait_for
from tests.support.flow_feeds import ScriptedFeeds, recorded
from tests.tui.conftest import Open

NOW = to_ns("2026-11-20T10:00:26.5Z") / 1e9
AREA = [area for area in AREAS if area.id == "flows"]
LOST = ConnectError("Relay is out of reach", why="connection refused", fix="Is it running?", code="E-HUBBLE-001")


@pytest.mark.parametrize(
    ("size", "keys", "theme", "lost"),
    [
        ((60, 20), "", "beeyard-dark", False),
        ((80, 24), "N N enter", "beeyard-dark", False),
        ((80, 24), "slash", "beeyard-light", True),
        ((120, 36), "m", "beeyard-dark", False),
        ((200, 60), "t", "beeyard-light", False),
    ],
    ids=["60x20", "80x24-detail", "80x24-light-lost", "120x36-map", "200x60-light-top"],
)
async def test_it_looks_as_it_should(
    cockpit: Open,
    picture: Callable[[Pilot[Any]], bool],
    size: tuple[int, int],
    keys: str,
    theme: str,
    lost: bool,
) -> None:
    feeds = ScriptedFeeds(Connected("relay 127.0.0.1:4245"), Flows(recorded()))
    services = stub_services(flow_feeds=feeds, now=lambda: NOW)
    async with cockpit(services, size=size, area="flows", areas=AREA, settings=Settings(theme=theme)) as pilot:
        await wait_for(pilot, lambda: "connected" in text_of(pilot.app))
        screen = pilot.app.screen
        assert isinstance(screen, FlowsScreen)
        await wait_for(pilot, lambda: len(screen.model.view) == 26)
        screen.table.update_lines()
        await pilot.press(*keys.split())
        if lost:
            screen.filter_bar.set_expression("verdict=dropped and dst.wrong=1")
            await pilot.press("enter")
            feeds.tell(Disconnected(LOST, 4.0, 2))
            await wait_for(pilot, lambda: "out of reach" in text_of(pilot.app))
        await wait_for(pilot, lambda: cockpit_of(pilot).connection.versions == VERSIONS)
        for _ in range(2 * SLOW):
            screen.frame()
            screen.table.update_lines()
            await pilot.pause()
        await still(pilot)
        assert picture(pilot)
