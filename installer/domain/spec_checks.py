"""What makes no sense together in a specification, although every value by itself is well-formed."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from installer.domain.spec import ClusterSpec


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """A contradiction in the specification.

    Attributes:
        path: dotted path of the value to change.
        what: what is wrong.
        fix: what to write instead.
    """

    path: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}. {self.fix}"


OWNED_K3S_KEYS = {
    "flannel-backend": "it is always none: Cilium is the network",
    "disable-network-policy": "it is always true: Cilium enforces policies",
    "disable-kube-proxy": "it follows spec.cilium.kubeProxyReplacement",
    "cluster-cidr": "it is spec.k3s.clusterCIDR",
    "service-cidr": "it is spec.k3s.serviceCIDR",
    "cluster-dns": "it is spec.k3s.clusterDNS",
    "cluster-domain": "it is spec.k3s.clusterDomain",
    "https-listen-port": "it is spec.k3s.httpsListenPort",
    "data-dir": "it is spec.k3s.dataDir",
    "node-name": "it is spec.k3s.nodeName",
    "node-ip": "it is spec.k3s.nodeIP",
    "tls-san": "it is spec.k3s.tlsSAN",
    "disable": "it is spec.k3s.disable",
}
"""Keys of k3s' config.yaml that the specification has its own words for."""


def check(spec: ClusterSpec) -> list[SpecProblem]:
    """Return every contradiction in the specification."""
    return [problem for rule in _RULES for problem in rule(spec)]


def _networks(spec: ClusterSpec) -> Iterator[SpecProblem]:
    pods, services = ipaddress.ip_network(spec.k3s.cluster_cidr), ipaddress.ip_network(spec.k3s.service_cidr)
    if pods.version != services.version:
        yield SpecProblem(
            "spec.k3s.serviceCIDR",
            f"{services} and the pod network {pods} are of different IP versions",
            "Give both of one version.",
        )
    elif pods.overlaps(services):
        yield SpecProblem(
            "spec.k3s.serviceCIDR",
            f"{services} overlaps the pod network {pods}",
            "Give networks that share no address.",
        )
    for path, network, longest in (("clusterCIDR", pods, 24), ("serviceCIDR", services, 28)):
        limit = longest if network.version == 4 else longest + 84
        if network.prefixlen > limit:
            yield SpecProblem(f"spec.k3s.{path}", f"{network} is too small", f"Give a prefix of /{limit} or shorter.")
        if network.is_multicast or network.is_loopback or network.is_link_local:
            yield SpecProblem(
                f"spec.k3s.{path}", f"{network} cannot be used by hosts", "Give a private range such as 10.42.0.0/16."
            )


def _dns(spec: ClusterSpec) -> Iterator[SpecProblem]:
    services = ipaddress.ip_network(spec.k3s.service_cidr)
    if spec.k3s.cluster_dns and ipaddress.ip_address(spec.k3s.cluster_dns) not in services:
        yield SpecProblem(
            "spec.k3s.clusterDNS",
            f"{spec.k3s.cluster_dns} lies outside the service network {services}",
            "Leave it out (the tenth address is taken) or give one inside.",
        )
    if "coredns" in spec.k3s.disable:
        yield SpecProblem(
            "spec.k3s.disable",
            "without coredns no pod can resolve a name and Hubble Relay cannot start",
            "Leave it in.",
        )


def _k3s_config(spec: ClusterSpec) -> Iterator[SpecProblem]:
    for key in spec.k3s.config:
        if key in OWNED_K3S_KEYS:
            yield SpecProblem(f"spec.k3s.config.{key}", OWNED_K3S_KEYS[key], "Remove it here.")
    if spec.nodes.expected > 1 and "servicelb" not in spec.k3s.disable and spec.cilium.ingress_controller:
        yield SpecProblem(
            "spec.k3s.disable", "servicelb and Cilium's ingress would both serve LoadBalancers", "Add servicelb."
        )


def _cilium(spec: ClusterSpec) -> Iterator[SpecProblem]:
    cilium = spec.cilium
    for name, wanted in (("gatewayAPI", cilium.gateway_api), ("ingressController", cilium.ingress_controller)):
        if not wanted:
            continue
        if not cilium.kube_proxy_replacement:
            yield SpecProblem(
                f"spec.cilium.{name}",
                "it needs the kube-proxy replacement",
                "Set spec.cilium.kubeProxyReplacement: true.",
            )
        if not cilium.l7_proxy:
            yield SpecProblem(f"spec.cilium.{name}", "it needs the L7 proxy", "Set spec.cilium.l7Proxy: true.")
    if not cilium.l7_proxy and cilium.envoy == "embedded":
        yield SpecProblem(
            "spec.cilium.envoy", "there is no Envoy without the L7 proxy", "Leave it out, or set l7Proxy: true."
        )


def _hubble(spec: ClusterSpec) -> Iterator[SpecProblem]:
    hubble = spec.hubble
    if hubble.enabled and hubble.ui and not hubble.relay:
        yield SpecProblem("spec.hubble.ui", "the UI reads from Relay", "Set spec.hubble.relay: true, or ui: false.")
    if not hubble.enabled and hubble.metrics:
        yield SpecProblem(
            "spec.hubble.metrics", "there are no metrics while Hubble is off", "Set spec.hubble.enabled: true."
        )


def _downloads(spec: ClusterSpec) -> Iterator[SpecProblem]:
    if not spec.downloads.bundle:
        return
    for path, value in (("chart.file", spec.downloads.chart.file), ("helm.binary", spec.downloads.helm.binary)):
        if value:
            yield SpecProblem(f"spec.downloads.{path}", "a bundle brings its own", "Remove one of the two.")
    if spec.k3s.version is None and spec.k3s.channel != "stable":
        yield SpecProblem("spec.k3s.channel", "a bundle decides the k3s version", "Leave the channel out.")


_RULES: tuple[Callable[[ClusterSpec], Iterator[SpecProblem]], ...] = (
    _networks,
    _dns,
    _k3s_config,
    _cilium,
    _hubble,
    _downloads,
)


def contradicting_values(values: dict[str, Any]) -> list[SpecProblem]:
    """Return user values that fight against what the specification decides (part of the chart, but ours to set)."""
    found = []
    for path, owner in (
        (("kubeProxyReplacement",), "spec.cilium.kubeProxyReplacement"),
        (("l7Proxy",), "spec.cilium.l7Proxy"),
        (("hubble", "enabled"), "spec.hubble.enabled"),
        (("hubble", "relay", "enabled"), "spec.hubble.relay"),
        (("hubble", "ui", "enabled"), "spec.hubble.ui"),
        (("gatewayAPI", "enabled"), "spec.cilium.gatewayAPI"),
        (("ingressController", "enabled"), "spec.cilium.ingressController"),
    ):
        node: Any = values
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        if node is not None:
            found.append(
                SpecProblem(f"spec.cilium.values.{'.'.join(path)}", f"{owner} decides this", f"Set {owner} instead.")
            )
    return found
