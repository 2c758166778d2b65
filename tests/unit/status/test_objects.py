from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from installer.domain.readiness_rules import expected_from, judge
from installer.domain.status import HelmStatus
from installer.domain.status_rules.objects import count_pods, read_config, read_helm, read_nodes, read_workloads
from tests.support.recordings import changed, healthy, items, load


def release(
    revision: int, version: str = "1.20.0", status: str = "deployed", data: bytes | None = None
) -> dict[str, Any]:
    content = {"chart": {"metadata": {"version": version}}, "info": {"status": status, "last_deployed": "2026-11-23"}}
    packed = gzip.compress(json.dumps(content).encode()) if data is None else data
    return {
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.cilium.v{revision}",
            "labels": {"version": str(revision), "status": status},
        },
        "data": {"release": base64.b64encode(base64.b64encode(packed)).decode()},
    }


def test_the_newest_helm_revision_counts() -> None:
    secrets = [release(9, "1.19.4", "superseded"), release(10), release(2, "1.18.1", "superseded")]
    assert read_helm("cilium", secrets) == HelmStatus("cilium", "1.20.0", 10, "deployed", "2026-11-23")
    assert read_helm("cilium", []) is None
    assert read_helm("cilium", [{**release(1), "type": "Opaque"}]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no gzip",
        gzip.compress(b"no json", mtime=0),
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b"{}", mtime=0)[:-9],
    ],
)
def test_a_release_that_cannot_be_read_leaves_what_the_labels_say(data: bytes) -> None:
    assert read_helm("cilium", [release(3, data=data)]) == HelmStatus("cilium", "", 3, "deployed", "")


def test_facts_of_the_configuration() -> None:
    config_map = load("cilium-config")
    facts, errors = read_config(config_map)
    assert facts["IPAM"] == "cluster-pool"
    assert facts["Kube-proxy replacement"] == "true"
    assert (facts["Routing mode"], facts["Tunnel protocol"]) == ("tunnel", "vxlan")
    assert (facts["L7 proxy"], facts["Hubble"], facts["Policy enforcement"]) == ("false", "true", "default")
    assert errors == []
    config_map["metadata"]["annotations"]["config.cilium.io/bad"] = "no such\x07 option"
    assert read_config(config_map)[1] == ["no such option"]
    assert read_config(None) == ({}, [])


def test_nodes() -> None:
    (node,) = read_nodes(healthy())
    assert (node.name, node.ready, node.roles) == ("vm", True, ("control-plane", "master"))
    assert (node.version, node.kernel, node.arch) == ("v1.21.3+k3s1", "6.18.44-fc-v509", "amd64")
    assert (node.address, node.pod_cidrs) == ("192.0.2.2", ("10.42.0.0/24",))
    assert (node.conditions, node.taints, node.unschedulable) == ((), (), False)


def test_a_node_in_trouble() -> None:
    def trouble(node: dict[str, Any]) -> None:
        node["spec"].update(unschedulable=True, taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}])
        for one in node["status"]["conditions"]:
            one["status"] = {"Ready": "False", "DiskPressure": "True"}.get(one["type"], one["status"])

    (node,) = read_nodes(changed(replace(healthy(), ciliumnodes=()), "nodes", "vm", trouble))
    assert (node.ready, node.conditions, node.taints) == (False, ("DiskPressure",), ("a=b:NoSchedule",))
    assert node.pod_cidrs == ("10.42.0.0/24",)


def test_workloads_have_what_cilium_status_shows() -> None:
    facts = healthy()
    expected = expected_from(facts)
    shown = {one.name: one for one in read_workloads(facts, expected, judge(facts, expected).snapshot)}
    reference = load("cilium-cli-status")
    for name, counts in reference["pod_state"].items():
        found = (shown[name].kind, shown[name].desired, shown[name].ready, shown[name].available)
        assert found == (counts["Type"], counts["Desired"], counts["Ready"], counts["Available"])
        assert shown[name].images == reference["image_count"][name]
        assert shown[name].phases == reference["phase_count"][name]
    assert shown["hubble-ui"].state == "disabled"


def test_pods_on_the_hosts_network_are_not_counted() -> None:
    demo = [item for item in items("demo") if item["kind"] == "Pod"]
    assert count_pods([*healthy().pods, *demo]) == 4  # Relay and the three of the demo
    assert count_pods([{"spec": {}, "status": {"phase": "Succeeded"}}]) == 0
