"""The Helm values that a Cilium release is installed with.

Static facts are YAML layers in ``charts/cilium/values`` with the reasons beside them; what depends on the cluster is
computed here; the user's own values come last and win. Maps merge, everything else (lists too) replaces.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from installer.domain.errors import BeeyardError, UsageError

COMPUTED = "computed"
"""Layer name of the values that are computed from the cluster."""

_CHART_DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class CiliumInputs:
    """What the values depend on.

    Attributes:
        minor: Cilium minor, such as ``1.20``.
        api_host: address at which every node reaches the Kubernetes API without Cilium; empty leaves it to the chart.
        api_port: its port.
        kube_proxy_replacement: services by eBPF, k3s' kube-proxy off.
        cluster_cidr: k3s' cluster-cidr: one network, or two joined by a comma (dual stack).
        cluster_domain: k3s' cluster-domain.
        nodes: expected number of nodes.
        l7: HTTP and DNS rules.
        envoy: Envoy in pods of its own, or inside the agent.
        wireguard: encryption between nodes.
        gateway_api: Gateway API controller.
        ingress_controller: ingress controller.
        hubble: Hubble server in the agents.
        relay: Hubble Relay (only with ``hubble``).
        ui: Hubble UI (only with ``relay``).
        metrics: Hubble metrics.
        use_digests: name images by digest; off for images from a bundle.
        servicelb: k3s' servicelb is on and gives LoadBalancer Services their addresses.
        existing_ipam: IPAM mode of the Cilium that already runs; kept, as it can never change.
        existing_pools: its cluster pools, kept too (mode ``cluster-pool``).
        upgrade_compatibility: minor that the cluster began with, empty where it was never upgraded.
    """

    minor: str
    api_host: str = "127.0.0.1"
    api_port: int = 6444
    kube_proxy_replacement: bool = True
    cluster_cidr: str = "10.42.0.0/16"
    cluster_domain: str = _CHART_DOMAIN
    nodes: int = 1
    l7: bool = True
    envoy: Literal["daemonset", "embedded"] = "daemonset"
    wireguard: bool = False
    gateway_api: bool = False
    ingress_controller: bool = False
    hubble: bool = True
    relay: bool = True
    ui: bool = True
    metrics: tuple[str, ...] = ()
    use_digests: bool = True
    servicelb: bool = False
    existing_ipam: str | None = None
    existing_pools: tuple[str, ...] = ()
    upgrade_compatibility: str = ""

    @property
    def pod_networks(self) -> tuple[str, ...]:
        """Return the pod networks, IPv4 or IPv6, in their order."""
        return tuple(part.strip() for part in self.cluster_cidr.split(",") if part.strip())

    def has_family(self, version: Literal[4, 6]) -> bool:
        """Return whether pods have addresses of an IP version."""
        return any(ipaddress.ip_network(network).version == version for network in self.pod_networks)


@dataclass(frozen=True, slots=True)
class Composed:
    """Values and where each of them comes from.

    Attributes:
        values: the merged Helm values.
        origins: layer name by dotted path of every leaf (a scalar, a list, an empty map).
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def compose(
    inputs: CiliumInputs,
    layers: Mapping[str, Mapping[str, Any]],
    user: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> Composed:
    """Return the values of a release.

    Args:
        inputs: what they depend on.
        layers: our layers by file name without ``.yaml``.
        user: the user's values as (name of the source, values), later ones win.

    Raises:
        BeeyardError: ``E-CILIUM-004`` a layer is missing.
    """
    chosen = [(name, _layer(layers, name)) for name in layer_names(inputs)]
    return merge_named([*chosen, (COMPUTED, computed_values(inputs)), *user])


def layer_names(inputs: CiliumInputs) -> list[str]:
    """Return the names of the layers that apply, in order of merging."""
    wanted = {
        "00-k3s": True,
        "single-node": inputs.nodes == 1,
        _l7_layer(inputs): True,
        "hubble" if inputs.hubble else "hubble-off": True,
        "hubble-relay": inputs.hubble and inputs.relay,
        "hubble-ui": inputs.hubble and inputs.relay and inputs.ui,
        "hubble-metrics": inputs.hubble and bool(inputs.metrics),
        "wireguard": inputs.wireguard,
        "gateway-api": inputs.gateway_api,
        "ingress-controller": inputs.ingress_controller,
        "lb-none": inputs.servicelb,
        "no-digests": not inputs.use_digests,
    }
    return [name for name, applies in wanted.items() if applies]


def _l7_layer(inputs: CiliumInputs) -> str:
    if not inputs.l7:
        return "l7-off"
    return "l7-envoy" if inputs.envoy == "daemonset" else "l7-envoy-embedded"


def _layer(layers: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    if name not in layers:
        raise BeeyardError(
            f"The values layer {name} is missing",
            fix="Install beeyard again; charts/cilium/values is part of it.",
            code="E-CILIUM-004",
        )
    return layers[name]


def computed_values(inputs: CiliumInputs) -> dict[str, Any]:
    """Return the values that follow from the cluster."""
    values: dict[str, Any] = {
        "kubeProxyReplacement": inputs.kube_proxy_replacement,
        "ipv4": {"enabled": inputs.has_family(4)},
        "ipv6": {"enabled": inputs.has_family(6)},
        "operator": {"replicas": min(2, max(1, inputs.nodes))},
        **_api_values(inputs),
        **_ipam_values(inputs),
    }
    if inputs.hubble:
        values |= _hubble_values(inputs)
    if inputs.upgrade_compatibility:
        values["upgradeCompatibility"] = inputs.upgrade_compatibility
    return values


def _api_values(inputs: CiliumInputs) -> dict[str, Any]:
    if not inputs.api_host:
        return {}
    return {"k8sServiceHost": inputs.api_host, "k8sServicePort": inputs.api_port}


def _ipam_values(inputs: CiliumInputs) -> dict[str, Any]:
    mode = inputs.existing_ipam or "kubernetes"
    if mode == "kubernetes":
        # The agent waits until k3s has given the node its podCIDR, instead of starting without one.
        required = {f"requireIPv{version}PodCIDR": True for version in (4, 6) if inputs.has_family(version)}
        return {"k8s": required}
    if mode != "cluster-pool":
        return {"ipam": {"mode": mode}}
    pools = inputs.existing_pools or inputs.pod_networks
    by_family = {
        f"clusterPoolIPv{version}PodCIDRList": found
        for version in (4, 6)
        if (found := [pool for pool in pools if ipaddress.ip_network(pool).version == version])
    }
    return {"ipam": {"mode": mode, "operator": by_family}}


def _hubble_values(inputs: CiliumInputs) -> dict[str, Any]:
    hubble: dict[str, Any] = {}
    if inputs.cluster_domain != _CHART_DOMAIN:
        # Relay looks agents up by the Service's full name (cilium #20130).
        hubble["peerService"] = {"clusterDomain": inputs.cluster_domain}
    if inputs.metrics:
        hubble["metrics"] = {"enabled": list(inputs.metrics)}
    return {"hubble": hubble} if hubble else {}


def merge_named(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Composed:
    """Merge named layers, later ones win; note for every leaf which layer it comes from."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, layer in layers:
        values = merge(values, layer)
        _note_origins(origins, name, layer)
    return Composed(values, origins)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` on top: maps merge, all else replaces. Neither argument is changed."""
    result = {key: _copy(value) for key, value in base.items()}
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merge(old, value) if both else _copy(value)  # type: ignore[arg-type]  # checked one line above
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(child) for key, child in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _note_origins(origins: dict[str, str], name: str, layer: Mapping[str, Any]) -> None:
    for path, value in leaves(layer):
        if value == {} and any(known.startswith(f"{path}.") for known in origins):
            continue  # an empty map changes nothing in a map that has keys
        for known in [known for known in origins if _replaces(path, known)]:
            del origins[known]
        origins[path] = name


def _replaces(path: str, known: str) -> bool:
    return known.startswith(f"{path}.") or path.startswith(f"{known}.")


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of every leaf: a scalar, a list or an empty map."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def api_endpoint(
    https_listen_port: int = 6443, *, lb_server_port: int = 6444, agents: bool = False, ipv4: bool = True
) -> tuple[str, int]:
    """Return (host, port) at which every node reaches the API on its own loopback, before any Service works.

    k3s servers listen there on ``https-listen-port`` + 1, agents run a load balancer on ``lb-server-port``. It outlives
    the loss of any one server, unlike a server's address.

    Raises:
        UsageError: ``E-CILIUM-005`` the two ports differ although there are agents.
    """
    port = https_listen_port + 1
    if agents and lb_server_port != port:
        raise UsageError(
            "Servers and agents would reach the API at different loopback ports",
            why=f"Servers listen on {port} (https-listen-port + 1), agents on {lb_server_port} (lb-server-port); "
            "Cilium knows one address for all nodes.",
            fix=f"Set lb-server-port: {port} on every agent.",
            code="E-CILIUM-005",
        )
    return ("127.0.0.1" if ipv4 else "::1", port)
