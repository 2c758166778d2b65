"""Names of both sides."""

from __future__ import annotations

from typing import Any

from installer.domain.tap.directory import Directory

UID = "0a1b2c3d-0000-1111-2222-333344445555"


def pod(name: str = "web-5d8f-x", ip: str = "10.42.0.7", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": more.get("uid", UID),
            "labels": {"app": "web", "pod-template-hash": "5d8f"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d8f"}],
        },
        "spec": {"hostNetwork": more.get("host", False)},
        "status": {"podIPs": [{"ip": ip}]},
    }


def test_a_pod_by_its_address() -> None:
    directory = Directory()
    directory.add_pod(pod())
    found = directory.endpoint("10.42.0.7")
    assert (found.namespace, found.pod_name) == ("shop", "web-5d8f-x")
    assert found.labels == ("k8s:app=web", "k8s:pod-template-hash=5d8f", "k8s:io.kubernetes.pod.namespace=shop")
    assert [(one.kind, one.name) for one in found.workloads] == [("Deployment", "web")]


def test_a_pod_by_its_namespace_and_its_identity() -> None:
    directory = Directory()
    directory.add_pod(pod(ip=""))
    directory.add_spaces({5: ("pod", UID, ["10.42.0.9"])}, {})
    directory.add_cilium_endpoint(
        {"status": {"identity": {"id": 4711}, "networking": {"addressing": [{"ipv4": "10.42.0.9"}]}}}
    )
    assert directory.endpoint("10.42.0.9", 5).pod_name == "web-5d8f-x"
    assert directory.endpoint("10.42.0.9", 5).identity == 4711
    unknown = Directory()
    unknown.add_spaces({5: ("pod", UID, [])}, {})
    assert unknown.endpoint("10.42.0.9", 5).labels == (f"pod-uid:{UID}",)


def test_a_pod_of_the_hosts_network_by_its_control_group() -> None:
    directory = Directory()
    directory.add_pod(pod(ip="192.0.2.1", host=True))
    group = f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-1.scope"
    directory.add_spaces({1: ("host", "", ["192.0.2.1"])}, {77: group})
    assert directory.endpoint("192.0.2.1", 1, 77).pod_name == "web-5d8f-x"
    assert directory.endpoint("192.0.2.1", 1, 78).labels == ("reserved:host",)
    assert directory.endpoint("192.0.2.1").identity == 1


def test_an_address_passes_to_the_next_pod() -> None:
    directory = Directory()
    directory.add_pod(pod())
    assert directory.endpoint("10.42.0.7").pod_name == "web-5d8f-x"
    directory.add_pod(pod("new", uid="other"))
    assert directory.endpoint("10.42.0.7").pod_name == "new"


def test_namespaces_by_name() -> None:
    directory = Directory()
    directory.add_spaces({5: ("netns", "red", ["10.0.0.1"]), 6: ("netns", "blue", [])}, {})
    assert directory.endpoint("10.0.0.1").pod_name == "red"
    assert directory.endpoint("10.0.0.2").pod_name == ""
    directory.learn("10.0.0.2", 6)
    assert (directory.endpoint("10.0.0.2").namespace, directory.endpoint("10.0.0.2").pod_name) == ("netns", "blue")


def test_an_address_of_two_namespaces_names_none_of_them() -> None:
    directory = Directory()
    directory.add_spaces({5: ("netns", "red", ["10.0.0.1"]), 6: ("netns", "blue", ["10.0.0.1"])}, {})
    assert directory.endpoint("10.0.0.1").pod_name == ""
    assert directory.endpoint("10.0.0.1", 6).pod_name == "blue"
    directory.learn("127.0.0.1", 5)
    assert directory.endpoint("127.0.0.1").pod_name == ""
