"""What stands in the way of an upgrade, what it changes in the objects, and how far it came."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.overview import CertificateStatus
from installer.domain.releases import Support
from installer.domain.upgrade.checks import SPARE, Found, judge
from installer.domain.upgrade.deprecated import DeprecatedUse, gone, read_metrics
from installer.domain.upgrade.path import Hop, Part, Versions
from installer.domain.upgrade.rendered import LIMIT, object_changes
from installer.domain.upgrade.state import OpenHop, Phase, UpgradeState, as_hop, is_rolling_back, load

K3S = Hop(Part.K3S, "v1.35.5+k3s1", "v1.36.4+k3s1")
CILIUM = Hop(Part.CILIUM, "1.19.6", "1.20.0", Support.UNTESTED, "nobody tested it")


def counted(value: int, **labels: str) -> str:
    inner = ",".join(f'{name}="{text}"' for name, text in labels.items())
    return f"apiserver_requested_deprecated_apis{{{inner}}} {value}"


METRICS = "\n".join(
    (
        "# TYPE apiserver_requested_deprecated_apis gauge",
        counted(1, group="policy", removed_release="1.25", resource="podsecuritypolicies", version="v1beta1"),
        counted(1, group="", removed_release="", resource="componentstatuses", version="v1"),
        counted(1, group="flowcontrol.apiserver.k8s.io", removed_release="1.40", resource="flowschemas", version="v1"),
        counted(0, group="batch", removed_release="1.25", resource="cronjobs", version="v1beta1"),
        'apiserver_request_total{code="200"} 7',
    )
)


def node(
    name: str = "one", *, ready: bool = True, version: str = "v1.35.5+k3s1", server: bool = True
) -> dict[str, Any]:
    labels = {"node-role.kubernetes.io/control-plane": "true"} if server else {}
    condition = {"type": "Ready", "status": str(ready), "message": "" if ready else "kubelet stopped"}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"conditions": [condition], "nodeInfo": {"kubeletVersion": version}},
    }


def obstacles(*hops: Hop, **found: Any) -> list[str]:
    return [what for what, _ in judge(Found(**{"nodes": [node()], **found}), hops or (K3S, CILIUM)).obstacles]


def test_a_sound_cluster_is_upgraded() -> None:
    verdict = judge(Found(nodes=[node()], releases={"kube-system/cilium": "deployed"}, free_bytes=1 << 40), (CILIUM,))
    verdict.refuse()
    assert verdict.warnings == ("nobody tested it",)


def test_what_stands_in_the_way_is_told_with_its_reason() -> None:
    assert obstacles(nodes=[node(ready=False)]) == ["node one is not Ready: kubelet stopped"]
    assert obstacles(nodes=[]) == ["the API lists no node"]
    assert obstacles(releases={"kube-system/cilium": "pending-upgrade", "a/b": "failed"}) == [
        "Helm release kube-system/cilium is pending-upgrade"
    ]
    assert obstacles(free_bytes=SPARE, needed_bytes=1)[0].startswith("0.5 GiB are free")
    assert obstacles(free_bytes=SPARE + 1, needed_bytes=1) == []
    old = CertificateStatus("secret/hubble-server-certs", "x", "2026-01-02T00:00:00Z", -3)
    assert obstacles(certificates=[old]) == ["the certificate secret/hubble-server-certs expired on 2026-01-02"]


def test_all_obstacles_are_in_one_refusal() -> None:
    with pytest.raises(RefusedError) as refusal:
        judge(Found(nodes=[node(ready=False), node("two", ready=False)]), (CILIUM,)).refuse()
    assert refusal.value.code == "E-UPGRADE-010"
    assert "one" in refusal.value.why
    assert "two" in refusal.value.why


def test_several_servers_stop_an_upgrade_of_k3s_only() -> None:
    servers = [node(), node("two")]
    assert "2 servers" in obstacles(K3S, nodes=servers)[0]
    assert obstacles(CILIUM, nodes=servers) == []
    assert obstacles(K3S, nodes=[node(), node("agent", server=False)]) == []


def test_old_kubelets_deprecated_apis_and_foreign_datastores_are_warned_of() -> None:
    nodes = [node(), node("old", version="v1.32.1+k3s1", server=False)]
    uses = [DeprecatedUse("v1beta1", "things", "1.36"), DeprecatedUse("v1", "others", "1.37")]
    found = Found(nodes=nodes, deprecated=uses, external_datastore="datastore-endpoint")
    warnings = judge(found, (K3S,)).warnings
    assert any("node old runs v1.32.1+k3s1" in one for one in warnings)
    assert [one for one in warnings if one.startswith("in use: ")] == [
        "in use: things of v1beta1, gone in Kubernetes 1.36"
    ]
    assert any("external datastore" in one for one in warnings)


def test_the_api_server_tells_which_deprecated_apis_are_in_use() -> None:
    uses = read_metrics(METRICS)
    assert [(use.api, use.resource, use.removed) for use in uses] == [
        ("flowcontrol.apiserver.k8s.io/v1", "flowschemas", "1.40"),
        ("policy/v1beta1", "podsecuritypolicies", "1.25"),
    ]
    assert [use.resource for use in gone(uses, "v1.36.4+k3s1")] == ["podsecuritypolicies"]


@given(st.text(max_size=200))
def test_any_text_of_metrics_is_read_without_a_crash(text: str) -> None:
    assert read_metrics(text + "\napiserver_requested_deprecated_apis{" + text + "} 1\n") is not None


def item(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "kube-system"}, **fields}


def test_objects_differ_one_by_one_the_configuration_first() -> None:
    before = [item("Service", "a", spec=1), item("ConfigMap", "cilium-config", data={"x": "1"}), item("Role", "gone")]
    after = [item("Service", "a", spec=2), item("ConfigMap", "cilium-config", data={"x": "2"}), item("Role", "new")]
    changes = object_changes(before, after)
    assert [(change.action, change.target) for change in changes] == [
        ("update", "ConfigMap kube-system/cilium-config"),
        ("delete", "Role kube-system/gone"),
        ("create", "Role kube-system/new"),
        ("update", "Service kube-system/a"),
    ]
    assert "-  x: '1'" in changes[0].diff
    assert object_changes(before, before) == []


def test_secrets_are_masked_and_what_is_made_anew_each_time_is_left_out() -> None:
    before = [item("Secret", "s", data={"key": "aGlkZGVu"}), item("Secret", "ca", data={"a": "1"})]
    random = item("Secret", "ca", data={"a": "2"})
    random["metadata"]["labels"] = {"cilium.io/helm-template-non-idempotent": "true"}
    after = [item("Secret", "s", data={"key": "b3RoZXI=", "more": "x"}), random]
    changes = object_changes(before, after)
    assert [change.target for change in changes] == ["Secret kube-system/s"]
    assert "aGlkZGVu" not in changes[0].diff
    assert "b3RoZXI=" not in changes[0].diff
    tls = [item("Secret", "t", type="kubernetes.io/tls", data={"tls.crt": "1"})]
    assert object_changes(tls, [{**tls[0], "data": {"tls.crt": "2"}}]) == []


def test_a_long_difference_is_cut() -> None:
    changes = object_changes([], [item("ConfigMap", "big", data={f"k{number:04}": "v" for number in range(900)})])
    assert len(changes[0].diff.splitlines()) == LIMIT + 1
    assert changes[0].diff.endswith("more lines")


def test_the_record_of_an_upgrade_is_read_as_it_was_written() -> None:
    hop = OpenHop("k3s-1.36.4", Part.K3S, K3S.source, K3S.target, Phase.CHANGE, "/b", 7.0, 0, {"/a": "", "/c": "/d"})
    state = UpgradeState(
        Versions(K3S.target, "1.20.0"), "/bundle", hop, {"mine": 1}, {"ipam": None, "pools": [], "nodes": 1}
    )
    assert load(state.dump(), "x") == state
    assert load(UpgradeState(state.goal).dump(), "x") == UpgradeState(state.goal)
    assert load(None, "x") is None
    assert as_hop(hop) == K3S
    assert not is_rolling_back(state)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "hop": null}', b"\xff"])
def test_a_record_that_makes_no_sense_is_an_error_of_ours(text: bytes) -> None:
    with pytest.raises(BeeyardError) as error:
        load(text, "/var/lib/beeyard/upgrade.json")
    assert error.value.code == "E-UPGRADE-004"
