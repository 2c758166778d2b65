"""Logs, exec and port-forward through a real API server to the streaming side of a kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import BeeyardError, DeadlineError, UsageError
from installer.ports.cluster import PODS
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster
from tests.support.kubelet import Kubelet
from tests.support.recordings import changed, healthy

POD = "cilium-txdzb"
NS = "kube-system"


@pytest.fixture
async def kubelet(kube: KubeClient, api: ApiServer) -> AsyncIterator[Kubelet]:
    async with Kubelet().serving(api.folder) as served:

        def local(node: dict[str, object]) -> None:
            endpoints = {"kubeletEndpoint": {"Port": served.port}}
            node["status"] = {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": endpoints,
            }

        cluster = BareCluster(kube)
        await cluster.clear()
        await cluster.put_all(replace(changed(healthy(), "nodes", "vm", local)), ciliumnodes=False)
        yield served
        await cluster.clear()


async def test_logs(kube: KubeClient, kubelet: Kubelet) -> None:
    kubelet.logs[POD, "cilium-agent", False] = "one\ntwo\nthree"
    kubelet.logs[POD, "config", True] = "old"
    assert await kube.logs(POD, NS, container="cilium-agent", lines=2) == ["two", "three"]
    assert await kube.logs(POD, NS, container="config", previous=True) == ["old"]
    assert await kube.logs(POD, NS, container="config") == []
    assert await kube.logs("nobody", NS) == []


async def test_exec_gives_output_errors_and_exit_code(kube: KubeClient, kubelet: Kubelet) -> None:
    kubelet.command = lambda argv: (3 if "fail" in argv else 0, "|".join(argv), "ünd")
    done = await kube.exec(POD, NS, ["cilium-dbg", "status", "-o", "a=b&c d"], container="cilium-agent")
    assert (done.rc, done.out, done.err) == (0, "cilium-dbg|status|-o|a=b&c d", "ünd")
    assert (await kube.exec(POD, NS, ["fail"], container="cilium-agent")).rc == 3


async def test_exec_of_a_large_output(kube: KubeClient, kubelet: Kubelet) -> None:
    kubelet.command = lambda argv: (0, "x" * 3_000_000, "")
    assert len((await kube.exec(POD, NS, ["big"], container="cilium-agent")).out) == 3_000_000


async def test_exec_that_hangs_is_given_up(kube: KubeClient, kubelet: Kubelet) -> None:
    with pytest.raises(DeadlineError) as caught:
        await kube.exec(POD, NS, ["hang"], container="cilium-agent", timeout=0.5)
    assert caught.value.code == "E-KUBE-006"
    assert "hang" in caught.value.what


async def test_exec_that_cannot_begin(kube: KubeClient, kubelet: Kubelet) -> None:
    kubelet.command = lambda argv: (-1, "", "")
    with pytest.raises(BeeyardError) as caught:
        await kube.exec(POD, NS, ["any"], container="cilium-agent")
    assert (caught.value.code, caught.value.why) == ("E-KUBE-009", "container not found")
    with pytest.raises(BeeyardError) as caught:
        await kube.exec("nobody", NS, ["any"])
    assert caught.value.code == "E-KUBE-004"


async def talk(port: int, *words: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for word in words:
        writer.write(word)
        answers.append(await reader.read(1024))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_port_forward_carries_many_connections(kube: KubeClient, kubelet: Kubelet) -> None:
    async with kube.port_forward(POD, NS, 4245) as port:
        words = [[f"{number}-{turn}".encode() for turn in ("a", "b")] for number in range(20)]
        answers = await asyncio.gather(*(talk(port, *pair) for pair in words))
    assert answers == [[word.upper() for word in pair] for pair in words]


async def test_port_forward_survives_a_broken_connection(kube: KubeClient, kubelet: Kubelet) -> None:
    async with kube.port_forward(POD, NS, 4245) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await talk(port, b"die") == [b""]
        writer.write(b"still here")
        assert await reader.read(100) == b"STILL HERE"
        writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_port_forward_to_a_port_that_refuses(kube: KubeClient, kubelet: Kubelet) -> None:
    async with kube.port_forward(POD, NS, 9) as port:
        assert await talk(port, b"hello") == [b""]


async def test_port_forward_carries_what_comes_after_half_a_close(kube: KubeClient, kubelet: Kubelet) -> None:
    async with kube.port_forward(POD, NS, 4245) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"last words")
        writer.write_eof()
        assert await reader.readexactly(10) == b"LAST WORDS"
        writer.close()


async def test_port_forward_needs_a_running_pod(kube: KubeClient, kubelet: Kubelet) -> None:
    with pytest.raises(BeeyardError) as caught:
        async with kube.port_forward("nobody", NS, 1):
            pass
    assert caught.value.code == "E-KUBE-004"


async def test_port_forward_to_a_pod_that_its_kubelet_does_not_know_yet(kube: KubeClient, kubelet: Kubelet) -> None:
    kubelet.restarted = True
    try:
        with pytest.raises(BeeyardError) as caught:
            async with kube.port_forward(POD, NS, 4245):
                pass
    finally:
        kubelet.restarted = False
    assert caught.value.code == "E-KUBE-004"


async def test_port_forward_listens_where_it_is_told(kube: KubeClient, kubelet: Kubelet) -> None:
    async with kube.port_forward(POD, NS, 4245) as port:
        with pytest.raises(UsageError) as caught:
            async with kube.port_forward(POD, NS, 4245, local_port=port):
                pass
        assert caught.value.code == "E-KUBE-012"
    async with kube.port_forward(POD, NS, 4245, local_port=port) as again:
        assert again == port
        assert await talk(port, b"hello") == [b"HELLO"]


async def test_port_forward_that_rbac_forbids_is_told_at_once(
    kube: KubeClient, kubelet: Kubelet, api: ApiServer, opener: Kubeconfigs
) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "sees-pods"}}
    subject = {"kind": "User", "name": "sees-pods", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sees-pods"}
    await kube.apply(role | {"rules": [rule]})
    await kube.apply(role | {"kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]})
    reader = await opener.open(str(api.user("sees-pods")))
    try:
        async with asyncio.timeout(30):  # the API server takes a moment to know of new rights
            while not await reader.may("get", PODS, namespace=NS):
                await asyncio.sleep(0.02)
        with pytest.raises(BeeyardError) as caught:
            async with reader.port_forward(POD, NS, 4245):
                pass
    finally:
        await reader.close()
    assert caught.value.code == "E-KUBE-003"
    assert "pods/portforward" in caught.value.what + caught.value.why
