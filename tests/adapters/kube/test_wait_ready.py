"""The wait for readiness, on a real API server whose objects are written as kubelet and controllers would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import BeeyardError, DeadlineError
from installer.domain.readiness import Component, Snapshot, State
from installer.domain.readiness_rules import expected_cilium, expected_from
from installer.ports.cluster import CILIUM_NODES, DAEMON_SETS, NODES, PODS
from installer.services.backoff import restart_backing_off
from installer.services.readiness import look, wait_ready
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster
from tests.support.kubelet import Kubelet
from tests.support.recordings import Object, changed, healthy

EXPECTED = expected_cilium(envoy=False, ui=False, coredns=False)
AGENT = "cilium-txdzb"
NS = "kube-system"


@pytest.fixture
async def cluster(kube: KubeClient) -> AsyncIterator[BareCluster]:
    made = BareCluster(kube)
    await made.clear()
    yield made
    await made.clear()


class Seen:
    """Collects snapshots; ``until`` waits for one of a kind."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self._changed = asyncio.Event()

    def __call__(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._changed.set()

    async def until(self, wanted: Callable[[Snapshot], bool]) -> Snapshot:
        while True:
            for snapshot in self.snapshots:
                if wanted(snapshot):
                    return snapshot
            self._changed.clear()
            await self._changed.wait()


def unready(pod: Object) -> None:
    for one in pod["status"]["conditions"]:
        if one["type"] in ("Ready", "ContainersReady"):
            one["status"] = "False"
    pod["status"]["containerStatuses"][0].update(ready=False, started=False)


def starting() -> Any:
    facts = changed(healthy(), "pods", AGENT, unready)
    return changed(facts, "daemonsets", "cilium", lambda item: item["status"].update(numberReady=0, numberAvailable=0))


async def agent_status(cluster: BareCluster, change: Callable[[Object], None]) -> None:
    (pod,) = (item for item in changed(starting(), "pods", AGENT, change).pods if item["metadata"]["name"] == AGENT)
    await cluster.status(PODS, AGENT, pod["status"], namespace=NS)


def container(**state: Any) -> Callable[[Object], None]:
    return lambda pod: pod["status"]["containerStatuses"][0].update(ready=False, **state)


def state_of(snapshot: Snapshot, name: str) -> State:
    return next((one.state for one in snapshot.components if one.name == name), State.UNKNOWN)


async def while_waiting(kube: KubeClient, act: Callable[[Seen], Awaitable[None]], **options: Any) -> Snapshot:
    """Wait for readiness while something happens to the cluster."""
    seen = Seen()
    options = {"timeout": 60.0, **options}
    waiting = asyncio.ensure_future(wait_ready(kube, EXPECTED, on_change=seen, **options))
    acting = asyncio.ensure_future(act(seen))
    try:
        await asyncio.wait({waiting, acting}, return_when=asyncio.FIRST_EXCEPTION)
        return await waiting
    finally:
        for task in (waiting, acting):
            task.cancel()
        await asyncio.gather(waiting, acting, return_exceptions=True)


async def test_a_ready_cluster_is_ready_at_once(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(healthy())
    seen = Seen()
    snapshot = await wait_ready(kube, EXPECTED, timeout=30.0, on_change=seen)
    assert snapshot.ready
    assert seen.snapshots == [snapshot]


async def test_becomes_ready_with_the_last_change(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(starting(), ciliumnodes=False)

    async def act(seen: Seen) -> None:
        await seen.until(lambda snapshot: state_of(snapshot, "cilium") is State.PROGRESSING)
        for item in (*healthy().pods, *healthy().daemonsets):
            await cluster.put(item)
        before = await seen.until(lambda snapshot: state_of(snapshot, "cilium") is State.READY)
        assert not before.ready
        await cluster.define(CILIUM_NODES, "CiliumNode")  # as the operator does at run time
        for item in healthy().ciliumnodes:
            await kube.apply({**item, "metadata": {"name": "vm"}})

    assert (await while_waiting(kube, act)).ready


async def test_an_image_that_cannot_be_pulled_ends_the_wait(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(starting())
    message = 'failed to pull and unpack image "quay.io/cilium/cilium:v9": not found'

    async def act(seen: Seen) -> None:
        await seen.until(lambda snapshot: state_of(snapshot, "cilium") is State.PROGRESSING)
        state = {"waiting": {"reason": "ErrImagePull", "message": message}}
        await agent_status(cluster, container(state=state, image="quay.io/cilium/cilium:v9"))

    with pytest.raises(BeeyardError) as caught:
        await while_waiting(kube, act)
    assert caught.value.code == "E-POD-003"
    assert "image quay.io/cilium/cilium:v9 cannot be pulled" in caught.value.what
    assert caught.value.why == message


async def test_a_grace_ends_without_another_change(
    kube: KubeClient, cluster: BareCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("installer.domain.readiness_rules.pods.SCHEDULE_GRACE", 1.0)

    def pending(pod: Object) -> None:
        message = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        pod["status"] = {"phase": "Pending", "conditions": [condition]}
        pod["spec"].pop("nodeName")

    facts = changed(healthy(), "pods", "cilium-operator", pending)
    zero = {"readyReplicas": 0, "availableReplicas": 0}
    await cluster.put_all(changed(facts, "deployments", "cilium-operator", lambda item: item["status"].update(zero)))
    with pytest.raises(BeeyardError) as caught:
        await wait_ready(kube, EXPECTED, timeout=30.0, on_change=lambda _: None)
    assert caught.value.code == "E-POD-002"
    assert "anti-affinity" in caught.value.why
    assert "operator.replicas" in caught.value.fix


async def test_a_crashed_container_is_told_with_its_last_line(
    kube: KubeClient, cluster: BareCluster, api: ApiServer
) -> None:
    async with Kubelet().serving(api.folder) as kubelet:
        kubelet.logs[AGENT, "cilium-agent", False] = "starting\nfatal: cannot load BPF\n\n"

        def local(node: Object) -> None:
            node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = kubelet.port
            node["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]

        await cluster.put_all(changed(starting(), "nodes", "vm", local))
        crash = {"exitCode": 1, "reason": "Error", "startedAt": None, "finishedAt": None}
        state = {"waiting": {"reason": "CrashLoopBackOff"}}
        await agent_status(cluster, container(state=state, restartCount=2, lastState={"terminated": crash}))
        with pytest.raises(BeeyardError) as caught:
            await wait_ready(kube, EXPECTED, timeout=30.0, on_change=lambda _: None)
    assert (caught.value.code, caught.value.why) == ("E-POD-004", "fatal: cannot load BPF")
    assert "cilium-agent" in caught.value.what


async def test_goes_on_after_a_restart_of_the_api_server(
    kube: KubeClient, cluster: BareCluster, api: ApiServer
) -> None:
    await cluster.put_all(starting())

    async def act(seen: Seen) -> None:
        await seen.until(lambda snapshot: state_of(snapshot, "cilium") is State.PROGRESSING)
        await asyncio.to_thread(api.stop_api)
        await asyncio.to_thread(api.start_api)
        for item in (*healthy().pods, *healthy().daemonsets):
            await cluster.put(item)

    assert (await while_waiting(kube, act)).ready


async def test_the_deadline_tells_all_that_is_missing(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(starting())
    await kube.delete(DAEMON_SETS, "cilium", namespace=NS)
    with pytest.raises(DeadlineError) as caught:
        await wait_ready(kube, EXPECTED, timeout=2.0, on_change=lambda _: None)
    assert caught.value.code == "E-READY-001"
    assert caught.value.what == "the cluster is not ready after 2 s"
    assert "E-READY-002 kube-system/cilium: the DaemonSet does not exist" in caught.value.why
    assert caught.value.details["problems"]


async def test_the_deadline_tells_that_the_api_is_away(kube: KubeClient, cluster: BareCluster, api: ApiServer) -> None:
    await cluster.put_all(starting())

    async def act(seen: Seen) -> None:
        await seen.until(lambda snapshot: bool(snapshot.components))
        await asyncio.to_thread(api.stop_api)

    try:
        with pytest.raises(DeadlineError) as caught:
            await while_waiting(kube, act, timeout=4.0)
    finally:
        await asyncio.to_thread(api.start_api)
    assert api.server in caught.value.why.splitlines()[0]


async def test_probes_must_be_ready_too(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(healthy())
    answers = [State.PROGRESSING, State.READY]

    async def probe() -> Component:
        return Component("relay-health", "Service", answers.pop(0))

    seen = Seen()
    snapshot = await wait_ready(kube, EXPECTED, timeout=30.0, on_change=seen, probes=[probe])
    assert snapshot.ready
    assert [state_of(one, "relay-health") for one in seen.snapshots] == [State.PROGRESSING, State.READY]


async def test_no_permission_ends_the_wait(api: ApiServer, opener: Kubeconfigs) -> None:
    reader = await opener.open(str(api.kubeconfig("reader")))
    with pytest.raises(BeeyardError) as caught:
        await wait_ready(reader, EXPECTED, timeout=10.0, on_change=lambda _: None)
    assert caught.value.code == "E-KUBE-003"
    await reader.close()


async def test_a_single_look(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(starting())
    facts, judgement = await look(kube, [NS], expected_from)
    assert [node["metadata"]["name"] for node in facts.nodes] == ["vm"]
    assert state_of(judgement.snapshot, "cilium") is State.PROGRESSING
    await kube.delete(NODES, "vm")


async def test_pods_that_back_off_are_made_anew(kube: KubeClient, cluster: BareCluster) -> None:
    await cluster.put_all(starting())
    assert await restart_backing_off(kube, EXPECTED) == []
    await agent_status(cluster, container(state={"waiting": {"reason": "ImagePullBackOff"}}))
    assert await restart_backing_off(kube, EXPECTED) == [f"{NS}/{AGENT}"]
    left = await kube.get(PODS, AGENT, namespace=NS)  # without a kubelet it stays until its grace is confirmed
    assert left is None or left["metadata"]["deletionTimestamp"]
    assert await restart_backing_off(kube, EXPECTED) == []
