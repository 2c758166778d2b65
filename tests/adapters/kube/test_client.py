from __future__ import annotations

import json

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import BeeyardError, ConnectError
from installer.ports.cluster import CILIUM_NODES, CONFIG_MAPS, NAMESPACES, NODES, PODS, Resource
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster

CLUSTER_ROLES = Resource("rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False)


def config_map(name: str, **data: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


async def test_says_what_it_talks_to(kube: KubeClient, api: ApiServer) -> None:
    assert kube.server == api.server
    assert kube.context == "default"
    assert (await kube.version()).startswith("v1.20.2")
    assert await kube.healthy()


async def test_create_get_apply_delete(kube: KubeClient) -> None:
    made = await kube.create(config_map("one", a="1"))
    assert made["metadata"]["uid"]
    applied = await kube.apply(config_map("one", a="2", b="3"))
    assert applied["data"] == {"a": "2", "b": "3"}
    found = await kube.get(CONFIG_MAPS, "one", namespace="default")
    assert found is not None
    assert found["data"] == {"a": "2", "b": "3"}
    await kube.delete(CONFIG_MAPS, "one", namespace="default")
    await kube.delete(CONFIG_MAPS, "one", namespace="default")
    assert await kube.get(CONFIG_MAPS, "one", namespace="default") is None


async def test_apply_makes_and_a_dry_run_does_not(kube: KubeClient) -> None:
    dry = await kube.apply(config_map("two", a="1"), dry_run=True)
    assert dry["data"] == {"a": "1"}
    assert await kube.get(CONFIG_MAPS, "two", namespace="default") is None
    made = await kube.apply(config_map("two", a="1"))
    assert {entry["manager"] for entry in made["metadata"]["managedFields"]} == {"beeyard"}
    await kube.delete(CONFIG_MAPS, "two", namespace="default")


async def test_replace_wants_the_newest_version(kube: KubeClient) -> None:
    first = await kube.create(config_map("four", a="1"))
    second = await kube.replace({**first, "data": {"a": "2"}})
    assert second["data"] == {"a": "2"}
    dry = await kube.replace({**second, "data": {"a": "3"}}, dry_run=True)
    assert dry["data"] == {"a": "3"}
    with pytest.raises(BeeyardError) as caught:
        await kube.replace({**first, "data": {"a": "4"}})
    assert caught.value.code == "E-KUBE-007"
    found = await kube.get(CONFIG_MAPS, "four", namespace="default")
    assert found is not None
    assert found["data"] == {"a": "2"}
    await kube.delete(CONFIG_MAPS, "four", namespace="default")
    with pytest.raises(BeeyardError) as caught:
        await kube.replace(second)
    assert caught.value.code in ("E-KUBE-004", "E-KUBE-007")


async def test_a_dry_run_creates_nothing(kube: KubeClient) -> None:
    await kube.create(config_map("five"), dry_run=True)
    assert await kube.get(CONFIG_MAPS, "five", namespace="default") is None


async def test_the_administrator_may(kube: KubeClient) -> None:
    assert await kube.may("create", CONFIG_MAPS, namespace="default")
    assert await kube.may("delete", CILIUM_NODES)


async def test_apply_of_a_cluster_wide_object(kube: KubeClient) -> None:
    await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made-here"}})
    assert await kube.get(NAMESPACES, "made-here") is not None


async def test_create_twice_is_a_conflict(kube: KubeClient) -> None:
    await kube.create(config_map("three"))
    with pytest.raises(BeeyardError) as caught:
        await kube.create(config_map("three"))
    assert caught.value.code == "E-KUBE-007"
    assert "already exists" in caught.value.why
    await kube.delete(CONFIG_MAPS, "three", namespace="default")


async def test_an_invalid_object_is_refused_with_the_field(kube: KubeClient) -> None:
    with pytest.raises(BeeyardError) as caught:
        await kube.create(config_map("Not A Name"))
    assert caught.value.code == "E-KUBE-008"
    assert "metadata.name" in caught.value.why


async def test_a_kind_without_crd_is_not_found(kube: KubeClient) -> None:
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNoSuchThing",
        "metadata": {"name": "x", "namespace": "default"},
    }
    with pytest.raises(BeeyardError) as caught:
        await kube.apply(policy)
    assert caught.value.code == "E-KUBE-004"
    assert "CiliumNoSuchThing" in caught.value.what


async def test_lists_by_selectors_and_over_pages(kube: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("installer.adapters.kube.collection.PAGE", 2)
    for number in range(5):
        obj = config_map(f"page-{number}", n=str(number))
        obj["metadata"] = {**obj["metadata"], "labels": {"set": "odd" if number % 2 else "even"}}  # type: ignore[dict-item]
        await kube.apply(obj)
    everything = await kube.list(CONFIG_MAPS, namespace="default")
    assert {f"page-{number}" for number in range(5)} <= {item["metadata"]["name"] for item in everything}
    assert {(item["apiVersion"], item["kind"]) for item in everything} == {("v1", "ConfigMap")}
    odd = await kube.list(CONFIG_MAPS, namespace="default", labels="set=odd")
    assert [item["metadata"]["name"] for item in odd] == ["page-1", "page-3"]
    one = await kube.list(CONFIG_MAPS, fields="metadata.name=page-4")
    assert [item["data"]["n"] for item in one] == ["4"]


async def test_an_absent_resource_type_is_an_empty_list(kube: KubeClient) -> None:
    assert await kube.list(Resource("nothing.example/v1", "things"), namespace="default") == []
    assert await kube.get(CILIUM_NODES, "nobody") is None


async def test_logs_of_nothing_are_empty(kube: KubeClient) -> None:
    assert await kube.logs("nobody", "default") == []


async def test_forbidden_names_verb_and_resource(api: ApiServer, opener: Kubeconfigs) -> None:
    reader = await opener.open(str(api.kubeconfig("reader")))
    with pytest.raises(BeeyardError) as caught:
        await reader.list(PODS, namespace="kube-system")
    assert caught.value.code == "E-KUBE-003"
    assert caught.value.what == "not allowed to list pods in kube-system"
    assert caught.value.details["verb"] == "list"
    assert "in namespace 'kube-system'" in caught.value.fix
    with pytest.raises(BeeyardError, match="not allowed to get nodes one"):
        await reader.get(NODES, "one")
    with pytest.raises(BeeyardError, match=r"not allowed to create pods|not allowed to patch configmaps"):
        await reader.apply(config_map("mine"))
    await reader.close()


async def test_a_role_that_allows_is_enough(kube: KubeClient, api: ApiServer, opener: Kubeconfigs) -> None:
    await kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "look", "namespace": "default"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}],
        }
    )
    await kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "look", "namespace": "default"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "look"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "viewers"}],
        }
    )
    viewer = await opener.open(str(api.kubeconfig("viewer")))
    assert isinstance(await viewer.list(Resource("v1", "secrets"), namespace="default"), list)
    await viewer.close()


