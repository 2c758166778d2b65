"""The live picture of a cluster: watched where the API can be watched, asked slowly where it cannot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.overview import Overview, Unread
from installer.domain.readiness_rules import Expected, Facts, Judgement, expected_from, judge
from installer.domain.readiness_rules.facts import SYSTEM
from installer.domain.releases import Releases
from installer.domain.status import AgentStatus, HelmStatus, RelayStatus, Status
from installer.domain.status_rules.assemble import Readings, assemble, without_unread
from installer.domain.x509 import Certificate
from installer.ports.cluster import (
    CILIUM_CLUSTERWIDE_POLICIES,
    CILIUM_ENDPOINTS,
    CILIUM_NETWORK_POLICIES,
    CILIUM_NODES,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NETWORK_POLICIES,
    NODES,
    PODS,
    Kube,
    Object,
)
from installer.ports.hubble import Hubbles
from installer.services.agents import agent_pods, ask_agents
from installer.services.cluster_details import Details, Newest, ask_newest, unread
from installer.services.cluster_facts import Source
from installer.services.last_words import LastWords
from installer.services.live_objects import LiveObjects
from installer.services.status import NAMES

T = TypeVar("T")
_EVERYWHERE = (NODES, CILIUM_NODES, *NAMES)
_WORKLOADS = (DAEMON_SETS, DEPLOYMENTS)


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds between two readings.

    Attributes:
        together: changes within this time are shown together.
        agents: the agents' own words, and Relay's.
        slow: configuration, Helm release, versions.
        certificates: certificates.
        refused: what may not be read is tried again.
        lost: what failed because the API is out of reach.
        tick: the picture is made anew where nothing has changed but the time.
    """

    together: float = 0.5
    agents: float = 30.0
    slow: float = 300.0
    certificates: float = 3600.0
    refused: float = 60.0
    lost: float = 5.0
    tick: float = 30.0


@dataclass(slots=True)
class _Known:
    """What the slow readings found."""

    version: str = ""
    config_map: Object | None = None
    helm: HelmStatus | None = None
    agents: tuple[AgentStatus, ...] = ()
    relay: RelayStatus | None = None
    certificates: dict[str, Certificate] = field(default_factory=dict)
    secrets: dict[str, Certificate] = field(default_factory=dict)
    newest_k3s: str = ""


async def follow(
    kube: Kube,
    *,
    namespace: str = SYSTEM,
    hubbles: Hubbles | None = None,
    releases: Releases | None = None,
    newest_k3s: Newest | None = None,
    paces: Paces | None = None,
    wall: Callable[[], float] = time.time,
) -> AsyncGenerator[Overview, None]:
    """Yield the overview now and whenever it has changed, until closed. What cannot be read is part of it.

    Args:
        kube: the cluster.
        namespace: Cilium's namespace.
        hubbles: asks Relay through a port-forward; None leaves it out.
        releases: what is known of Cilium's releases, for update hints.
        newest_k3s: asks the network for the newest k3s; None asks nobody.
        paces: seconds between readings.
        wall: UNIX time.
    """
    follower = _Follower(Details(kube, namespace, hubbles), releases, newest_k3s, paces or Paces(), wall)
    try:
        async with aclosing(follower.overviews()) as overviews:
            async for overview in overviews:
                yield overview
    finally:
        await follower.close()


