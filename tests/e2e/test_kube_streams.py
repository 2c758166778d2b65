"""What needs a kubelet: exec, logs, port-forward, and with them readiness and status, on a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.cli.render_status import render
from installer.domain.errors import DeadlineError
from installer.domain.readiness import Snapshot
from installer.domain.readiness_rules import expected_from
from installer.ports.cluster import PODS
from installer.services.readiness import look, wait_ready
from installer.services.status import collect

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(900)]

NS = "kube-system"


@pytest.fixture
async def kube(cluster: Path) -> AsyncIterator[KubeClient]:
    client = await Kubeconfigs().open(str(cluster))
    yield client
    await client.close()


async def pod_of(kube: KubeClient, label: str) -> str:
    pods = await kube.list(PODS, namespace=NS, labels=label, fields="status.phase=Running")
    return str(pods[0]["metadata"]["name"])


async def test_exec_gives_output_and_exit_code(kube: KubeClient) -> None:
    agent = await pod_of(kube, "k8s-app=cilium")
    done = await kube.exec(agent, NS, ["sh", "-c", "echo out; echo err >&2; exit 3"], container="cilium-agent")
    assert (done.rc, done.out, done.err) == (3, "out\n", "err\n")
    done = await kube.exec(agent, NS, ["echo", "a b", "$HOME"], container="cilium-agent")
    assert (done.rc, done.out) == (0, "a b $HOME\n")


async def test_exec_that_hangs_is_given_up(kube: KubeClient) -> None:
    agent = await pod_of(kube, "k8s-app=cilium")
    with pytest.raises(DeadlineError):
        await kube.exec(agent, NS, ["sleep", "30"], container="cilium-agent", timeout=1.0)


async def test_logs(kube: KubeClient) -> None:
    agent = await pod_of(kube, "k8s-app=cilium")
    assert 0 < len(await kube.logs(agent, NS, container="cilium-agent", lines=5)) <= 5
    assert await kube.logs(agent, NS, container="cilium-agent", previous=True) == []


async def test_port_forward_carries_many_connections(kube: KubeClient) -> None:
    page = b"GET / HTTP/1.0\r\nHost: hubble-ui\r\n\r\n"

    async def get(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(page)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async with kube.port_forward(await pod_of(kube, "k8s-app=hubble-ui"), NS, 8081) as port:
        answers = await asyncio.gather(*(get(port) for _ in range(10)))
    assert all(b" 200 " in answer.splitlines()[0] for answer in answers)


async def test_an_installed_cluster_is_ready_at_once(kube: KubeClient) -> None:
    facts, judgement = await look(kube, [NS], expected_from)
    assert judgement.snapshot.ready, judgement.snapshot.to_dict()
    seen: list[Snapshot] = []
    snapshot = await wait_ready(kube, expected_from(facts), timeout=30.0, on_change=seen.append)
    assert seen == [snapshot]


async def test_status_knows_everything(kube: KubeClient) -> None:
    status = await collect(kube)
    assert status.ready, render(status)
    assert status.helm is not None
    assert status.helm.status == "deployed"
    assert [agent.error for agent in status.agents] == [""] * len(status.nodes)
    assert status.managed == status.pods
    assert status.unread == ()
