"""Flows of a real cluster, through a port-forward that nobody had to set up."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.flows.feed import Connected, Flows
from installer.domain.flows.flow import Flow
from installer.ports.cluster import PODS
from installer.ports.flows import FlowRequest
from installer.services.flows import FlowFeed
from installer.wiring.flows import feed_of
from tests.support.cluster import BEEYARD, beeyard, kubectl

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

NS = "kube-system"
TALK = """
import socket, time
deadline = time.monotonic() + 60
while socket.socket().connect_ex(("hubble-relay", 80)) and time.monotonic() < deadline:  # its new pod becomes ready
    time.sleep(0.2)
"""


@pytest.fixture
async def kube(cluster: Path) -> AsyncIterator[KubeClient]:
    client = await Kubeconfigs().open(str(cluster))
    yield client
    await client.close()


async def make_flows(kube: KubeClient) -> None:
    """Let the UI's pod talk to Relay's."""
    pods = await kube.list(PODS, namespace=NS, labels="k8s-app=hubble-ui", fields="status.phase=Running")
    name = str(pods[0]["metadata"]["name"])
    done = await kube.exec(name, NS, ["python3", "-c", TALK], container="backend", timeout=70.0)
    assert done.rc == 0, done.err


def test_hubble_tells_its_status_nodes_and_namespaces(cluster: Path) -> None:
    status = beeyard("hubble", "status", "--kubeconfig", str(cluster))
    assert status.rc == 0, status.err
    assert "Healthcheck (via 127.0.0.1:" in status.out
    assert "Connected Nodes: 1/1" in status.out
    (node,) = beeyard("hubble", "nodes", "-o", "json", "--kubeconfig", str(cluster)).json()
    assert node["state"] == 1


async def test_observe_prints_flows_through_an_automatic_port_forward(cluster: Path, kube: KubeClient) -> None:
    await make_flows(kube)
    asked = ("observe", "--last", "50", "--from-pod", f"{NS}/hubble-ui", "-o", "jsonpb", "--kubeconfig", str(cluster))
    done = await asyncio.to_thread(beeyard, *asked)
    assert done.rc == 0, done.err
    flows = [json.loads(line)["flow"] for line in done.out.splitlines()]
    assert flows
    assert {flow["source"]["namespace"] for flow in flows} == {NS}
    compact = await asyncio.to_thread(beeyard, "observe", "--last", "1", "--kubeconfig", str(cluster))
    assert compact.rc == 0, compact.err
    assert compact.out.strip()


async def flows_until(feed: FlowFeed, kube: KubeClient, *, restart: bool) -> list[Flow]:
    """Follow until flows came; with ``restart``, until they came again after Relay's pod was replaced."""
    found: list[Flow] = []
    async with aclosing(feed.events(FlowRequest(follow=True))) as stream:
        async for told in stream:
            if isinstance(told, Connected):
                if restart and not told.again:
                    await asyncio.to_thread(
                        kubectl, "-n", NS, "delete", "pod", "-l", "k8s-app=hubble-relay", "--wait=false"
                    )
                else:
                    await make_flows(kube)
            elif isinstance(told, Flows):
                found += [answer.flow for answer in told.answers if answer.flow]
                if feed.counts.reconnects >= restart and any(_of_the_ui(flow) for flow in found):
                    return found
    raise AssertionError("the feed ended")


def _of_the_ui(flow: Flow) -> bool:
    return flow.source is not None and flow.source.pod_name.startswith("hubble-ui")


async def test_following_goes_on_when_relays_pod_is_replaced(kube: KubeClient) -> None:
    feed = feed_of(kube)
    async with asyncio.timeout(120):
        found = await flows_until(feed, kube, restart=True)
    assert feed.counts.reconnects >= 1
    uuids = [flow.uuid for flow in found]
    assert len(uuids) == len(set(uuids))


async def forwarded(*arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Run a forwarding command, give what it tells first, and end it as Ctrl-C does."""
    process = await asyncio.create_subprocess_exec(
        BEEYARD, "hubble", *arguments, "-o", "json", stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    yield json.loads(await process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_a_forward_to_relay_stays_until_ctrl_c(cluster: Path) -> None:
    async for told in forwarded("port-forward", "--port", "0", "--kubeconfig", str(cluster)):
        assert told["pod"].startswith("hubble-relay")
        status = await asyncio.to_thread(beeyard, "hubble", "status", "--server", told["address"])
        assert "Connected Nodes: 1/1" in status.out


async def test_the_web_page_is_forwarded(cluster: Path) -> None:
    async for told in forwarded("ui", "--port", "0", "--kubeconfig", str(cluster)):
        reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
        writer.write(b"GET / HTTP/1.0\r\nHost: ui\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
