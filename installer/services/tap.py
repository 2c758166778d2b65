"""Names for what the tap sees, from the API as long as it lasts."""

from __future__ import annotations

from installer.domain.tap.directory import Directory
from installer.ports.cluster import CILIUM_ENDPOINTS, PODS, Kube, Object, Resource


async def follow_names(kube: Kube, directory: Directory) -> None:
    """Keep a directory up to date with the pods and their Cilium identities, until it is cancelled.

    Raises:
        BeeyardError: ``E-KUBE-*``, the API is out of reach at the start, or RBAC forbids to list pods.
    """
    async for event in kube.watch([(PODS, None), (CILIUM_ENDPOINTS, None)]):
        if event.kind == "SYNCED":
            for item in event.objects:
                _take(event.resource, item, directory)
        elif event.kind in ("ADDED", "MODIFIED") and event.object is not None:
            _take(event.resource, event.object, directory)


def _take(resource: Resource, item: Object, directory: Directory) -> None:
    if resource == PODS:
        directory.add_pod(item)
    else:
        directory.add_cilium_endpoint(item)
