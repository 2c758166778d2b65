"""A cluster read from objects as the API returns them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from installer.domain.policy.model import Decision, Traffic
from installer.domain.policy.world import World, read_node_addresses, read_pods, read_settings, with_changes

API = Path(__file__).parents[1] / "fixtures" / "api"


def recorded(name: str) -> Any:
    return json.loads((API / name).read_text())


def world() -> World:
    items = recorded("demo.json")["items"]
    of = {kind: [item for item in items if item["kind"] == kind] for kind in {item["kind"] for item in items}}
    settings = read_settings(recorded("cilium-config.json").get("data"), image="quay.io/cilium/cilium:v1.16.1@sha256:0")
    pods = read_pods(of["Pod"], of["CiliumEndpoint"], {}, settings)
    return World(tuple(of["CiliumNetworkPolicy"]), pods, settings)


def test_settings_come_from_the_configuration() -> None:
    settings = world().settings
    assert settings.version == (1, 16)
    assert not settings.l7_proxy
    assert settings.enforcement == "default"
    assert settings.cluster == "default"
    assert not settings.peers_are_local


def test_identity_labels_come_from_the_endpoint() -> None:
    pods = {pod.name.partition("-")[0]: pod for pod in world().pods}
    assert "k8s:io.cilium.k8s.policy.serviceaccount=default" in pods["frontend"].peer.labels
    assert not any("pod-template-hash" in label for label in pods["frontend"].peer.labels)


def test_pods_without_endpoint_get_the_labels_they_would_have() -> None:
    with_endpoints = {pod.name: pod.peer.labels for pod in world().pods}
    items = recorded("demo.json")["items"]
    settings = world().settings
    namespaces = {"demo": {"kubernetes.io/metadata.name": "demo"}}
    alone = read_pods([item for item in items if item["kind"] == "Pod"], [], namespaces, settings)
    assert {pod.name: pod.peer.labels for pod in alone} == with_endpoints


def test_the_engine_of_the_cluster() -> None:
    cluster = world()
    engine = cluster.engine()
    peers = {pod.name.partition("-")[0]: pod.peer for pod in cluster.pods}
    assert engine.verdict(Traffic(peers["frontend"], peers["backend"], 80)).decision is Decision.ALLOW
    assert engine.verdict(Traffic(peers["intruder"], peers["backend"], 80)).decision is Decision.DENY


def test_objects_that_agents_refuse_count_for_nothing() -> None:
    cluster = world()
    broken = json.loads(json.dumps(cluster.objects[0]))
    broken["spec"]["ingress"] = []
    engine = cluster.engine(with_changes(cluster.objects, [broken]))
    peers = {pod.name.partition("-")[0]: pod.peer for pod in cluster.pods}
    back = Traffic(peers["frontend"], peers["backend"], 80)
    assert engine.verdict(back).ingress is not None
    assert engine.verdict(back).ingress.reason == "no-policy"  # type: ignore[union-attr]


def test_changes_replace_add_and_remove() -> None:
    objects = list(world().objects)
    changed = {**objects[0], "spec": {"endpointSelector": {}}}
    new = {"kind": "NetworkPolicy", "metadata": {"name": "n", "namespace": "demo"}}
    found = with_changes(objects, [changed, new], removed=[objects[1]])
    assert found == [changed, new]


def test_addresses_are_kept_for_the_lint() -> None:
    assert {pod.name.partition("-")[0]: pod.addresses for pod in world().pods if pod.addresses}
    nodes = recorded("nodes.json")["items"]
    assert read_node_addresses(nodes)
    assert all("." in ip or ":" in ip for ip in read_node_addresses(nodes))
    assert read_node_addresses([{"status": {"addresses": [{"type": "Hostname", "address": "n1"}]}}, {}]) == ()
