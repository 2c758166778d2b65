"""The lint of Helm values: unknown, removed and contradicting keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.chart_keys import KeyNode, keys_of, parse_keys, union
from installer.domain.cilium_values import CiliumInputs, compose
from installer.domain.releases import Releases, parse_releases
from installer.domain.values_lint import Level, ValueFinding, lint
from installer.domain.values_sense import contradictions
from tests.support.cilium_combinations import CHART_DATA, layers, load_yaml

MINORS = ("1.18", "1.19", "1.20")
INPUTS = CiliumInputs(minor="1.20")
KNOWN = {minor: parse_keys((CHART_DATA / "keys" / f"{minor}.txt").read_text(encoding="utf-8")) for minor in MINORS}
RELEASES: Releases = parse_releases(load_yaml(CHART_DATA / "releases.yaml"))


def nested(path: str, value: Any = True) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def findings(user: dict[str, Any], minor: str = "1.20") -> list[ValueFinding]:
    return lint(user, KNOWN[minor], RELEASES, minor)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("hubbel.enabled", "hubble"),
        ("hubble.relay.enable", "hubble.relay.enabled"),
        ("kubeproxyreplacement", "kubeProxyReplacement"),
        ("operator.replica", "operator.replicas"),
        ("ipam.operator.clusterPoolIPv4PodCidrList", "ipam.operator.clusterPoolIPv4PodCIDRList"),
        ("k8sServiceHots", "k8sServiceHost"),
        ("encryption.typ", "encryption.type"),
        ("hubble.metric.enabled", "hubble.metrics"),
        ("bandwithManager.enabled", "bandwidthManager"),
    ],
)
def test_a_typo_is_an_error_with_the_key_that_was_meant(typo: str, meant: str) -> None:
    (found,) = findings(nested(typo))
    assert found.level == Level.ERROR
    assert found.path == typo[: len(found.path)]
    assert found.fix == f"Did you mean {meant}?"


def test_a_key_unlike_any_other_is_an_error_all_the_same() -> None:
    (found,) = findings({"zzzqqq": 1})
    assert found.path == "zzzqqq"
    assert "Remove it" in found.fix


@pytest.mark.parametrize(
    "path",
    [
        "extraConfig.anything-at-all",
        "podAnnotations.example/org",
        "nodeSelector.pool",
        "resources.limits.cpu",
        "affinity.nodeAffinity.preferred",
        "operator.tolerations",
        "hubble.metrics.enabled",
        "hubble.relay.affinity.nodeAffinity",
        "k8s.apiServerURLs",
        "updateStrategy.rollingUpdate.maxSurge",
        "envoy.resources.requests.memory",
        "maglev.tableSize",
        "socketLB.hostNamespaceOnly",
        "nodePort.range",
        "loadBalancer.mode",
        "image.override",
        "azure.tenantID",
        "prometheus.serviceMonitor.namespace",
    ],
)
@pytest.mark.parametrize("minor", MINORS)
def test_legal_keys_pass(path: str, minor: str) -> None:
    assert findings(nested(path, "x"), minor) == []


def test_keys_follow_the_minor() -> None:
    assert findings(nested("nativeRoutingCIDRFromClusterPool")) == []
    (found,) = findings(nested("nativeRoutingCIDRFromClusterPool"), "1.18")
    assert found.level == Level.ERROR


def test_a_chart_at_hand_adds_its_own_keys() -> None:
    user = nested("testbed.enforce")
    assert findings(user) != []
    assert lint(user, union(KNOWN["1.20"], keys_of({"testbed": {"enforce": True}})), RELEASES, "1.20") == []


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize(
    ("path", "value", "use"),
    [
        ("ipam.operator.clusterPoolIPv4PodCIDR", "10.42.0.0/16", "clusterPoolIPv4PodCIDRList"),
        ("tunnel", "vxlan", "tunnelProtocol"),
        ("containerRuntime.integration", "containerd", "Remove"),
        ("hostServices.enabled", True, "socketLB"),
        ("global.tag", "v1.8.0", "top level"),
        ("encryption.interface", "eth0", "encryption.ipsec.interface"),
        ("bgp.enabled", True, "bgpControlPlane"),
        ("externalIPs.enabled", True, "kubeProxyReplacement"),
        ("enableCiliumEndpointSlice", True, "ciliumEndpointSlice.enabled"),
    ],
)
def test_removed_keys_name_their_replacement(path: str, value: Any, use: str, minor: str) -> None:
    (found,) = findings(nested(path, value), minor)
    assert found.level == Level.ERROR
    assert path.startswith(found.path)
    assert "removed in" in found.what
    assert use in found.fix


def test_the_silent_default_pool_is_named() -> None:
    (found,) = findings(nested("ipam.operator.clusterPoolIPv4PodCIDR", "10.42.0.0/16"))
    assert "10.0.0.0/8" in found.fix


@pytest.mark.parametrize(("minor", "levels"), [("1.18", []), ("1.19", [Level.ERROR]), ("1.20", [Level.ERROR])])
def test_node_port_switch(minor: str, levels: list[Level]) -> None:
    assert [found.level for found in findings(nested("nodePort.enabled"), minor)] == levels


@pytest.mark.parametrize(("minor", "levels"), [("1.18", []), ("1.19", [Level.WARNING]), ("1.20", [Level.ERROR])])
def test_strict_encryption_is_never_lost_in_silence(minor: str, levels: list[Level]) -> None:
    found = findings(nested("encryption.strictMode.enabled"), minor)
    assert [each.level for each in found] == levels
    assert all("encryption.strictMode.egress.enabled" in each.fix for each in found)


@pytest.mark.parametrize("value", ["strict", "partial", "probe", "disabled"])
def test_removed_values(value: str) -> None:
    (found,) = findings({"kubeProxyReplacement": value})
    assert value in found.what
    assert "true and false" in found.fix


@pytest.mark.parametrize("value", [True, False, "true", "false"])
def test_values_that_are_left(value: Any) -> None:
    assert findings({"kubeProxyReplacement": value}) == []


def test_errors_come_first_and_all_are_told() -> None:
    found = findings({"hubble": {"preferIpv6": True, "relai": {}}, "tunnel": "vxlan"})
    assert [each.level for each in found] == [Level.ERROR, Level.ERROR, Level.WARNING]
    assert [each.path for each in found] == ["tunnel", "hubble.relai", "hubble.preferIpv6"]
    assert found[0].to_dict()["level"] == "error"
    assert "tunnel: " in str(found[0])


@given(st.sampled_from([".".join(path) for path in KNOWN["1.20"].paths()]))
@settings(max_examples=200)
def test_every_known_key_passes_unless_a_rule_names_it(path: str) -> None:
    ruled = {*(rule.path for rule in RELEASES.removed), *(rule.path for rule in RELEASES.deprecated)}
    found = findings(nested(path, "x"))
    assert all(any(path.startswith(rule) for rule in ruled) for _ in found)


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8))
@settings(max_examples=100)
def test_any_map_is_judged_without_a_crash(values: Any) -> None:
    user = values if isinstance(values, dict) else {}
    assert all(isinstance(found, ValueFinding) for found in findings(user))


def test_a_replacement_is_known_in_the_minors_where_it_is_needed() -> None:
    for minor in MINORS:
        known = {".".join(path) for path in KNOWN[minor].paths()}
        for rule in RELEASES.removed_in(minor):
            if rule.replacement:
                assert _reaches(rule.replacement, KNOWN[minor]), (minor, rule.path, rule.replacement)
            assert rule.path not in known or rule.path in {"hostServices", *_refused_by_template(minor)}


def _refused_by_template(minor: str) -> set[str]:
    # 1.18's templates still look for these, to refuse them.
    pools = {"ipam.operator.clusterPoolIPv4PodCIDR", "ipam.operator.clusterPoolIPv6PodCIDR"}
    return pools if minor == "1.18" else set()


def _reaches(path: str, node: KeyNode) -> bool:
    for name in path.split("."):
        if node.open:
            return True
        if name not in node.children:
            return False
        node = node.children[name]
    return True


def judged(user: dict[str, Any], **changes: Any) -> list[ValueFinding]:
    inputs = replace(INPUTS, **changes)
    return contradictions(compose(inputs, layers(), [("user", user)]).values, inputs)


@pytest.mark.parametrize(
    ("user", "changes", "path", "says"),
    [
        ({"cni": {"binPath": "/var/lib/rancher/k3s/data/cni"}}, {}, "cni.binPath", "/opt/cni/bin"),
        ({"cni": {"confPath": "/var/lib/rancher/k3s/agent/etc/cni/net.d"}}, {}, "cni.confPath", "NotReady"),
        ({"kubeProxyReplacement": False}, {}, "kubeProxyReplacement", "without kube-proxy"),
        ({"kubeProxyReplacement": "false"}, {}, "kubeProxyReplacement", "without kube-proxy"),
        ({"kubeProxyReplacement": True}, {"kube_proxy_replacement": False}, "kubeProxyReplacement", "runs kube-proxy"),
        ({"k8sServiceHost": None}, {}, "k8sServiceHost", "before any Service"),  # failure mode 6
        ({"k8sServiceHost": "auto"}, {}, "k8sServiceHost", "before any Service"),
        ({"k8sServicePort": 6443}, {}, "k8sServicePort", "6444"),
        ({"k8sServiceHost": "localhost", "k8sServicePort": "6443"}, {}, "k8sServicePort", "6444"),  # failure mode 6
        ({"ipam": {"mode": "cluster-pool"}}, {"existing_ipam": "kubernetes"}, "ipam.mode", "kubernetes"),
        ({"ipam": {"mode": "cluster-pool"}}, {}, "ipam.operator.clusterPoolIPv4PodCIDRList", "10.0.0.0/8"),
        (
            {"ipam": {"mode": "cluster-pool", "operator": {"clusterPoolIPv4PodCIDRList": ["bad"]}}},
            {},
            "ipam.operator.clusterPoolIPv4PodCIDRList",
            "bad",
        ),
        ({"operator": {"replicas": 2}}, {}, "operator.replicas", "1"),
        ({"operator": {"replicas": 4}}, {"nodes": 3}, "operator.replicas", "3"),
        ({"hubble": {"relay": {"enabled": False}}}, {}, "hubble.ui.enabled", "Relay"),
        ({"hubble": {"enabled": False}}, {"ui": False}, "hubble.relay.enabled", "agents"),
        ({"hubble": {"metrics": {"enabled": ["dns"]}}}, {"hubble": False}, "hubble.metrics.enabled", "off"),
        (
            {"hubble": {"peerService": {"clusterDomain": "x.y"}}},
            {},
            "hubble.peerService.clusterDomain",
            "cluster.local",
        ),
        ({"l7Proxy": False}, {"gateway_api": True}, "gatewayAPI.enabled", "L7"),
        ({"l7Proxy": False}, {"ingress_controller": True}, "ingressController.enabled", "L7"),
        ({"gatewayAPI": {"enabled": True}}, {"kube_proxy_replacement": False}, "gatewayAPI.enabled", "kube-proxy"),
    ],
)
def test_contradictions_with_k3s(user: dict[str, Any], changes: dict[str, Any], path: str, says: str) -> None:
    (found,) = judged(user, **changes)
    assert (found.level, found.path) == (Level.ERROR, path)
    assert says in found.what


@pytest.mark.parametrize(
    ("user", "changes"),
    [
        ({}, {}),
        ({"k8sServiceHost": "10.1.2.3", "k8sServicePort": 6443}, {}),
        ({"k8s": {"apiServerURLs": "https://10.1.2.3:6443"}, "k8sServiceHost": None}, {}),
        ({"ipam": {"mode": "cluster-pool", "operator": {"clusterPoolIPv4PodCIDRList": ["10.42.128.0/17"]}}}, {}),
        ({"ipam": {"mode": "cluster-pool"}}, {"existing_ipam": "cluster-pool", "existing_pools": ("10.0.0.0/8",)}),
        ({"operator": {"replicas": 1}}, {"nodes": 3}),
        ({"kubeProxyReplacement": "true"}, {}),
        ({"cni": {"binPath": "/opt/cni/bin"}}, {}),
        ({"hubble": {"peerService": {"clusterDomain": "x.y"}}}, {"cluster_domain": "x.y"}),
    ],
)
def test_sensible_values_pass(user: dict[str, Any], changes: dict[str, Any]) -> None:
    assert judged(user, **changes) == []


def test_two_load_balancers_are_a_warning() -> None:
    (found,) = judged({"defaultLBServiceIPAM": "lbipam"}, servicelb=True)
    assert found.level == Level.WARNING
