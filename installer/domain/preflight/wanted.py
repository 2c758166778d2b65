"""What a specification wants of a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from installer.domain import proxy
from installer.domain.kernel.settings import settings_of, value
from installer.domain.preflight.findings import Wanted, default_ports
from installer.domain.releases import Releases
from installer.domain.spec import ClusterSpec


def wanted_by(
    spec: ClusterSpec,
    *,
    ours: bool = False,
    k3s_version: str = "",
    allow_unsupported: bool = False,
    values: Mapping[str, Any] | None = None,
    gateway_api: str = "",
) -> Wanted:
    """Return what preflight compares a host with.

    Args:
        spec: the cluster to be.
        ours: the k3s found on the host was installed by us.
        k3s_version: release to be, empty when not known yet.
        allow_unsupported: turn refusals that rest on support statements alone into warnings.
        values: the user's Helm values from all sources; those of the specification alone where not given.
        gateway_api: Gateway API release that this Cilium works with, where it is known.
    """
    k3s, cilium = spec.k3s, spec.cilium
    values = cilium.values if values is None else values
    replicas = value(values, "operator.replicas")
    return Wanted(
        cluster_cidr=k3s.cluster_cidr,
        service_cidr=k3s.service_cidr,
        ports=default_ports(
            api=k3s.https_listen_port,
            **_tunnel(values),
            hubble=spec.hubble.enabled,
            envoy=cilium.l7_proxy and cilium.envoy == "daemonset",
        ),
        data_dir=k3s.data_dir,
        allow_unsupported=allow_unsupported,
        ours=ours,
        k3s_version=k3s_version,
        features=frozenset({"wireguard"} if cilium.encryption == "wireguard" else ()),
        kernel=settings_of(spec, values),
        bin_dir=k3s.bin_dir,
        api_port=k3s.https_listen_port,
        nodes=spec.nodes.expected,
        kube_proxy_free=cilium.kube_proxy_replacement,
        chosen_address=bool(k3s.node_ip or value(values, "devices")),
        operator_replicas=replicas if isinstance(replicas, int) else None,
        servicelb="servicelb" not in k3s.disable,
        balancers=tuple(_balancers(spec, values)),
        gateway_api=gateway_api if cilium.gateway_api else "",
        proxy=spec.downloads.proxy or "",
        no_proxy=(*spec.downloads.no_proxy, *proxy.exceptions(spec)),
    )


def gateway_release(table: Releases, spec: ClusterSpec) -> str:
    """Return the Gateway API release that the wanted Cilium works with; empty where it is not known."""
    minor = ".".join(spec.cilium.version.removeprefix("v").split(".")[:2])
    return table.minors[minor].gateway_api.version if minor in table.minors else ""


def _tunnel(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return port and kind of Cilium's tunnel."""
    if value(values, "routingMode") == "native":
        return {"tunnel": 0}
    geneve = value(values, "tunnelProtocol") == "geneve"
    port = value(values, "tunnelPort")
    usual = 6081 if geneve else 8472
    given = int(port) if str(port).isdigit() else 0
    return {"tunnel": given or usual, "kind": "Geneve" if geneve else "VXLAN"}


def _balancers(spec: ClusterSpec, values: Mapping[str, Any]) -> Iterator[str]:
    """Name what of Cilium gives LoadBalancers their addresses."""
    if spec.cilium.ingress_controller:
        yield "ingress controller"
    if spec.cilium.gateway_api:
        yield "Gateway API"
    for path, name in (
        ("l2announcements.enabled", "L2 announcements"),
        ("bgpControlPlane.enabled", "BGP control plane"),
    ):
        if value(values, path):
            yield name
