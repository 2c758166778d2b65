"""Contradictions in a specification, each with the value to change."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.config_layers import from_set, resolve
from installer.domain.spec import ClusterSpec
from installer.domain.spec_checks import check, contradicting_values


def spec(*sets: str) -> ClusterSpec:
    return resolve([from_set(item) for item in sets]).document.spec


def test_the_default_makes_sense() -> None:
    assert check(ClusterSpec()) == []


@pytest.mark.parametrize(
    ("sets", "path"),
    [
        (["k3s.serviceCIDR=10.42.128.0/20"], "spec.k3s.serviceCIDR"),
        (["k3s.serviceCIDR=fd00::/108"], "spec.k3s.serviceCIDR"),
        (["k3s.clusterCIDR=10.42.0.0/28"], "spec.k3s.clusterCIDR"),
        (["k3s.clusterCIDR=127.1.0.0/16"], "spec.k3s.clusterCIDR"),
        (["k3s.clusterDNS=10.42.0.10"], "spec.k3s.clusterDNS"),
        (["k3s.disable=[coredns]"], "spec.k3s.disable"),
        (["k3s.config={flannel-backend: vxlan}"], "spec.k3s.config.flannel-backend"),
        (["cilium.gatewayAPI=true", "cilium.l7Proxy=false"], "spec.cilium.gatewayAPI"),
        (["cilium.gatewayAPI=true", "cilium.kubeProxyReplacement=false"], "spec.cilium.gatewayAPI"),
        (["cilium.ingressController=true", "cilium.l7Proxy=false"], "spec.cilium.ingressController"),
        (["cilium.l7Proxy=false", "cilium.envoy=embedded"], "spec.cilium.envoy"),
        (["hubble.relay=false"], "spec.hubble.ui"),
        (["hubble.enabled=false", "hubble.metrics=[dns]"], "spec.hubble.metrics"),
        (["downloads.bundle=/b", "downloads.chart.file=/c.tgz"], "spec.downloads.chart.file"),
        (["downloads.bundle=/b", "k3s.channel=latest"], "spec.k3s.channel"),
    ],
)
def test_contradictions(sets: list[str], path: str) -> None:
    found = check(spec(*sets))
    assert [item.path for item in found] == [path]
    assert all(item.what and item.fix for item in found)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"kubeProxyReplacement": False}, "spec.cilium.values.kubeProxyReplacement"),
        ({"hubble": {"ui": {"enabled": True}}}, "spec.cilium.values.hubble.ui.enabled"),
    ],
)
def test_values_that_the_specification_decides(values: dict[str, Any], path: str) -> None:
    assert [item.path for item in contradicting_values(values)] == [path]


def test_other_values_are_the_users() -> None:
    assert contradicting_values({"debug": {"enabled": True}, "hubble": "odd"}) == []
