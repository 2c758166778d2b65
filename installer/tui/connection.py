"""The connection to the cluster: it is kept up, and every screen hears of its changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from installer.domain.errors import BeeyardError
from installer.services.cockpit import ClusterVersions

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.ports.contexts import ContextInfo
    from installer.services.cockpit import CockpitServices

State = Literal["absent", "connecting", "connected", "lost", "refused"]
LOOK_EVERY = 5.0
"""Seconds between two looks at a cluster that answers."""
_REFUSED = ("E-KUBE-003", "E-KUBE-005")
_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0)
_LONGEST = 30.0
_VERSIONS_EVERY = 12


class ConnectionChanged(Message):
    """The connection is another one, or in another state.

    Attributes:
        state: the new state.
    """

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    def can_replace(self, message: Message) -> bool:
        """Let only the newest state count."""
        return isinstance(message, ConnectionChanged)


class Connection:
    """The current cluster.

    While it is lost, ``kube`` stays: watches on it come back by themselves with the cluster.

    Attributes:
        target: the context that was chosen, None for the usual one.
        kube: the open connection, None before there is one.
        state: ``absent`` no kubeconfig; ``connecting`` the first try; ``connected``; ``lost`` out of reach, tried
            again by itself; ``refused`` credentials or permissions are not enough.
        error: why it is not connected.
        versions: what runs there.
        retry_in: seconds until the next try, 0 while trying.
    """

    def __init__(self, services: CockpitServices, changed: Callable[[], None]):
        self.target: ContextInfo | None = None
        self.kube: Kube | None = None
        self.state: State = "connecting"
        self.error: BeeyardError | None = None
        self.versions = ClusterVersions()
        self.retry_in = 0.0
        self._services = services
        self._changed = changed
        self._now = asyncio.Event()

    @property
    def context(self) -> str:
        """Name of the context in use, empty where there is none."""
        if self.target is not None:
            return self.target.name
        return self.kube.context if self.kube is not None else ""

    @property
    def alarming(self) -> bool:
        """Whether something is wrong; having no kubeconfig is not."""
        absent = self.state == "absent" and not self._services.has_kubeconfig()
        return self.error is not None and self.state not in ("connecting", "connected") and not absent

    def retry(self) -> None:
        """Try at once instead of when the waiting time is over; a connection that stands is looked at."""
        self._now.set()

    async def keep(self, target: ContextInfo | None) -> None:
        """Connect and stay connected until cancelled."""
        self.target, self.versions = target, ClusterVersions()
        self._set("connecting", None)
        delays = _delays()
        try:
            while True:
                if await self._open():
                    delays = _delays()
                    await self._watch_over()
                else:
                    await self._wait(next(delays))
        finally:
            await self._close()

    async def _open(self) -> bool:
        """Make ``kube`` usable: the old one where it answers again, else a new one."""
        if self.kube is not None and await self.kube.healthy():
            return True
        try:
            kube = await self._services.connect(self.target)
        except BeeyardError as error:
            self._set(_state_for(error), error)
            return False
        await self._close()
        self.kube = kube
        return True

    async def _watch_over(self) -> None:
        """Stay until the cluster does not answer any more."""
        assert self.kube is not None
        self._set("connected", None)
        looks = 0
        while True:
            if looks % _VERSIONS_EVERY == 0:
                await self._read_versions(self.kube)
            await self._wait(LOOK_EVERY)
            looks += 1
            if not await self.kube.healthy() and (error := await _why(self.kube)):
                self._set(_state_for(error), error)
                return

    async def _read_versions(self, kube: Kube) -> None:
        with suppress(BeeyardError):
            versions = await self._services.versions(kube)
            if versions != self.versions:
                self.versions = versions
                self._changed()

    async def _wait(self, seconds: float) -> None:
        """Wait, or until somebody wants it now."""
        self.retry_in = seconds if self.state != "connected" else 0.0
        pause = asyncio.ensure_future(self._services.pause(seconds))
        now = asyncio.ensure_future(self._now.wait())
        try:
            await asyncio.wait((pause, now), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pause, now):
                task.cancel()
            self._now.clear()

    def _set(self, state: State, error: BeeyardError | None) -> None:
        before = self.state, self.error and str(self.error)
        self.state, self.error = state, error
        if before != (state, error and str(error)) or state == "connecting":
            self._changed()

    async def _close(self) -> None:
        kube, self.kube = self.kube, None
        if kube is not None:
            with suppress(BeeyardError):
                await kube.close()


def _delays() -> Iterator[float]:
    return chain(_DELAYS, repeat(_LONGEST))


def _state_for(error: BeeyardError) -> State:
    if error.code == "E-KUBE-002":
        return "absent"
    return "refused" if error.code in _REFUSED else "lost"


async def _why(kube: Kube) -> BeeyardError | None:
    """Return why a cluster does not answer, None when it does after all."""
    try:
        await kube.version()
    except BeeyardError as error:
        return None if error.code == "E-KUBE-003" else error
    return None
