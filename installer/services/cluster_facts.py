"""The cluster's objects that readiness is judged from, kept current by a watch or listed once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from installer.domain.readiness_rules import Expected, Facts
from installer.ports.cluster import (
    CILIUM_NODES,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NODES,
    PODS,
    Kube,
    Object,
    Resource,
    WatchEvent,
)

Source = tuple[Resource, str | None]
_FIELDS = {
    NODES: "nodes",
    PODS: "pods",
    DAEMON_SETS: "daemonsets",
    DEPLOYMENTS: "deployments",
    EVENTS: "events",
    CILIUM_NODES: "ciliumnodes",
}


def sources_for(expected: Expected) -> list[Source]:
    """Return what must be watched to judge these expectations."""
    namespaces = sorted({workload.namespace for workload in expected.workloads if workload.enabled})
    return [one for one in _sources(namespaces) if one[0] != CILIUM_NODES or expected.cilium_nodes]


def _sources(namespaces: Sequence[str]) -> list[Source]:
    found: list[Source] = []
    for resource in _FIELDS:
        found += [(resource, namespace) for namespace in namespaces] if resource.namespaced else [(resource, None)]
    return found


async def list_facts(kube: Kube, namespaces: Sequence[str]) -> Facts:
    """List everything once, concurrently."""
    store = FactStore(wanted := _sources(sorted(set(namespaces))))
    lists = await asyncio.gather(*(kube.list(resource, namespace=namespace) for resource, namespace in wanted))
    for (resource, namespace), objects in zip(wanted, lists, strict=True):
        store.take(WatchEvent("SYNCED", resource, objects=tuple(objects), namespace=namespace))
    return store.facts()


class FactStore:
    """Takes in watch events."""

    def __init__(self, wanted: Sequence[Source]):
        self._objects: dict[Source, dict[str, Object]] = {source: {} for source in wanted}
        self._missing = set(wanted)
        self._lost: dict[Source, str] = {}

    @property
    def complete(self) -> bool:
        """Whether everything was listed once."""
        return not self._missing

    @property
    def lost(self) -> str:
        """Why the API is out of reach now, empty when it is not."""
        return next(iter(self._lost.values()), "")

    def facts(self) -> Facts:
        """Return the objects as they are now."""
        found: dict[str, tuple[Object, ...]] = dict.fromkeys(_FIELDS.values(), ())
        for (resource, _), items in self._objects.items():
            found[_FIELDS[resource]] += tuple(items.values())
        return Facts(**found)

    def take(self, event: WatchEvent) -> None:
        """Take in one event."""
        source = (event.resource, event.namespace)
        if event.kind == "LOST":
            self._lost[source] = event.message
        elif event.kind == "SYNCED":
            self._missing.discard(source)
            self._lost.pop(source, None)
            self._objects[source] = {_key(item): item for item in event.objects}
        elif event.object is not None and event.kind == "DELETED":
            self._objects[source].pop(_key(event.object), None)
        elif event.object is not None:
            self._objects[source][_key(event.object)] = event.object


def _key(item: Object) -> str:
    metadata = item["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"
