"""The cluster's objects that readiness is judged from, kept current by a watch or listed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from installer.domain.errors import BeeyardError
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
_ESSENTIAL = {PODS, DAEMON_SETS, DEPLOYMENTS}
OnRefused = Callable[[Resource, BeeyardError], None]


def sources_for(expected: Expected) -> list[Source]:
    """Return what must be watched to judge these expectations."""
    namespaces = sorted({workload.namespace for workload in expected.workloads if workload.enabled})
    return [one for one in _sources(namespaces) if one[0] != CILIUM_NODES or expected.cilium_nodes]


def _sources(namespaces: Sequence[str]) -> list[Source]:
    found: list[Source] = []
    for resource in _FIELDS:
        found += [(resource, namespace) for namespace in namespaces] if resource.namespaced else [(resource, None)]
    return found


async def list_facts(kube: Kube, namespaces: Sequence[str], on_refused: OnRefused | None = None) -> Facts:
    """List everything once, concurrently.

    Args:
        kube: the cluster.
        namespaces: the namespaces to look at.
        on_refused: told of kinds that may not be read; they are left out, unless it is the pods and every workload.

    Raises:
        BeeyardError: ``E-KUBE-003`` no right to read (without ``on_refused`` any kind, with it the pods and workloads).
    """
    store = FactStore(wanted := _sources(sorted(set(namespaces))))
    lists = await asyncio.gather(*(_list(kube, source, tolerant=on_refused is not None) for source in wanted))
    refused: dict[Resource, BeeyardError] = {}
    for (resource, namespace), found in zip(wanted, lists, strict=True):
        if isinstance(found, BeeyardError):
            refused.setdefault(resource, found)
        else:
            store.take(WatchEvent("SYNCED", resource, objects=tuple(found), namespace=namespace))
    if refused.keys() >= _ESSENTIAL:
        raise refused[PODS]
    for resource, error in refused.items():
        if on_refused is not None:
            on_refused(resource, error)
    return store.facts()


async def _list(kube: Kube, source: Source, *, tolerant: bool) -> Sequence[Object] | BeeyardError:
    try:
        return await kube.list(source[0], namespace=source[1])
    except BeeyardError as error:
        if tolerant and error.code == "E-KUBE-003":
            return error
        raise


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

    @property
    def missing(self) -> frozenset[Source]:
        """What was not listed yet."""
        return frozenset(self._missing)

    def add(self, source: Source) -> None:
        """Expect one more."""
        if source not in self._objects:
            self._objects[source] = {}
            self._missing.add(source)

    def give_up(self, source: Source) -> None:
        """Expect one no longer; what it told is forgotten."""
        self._objects.pop(source, None)
        self._missing.discard(source)
        self._lost.pop(source, None)

    def objects(self, resource: Resource) -> tuple[Object, ...]:
        """Return the objects of one kind as they are now."""
        return tuple(item for (kind, _), items in self._objects.items() if kind == resource for item in items.values())

    def facts(self, namespaces: Collection[str] | None = None) -> Facts:
        """Return the objects as they are now; with ``namespaces``, those of these and those of none only."""
        found: dict[str, tuple[Object, ...]] = {}
        for resource, field in _FIELDS.items():
            items = self.objects(resource)
            if namespaces is not None and resource.namespaced:
                items = tuple(item for item in items if item["metadata"].get("namespace") in namespaces)
            found[field] = items
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
