"""The overview on a real API server that is stopped and started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.services.cockpit import CockpitServices
from installer.services.overview import Paces, follow
from installer.tui.areas import AREAS
from installer.tui.overview.card_view import CardView
from installer.tui.overview.cards import Card
from tests.support.apiserver import ApiServer, api_server
from tests.support.bare_cluster import BareCluster
from tests.support.cockpit import stub_services, text_of, wait_for
from tests.support.recordings import changed, healthy
from tests.tui.conftest import Open

AREA = tuple(area for area in AREAS if area.id == "overview")
QUICK = Paces(together=0.05, agents=1, slow=1, certificates=1, refused=1, lost=0.2, tick=1)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def opener(tmp_path: Path) -> Kubeconfigs:
    return Kubeconfigs(env={"HOME": str(tmp_path)}, k3s=tmp_path / "absent.yaml")


@pytest.fixture
async def kube(api: ApiServer, opener: Kubeconfigs) -> AsyncIterator[KubeClient]:
    client = await opener.open(str(api.kubeconfig()))
    made = BareCluster(client)
    await made.clear()
    await made.put_all(healthy())
    yield client
    await made.clear()
    await client.close()


def services(opener: Kubeconfigs, kubeconfig: Path) -> CockpitServices:
    async def connect(target: Any) -> KubeClient:
        return await opener.open(str(kubeconfig))

    async def pause(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.1))

    def overview(kube: Any, ask_network: bool) -> Any:
        return follow(kube, paces=QUICK)

    return stub_services(connect=connect, pause=pause, overview=overview)


def card(pilot: Any, name: str) -> Card:
    view: CardView = pilot.app.screen.query_one(f"#{name}", CardView)
    return view.card


async def test_lost_in_the_middle_and_back(
    cockpit: Open, kube: KubeClient, api: ApiServer, opener: Kubeconfigs
) -> None:
    async with cockpit(services(opener, api.kubeconfig()), areas=AREA) as pilot:
        await wait_for(pilot, lambda: card(pilot, "nodes").summary == "1/1 ready")
        pilot.app.screen.query_one("#components").focus()
        await pilot.press("down")
        await asyncio.to_thread(api.stop_api)
        try:
            await wait_for(pilot, lambda: pilot.app.screen.has_class("-stale"))
            assert card(pilot, "nodes").summary == "1/1 ready"
        finally:
            await asyncio.to_thread(api.start_api)
        await wait_for(pilot, lambda: not pilot.app.screen.has_class("-stale"))
        focused = pilot.app.screen.focused
        assert isinstance(focused, CardView)
        assert (focused.id, focused.cursor) == ("components", 1)
        await BareCluster(kube).put_all(changed(healthy(), "nodes", "vm", _not_ready))
        await wait_for(pilot, lambda: card(pilot, "nodes").summary == "0/1 ready")


def _not_ready(node: dict[str, Any]) -> None:
    for one in node["status"]["conditions"]:
        if one["type"] == "Ready":
            one.update(status="Unknown", reason="NodeStatusUnknown", message="Kubelet stopped posting node status.")


async def test_unreachable_at_start(cockpit: Open, kube: KubeClient, api: ApiServer, opener: Kubeconfigs) -> None:
    await asyncio.to_thread(api.stop_api)
    try:
        async with cockpit(services(opener, api.kubeconfig()), areas=AREA) as pilot:
            await wait_for(pilot, lambda: "E-KUBE-001" in str(card(pilot, "problems")))
            await asyncio.to_thread(api.start_api)
            await wait_for(pilot, lambda: card(pilot, "nodes").summary == "1/1 ready")
    finally:
        if not await kube.healthy():
            await asyncio.to_thread(api.start_api)


async def test_who_may_read_nothing_sees_what_is_missing(
    cockpit: Open, kube: KubeClient, api: ApiServer, opener: Kubeconfigs
) -> None:
    async with cockpit(services(opener, api.kubeconfig("reader")), areas=AREA, size=(120, 50)) as pilot:
        await wait_for(pilot, lambda: "not all can be read" in card(pilot, "problems").summary)
        await wait_for(pilot, lambda: "not allowed to list nodes" in text_of(pilot.app))
        row = next(one for one in card(pilot, "problems").rows if one.key == "unread-nodes")
        assert dict(row.detail.parts)["Missing"] == "verb 'list' on 'nodes' in the whole cluster"
        assert card(pilot, "nodes").rows[0].key == "unread-nodes"
        assert "E-READY" not in text_of(pilot.app)
