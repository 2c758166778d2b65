"""A watch that ends when nobody reads it any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from installer.ports.cluster import Kube, Resource, WatchEvent


@asynccontextmanager
async def watched(
    kube: Kube, sources: Sequence[tuple[Resource, str | None]]
) -> AsyncIterator[AsyncIterator[WatchEvent]]:
    """Watch several (resource, namespace or None); at the end of the block the requests end too."""
    events = kube.watch(sources)
    try:
        yield events
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
