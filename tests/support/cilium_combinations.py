"""Combinations of features whose values are rendered by the real charts (scripts/check_charts) and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from installer.domain.cilium_values import CiliumInputs

ROOT = Path(__file__).resolve().parents[2]
CHART_DATA = ROOT / "charts" / "cilium"

_BASE = CiliumInputs(minor="")

COMBINATIONS: dict[str, CiliumInputs] = {
    "default": _BASE,
    "three-nodes": replace(_BASE, nodes=3),
    "with-kube-proxy": replace(_BASE, kube_proxy_replacement=False),
    "embedded-envoy": replace(_BASE, envoy="embedded"),
    "no-l7": replace(_BASE, l7=False),
    "no-hubble": replace(_BASE, hubble=False, relay=False, ui=False),
    "hubble-server-only": replace(_BASE, relay=False, ui=False),
    "hubble-metrics": replace(_BASE, metrics=("dns", "drop", "tcp", "flow", "icmp", "httpV2")),
    "wireguard": replace(_BASE, wireguard=True),
    "gateway-api": replace(_BASE, gateway_api=True),
    "ingress-controller": replace(_BASE, ingress_controller=True),
    "servicelb": replace(_BASE, servicelb=True),
    "bundle": replace(_BASE, use_digests=False),
    "dual-stack": replace(_BASE, cluster_cidr="10.42.0.0/16,2001:cafe:42::/56"),
    "ipv6-only": replace(_BASE, cluster_cidr="2001:cafe:42::/56", api_host="::1"),
    "other-names": replace(_BASE, cluster_domain="kube.example", api_port=16444),
    "existing-cluster-pool": replace(_BASE, existing_ipam="cluster-pool", existing_pools=("10.0.0.0/16",)),
    "everything": replace(
        _BASE,
        nodes=5,
        wireguard=True,
        gateway_api=True,
        ingress_controller=True,
        metrics=("dns", "drop"),
        use_digests=False,
    ),
}


def load_yaml(path: Path) -> Any:
    """Return a parsed YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def layers() -> dict[str, Mapping[str, Any]]:
    """Return the values layers by name."""
    return {path.stem: load_yaml(path) for path in sorted((CHART_DATA / "values").glob("*.yaml"))}