class _Follower:
    """Keeps the readings current; its tasks end with it."""

    def __init__(
        self,
        details: Details,
        releases: Releases | None,
        newest_k3s: Newest | None,
        paces: Paces,
        wall: Callable[[], float],
    ):
        self._details = details
        self._kube = details.kube
        self._releases = releases
        self._paces = paces
        self._wall = wall
        self._namespaces = sorted({details.namespace, SYSTEM})
        self._known = _Known()
        self._unread: dict[str, Unread] = {}
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._judgement: Judgement | None = None
        self._words = LastWords(self._kube, self._changed.set)
        self._objects = LiveObjects(
            self._kube,
            self._sources(),
            namespaces=self._namespaces,
            names=NAMES,
            retry=paces.refused,
            on_change=self._objects_changed,
        )
        readings = {
            "versions": (self._read_versions, paces.slow),
            "agents": (self._read_agents, paces.agents),
            "certificates": (self._read_certificates, paces.certificates),
        }
        self._pending = set(readings)
        self._tasks = [asyncio.ensure_future(self._repeat(name, *one)) for name, one in readings.items()]
        if newest_k3s is not None:
            self._tasks.append(asyncio.ensure_future(self._ask_newest(newest_k3s)))

    def _sources(self) -> list[Source]:
        found: list[Source] = [(resource, None) for resource in _EVERYWHERE]
        return found + [(resource, name) for resource in _WORKLOADS for name in self._namespaces]

    async def close(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._objects.close(), self._words.close(), return_exceptions=True)

    async def overviews(self) -> AsyncGenerator[Overview, None]:
        """Yield what is new."""
        shown: Overview | None = None
        while True:
            overview = self._overview()
            if overview != shown:
                shown = overview
                yield overview
                await asyncio.sleep(self._paces.together)
            await self._change()

    async def _change(self) -> None:
        """Wait for a change, or until time alone changes something."""
        due = self._judgement.recheck_at if self._judgement is not None else None
        patience = self._paces.tick if due is None else min(self._paces.tick, max(0.0, due - _clock()))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._changed.wait()
        self._changed.clear()

    def _objects_changed(self) -> None:
        if not self._objects.missing(NODES, PODS, CILIUM_NODES, EVENTS, *_WORKLOADS):
            self._ready.set()
        self._changed.set()

    # The slow readings.

    async def _repeat(self, name: str, reading: Callable[[], Awaitable[None]], every: float) -> None:
        await self._ready.wait()
        while True:
            try:
                await reading()
                self._pending.discard(name)
                pause = every
            except ConnectError:  # what is known stays; the watches tell that it may be old
                pause = self._paces.lost
            self._changed.set()
            await asyncio.sleep(pause)

    async def _try(self, part: str, reading: Awaitable[T], otherwise: T) -> T:
        """Return what was read; what cannot be is told, unless the API is out of reach: then the caller tries again."""
        try:
            found = await reading
        except ConnectError:
            raise
        except BeeyardError as error:
            self._unread[part] = unread(part, error)
            return otherwise
        self._unread.pop(part, None)
        return found

    async def _read_versions(self) -> None:
        known, details = self._known, self._details
        known.version = await self._try("version", self._kube.version(), "")
        known.config_map = await self._try("ConfigMap cilium-config", details.config_map(), None)
        known.helm = await self._try("Helm release", details.helm(known.config_map), None)

    async def _ask_newest(self, newest_k3s: Newest) -> None:
        """Ask the network once; that it does not answer says nothing of the cluster."""
        try:
            self._known.newest_k3s = await ask_newest(newest_k3s)
        except BeeyardError as error:
            self._unread["newest k3s"] = unread("newest k3s", error)
        self._changed.set()

    async def _read_agents(self) -> None:
        facts, expected = self._facts()
        self._known.agents = await ask_agents(self._kube, agent_pods(facts, expected))
        self._pending.discard("agents")
        self._changed.set()
        self._known.relay = await self._details.relay(expected)

    async def _read_certificates(self) -> None:
        self._known.certificates = await self._try("certificate of the API", self._kube.certificates(), {})
        self._known.secrets = await self._try("certificates of Cilium", self._details.secrets(), {})

    # The picture.

    def _facts(self) -> tuple[Facts, Expected]:
        facts = self._objects.facts(self._namespaces)
        return facts, expected_from(facts, self._details.namespace)

    def _overview(self) -> Overview:
        status = self._status() if self._ready.is_set() else None
        return Overview(status, self._objects.lost, tuple(sorted(self._pending)))

    def _status(self) -> Status:
        facts, expected = self._facts()
        since = self._judgement.since if self._judgement is not None else {}
        self._judgement = judge(facts, expected, now=_clock(), since=since, logs=self._words.known)
        self._words.want(self._judgement.logs_wanted)
        known, objects = self._known, self._objects.objects
        return assemble(
            Readings(
                server=self._kube.server,
                context=self._kube.context,
                namespace=self._details.namespace,
                facts=facts,
                expected=expected,
                snapshot=without_unread(self._judgement.snapshot, sorted(self._objects.refused())),
                now=self._wall(),
                kubernetes=known.version,
                pods=objects(PODS),
                endpoints=objects(CILIUM_ENDPOINTS),
                cilium_policies=objects(CILIUM_NETWORK_POLICIES),
                clusterwide_policies=objects(CILIUM_CLUSTERWIDE_POLICIES),
                network_policies=objects(NETWORK_POLICIES),
                events=objects(EVENTS),
                agents=known.agents,
                config_map=known.config_map,
                helm=known.helm,
                relay=known.relay,
                certificates={**known.certificates, **known.secrets},
                releases=self._releases,
                newest_k3s=known.newest_k3s,
                unread=[*self._objects.unread.values(), *self._unread.values()],
            )
        )


def _clock() -> float:
    return asyncio.get_running_loop().time()
