from __future__ import annotations

from tests.support.cockpit import text_of, wait_for
from tests.tui.conftest import Open


async def test_it_opens_and_connects(cockpit: Open) -> None:
    async with cockpit(areas=()) as pilot:
        await wait_for(pilot, lambda: "connected" in text_of(pilot.app))
        assert "beeyard" in text_of(pilot.app)
        assert "v1.20.2" in text_of(pilot.app)
