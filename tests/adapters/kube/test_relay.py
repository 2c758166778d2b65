"""Reaching Relay through a real API server and the streaming side of a kubelet, to a real gRPC server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from installer.adapters.hubble.client import GrpcHubbles
from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.flows.feed import Connected, Disconnected, Flows
from installer.ports.cluster import PODS, SECRETS, SERVICES, Kube
from installer.ports.flows import FlowRequest
from installer.ports.hubble import PLAIN, RELAY_NAME, Access, Tls
from installer.services.flows import FeedOptions, FlowFeed
from installer.services.forwarding import Forwarded, Interrupted, find_service, keep_forwarding
from installer.services.relay import (
    find_relay,
    merged,
    open_relay,
    open_service,
    pod_port,
    read_tls,
    relay_status,
    target_of,
)
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster
from tests.support.certificates import Authority
from tests.support.kubelet import Kubelet
from tests.support.observer import Observer, serve

NS = "kube-system"
LABELS = {"k8s-app": "hubble-relay"}
GRPC = 4245
FLOW = {"flow": {"uuid": "one", "time": "2026-11-23T10:00:00Z", "node_name": "vm"}, "node_name": "vm"}


@pytest.fixture
async def kubelet(kube: KubeClient, api: ApiServer) -> AsyncIterator[Kubelet]:
    async with Kubelet().serving(api.folder) as served:
        cluster = BareCluster(kube)
        await cluster.clear()
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": served.port}},
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "vm"}, "spec": {}}
        await cluster.put(node | {"status": status})
        yield served
        await cluster.clear()
        for resource, name in ((SERVICES, "hubble-relay"), *((SECRETS, name) for name in SECRET_NAMES)):
            await kube.delete(resource, name, namespace=NS)


SECRET_NAMES = ("hubble-relay-server-certs", "hubble-relay-client-certs", "cilium-ca")


async def put_pod(kube: KubeClient, name: str, *, phase: str = "Running", ready: bool = True) -> None:
    container = {"name": "relay", "image": "relay", "ports": [{"name": "grpc", "containerPort": GRPC}]}
    condition = {"type": "Ready", "status": str(ready)}
    await BareCluster(kube).put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NS, "labels": LABELS},
            "spec": {"containers": [container], "nodeName": "vm"},
            "status": {"phase": phase, "conditions": [condition]},
        }
    )


async def put_service(kube: KubeClient, port: int = 80) -> None:
    ports = [{"port": port, "targetPort": "grpc", "protocol": "TCP"}]
    spec = {"selector": LABELS, "ports": ports}
    metadata = {"name": "hubble-relay", "namespace": NS}
    await kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


async def put_secret(kube: KubeClient, name: str, **data: bytes) -> None:
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": NS}
    await kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


def lead(kubelet: Kubelet, address: str) -> None:
    kubelet.backends[GRPC] = int(address.rpartition(":")[2])


async def test_relay_is_reached_through_a_forwarded_port(kube: KubeClient, kubelet: Kubelet) -> None:
    await put_service(kube)
    await put_pod(kube, "relay-1")
    async with serve(Observer([FLOW])) as address:
        lead(kubelet, address)
        async with open_relay(kube, GrpcHubbles(), NS) as hubble:
            assert [len(batch) async for batch in hubble.batches(FlowRequest())] == [1]
        assert (await relay_status(kube, GrpcHubbles(), NS)).num_flows == 1


async def test_a_relay_with_tls_is_reached_with_the_clusters_secrets(kube: KubeClient, kubelet: Kubelet) -> None:
    ca = Authority()
    server, client = ca.sign(), ca.sign()
    await put_service(kube, 443)
    await put_pod(kube, "relay-1")
    await put_secret(kube, "hubble-relay-server-certs", ca_crt=ca.certificate)
    await put_secret(kube, "hubble-relay-client-certs", tls_crt=client.certificate, tls_key=client.key)
    credentials = grpc.ssl_server_credentials([(server.key, server.certificate)], ca.certificate, True)
    async with serve(Observer(), credentials=credentials) as address:
        lead(kubelet, address)
        assert (await relay_status(kube, GrpcHubbles(), NS)).num_flows == 0


async def test_without_the_right_to_read_secrets_tls_says_what_is_missing(
    kube: KubeClient, kubelet: Kubelet, api: ApiServer, opener: Kubeconfigs
) -> None:
    ca = Authority()
    server = ca.sign()
    await put_service(kube, 443)
    await put_pod(kube, "relay-1")
    await put_secret(kube, "cilium-ca", ca_crt=ca.certificate)
    credentials = grpc.ssl_server_credentials([(server.key, server.certificate)])
    rules = [{"apiGroups": [""], "resources": ["pods", "services", "pods/portforward"], "verbs": ["*"]}]
    reader = await opener.open(str(api.user("forwards")))
    await grant(kube, "forwards", rules, reader)
    async with serve(Observer(), credentials=credentials) as address:
        lead(kubelet, address)
        with pytest.raises(BeeyardError) as caught:
            await relay_status(reader, GrpcHubbles(), NS)
        given = Access(Tls(ca=ca.certificate))
        async with open_relay(reader, GrpcHubbles(), NS, given) as hubble:
            assert (await hubble.status()).num_flows == 0
    await reader.close()
    assert caught.value.code == "E-HUBBLE-012"
    assert "hubble-relay-server-certs" in caught.value.fix


async def grant(kube: KubeClient, name: str, rules: list[dict[str, Any]], user: Kube) -> None:
    """Give the user of this name rights, and wait until the API knows them."""
    metadata = {"name": name}
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": name, "apiGroup": group}]
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    await kube.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules})
    binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": metadata}
    await kube.apply(binding | {"roleRef": reference, "subjects": subjects})
    async with asyncio.timeout(30):
        while not await user.may("get", PODS, namespace=NS):
            await asyncio.sleep(0.02)


async def test_a_forward_that_rbac_forbids(
    kube: KubeClient, kubelet: Kubelet, api: ApiServer, opener: Kubeconfigs
) -> None:
    await put_service(kube)
    await put_pod(kube, "relay-1")
    reader = await opener.open(str(api.user("looks")))
    await grant(kube, "looks", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}], reader)
    with pytest.raises(BeeyardError) as caught:
        await relay_status(reader, GrpcHubbles(), NS)
    await reader.close()
    assert caught.value.code == "E-KUBE-003"
    assert "portforward" in caught.value.what + caught.value.why


async def test_no_service_and_no_pod(kube: KubeClient, kubelet: Kubelet) -> None:
    with pytest.raises(BeeyardError) as caught:
        await relay_status(kube, GrpcHubbles(), NS)
    assert caught.value.code == "E-HUBBLE-010"
    await put_service(kube)
    await put_pod(kube, "relay-1", phase="Pending")
    with pytest.raises(BeeyardError) as caught:
        await relay_status(kube, GrpcHubbles(), NS)
    assert caught.value.code == "E-HUBBLE-010"


async def test_a_feed_finds_the_new_pod(kube: KubeClient, kubelet: Kubelet) -> None:
    await put_service(kube)
    await put_pod(kube, "relay-1")
    options = FeedOptions(delays=(0.05,), poll_seconds=0, order_seconds=0, mask=())
    feed = FlowFeed(lambda: open_relay(kube, GrpcHubbles(), NS), options)
    observer = Observer([FLOW])
    first = serve(observer)
    lead(kubelet, await first.__aenter__())
    async with aclosing(feed.events(FlowRequest(number=5, follow=True))) as stream:
        assert isinstance(await anext(stream), Connected)
        assert isinstance(await anext(stream), Flows)
        gone = asyncio.ensure_future(anext(stream))
        await observer.wait_streams(1)
        await kube.delete(PODS, "relay-1", namespace=NS, grace=0)
        await first.__aexit__(None, None, None)
        assert isinstance(await gone, Disconnected)
        told = await anext(stream)
        assert isinstance(told, Disconnected)
        assert told.error.code == "E-HUBBLE-010"
        async with serve(observer) as address:
            lead(kubelet, address)
            await put_pod(kube, "relay-2")
            while not isinstance(told, Connected):
                told = await anext(stream)
            assert told.again


async def test_a_forward_moves_to_another_pod_on_the_same_port(kube: KubeClient, kubelet: Kubelet) -> None:
    await put_service(kube)
    await put_pod(kube, "relay-1")
    target = await find_service(kube, "hubble-relay", NS, "")
    async with (
        serve(Observer()) as address,
        aclosing(keep_forwarding(kube, target, NS, poll=0.05)) as stream,
    ):
        lead(kubelet, address)
        first = await anext(stream)
        assert isinstance(first, Forwarded)
        assert (first.pod, first.pod_port, first.tls) == ("relay-1", GRPC, False)
        await kube.delete(PODS, "relay-1", namespace=NS, grace=0)
        assert isinstance(await anext(stream), Interrupted)
        await put_pod(kube, "relay-2")
        second = await anext(stream)
        assert second == Forwarded(first.port, "relay-2", GRPC, False)
        async with GrpcHubbles().open(f"127.0.0.1:{second.port}") as hubble:
            assert (await hubble.status()).num_flows == 0


async def test_a_forward_to_no_service(kube: KubeClient, kubelet: Kubelet) -> None:
    with pytest.raises(BeeyardError) as caught:
        await find_service(kube, "hubble-ui", NS, "add it")
    assert (caught.value.code, caught.value.fix) == ("E-HUBBLE-015", "add it")


async def test_a_forward_from_a_port_that_is_taken(kube: KubeClient, kubelet: Kubelet) -> None:
    await put_service(kube)
    await put_pod(kube, "relay-1")
    async with serve(Observer()) as address:
        lead(kubelet, address)
        port = kubelet.backends[GRPC]
        with pytest.raises(UsageError):
            await anext(keep_forwarding(kube, await find_relay(kube, NS), NS, local_port=port))


async def test_inside_a_cluster_the_forward_is_the_second_way(kube: KubeClient, kubelet: Kubelet) -> None:
    """No name of a Service resolves here, so the forward is taken."""
    await put_service(kube)
    await put_pod(kube, "relay-1")
    async with serve(Observer([FLOW])) as address:
        lead(kubelet, address)
        async with open_service(kube, GrpcHubbles(), NS, PLAIN) as hubble:
            assert (await hubble.status()).num_flows == 1
    with pytest.raises(BeeyardError) as caught:
        async with open_service(None, GrpcHubbles(), NS, PLAIN):
            pass
    assert caught.value.code == "E-HUBBLE-001"


async def test_secrets_fill_only_what_was_left_open(kube: KubeClient, kubelet: Kubelet) -> None:
    await put_secret(kube, "cilium-ca", ca_crt=b"authority")
    found = await read_tls(kube, NS)
    assert found == Tls(ca=b"authority", server_name=RELAY_NAME)
    assert merged(Access(Tls(ca=b"mine")), found).tls == Tls(ca=b"mine", server_name=RELAY_NAME)
    insecure = merged(Access(Tls(any_certificate=True)), found).tls
    assert insecure is not None
    assert insecure.ca == b""


def test_services_and_ports_are_read() -> None:
    spec = {"ports": [{"port": 443, "targetPort": "grpc"}], "selector": {"b": "2", "a": "1"}}
    target = target_of({"spec": spec})
    assert (target.tls, target.port, target.selector) == (True, "grpc", "a=1,b=2")
    ports = [{"name": "grpc", "containerPort": 4000}]
    assert pod_port({"spec": {"containers": [{"ports": ports}]}}, "grpc") == 4000
    assert pod_port({}, "other") == 4245
    assert pod_port({}, 7) == 7
