"""The live overview of a recorded cluster behind a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import ConnectError
from installer.domain.overview import Overview
from installer.domain.status import Status
from installer.ports.cluster import CILIUM_ENDPOINTS, CRDS, PODS, Kube
from installer.services.overview import Paces, follow
from installer.services.status import collect
from tests.adapters.kube.test_status import reading
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster
from tests.support.kubelet import Kubelet
from tests.support.recordings import Object, changed, healthy
from tests.support.status_agent import agent

NS = "kube-system"
QUICK = Paces(together=0.01, agents=0.5, slow=0.5, certificates=0.5, refused=0.3, lost=0.1, tick=1.0)


@pytest.fixture
async def cluster(kube: KubeClient, api: ApiServer) -> AsyncIterator[tuple[BareCluster, Kubelet]]:
    async with Kubelet().serving(api.folder) as kubelet:
        kubelet.command = agent

        def local(node: Object) -> None:
            node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = kubelet.port
            node["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]

        made = BareCluster(kube)
        await made.clear()
        await made.put_all(changed(healthy(), "nodes", "vm", local))
        yield made, kubelet
        await made.clear()


class Live:
    """Overviews as they come."""

    def __init__(self, overviews: AsyncGenerator[Overview, None]):
        self._overviews = overviews

    async def until(self, wanted: Callable[[Overview], bool]) -> Overview:
        async with asyncio.timeout(30):
            async for overview in self._overviews:
                if wanted(overview):
                    return overview
        raise AssertionError("it ended")

    async def status(self, wanted: Callable[[Status], bool] = lambda status: True) -> Status:
        found = await self.until(lambda one: one.status is not None and not one.pending and wanted(one.status))
        assert found.status is not None
        return found.status


@asynccontextmanager
async def following(kube: Kube) -> AsyncIterator[Live]:
    overviews = follow(kube, paces=QUICK)
    try:
        yield Live(overviews)
    finally:
        await overviews.aclose()


async def test_all_is_there_and_changes_are_told(kube: KubeClient, cluster: tuple[BareCluster, Kubelet]) -> None:
    _, kubelet = cluster
    async with following(kube) as live:
        status = await live.status()
        assert status.ready, status.errors
        assert [one.node for one in status.agents] == ["vm"]
        assert [one.name for one in status.certificates] == ["API server", "client certificate"]
        assert (status.unread_details, [one.name for one in status.nodes]) == ((), ["vm"])
        await kube.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": "one", "namespace": "default"},
                "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web[/]"},
                "type": "Warning",
                "reason": "BackOff",
                "message": "[bold]crash\u202e",
                "lastTimestamp": "2099-11-23T08:00:00Z",
            }
        )
        status = await live.status(lambda one: bool(one.events))
        assert (status.events[0].subject, status.events[0].message) == ("default/Pod/web[/]", "[bold]crash")

        def broken(argv: list[str]) -> tuple[int, str, str]:
            return 1, "", "the agent hangs"

        kubelet.command = broken
        status = await live.status(lambda one: bool(one.errors))
        assert "the agent hangs" in status.errors[0].text
        assert (status.errors[0].code, bool(status.errors[0].fix)) == ("E-STATUS-001", True)


async def test_a_lost_cluster_keeps_its_picture_and_comes_back(
    kube: KubeClient, api: ApiServer, cluster: tuple[BareCluster, Kubelet]
) -> None:
    async with following(kube) as live:
        before = await live.status()
        api.stop_api()
        try:
            gone = await live.until(lambda one: bool(one.lost))
        finally:
            api.start_api()
        assert gone.status is not None
        assert gone.status.nodes == before.nodes
        assert gone.status.unread == ()
        back = await live.until(lambda one: not one.lost)
        assert back.status is not None
        assert back.status.nodes == before.nodes


async def test_without_cilium_all_else_is_told(kube: KubeClient) -> None:
    made = BareCluster(kube)
    await made.clear()
    facts = healthy()
    await made.put(facts.nodes[0])
    try:
        async with following(kube) as live:
            status = await live.status()
            assert not status.ready
            assert [one.name for one in status.nodes] == ["vm"]
            assert "E-READY-002" in {one.code for one in status.errors}
            assert status.unread == ()
    finally:
        await made.clear()


async def test_a_type_that_appears_later_is_watched(kube: KubeClient, cluster: tuple[BareCluster, Kubelet]) -> None:
    made, _ = cluster
    await kube.delete(CRDS, "ciliumendpoints.cilium.io")
    endpoint = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumEndpoint",
        "metadata": {"name": "x", "namespace": "default"},
        "status": {"policy": {"ingress": {"enforcing": True}}},
    }
    async with following(kube) as live:
        assert (await live.status()).managed == 0
        await made.define(CILIUM_ENDPOINTS, "CiliumEndpoint")
        await kube.apply(endpoint)
        await live.status(lambda one: one.managed == 1)
    await kube.delete(CRDS, "ciliumendpoints.cilium.io")


async def test_who_may_read_little_sees_that_and_why(
    kube: KubeClient, api: ApiServer, opener: Kubeconfigs, cluster: tuple[BareCluster, Kubelet]
) -> None:
    async with (
        reading(kube, api, opener, "pods", "daemonsets", verbs=("list", "get", "watch")) as reader,
        following(reader) as live,
    ):
        status = await live.status(lambda one: any(part.startswith("nodes") for part in one.unread))
    assert {one.kind for one in status.snapshot.components} == {"DaemonSet"}
    told = {(one.verb, one.resource): one.fix for one in status.unread_details}
    assert "Ask for a role" in told["list", "nodes"]
    assert ("list", "ciliumendpoints.cilium.io") in told
    assert ("list", "secrets") in told
    assert status.unmanaged == ()


async def test_pods_of_one_namespace_are_better_than_none(
    kube: KubeClient, api: ApiServer, opener: Kubeconfigs, cluster: tuple[BareCluster, Kubelet]
) -> None:
    async with (
        reading(kube, api, opener, "pods", verbs=("list", "get", "watch"), namespace=NS) as reader,
        following(reader) as live,
    ):
        status = await live.status(lambda one: bool(one.namespaces))
    assert [one.name for one in status.namespaces] == [NS]
    assert "pods of all namespaces: not allowed to list pods" in status.unread
    assert await kube.list(PODS, namespace=NS)


async def test_the_network_is_asked_only_when_wanted_and_hides_nothing(
    kube: KubeClient, cluster: tuple[BareCluster, Kubelet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("installer.services.cluster_details.NETWORK_SECONDS", 0.05)

    async def newest() -> str:
        return "v1.99.1+k3s1"

    async def silent() -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def refused() -> str:
        raise ConnectError("cannot connect to update.k3s.io", code="E-WEB-001")

    for asking, code in ((silent, "E-STATUS-017"), (refused, "E-WEB-001")):
        overviews = follow(kube, paces=QUICK, newest_k3s=asking)
        status = await Live(overviews).status(lambda one: bool(one.unread))
        assert [(one.part, one.code) for one in status.unread_details] == [("newest k3s", code)]
        assert status.ready
        await overviews.aclose()
    status = await collect(kube, newest_k3s=silent)
    assert [one.code for one in status.unread_details] == ["E-STATUS-017"]
    assert [one.code for one in (await collect(kube, newest_k3s=newest)).hints] == ["E-STATUS-016"]
    assert (await collect(kube)).unread == ()


async def test_nothing_is_left_behind(kube: KubeClient, cluster: tuple[BareCluster, Kubelet]) -> None:
    before = asyncio.all_tasks()
    async with following(kube) as live:
        await live.until(lambda one: one.status is not None)
        assert len(asyncio.all_tasks()) > len(before)
    assert {task for task in asyncio.all_tasks() - before if "installer" in repr(task)} == set()
