"""The Kernel screen on a real cluster: the tap names pods, and a denied connection is explained by all sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.tap.board_drops import DistinctDrop
from installer.tui.app import Cockpit
from installer.tui.areas import AREAS
from installer.tui.kernel.drops import DropTarget
from installer.tui.kernel.screen import KernelScreen
from installer.tui.settings import Settings
from installer.wiring.cockpit import cockpit_services
from tests.support.cluster import kubectl
from tests.support.cockpit import text_of, wait_for

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

NS = "kernel-screen"
KNOCK = """
import socket
knocker = socket.socket()
knocker.settimeout(1)
print(knocker.connect_ex(("{address}", {port})))
"""
POLICY = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "server", "namespace": NS},
    "spec": {
        "endpointSelector": {"matchLabels": {"app": "server"}},
        "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "friend"}}]}],
    },
}


def pod(name: str, image: str, *command: str) -> dict[str, Any]:
    container = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NS, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


@pytest.fixture
def pods(cluster: Path, tmp_path: Path) -> Iterator[Path]:
    """A server that a policy isolates, and a client; the cluster's kubeconfig."""
    path = "{.items[0].spec.containers[?(@.name=='backend')].image}"
    image = kubectl("-n", "kube-system", "get", "pods", "-l", "k8s-app=hubble-ui", "-o", f"jsonpath={path}").strip()
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}
    server = pod("server", image, "python3", "-m", "http.server", "8080")
    client = pod("client", image, "python3", "-c", "import time; time.sleep(86400)")
    file = tmp_path / "pods.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [space, server, client, POLICY]}))
    kubectl("apply", "-f", str(file))
    try:
        kubectl("-n", NS, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=110s")
        yield cluster
    finally:
        kubectl("delete", "namespace", NS, "--wait=false")


def knock(address: str, port: int = 8080) -> str:
    return kubectl("-n", NS, "exec", "client", "--", "python3", "-c", KNOCK.format(address=address, port=port)).strip()


class Screen:
    """The Kernel screen of an app."""

    def __init__(self, pilot: Pilot[int]) -> None:
        self.pilot = pilot

    @property
    def screen(self) -> KernelScreen:
        found = self.pilot.app.screen
        assert isinstance(found, KernelScreen)
        return found

    async def sees(self, *words: str) -> None:
        await wait_for(self.pilot, lambda: all(word in text_of(self.pilot.app) for word in words))

    async def dropped(self, server: str) -> DistinctDrop:
        """Knock until the tap told of a drop, and Hubble of the same one."""
        tap = self.screen.tap
        assert tap is not None
        for _ in range(20):
            assert await asyncio.to_thread(knock, server) != "0"
            for one in tap.board.drops.distinct():
                if one.key[3] == server and tap.doctor.heard(one.flow):
                    return one
        raise AssertionError(f"nothing was dropped on the way to {server}:\n{text_of(self.pilot.app)}")


async def test_a_denied_connection_is_explained(pods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    address = kubectl("-n", NS, "get", "pod", "server", "-o", "jsonpath={.status.podIP}").strip()
    areas = tuple(area for area in AREAS if area.id in ("kernel", "policies"))
    app = Cockpit(cockpit_services(str(pods)), Settings(), area="kernel", areas=areas)
    app.animation_level = "none"
    async with app.run_test(size=(160, 45)) as pilot:
        node = Screen(pilot)
        await wait_for(pilot, lambda: app.connection.state == "connected")
        await pilot.press("d", "s")
        await node.sees("TAP ON", "Hubble heard", "policies known")
        drop = await node.dropped(address)
        node.screen.rows.mark(DropTarget(drop.key))
        await node.sees(f"{NS}/client", f"{NS}/server:8080", "Policy denied", "deny at ingress", "P drafts")
        await pilot.press("m")
        await node.sees("both told")
        await pilot.press("d")
        node.screen.rows.mark(DropTarget(drop.key))
        await pilot.press("P")
        await node.sees("Let it through")
