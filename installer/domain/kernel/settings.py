"""The settings of a cluster that decide which features of the kernel are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from installer.domain.spec import ClusterSpec


@dataclass(frozen=True, slots=True)
class Setting:
    """A choice that needs features.

    Attributes:
        path: where it is set: below ``spec.``, or ``spec.cilium.values.`` for Helm values.
        what: what it brings, for people.
        since: first Cilium minor that has it, empty for all we know.
    """

    path: str
    what: str
    since: str = ""


_VALUES = "cilium.values"
SETTINGS = {
    "cilium": Setting("cilium", "Cilium itself"),
    "services": Setting("cilium.kubeProxyReplacement", "Services by eBPF"),
    "services6": Setting("cilium.kubeProxyReplacement", "Services by eBPF on IPv6"),
    "l7": Setting("cilium.l7Proxy", "HTTP and DNS rules"),
    "hubble": Setting("hubble.enabled", "Hubble"),
    "ipv6": Setting("k3s.clusterCIDR", "pods with IPv6"),
    "wireguard": Setting("cilium.encryption", "WireGuard between nodes"),
    "ipsec": Setting(f"{_VALUES}.encryption.type", "IPsec between nodes"),
    "ztunnel": Setting(f"{_VALUES}.encryption.type", "ztunnel encryption", since="1.19"),
    "vxlan": Setting(f"{_VALUES}.tunnelProtocol", "VXLAN between nodes"),
    "geneve": Setting(f"{_VALUES}.tunnelProtocol", "Geneve between nodes"),
    "geneve-dsr": Setting(f"{_VALUES}.loadBalancer.dsrDispatch", "direct server return by Geneve"),
    "iptables-masquerade": Setting(f"{_VALUES}.bpf.masquerade", "masquerading by iptables"),
    "ipset": Setting(f"{_VALUES}.routingMode", "native routing with masquerading by iptables"),
    "veth": Setting(f"{_VALUES}.bpf.datapathMode", "pods on veth devices"),
    "netkit": Setting(f"{_VALUES}.bpf.datapathMode", "pods on netkit devices"),
    "tcx": Setting(f"{_VALUES}.bpf.enableTCX", "programs attached by tcx"),
    "bpf-tproxy": Setting(f"{_VALUES}.bpf.tproxy", "redirection to the proxy by eBPF"),
    "distributed-lru": Setting(f"{_VALUES}.bpf.distributedLRU.enabled", "LRU lists for each CPU"),
    "bandwidth": Setting(f"{_VALUES}.bandwidthManager.enabled", "the bandwidth manager"),
    "bbr": Setting(f"{_VALUES}.bandwidthManager.bbr", "BBR for pods"),
    "xdp": Setting(f"{_VALUES}.loadBalancer.acceleration", "XDP acceleration"),
    "maglev": Setting(f"{_VALUES}.loadBalancer.algorithm", "Maglev load balancing"),
    "multicast": Setting(f"{_VALUES}.multicast.enabled", "multicast"),
    "tap": Setting("", "beeyard tap"),
}
"""Setting by name."""


def settings_of(spec: ClusterSpec, values: Mapping[str, Any] | None = None) -> frozenset[str]:
    """Return the names of the settings that a cluster has.

    Args:
        spec: the cluster to be.
        values: the user's Helm values from all sources; those of the specification alone where not given.
    """
    values = spec.cilium.values if values is None else values
    minor = ".".join(spec.cilium.version.removeprefix("v").split(".")[:2])
    wanted = {"cilium", *_of_spec(spec), *_of_network(values), *_of_datapath(values), *_of_services(spec, values)}
    return frozenset(name for name in wanted if not _is_older(minor, SETTINGS[name].since))


def _is_older(minor: str, since: str) -> bool:
    return bool(since) and tuple(map(int, minor.split("."))) < tuple(map(int, since.split(".")))


def _of_spec(spec: ClusterSpec) -> set[str]:
    six = ":" in spec.k3s.cluster_cidr
    chosen = {
        "l7": spec.cilium.l7_proxy,
        "hubble": spec.hubble.enabled,
        "wireguard": spec.cilium.encryption == "wireguard",
        "ipv6": six,
    }
    return {name for name, on in chosen.items() if on}


def _of_network(values: Mapping[str, Any]) -> set[str]:
    native = value(values, "routingMode") == "native"
    iptables = value(values, "enableIPv4Masquerade", True) is not False and not value(values, "bpf.masquerade")
    encryption = value(values, "encryption.type", "") if value(values, "encryption.enabled") else ""
    tunnel = value(values, "tunnelProtocol") or "vxlan"
    chosen = {
        "vxlan": not native and tunnel == "vxlan",
        "geneve": not native and tunnel == "geneve",
        "iptables-masquerade": iptables,
        "ipset": native and iptables,
        encryption: encryption in ("ipsec", "wireguard", "ztunnel"),
    }
    return {name for name, on in chosen.items() if on}


def _of_datapath(values: Mapping[str, Any]) -> set[str]:
    netkit = str(value(values, "bpf.datapathMode", "")).startswith("netkit")
    chosen = {
        "netkit": netkit,
        "veth": not netkit,
        "tcx": value(values, "bpf.enableTCX", True) is not False,
        "bpf-tproxy": value(values, "bpf.tproxy"),
        "distributed-lru": value(values, "bpf.distributedLRU.enabled"),
        "bandwidth": value(values, "bandwidthManager.enabled"),
        "bbr": value(values, "bandwidthManager.bbr"),
        "multicast": value(values, "multicast.enabled"),
    }
    return {name for name, on in chosen.items() if on}


def _of_services(spec: ClusterSpec, values: Mapping[str, Any]) -> set[str]:
    chosen = {
        "services": spec.cilium.kube_proxy_replacement,
        "services6": spec.cilium.kube_proxy_replacement and ":" in spec.k3s.cluster_cidr,
        "xdp": value(values, "loadBalancer.acceleration", "disabled") not in ("disabled", None),
        "maglev": value(values, "loadBalancer.algorithm") == "maglev",
        "geneve-dsr": value(values, "loadBalancer.dsrDispatch") == "geneve",
    }
    return {name for name, on in chosen.items() if on}


def value(values: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the Helm value at a dotted path."""
    here: Any = values
    for key in path.split("."):
        if not isinstance(here, Mapping) or key not in here:
            return default
        here = here[key]
    return here
