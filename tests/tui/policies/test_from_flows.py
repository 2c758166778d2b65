from __future__ import annotations

from pathlib import Path

from installer.tui.areas import AREAS
from installer.tui.flows.screen import FlowsScreen
from installer.tui.policies.screen import PoliciesScreen
from tests.support.cockpit import text_of, wait_for
from tests.support.policies import shop, shop_flow, shop_services
from tests.tui.conftest import Open


async def test_a_dropped_flow_is_handed_over_from_the_flows_screen(cockpit: Open, tmp_path: Path) -> None:
    areas = [area for area in AREAS if area.id in ("policies", "flows")]
    services = shop_services(shop(), tmp_path, [shop_flow("cart", "api", port=9090, verdict="DROPPED")])
    async with cockpit(services, size=(100, 40), area="flows", areas=areas) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, FlowsScreen)
        await wait_for(pilot, lambda: len(screen.model.store) == 1 and screen.cursor_seq() is not None)
        await pilot.press("P")
        await wait_for(pilot, lambda: "add port 9090/TCP to CiliumNetworkPolicy shop/api" in text_of(pilot.app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PoliciesScreen) and "9090" in text_of(pilot.app))
        policies = pilot.app.screen
        assert isinstance(policies, PoliciesScreen)
        assert policies.observed.model is screen.model
        assert policies.observed.source == "the Flows screen"
