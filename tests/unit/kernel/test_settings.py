"""Which settings a cluster has that need features of the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.kernel.settings import settings_of
from installer.domain.spec import ClusterSpec

DEFAULT = {"cilium", "services", "l7", "hubble", "vxlan", "iptables-masquerade", "veth", "tcx"}


def settings(values: dict[str, Any] | None = None, **spec: Any) -> set[str]:
    spec.setdefault("cilium", {})["values"] = values or {}
    return set(settings_of(ClusterSpec.model_validate(spec)))


def test_the_defaults() -> None:
    assert settings() == DEFAULT


@pytest.mark.parametrize(
    ("values", "more", "less"),
    [
        ({"routingMode": "native"}, {"ipset"}, {"vxlan"}),
        ({"routingMode": "native", "bpf": {"masquerade": True}}, set(), {"vxlan", "iptables-masquerade"}),
        ({"tunnelProtocol": "geneve"}, {"geneve"}, {"vxlan"}),
        ({"loadBalancer": {"dsrDispatch": "geneve", "algorithm": "maglev"}}, {"geneve-dsr", "maglev"}, set()),
        ({"loadBalancer": {"acceleration": "native"}}, {"xdp"}, set()),
        ({"loadBalancer": {"acceleration": "disabled"}}, set(), set()),
        ({"bpf": {"datapathMode": "netkit"}}, {"netkit"}, {"veth"}),
        ({"bpf": {"datapathMode": "netkit-l2", "enableTCX": False}}, {"netkit"}, {"veth", "tcx"}),
        ({"bpf": {"tproxy": True, "distributedLRU": {"enabled": True}}}, {"bpf-tproxy", "distributed-lru"}, set()),
        ({"bandwidthManager": {"enabled": True, "bbr": True}}, {"bandwidth", "bbr"}, set()),
        ({"encryption": {"enabled": True, "type": "ipsec"}}, {"ipsec"}, set()),
        ({"encryption": {"enabled": True, "type": "wireguard"}}, {"wireguard"}, set()),
        ({"encryption": {"type": "wireguard"}}, set(), set()),
        ({"bpf": None, "encryption": "odd"}, set(), set()),
    ],
)
def test_helm_values(values: dict[str, Any], more: set[str], less: set[str]) -> None:
    assert settings(values) == (DEFAULT | more) - less


@pytest.mark.parametrize(
    ("spec", "more", "less"),
    [
        ({"cilium": {"encryption": "wireguard"}}, {"wireguard"}, set()),
        ({"cilium": {"l7Proxy": False}, "hubble": {"enabled": False}}, set(), {"l7", "hubble"}),
        ({"cilium": {"kubeProxyReplacement": False}}, set(), {"services"}),
        ({"k3s": {"clusterCIDR": "fd42::/56", "serviceCIDR": "fd43::/112"}}, {"ipv6", "services6"}, set()),
    ],
)
def test_the_specification(spec: dict[str, Any], more: set[str], less: set[str]) -> None:
    assert settings(**spec) == (DEFAULT | more) - less


@pytest.mark.parametrize(("version", "there"), [("1.18", False), ("1.19", True), ("v1.20.1", True)])
def test_a_setting_of_a_later_cilium(version: str, there: bool) -> None:
    values = {"encryption": {"enabled": True, "type": "ztunnel"}}
    assert ("ztunnel" in settings(values, cilium={"version": version})) is there


def test_values_of_all_sources_win_over_those_of_the_specification() -> None:
    spec = ClusterSpec.model_validate({"cilium": {"values": {"tunnelProtocol": "geneve"}}})
    assert "geneve" not in settings_of(spec, {"routingMode": "native"})
