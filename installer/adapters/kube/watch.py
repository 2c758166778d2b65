"""List and watch, several resources merged into one stream, for as long as it takes.

A watch is asked for in spans of a minute, each continuing where the last one ended, so that a connection that died
silently is noticed soon after the span's end (and sooner by TCP keepalive). After a loss the collection is listed
again. A resource type that does not exist is an empty collection; its CRD is watched until it is served.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from installer.adapters.kube.collection import Selection, list_all
from installer.adapters.kube.errors import AbsentError, GoneError, Target, status_error
from installer.adapters.kube.transport import Transport
from installer.domain.errors import BeeyardError, ConnectError
from installer.ports.cluster import CRDS, Resource, WatchEvent

SPAN_SECONDS = 60
SILENCE_SECONDS = SPAN_SECONDS + 10.0
_BACKOFF = (0.1, 0.2, 0.4, 0.7, 1.0)
_QUEUE = 4096
_PASSING = ("E-KUBE-003", "E-KUBE-005", "E-KUBE-008")
"""Refusals that a server which is just starting gives for a moment (RBAC not loaded yet, storage not ready)."""


class WatchStream:
    """An async iterator of ``WatchEvent``; watching starts with the first step and ends with ``aclose``.

    Raises (from the iteration):
        BeeyardError: ``E-KUBE-003`` if the first list of a resource is forbidden.
        ConnectError: with ``reconnect`` off, any loss.
    """

    def __init__(self, transport: Transport, selections: Sequence[Selection], *, reconnect: bool = True):
        self._watches = [_Watch(transport, selection, reconnect=reconnect) for selection in selections]
        self._queue: asyncio.Queue[WatchEvent | BaseException] = asyncio.Queue(_QUEUE)
        self._tasks: list[asyncio.Future[None]] = []
        self._closed = False

    def __aiter__(self) -> WatchStream:
        """Return itself."""
        return self

    async def __anext__(self) -> WatchEvent:
        """Return the next event."""
        if self._closed:
            raise StopAsyncIteration
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(self._pump(watch)) for watch in self._watches]
        item = await self._queue.get()
        if isinstance(item, BaseException):
            await self.aclose()
            raise item
        return item

    async def _pump(self, watch: _Watch) -> None:
        try:
            async for event in watch.events():
                await self._queue.put(event)
        except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
            await self._queue.put(error)

    async def aclose(self) -> None:
        """End all watches."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Watch:
    """One resource."""

    def __init__(self, transport: Transport, selection: Selection, *, reconnect: bool):
        self._transport = transport
        self._selection = selection
        self._reconnect = reconnect
        self._synced = False
        self._losses = 0

    def _event(self, kind: str, **content: Any) -> WatchEvent:
        return WatchEvent(kind, self._selection.resource, namespace=self._selection.namespace, **content)

    async def events(self) -> AsyncIterator[WatchEvent]:
        while True:
            try:
                async for event in self._list_and_follow():
                    yield event
            except BeeyardError as error:
                if not self._is_passing(error):
                    raise
                if self._losses == 0:
                    yield self._event("LOST", message=f"{error.what}: {error.why}")
                await asyncio.sleep(self._pause())

    def _is_passing(self, error: BeeyardError) -> bool:
        lost = isinstance(error, ConnectError) or error.code in _PASSING
        never_allowed = not self._synced and error.code in _PASSING
        return self._reconnect and lost and not never_allowed

    def _pause(self) -> float:
        seconds = _BACKOFF[min(self._losses, len(_BACKOFF) - 1)]
        self._losses += 1
        return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads clients, no secret

    async def _list_and_follow(self) -> AsyncIterator[WatchEvent]:
        """One list and what follows it; ends when a new list is needed."""
        try:
            objects, version = await list_all(self._transport, self._selection)
            yield self._sync(objects)
            async for event in self._follow(version):
                yield event
        except GoneError:
            return
        except AbsentError:
            if not self._synced or self._losses:
                yield self._sync([])
            await _Crd(self._transport, self._selection.resource).served()

    def _sync(self, objects: Sequence[dict[str, Any]]) -> WatchEvent:
        self._synced, self._losses = True, 0
        return self._event("SYNCED", objects=tuple(objects))

    async def _follow(self, version: str) -> AsyncIterator[WatchEvent]:
        while True:
            started = asyncio.get_running_loop().time()
            async for change in follow_once(self._transport, self._selection, version):
                version = change["object"]["metadata"].get("resourceVersion") or version
                if change["type"] != "BOOKMARK":
                    yield self._event(change["type"], object=change["object"])
            if asyncio.get_running_loop().time() - started < _BACKOFF[-1]:
                raise ConnectError("the watch ended at once", why="closed by the server", code="E-KUBE-001")


async def follow_once(transport: Transport, selection: Selection, version: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the raw watch events after ``version`` until the server ends the span.

    Raises:
        GoneError: the version is too old.
        AbsentError: the resource type is not there (any more).
        BeeyardError: see ``installer.adapters.kube``.
    """
    options = [("resourceVersion", version), ("timeoutSeconds", str(SPAN_SECONDS)), ("allowWatchBookmarks", "true")]
    request = selection.request("watch", ("watch", "true"), *options)
    async with transport.stream(request, silence=SILENCE_SECONDS) as response:
        async for line in _lines(response.content.iter_any()):
            change = json.loads(line)
            if change["type"] == "ERROR":
                raise _watch_error(transport.server, request.target, change["object"])
            yield change


def _watch_error(server: str, target: Target, status: dict[str, Any]) -> Exception:
    return status_error(server, target, int(status.get("code") or 500), json.dumps(status))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Split chunks into lines of any length."""
    parts: list[bytes] = []
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = b"".join([*parts, end])
            parts.clear()
            if line:
                yield line
        if rest:
            parts.append(rest)


class _Crd:
    """Waits for a custom resource type to be served."""

    def __init__(self, transport: Transport, resource: Resource):
        group = resource.api.rpartition("/")[0]
        self._transport = transport
        self._selection = Selection(CRDS, fields=f"metadata.name={resource.plural}.{group}")

    async def served(self) -> None:
        """Return when its CRD is established; where CRDs may not be watched, after a second."""
        try:
            await self._established()
        except (GoneError, AbsentError):
            return
        except BeeyardError as error:
            if error.code != "E-KUBE-003":
                raise
            await asyncio.sleep(_BACKOFF[-1])

    async def _established(self) -> None:
        crds, version = await list_all(self._transport, self._selection)
        if any(map(_is_established, crds)):
            await asyncio.sleep(_BACKOFF[0])  # established, yet the type was missing: its handler is on its way
            return
        while True:
            async with aclosing(follow_once(self._transport, self._selection, version)) as changes:
                async for change in changes:
                    version = change["object"]["metadata"].get("resourceVersion") or version
                    if change["type"] in ("ADDED", "MODIFIED") and _is_established(change["object"]):
                        return


def _is_established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
