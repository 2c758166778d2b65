"""From a specification to answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from installer.domain.setup.catalog import USUAL_METRICS
from installer.domain.setup.question import Answer
from installer.domain.spec import CiliumSpec, ClusterSpec, HubbleSpec, K3sSpec

MIRRORS = {
    "mirror.k3s": ("k3s",),
    "mirror.channels": ("channels",),
    "mirror.chart": ("chart", "repository"),
    "mirror.helm": ("helm", "url"),
    "mirror.gateway": ("gatewayAPI",),
}
"""Place of each mirror below ``spec.downloads``."""


def answers(spec: ClusterSpec, minors: Sequence[str]) -> dict[str, Answer]:
    """Return the answer to every question that a specification implies."""
    return {
        **_k3s(spec.k3s),
        **_cilium(spec.cilium, minors),
        **_hubble(spec.hubble),
        **_downloads(spec),
        "unsupported": False,
    }


def _k3s(k3s: K3sSpec) -> dict[str, Answer]:
    plain = k3s.version is None and k3s.channel in ("stable", "latest")
    return {
        "k3s.release": k3s.channel if plain else "exact",
        "k3s.exact": "" if plain else k3s.version or k3s.channel,
        "k3s.pods": k3s.cluster_cidr,
        "k3s.services": k3s.service_cidr,
        "k3s.name": k3s.node_name or "",
        "k3s.port": str(k3s.https_listen_port),
        "k3s.sans": ", ".join(k3s.tls_san),
        "k3s.domain": k3s.cluster_domain,
        "k3s.data": k3s.data_dir,
        "k3s.merge": k3s.kubeconfig.merge,
        "k3s.context": k3s.kubeconfig.context,
    }


def _cilium(cilium: CiliumSpec, minors: Sequence[str]) -> dict[str, Answer]:
    listed = cilium.version in minors
    return {
        "cilium.version": cilium.version if listed else "exact",
        "cilium.exact": "" if listed else cilium.version,
        "cilium.kpr": cilium.kube_proxy_replacement,
        "cilium.l7": cilium.l7_proxy,
        "cilium.wireguard": cilium.encryption == "wireguard",
        "cilium.gateway": cilium.gateway_api,
        "cilium.embedded": cilium.envoy == "embedded",
        "cilium.ingress": cilium.ingress_controller,
    }


def _hubble(hubble: HubbleSpec) -> dict[str, Answer]:
    return {
        "hubble.enabled": hubble.enabled,
        "hubble.relay": hubble.relay,
        "hubble.ui": hubble.ui,
        "hubble.metrics.on": bool(hubble.metrics),
        "hubble.metrics": tuple(hubble.metrics) or USUAL_METRICS,
    }


def _downloads(spec: ClusterSpec) -> dict[str, Answer]:
    given, usual = spec.downloads.model_dump(by_alias=True), ClusterSpec().downloads.model_dump(by_alias=True)
    mirrors = {key: _unless_usual(given, usual, path) for key, path in MIRRORS.items()}
    registry = registry_of(spec.k3s.registries)
    mirrored = any(mirrors.values()) or bool(registry)
    return {
        "source": "bundle" if spec.downloads.bundle else "mirror" if mirrored else "internet",
        "bundle": spec.downloads.bundle or "",
        **mirrors,
        "registry": registry,
        "proxy": spec.downloads.proxy or "",
        "ca": spec.downloads.ca_file or "",
    }


def _unless_usual(given: Mapping[str, Any], usual: Mapping[str, Any], path: Sequence[str]) -> str:
    for part in path:
        given, usual = given[part], usual[part]
    return "" if given == usual else str(given)


def registries_of(url: str) -> dict[str, Any]:
    """Return the ``registries`` of one mirror for all images."""
    return {"mirrors": {"*": {"endpoint": [url]}}}


def registry_of(registries: Mapping[str, Any] | None) -> str:
    """Return the mirror where the registries are of the form that the setup writes, else an empty text."""
    try:
        url = str((registries or {})["mirrors"]["*"]["endpoint"][0])
    except (KeyError, IndexError, TypeError):
        return ""
    return url if registries == registries_of(url) else ""
