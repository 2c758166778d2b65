"""The versions of what runs in a cluster, with few and small requests."""

from __future__ import annotations

import asyncio
from typing import Any

from installer.domain.errors import BeeyardError
from installer.ports.cluster import DAEMON_SETS, DEPLOYMENTS, Kube, Resource
from installer.services.cockpit import ClusterVersions

_NAMESPACE = "kube-system"


async def read_versions(kube: Kube) -> ClusterVersions:
    """Return the versions; what is absent or may not be read stays empty."""
    kubernetes, cilium, hubble = await asyncio.gather(
        _or_empty(kube.version()),
        _or_empty(_tag(kube, DAEMON_SETS, "cilium")),
        _or_empty(_tag(kube, DEPLOYMENTS, "hubble-relay")),
    )
    return ClusterVersions(kubernetes, cilium, hubble)


async def _or_empty(request: Any) -> str:
    try:
        return str(await request)
    except BeeyardError:
        return ""


async def _tag(kube: Kube, resource: Resource, name: str) -> str:
    """Return the tag of the first container's image."""
    found = await kube.get(resource, name, namespace=_NAMESPACE)
    containers = (found or {}).get("spec", {}).get("template", {}).get("spec", {}).get("containers") or [{}]
    image = str(containers[0].get("image") or "").partition("@")[0].rpartition("/")[2]
    return image.partition(":")[2]