async def test_custom_resources_are_objects_like_others(kube: KubeClient) -> None:
    widgets = Resource("example.org/v1", "widgets")
    await BareCluster(kube).define(widgets, "Widget")
    metadata = {"name": "w", "namespace": "default"}
    await kube.apply({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": metadata, "spec": {"n": 1}})
    assert [item["spec"] for item in await kube.list(widgets)] == [{"n": 1}]


async def test_wrong_token_is_not_accepted(api: ApiServer, opener: Kubeconfigs) -> None:
    path = api.kubeconfig("reader")
    path.write_text(path.read_text().replace("reader-token", "other-token"))
    with pytest.raises(ConnectError) as caught:
        await opener.open(str(path))
    assert caught.value.code == "E-KUBE-005"


async def test_a_foreign_certificate_authority_is_a_tls_error(api: ApiServer, opener: Kubeconfigs) -> None:
    (api.folder / "other.crt").write_bytes((api.folder / "viewer.crt").read_bytes())
    with pytest.raises(ConnectError) as caught:
        await opener.open(str(api.kubeconfig(**{"certificate-authority": "other.crt"})))
    assert caught.value.code == "E-KUBE-001"
    assert "TLS" in caught.value.what
    assert "certificate" in caught.value.why


async def test_refused(api: ApiServer, opener: Kubeconfigs) -> None:
    with pytest.raises(ConnectError) as caught:
        await opener.open(str(api.kubeconfig(server="https://127.0.0.1:1")))
    assert caught.value.code == "E-KUBE-001"
    assert "https://127.0.0.1:1" in caught.value.what


async def test_errors_are_json(api: ApiServer, opener: Kubeconfigs) -> None:
    reader = await opener.open(str(api.kubeconfig("reader")))
    with pytest.raises(BeeyardError) as caught:
        await reader.list(NODES)
    assert json.loads(json.dumps(caught.value.to_dict()))["details"]["resource"] == "nodes"
    await reader.close()
