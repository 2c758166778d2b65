"""Proxy variables for our downloads and for the k3s service."""

from __future__ import annotations

from collections.abc import Mapping

from installer.domain.spec import ClusterSpec

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables of an environment, upper-cased names, lower-case spellings honoured."""
    found = {name: environment.get(name) or environment.get(name.lower(), "") for name in NAMES}
    return {name: value for name, value in found.items() if value}


def exceptions(spec: ClusterSpec) -> list[str]:
    """Return what must never go through a proxy: loopback, the cluster's networks and its names."""
    k3s = spec.k3s
    own = ["127.0.0.0/8", "localhost", "::1", k3s.cluster_cidr, k3s.service_cidr, ".svc", f".{k3s.cluster_domain}"]
    return own + ([k3s.node_ip] if k3s.node_ip else [])


def variables(spec: ClusterSpec, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables in force: the specification's, else the environment's; empty without a proxy."""
    found = from_environment(environment)
    if spec.downloads.proxy:
        found |= {"HTTP_PROXY": spec.downloads.proxy, "HTTPS_PROXY": spec.downloads.proxy}
    if not found.get("HTTP_PROXY") and not found.get("HTTPS_PROXY"):
        return {}
    given = [part.strip() for part in found.get("NO_PROXY", "").split(",") if part.strip()]
    united = dict.fromkeys([*given, *spec.downloads.no_proxy, *exceptions(spec)])
    return {**found, "NO_PROXY": ",".join(united)}
