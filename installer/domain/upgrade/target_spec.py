"""The specification that a cluster has after a hop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.path import Versions, minor_of


def with_versions(
    spec: ClusterSpec,
    versions: Versions,
    *,
    values: Mapping[str, Any],
    values_files: list[str],
    bundle: str | None,
) -> ClusterSpec:
    """Return the specification with other versions; what named a minor or a channel of one goes on doing so.

    Args:
        spec: the specification before.
        versions: versions that run.
        values: Helm values of the user.
        values_files: files with Helm values of the user.
        bundle: bundle that both versions come from, None where they come from the network.
    """
    data = spec.model_dump(by_alias=True)
    k3s, cilium = data["k3s"], data["cilium"]
    if k3s["version"]:
        k3s["version"] = versions.k3s
    elif k3s["channel"].startswith("v"):
        k3s["channel"] = f"v{minor_of(versions.k3s)}"
    exact = cilium["version"].count(".") > 1
    cilium["version"] = versions.cilium if exact else minor_of(versions.cilium)
    cilium["values"], cilium["valuesFiles"] = dict(values), list(values_files)
    data["downloads"]["bundle"] = bundle
    if data["downloads"]["chart"]["file"]:
        data["downloads"]["chart"]["file"] = None
    return ClusterSpec.model_validate(data)
