"""Objects of a cluster, kept current.

Each kind has a watch of its own, so that one that may not be read hides no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from installer.domain.errors import BeeyardError
from installer.domain.overview import Unread
from installer.domain.readiness_rules import Facts
from installer.ports.cluster import EVENTS, PODS, Kube, Object, Resource
from installer.services.cluster_details import unread
from installer.services.cluster_facts import FactStore, Source
from installer.services.watching import watched

_NARROWED = (PODS, EVENTS)
"""Kinds that are read in some namespaces where they may not be in all."""


class LiveObjects:
    """Watches until closed.

    Args:
        kube: the cluster.
        sources: what to watch.
        namespaces: where pods and events are read if they may not be in the whole cluster.
        names: what kinds are called where they may not be read; their plural by default.
        retry: seconds after which something that may not be read is tried again.
        on_change: called after every change.

    Attributes:
        unread: what may not be read, by part.
    """

    def __init__(
        self,
        kube: Kube,
        sources: Sequence[Source],
        *,
        namespaces: Sequence[str],
        names: dict[Resource, str],
        retry: float,
        on_change: Callable[[], None],
    ):
        self.unread: dict[str, Unread] = {}
        self._kube = kube
        self._namespaces = namespaces
        self._names = names
        self._retry = retry
        self._on_change = on_change
        self._store = FactStore(sources)
        self._tasks = [asyncio.ensure_future(self._keep(source)) for source in sources]

    async def close(self) -> None:
        """End all watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def lost(self) -> str:
        """Why the API is out of reach now, empty when it is not."""
        return self._store.lost

    def missing(self, *resources: Resource) -> bool:
        """Whether any of these was neither listed nor refused yet."""
        return any(resource in resources for resource, _ in self._store.missing)

    def refused(self) -> frozenset[str]:
        """Return the plural names of the kinds of which nothing may be read."""
        return frozenset(one.resource.partition(".")[0] for one in self.unread.values())

    def objects(self, resource: Resource) -> tuple[Object, ...]:
        """Return the objects of one kind."""
        return self._store.objects(resource)

    def facts(self, namespaces: Sequence[str]) -> Facts:
        """Return what readiness is judged from."""
        return self._store.facts(namespaces)

    async def _keep(self, source: Source) -> None:
        while True:
            try:
                await self._watch(source)
            except BeeyardError as error:
                self._refuse(source, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._retry):
                    await self._make_do(source)

    async def _watch(self, source: Source) -> None:
        async with watched(self._kube, [source]) as events:
            async for event in events:
                if event.kind == "SYNCED":
                    self._allow(source)
                self._store.take(event)
                self._on_change()

    def _allow(self, source: Source) -> None:
        self.unread.pop(self._part(source), None)
        if source in self._wide():
            for name in self._namespaces:
                self._store.give_up((source[0], name))
                self.unread.pop(self._part((source[0], name)), None)

    def _refuse(self, source: Source, error: BeeyardError) -> None:
        self.unread[self._part(source)] = unread(self._part(source), error)
        if source in self._wide():
            for name in self._namespaces:
                self._store.add((source[0], name))
        self._store.give_up(source)
        self._on_change()

    async def _make_do(self, source: Source) -> None:
        """Wait for the next try; meanwhile read pods and events where they may be."""
        if source in self._wide():
            await asyncio.gather(*(self._make_do_with((source[0], name)) for name in self._namespaces))
        await asyncio.sleep(self._retry)

    async def _make_do_with(self, source: Source) -> None:
        try:
            await self._watch(source)
        except BeeyardError as error:
            self._refuse(source, error)

    def _wide(self) -> set[Source]:
        return {(resource, None) for resource in _NARROWED}

    def _part(self, source: Source) -> str:
        resource, namespace = source
        name = self._names.get(resource, resource.plural)
        return name if namespace is None else f"{resource.plural} in {namespace}"
