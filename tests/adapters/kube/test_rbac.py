"""The roles of manifests/rbac on a real API server: each may do what it says, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import BeeyardError
from installer.ports.cluster import CONFIG_MAPS, CRDS, DAEMON_SETS, NETWORK_POLICIES, PODS, SECRETS, SERVICES, Resource
from installer.services.policies.rights import Rights
from installer.services.policies.world import POLICIES, read_world
from tests.support.apiserver import ApiServer
from tests.support.policy_server import apply, install_crds, install_roles, make_namespace

READ = {"get", "list", "watch"}
WRITE = READ | {"create", "update", "delete"}
VERBS = sorted(WRITE | {"patch", "deletecollection"})
ROLES = "rbac.authorization.k8s.io/v1"
RESOURCES = {
    one.plural: one
    for one in (
        *POLICIES.values(), PODS, SECRETS, CONFIG_MAPS, SERVICES, DAEMON_SETS, CRDS,
        Resource("v1", "namespaces"), Resource("v1", "nodes"), Resource("v1", "endpoints"),
        Resource("v1", "pods/exec"), Resource("v1", "pods/log"), Resource("v1", "pods/portforward"),
        Resource("v1", "serviceaccounts"), Resource("v1", "serviceaccounts/token"), Resource("apps/v1", "deployments"),
        Resource(ROLES, "roles"), Resource(ROLES, "clusterrolebindings"), Resource("cilium.io/v2", "ciliumendpoints"),
        Resource("cilium.io/v2", "ciliumnodes"), Resource("cilium.io/v2alpha1", "ciliumcidrgroups"),
    )
}  # fmt: skip
SEEN = (
    "namespaces", "nodes", "pods", "services", "endpoints", "networkpolicies", "ciliumnetworkpolicies",
    "ciliumclusterwidenetworkpolicies", "ciliumendpoints", "ciliumcidrgroups", "clusternetworkpolicies",
    "customresourcedefinitions",
)  # fmt: skip
Granted = set[tuple[str, str, str]]


def grant(names: tuple[str, ...], verbs: set[str], *places: str) -> Granted:
    return {(place, name, verb) for place in places for name in names for verb in verbs}


VIEWER = grant(SEEN, READ, "", "demo", "kube-system") | {
    ("kube-system", "pods/portforward", "create"),
    ("kube-system", "pods/portforward", "get"),
}
EDITOR = grant(("ciliumnetworkpolicies", "networkpolicies"), WRITE, "demo")
CLUSTER_EDITOR = grant(
    (*(one.plural for one in POLICIES.values()), "ciliumcidrgroups"), WRITE, "", "demo", "kube-system"
)


@pytest.fixture(scope="module")
def people(api: ApiServer) -> dict[str, Path]:
    """Kubeconfigs of real users of the groups that the example bindings name."""
    for name in ("kube-system", "demo", "other"):
        make_namespace(api, name)
    install_crds(api)
    install_roles(api)
    return {
        "nobody": api.user("nobody"),
        "viewer": api.user("vera", "policy-viewers"),
        "editor": api.user("edda", "demo-team"),
        "editor-who-views": api.user("ed", "demo-team", "policy-viewers"),
        "cluster-editor": api.user("carl", "network-team"),
    }


@asynccontextmanager
async def opened(opener: Kubeconfigs, kubeconfig: Path) -> AsyncIterator[KubeClient]:
    client = await opener.open(str(kubeconfig))
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ("nobody", set()),
        ("viewer", VIEWER),
        ("editor", EDITOR),
        ("editor-who-views", VIEWER | EDITOR),
        ("cluster-editor", CLUSTER_EDITOR),
    ],
)
async def test_a_role_may_exactly_what_it_says(
    people: dict[str, Path], opener: Kubeconfigs, person: str, expected: Granted
) -> None:
    gate = asyncio.Semaphore(16)
    async with opened(opener, people[person]) as kube:

        async def ask(place: str, name: str, verb: str) -> tuple[str, str, str] | None:
            async with gate:
                allowed = await kube.may(verb, RESOURCES[name], namespace=place or None)
            return (place, name, verb) if allowed else None

        answers = await asyncio.gather(*(ask(*one) for one in product(("", "demo", "kube-system"), RESOURCES, VERBS)))
    assert {one for one in answers if one} == expected


async def test_a_viewer_reads_the_whole_world_and_the_one_config_map(
    api: ApiServer, people: dict[str, Path], opener: Kubeconfigs
) -> None:
    for name in ("cilium-config", "other-config"):
        data = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {"enable-policy": "always"},
        }
        apply(api, "/api/v1/namespaces/kube-system/configmaps", data)
    async with opened(opener, people["viewer"]) as kube:
        world = await read_world(kube)
        assert world.unread == ()
        assert world.settings.enforcement == "always"
        assert world.crds.keys() >= {"CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"}
        with pytest.raises(BeeyardError) as caught:
            await kube.get(CONFIG_MAPS, "other-config", namespace="kube-system")
    assert caught.value.code == "E-KUBE-003"
    api.call("DELETE", "/api/v1/namespaces/kube-system/configmaps/cilium-config")


async def test_an_editor_works_in_his_namespace_only(people: dict[str, Path], opener: Kubeconfigs) -> None:
    async with opened(opener, people["editor"]) as kube:
        policy = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "mine", "namespace": "demo"},
            "spec": {"podSelector": {}},
        }
        await kube.create(policy)
        await kube.delete(NETWORK_POLICIES, "mine", namespace="demo")
        with pytest.raises(BeeyardError) as caught:
            await kube.create({**policy, "metadata": {"name": "mine", "namespace": "other"}})
    assert caught.value.code == "E-KUBE-003"


async def test_rights_are_summed_up(people: dict[str, Path], opener: Kubeconfigs) -> None:
    async with opened(opener, people["editor-who-views"]) as kube:
        rights = Rights(kube)
        everywhere = {one.kind: one for one in await rights.everywhere()}
        here = {(one.namespace, one.kind): one for one in await rights.of(["demo", "other"])}
    assert all(one.reads and not one.edits for one in everywhere.values())
    assert here["demo", "CiliumNetworkPolicy"].edits
    assert not here["other", "CiliumNetworkPolicy"].edits
    assert here["other", "CiliumNetworkPolicy"].reads


async def test_a_service_account_with_a_token(api: ApiServer, people: dict[str, Path], opener: Kubeconfigs) -> None:
    kubeconfig = api.service_account("demo", "beeyard")
    binding = {
        "apiVersion": ROLES,
        "kind": "RoleBinding",
        "metadata": {"name": "beeyard"},
        "roleRef": {"apiGroup": ROLES.partition("/")[0], "kind": "ClusterRole", "name": "beeyard-policy-editor"},
        "subjects": [{"kind": "ServiceAccount", "name": "beeyard", "namespace": "demo"}],
    }
    apply(api, f"/apis/{ROLES}/namespaces/demo/rolebindings", binding)
    async with opened(opener, kubeconfig) as kube:
        (right, _) = await Rights(kube).of(["demo"])
        (other, _) = await Rights(kube).of(["other"])
    assert right.edits
    assert other.verbs == ()
