"""Judges complete Helm values for Cilium against the k3s cluster they are meant for."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from installer.domain.cilium_values import CiliumInputs
from installer.domain.values_lint import Level, ValueFinding

CNI_PATHS = {"cni.binPath": "/opt/cni/bin", "cni.confPath": "/etc/cni/net.d"}
"""Where k3s' containerd looks when flannel is off."""


class Values:
    """Values with look-up by dotted path; absent keys and nulls read as the default given, as for Helm."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a dotted path, or the default."""
        node: Any = self._values
        for name in path.split("."):
            if not isinstance(node, Mapping) or name not in node:
                return default
            node = node[name]
        return default if node is None else node

    def on(self, path: str, *, default: bool = False) -> bool:
        """Return whether a switch is on (Helm takes ``"true"`` for true)."""
        return str(self.get(path, default)).lower() == "true"


def contradictions(values: Mapping[str, Any], inputs: CiliumInputs) -> list[ValueFinding]:
    """Return what in the values to be installed cannot work on the cluster, errors first.

    Args:
        values: complete values, as composed.
        inputs: the cluster they are for.
    """
    view = Values(values)
    found = [finding for rule in _RULES for finding in rule(view, inputs)]
    return sorted(found, key=lambda finding: finding.level != Level.ERROR)


def _cni_paths(values: Values, _: CiliumInputs) -> Iterator[ValueFinding]:
    for path, wanted in CNI_PATHS.items():
        if values.get(path, wanted) != wanted:
            yield ValueFinding(
                Level.ERROR,
                path,
                f"k3s' containerd looks in {wanted}; nodes would stay NotReady although the agents are healthy",
                "Remove it.",
            )


def _kube_proxy(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    replaced = values.on("kubeProxyReplacement")
    if inputs.kube_proxy_replacement and not replaced:
        yield ValueFinding(
            Level.ERROR,
            "kubeProxyReplacement",
            "k3s runs without kube-proxy, so nothing would serve Services",
            "Remove it, or set spec.cilium.kubeProxyReplacement: false.",
        )
    if not inputs.kube_proxy_replacement and replaced:
        yield ValueFinding(
            Level.ERROR,
            "kubeProxyReplacement",
            "k3s runs kube-proxy too, and both would serve Services",
            "Remove it, or set spec.cilium.kubeProxyReplacement: true.",
        )


def _api(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    if not inputs.kube_proxy_replacement or values.get("k8sServiceHostRef.name") or values.get("k8s.apiServerURLs"):
        return
    host, port = str(values.get("k8sServiceHost", "")), str(values.get("k8sServicePort", ""))
    if not host or host == "auto":
        yield ValueFinding(
            Level.ERROR,
            "k8sServiceHost",
            "without kube-proxy the agents need an address of the API that works before any Service does",
            f"Remove it; {inputs.api_host}:{inputs.api_port} is set for you.",
        )
    elif _loopback(host) and port != str(inputs.api_port):
        yield ValueFinding(
            Level.ERROR,
            "k8sServicePort",
            f"on loopback k3s serves the API at port {inputs.api_port}, not {port or 'the default'}",
            f"Set k8sServicePort: {inputs.api_port}, or remove it.",
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ipam(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    mode, kept = values.get("ipam.mode"), inputs.existing_ipam
    if kept and mode != kept:
        yield ValueFinding(
            Level.ERROR,
            "ipam.mode",
            f"the running Cilium uses {kept}; changing the mode takes every pod's address away",
            f"Set ipam.mode: {kept}, or remove it.",
        )
    elif mode == "cluster-pool":
        yield from _cluster_pools(values, inputs)


def _cluster_pools(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    pools = values.get("ipam.operator.clusterPoolIPv4PodCIDRList") or ["10.0.0.0/8"]
    networks = [ipaddress.ip_network(network) for network in inputs.pod_networks]
    for pool in pools if isinstance(pools, list) else [pools]:
        try:
            network = ipaddress.ip_network(str(pool))
        except ValueError as error:
            yield ValueFinding(Level.ERROR, "ipam.operator.clusterPoolIPv4PodCIDRList", str(error), "Give a network.")
            continue
        inside = any(network.version == own.version and network.subnet_of(own) for own in networks)  # type: ignore[arg-type]  # versions equal
        if not inside and str(pool) not in inputs.existing_pools:
            yield ValueFinding(
                Level.ERROR,
                "ipam.operator.clusterPoolIPv4PodCIDRList",
                f"{network} lies outside k3s' cluster-cidr {inputs.cluster_cidr}",
                f"Give [{inputs.pod_networks[0]}], or leave ipam alone.",
            )


def _operator(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    replicas = values.get("operator.replicas", 2)
    if isinstance(replicas, int) and replicas > inputs.nodes:
        yield ValueFinding(
            Level.ERROR,
            "operator.replicas",
            f"each operator needs a node of its own; {replicas} do not fit on {inputs.nodes}, the rest stays Pending",
            "Remove it; it follows spec.nodes.expected.",
        )


def _hubble(values: Values, _: CiliumInputs) -> Iterator[ValueFinding]:
    hubble = values.on("hubble.enabled", default=True)
    relay, ui = values.on("hubble.relay.enabled"), values.on("hubble.ui.enabled")
    if ui and not relay and not values.on("hubble.ui.standalone.enabled"):
        yield ValueFinding(
            Level.ERROR, "hubble.ui.enabled", "Hubble UI reads from Relay", "Set hubble.relay.enabled: true."
        )
    if relay and not hubble:
        yield ValueFinding(
            Level.ERROR, "hubble.relay.enabled", "Relay reads from Hubble in the agents", "Set hubble.enabled: true."
        )
    if values.get("hubble.metrics.enabled") and not hubble:
        yield ValueFinding(Level.ERROR, "hubble.metrics.enabled", "Hubble is off", "Set hubble.enabled: true.")


def _domain(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    domain = values.get("hubble.peerService.clusterDomain", "cluster.local")
    if values.on("hubble.relay.enabled") and domain != inputs.cluster_domain:
        yield ValueFinding(
            Level.ERROR,
            "hubble.peerService.clusterDomain",
            f"the cluster's domain is {inputs.cluster_domain}; Relay would not find the agents",
            "Remove it.",
        )


def _service_mesh(values: Values, _: CiliumInputs) -> Iterator[ValueFinding]:
    for feature in ("gatewayAPI.enabled", "ingressController.enabled"):
        if not values.on(feature):
            continue
        if not values.on("kubeProxyReplacement"):
            yield ValueFinding(
                Level.ERROR, feature, "it needs the kube-proxy replacement", "Set kubeProxyReplacement: true."
            )
        if not values.on("l7Proxy", default=True):
            yield ValueFinding(Level.ERROR, feature, "it needs the L7 proxy", "Set l7Proxy: true.")


def _load_balancer(values: Values, inputs: CiliumInputs) -> Iterator[ValueFinding]:
    acting = values.get("defaultLBServiceIPAM", "lbipam") != "none"
    if inputs.servicelb and acting:
        yield ValueFinding(
            Level.WARNING,
            "defaultLBServiceIPAM",
            "k3s' servicelb acts on the same LoadBalancer Services",
            "Disable servicelb in k3s, or set defaultLBServiceIPAM: none.",
        )


_RULES: tuple[Callable[[Values, CiliumInputs], Iterator[ValueFinding]], ...] = (
    _cni_paths,
    _kube_proxy,
    _api,
    _ipam,
    _operator,
    _hubble,
    _domain,
    _service_mesh,
    _load_balancer,
)
