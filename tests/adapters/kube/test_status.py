"""Status of a recorded cluster behind a real API server, agents asked by exec."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import BeeyardError
from installer.ports.cluster import CILIUM_ENDPOINTS, CONFIG_MAPS, SECRETS, Resource
from installer.services.status import collect
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster
from tests.support.kubelet import Kubelet
from tests.support.recordings import Object, changed, healthy, items, load
from tests.support.status_agent import agent
from tests.unit.status.test_objects import release

NS = "kube-system"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
async def kubelet(kube: KubeClient, api: ApiServer) -> AsyncIterator[Kubelet]:
    async with Kubelet().serving(api.folder) as served:
        served.command = agent

        def local(node: Object) -> None:
            node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = served.port
            node["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]

        cluster = BareCluster(kube)
        await cluster.clear()
        await cluster.put_all(changed(healthy(), "nodes", "vm", local))
        config_map = load("cilium-config")
        notes = config_map["metadata"]["annotations"]
        await kube.apply({**config_map, "metadata": {"name": "cilium-config", "namespace": NS, "annotations": notes}})
        secret = release(1, "1.16.1")
        secret["metadata"]["namespace"] = NS
        secret["metadata"]["labels"].update(owner="helm", name="cilium")
        await kube.apply({"apiVersion": "v1", "kind": "Secret", **secret})
        yield served
        await kube.delete(SECRETS, secret["metadata"]["name"], namespace=NS)
        await kube.delete(CONFIG_MAPS, "cilium-config", namespace=NS)
        await cluster.clear()


async def test_everything_of_a_healthy_cluster(kube: KubeClient, kubelet: Kubelet) -> None:
    status = await collect(kube)
    assert status.ready, status.errors
    assert status.kubernetes.startswith("v1.20")
    assert status.helm is not None
    assert (status.helm.chart, status.helm.status) == ("1.16.1", "deployed")
    assert [(one.pod, one.node, one.endpoints) for one in status.agents] == [("cilium-txdzb", "vm", 7)]
    assert status.config["Routing mode"] == "tunnel"
    assert [one.name for one in status.nodes] == ["vm"]
    assert {one.name for one in status.workloads if one.state == "ready"} == {
        "cilium",
        "cilium-operator",
        "hubble-relay",
    }
    assert (status.errors, status.unread) == ((), ())
    assert {one.code for one in status.warnings} == {"E-STATUS-012"}  # the test's certificates last two days
    assert [(one.name, one.subject, one.days) for one in status.certificates] == [
        ("API server", "server", 1),
        ("client certificate", "admin", 1),
    ]
    assert status.versions["Cilium agent"] == "1.16.1"
    assert [(one.name, one.pods, one.managed) for one in status.namespaces] == [("kube-system", 1, 1)]


async def test_managed_pods_are_counted(kube: KubeClient, kubelet: Kubelet) -> None:
    await BareCluster(kube).define(CILIUM_ENDPOINTS, "CiliumEndpoint")
    for item in items("demo"):
        if item["kind"] == "CiliumEndpoint":
            await kube.apply({**item, "metadata": {"name": item["metadata"]["name"], "namespace": "default"}})
    status = await collect(kube)
    assert (status.managed, status.pods) == (3, 1)


async def test_an_older_agent_is_asked_by_its_former_name(kube: KubeClient, kubelet: Kubelet) -> None:
    asked = []

    def old(argv: list[str]) -> tuple[int, str, str]:
        asked.append(argv[0])
        return (127, "", "not found") if argv[0] == "cilium-dbg" else agent(["cilium-dbg", *argv[1:]])

    kubelet.command = old
    status = await collect(kube)
    assert status.agents[0].error == ""
    assert asked == ["cilium-dbg", "cilium", "cilium-dbg", "cilium"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((1, "", "connection refused"), "ended with 1: connection refused"),
        ((0, "no json", ""), "not understood"),
        ((0, "[]", ""), "not understood"),
        ((-1, "", ""), "container not found"),
    ],
)
async def test_an_agent_that_does_not_answer_is_an_error(
    kube: KubeClient, kubelet: Kubelet, answer: tuple[int, str, str], words: str
) -> None:
    kubelet.command = lambda argv: answer
    status = await collect(kube)
    assert not status.ready
    assert words in status.agents[0].error
    assert [one.code for one in status.errors] == ["E-STATUS-001"]


def _resource(name: str) -> Resource:
    group = {"daemonsets": "apps/v1", "deployments": "apps/v1"}.get(name, "cilium.io/v2" if "cilium" in name else "v1")
    return Resource(group, name)


_USERS = itertools.count(1)


@asynccontextmanager
async def reading(
    kube: KubeClient,
    api: ApiServer,
    opener: Kubeconfigs,
    *names: str,
    verbs: Sequence[str] = ("list", "get"),
    namespace: str = "",
) -> AsyncIterator[KubeClient]:
    """Connect as a new user who may read these kinds only, in one namespace or in all."""
    user = f"reader-{next(_USERS)}"
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": user, **({"namespace": namespace} if namespace else {})}
    rule = {"apiGroups": ["", "apps", "cilium.io"], "verbs": list(verbs), "resources": list(names)}
    api_version = {"apiVersion": f"{RBAC}/v1"}
    await kube.apply({**api_version, "kind": kind, "metadata": metadata, "rules": [rule]})
    subject = {"apiGroup": RBAC, "kind": "User", "name": user}
    role = {"apiGroup": RBAC, "kind": kind, "name": user}
    binding = {**api_version, "kind": f"{kind}Binding", "metadata": metadata}
    await kube.apply({**binding, "roleRef": role, "subjects": [subject]})
    reader = await opener.open(str(api.user(user)))
    try:
        async with asyncio.timeout(30):  # the API server takes a moment to know of new rights
            while not await reader.may(verbs[0], _resource(names[0]), namespace=namespace or None):
                await asyncio.sleep(0.02)
        yield reader
    finally:
        await reader.close()
        plural = f"{kind.lower()}bindings"
        await kube.delete(Resource(f"{RBAC}/v1", plural, bool(namespace)), user, namespace=namespace or None)


async def test_what_may_not_be_read_is_told(
    kube: KubeClient, kubelet: Kubelet, api: ApiServer, opener: Kubeconfigs
) -> None:
    """A user who may look at pods and workloads only."""
    names = ("pods", "nodes", "events", "daemonsets", "deployments", "ciliumnodes")
    async with reading(kube, api, opener, *names) as reader:
        status = await collect(reader)
    assert status.snapshot.ready
    assert status.helm is None
    assert {text.split(":")[0] for text in status.unread} == {
        "ConfigMap cilium-config",
        "CiliumEndpoints",
        "CiliumNetworkPolicies",
        "CiliumClusterwideNetworkPolicies",
        "NetworkPolicies",
        "Helm release",
        "certificates of Cilium",
    }
    assert all((one.code, bool(one.fix)) == ("E-KUBE-003", True) for one in status.unread_details)
    refused = {(one.verb, one.resource, one.namespace) for one in status.unread_details}
    assert ("list", "networkpolicies.networking.k8s.io", "") in refused
    assert ("list", "secrets", NS) in refused
    assert {one.name for one in status.certificates} == {"API server", "client certificate"}
    assert "not allowed to create pods/exec" in status.agents[0].error


async def test_kinds_that_may_not_be_read_are_no_faults_of_the_cluster(
    kube: KubeClient, kubelet: Kubelet, api: ApiServer, opener: Kubeconfigs
) -> None:
    async with reading(kube, api, opener, "pods", "daemonsets") as reader:
        status = await collect(reader)
    assert {one.kind for one in status.snapshot.components} == {"DaemonSet"}
    assert {"nodes", "deployments", "events"} <= {one.part for one in status.unread_details}
    assert {one.code for one in status.errors} == {"E-STATUS-001"}  # the agent may not be asked either


async def test_a_user_without_any_right_is_refused(api: ApiServer, opener: Kubeconfigs) -> None:
    nobody = await opener.open(str(api.user("nobody")))
    try:
        with pytest.raises(BeeyardError) as caught:
            await collect(nobody)
    finally:
        await nobody.close()
    assert caught.value.code == "E-KUBE-003"


async def test_another_namespace_may_be_named(kube: KubeClient, kubelet: Kubelet) -> None:
    status = await collect(kube, namespace="default")
    assert not status.ready
    assert {one.code for one in status.errors} == {"E-READY-002"}
