"""What preflight wants to know of a cluster that runs on this host already."""

from __future__ import annotations

import asyncio
from pathlib import Path

from installer.domain.errors import BeeyardError
from installer.domain.preflight.surroundings import ClusterFacts, Release
from installer.ports.cluster import CRDS, NODES, PODS, SECRETS, Kube, Kubes, Object

_GROUP = ".gateway.networking.k8s.io"
_BUNDLE = "gateway.networking.k8s.io/bundle-version"
_BALANCER = "svccontroller.k3s.cattle.io/svcname"
_NAMES = ("cilium", "hubble")


async def cluster_facts(kubes: Kubes, kubeconfig: Path, *, timeout: float = 15.0) -> ClusterFacts | None:
    """Look at the cluster; None where it does not answer in time, which is for others to say.

    Args:
        kubes: opens connections.
        kubeconfig: k3s' own.
        timeout: seconds.
    """
    try:
        kube = await kubes.open(str(kubeconfig))
    except BeeyardError:
        return None
    try:
        async with asyncio.timeout(timeout):
            return await _look(kube) if await kube.healthy() else None
    except (BeeyardError, TimeoutError):
        return None
    finally:
        await kube.close()


async def _look(kube: Kube) -> ClusterFacts:
    nodes, pods = await kube.list(NODES), await kube.list(PODS, labels=_BALANCER)
    records = [await kube.list(SECRETS, labels=f"owner=helm,name={name}") for name in _NAMES]
    definitions = {one["metadata"]["name"]: one for one in await kube.list(CRDS)}
    return ClusterFacts(
        nodes=len(nodes),
        releases=tuple(_releases([record for group in records for record in group])),
        gateway_crds={
            name.removesuffix(_GROUP): str((one["metadata"].get("annotations") or {}).get(_BUNDLE, ""))
            for name, one in definitions.items()
            if name.endswith(_GROUP)
        },
        balancers=len(pods),
    )


def _releases(records: list[Object]) -> list[Release]:
    """Return the newest record of each release; Helm writes what it knows into labels."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for record in records:
        labels = record["metadata"].get("labels") or {}
        key = (str(record["metadata"].get("namespace", "")), str(labels.get("name", "")))
        version = labels.get("version", "")
        entry = (int(version) if str(version).isdigit() else 0, str(labels.get("status", "")))
        newest[key] = max(newest.get(key, (0, "")), entry)
    return [Release(name, namespace, status) for (namespace, name), (_, status) in sorted(newest.items())]
