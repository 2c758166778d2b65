"""Keeps a cluster's policies current for the desk: all is read once, then policies are watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.policy.world import World, key_of
from installer.ports.cluster import Kube, Resource, WatchEvent
from installer.services.policies.world import POLICIES, read_world
from installer.services.watching import watched

_GATHER = 0.05
"""Seconds in which changes that come together are told together."""
AGAIN = 30.0
"""Seconds after which pods, namespaces and services are read again."""
_KINDS = {resource: kind for kind, resource in POLICIES.items()}


@dataclass(frozen=True, slots=True)
class Seen:
    """The cluster as it is now.

    Attributes:
        world: all that was read.
        lost: why watching stands still, empty when it does not.
    """

    world: World
    lost: str = ""


async def follow_world(
    kube: Kube, *, again: float = AGAIN, cilium_namespace: str = "kube-system"
) -> AsyncGenerator[Seen, None]:
    """Yield the cluster now and after every change of a policy, and the rest of it every ``again`` seconds.

    Raises:
        ConnectError: the cluster is out of reach at the beginning.
    """
    world = await read_world(kube, cilium_namespace=cilium_namespace)
    yield Seen(world)
    changes = _Changes(kube, world)
    try:
        while True:
            changed = await changes.wait(again)
            if not changed:
                with suppress(BeeyardError):  # watching tells of the loss
                    fresh = await read_world(kube, cilium_namespace=cilium_namespace)
                    world = replace(fresh, objects=changes.keep_known(fresh.objects))
            else:
                world = replace(world, objects=changes.objects())
            yield Seen(world, changes.lost)
    finally:
        await changes.close()


class _Changes:
    """The policies as the watches tell them, one watch a kind: one that may not be read hides no other."""

    def __init__(self, kube: Kube, world: World):
        self.lost = ""
        self._known: dict[Resource, dict[tuple[str, str, str], dict[str, Any]]] = {one: {} for one in _KINDS}
        for raw in world.objects:
            self._known[POLICIES[str(raw["kind"])]][key_of(raw)] = dict(raw)
        self._event = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._keep(kube, resource)) for resource in _KINDS]

    def objects(self) -> tuple[dict[str, Any], ...]:
        """Return all policies; those that did not change are the same objects as before."""
        return tuple(raw for found in self._known.values() for raw in found.values())

    def keep_known(self, fresh: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
        """Take over what was listed, but keep objects that are the same."""
        for resource, known in self._known.items():
            listed = {key_of(raw): raw for raw in fresh if POLICIES[str(raw["kind"])] == resource}
            self._known[resource] = {key: _older(known.get(key), raw) for key, raw in listed.items()}
        return self.objects()

    async def wait(self, seconds: float) -> bool:
        """Wait for a change; tell whether there was one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        changed = self._event.is_set()
        if changed:
            await asyncio.sleep(_GATHER)
            self._event.clear()
        return changed

    async def close(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, kube: Kube, resource: Resource) -> None:
        with suppress(BeeyardError):  # it may not be read: the world says so in ``unread``
            async with watched(kube, [(resource, None)]) as events:
                async for event in events:
                    if self._take(event, resource):
                        self._event.set()

    def _take(self, event: WatchEvent, resource: Resource) -> bool:
        known = self._known[resource]
        if event.kind == "LOST":
            changed, self.lost = self.lost != event.message, event.message
            return changed
        if event.kind == "SYNCED":
            listed = {key_of(raw): raw for raw in (_whole(one, resource) for one in event.objects)}
            fresh = {key: _older(known.get(key), raw) for key, raw in listed.items()}
            changed = bool(self.lost) or list(map(id, fresh.values())) != list(map(id, known.values()))
            self.lost, self._known[resource] = "", fresh
            return changed
        raw = _whole(event.object or {}, resource)
        if event.kind == "DELETED":
            return known.pop(key_of(raw), None) is not None
        known[key_of(raw)] = raw
        return True


def _whole(raw: dict[str, Any], resource: Resource) -> dict[str, Any]:
    return {**raw, "apiVersion": resource.api, "kind": _KINDS[resource]}


def _older(known: dict[str, Any] | None, raw: dict[str, Any]) -> dict[str, Any]:
    """Return the object that was known already where it is the same version."""
    if known is None:
        return raw
    versions = [(one.get("metadata") or {}).get("resourceVersion") for one in (known, raw)]
    return known if versions[0] == versions[1] is not None else raw
