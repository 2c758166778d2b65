"""The tap beside Hubble and the policies: what the Kernel screen shows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.domain.errors import BeeyardError
from installer.domain.flows.feed import Connected, Disconnected, Flows, Notice, Told
from installer.domain.flows.flow import Flow
from installer.domain.flows.times import SECOND, from_ns
from installer.domain.tap.board import Board
from installer.domain.tap.board_drops import DistinctDrop
from installer.domain.tap.board_drops import Key as DropKey
from installer.domain.tap.compare import Comparison, Result
from installer.domain.tap.directory import NETNS
from installer.domain.tap.doctor import Doctor
from installer.ports.cluster import NODES
from installer.services.flow_feed import FeedChoice, FeedRequest, FlowFeeds
from installer.services.policies.follow import follow_world

if TYPE_CHECKING:
    from installer.ports.cluster import Kube

GRACE = 3.0
"""Seconds by which Hubble may tell later what the kernel saw."""
MOST_COMPARED = 20_000
"""Connections compared, beyond which comparing begins anew."""
EXPLAINED = 200
"""Distinct drops, the newest, that are explained."""


@dataclass(frozen=True, slots=True)
class TapWish:
    """What is watched.

    Attributes:
        routine: also drops that are no losses, such as leftovers of closed sockets.
        interval: seconds between two counts.
    """

    routine: bool = False
    interval: float = 1.0


TapFeeds = Callable[[TapWish, "Kube | None"], AsyncGenerator[Told, None]]
"""Starts the tap of this host, named by a cluster where there is one; closing the generator detaches it.

Raises ``RefusedError`` ``E-BPF-001`` to ``-009`` where this host cannot, ``BeeyardError`` ``E-BPF-010`` where its
process ended.
"""


@dataclass(slots=True)
class Companion:
    """What stands beside the tap.

    Attributes:
        word: ``off``, ``waiting``, ``there`` or ``away``.
        why: why it is away.
    """

    word: str = "off"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """What the kernel and Hubble told, side by side.

    Attributes:
        result: connections that both told, and those that one did.
        since: UNIX time from which on both were heard.
    """

    result: Result
    since: float


class KernelWatch:
    """Runs the tap, and keeps what it tells.

    Args:
        taps: starts the tap.
        hubbles: opens Hubble, None where there is none.
        now: UNIX time.
        host: name of this host.

    Attributes:
        word: ``off``, ``starting``, ``on``, ``stopping``, ``failed`` or ``ended``.
        trouble: what it failed with.
        source: name of the tap.
        notes: consequences of what is missing here.
        board: what was told, put together.
        doctor: explains drops.
        hubble: whether it is heard.
        policies: whether they are known.
        foreign: this host is no node of the cluster that is connected.
        version: grows with everything that is told.
    """

    def __init__(self, taps: TapFeeds, hubbles: FlowFeeds | None, now: Callable[[], float], host: str = "") -> None:
        self._taps, self._hubbles, self._now, self._host = taps, hubbles, now, host
        self.word = "off"
        self.trouble: BeeyardError | None = None
        self.source = ""
        self.notes: deque[str] = deque(maxlen=50)
        self.doctor = Doctor()
        self.hubble = Companion()
        self.policies = Companion()
        self.foreign = False
        self.version = 0
        self._turn = asyncio.Lock()
        self._explained: dict[DropKey, tuple[int, tuple[str, ...]]] = {}
        self._learned = 0
        self.board = Board()
        self.clear()

    def clear(self) -> None:
        """Forget what was told."""
        self.board = Board(self.board.traffic.interval)
        self._compare_anew()
        self._explained.clear()
        self.version += 1

    def _compare_anew(self) -> None:
        self._pods: set[str] = set()
        self._compared = 0
        self._heard = 0.0
        self._comparison = Comparison(self._pods.__contains__)

    @property
    def running(self) -> bool:
        """Whether the tap is at work, or about to be."""
        return self.word in ("starting", "on")

    async def run(self, wish: TapWish, kube: Kube | None) -> None:
        """Keep the tap at work until this is cancelled, or the tap ends; its failure is kept in ``trouble``.

        One that is still ending is waited for.
        """
        async with self._turn:
            await self._run(wish, kube)

    async def _run(self, wish: TapWish, kube: Kube | None) -> None:
        self.word, self.trouble, self.board.traffic.interval = "starting", None, wish.interval
        self.notes.clear()
        self._compare_anew()
        companions = [asyncio.ensure_future(one) for one in self._companions(kube)]
        word = "off"
        try:
            async with aclosing(self._taps(wish, kube)) as told:
                async for item in told:
                    self._take(item)
                    await asyncio.sleep(0)  # let the screen have its turn between two portions
            word = "ended"
        except BeeyardError as error:
            word, self.trouble = "failed", error
        finally:
            self.word = word
            self.version += 1
            for task in companions:
                task.cancel()
            await asyncio.gather(*companions, return_exceptions=True)
            self.hubble, self.policies = Companion(), Companion()

    async def ended(self) -> None:
        """Wait until a tap that is to end has ended."""
        async with self._turn:
            pass

    def _take(self, told: Told) -> None:
        self.version += 1
        match told:
            case Flows(answers):
                self.word = "on"
                self.board.take(answers, self._now())
                if self._heard:
                    self._compare(self._comparison.kernel, [one.flow for one in answers if one.flow is not None])
            case Connected(source):
                self.word, self.source = "on", source
            case Notice(_, text, why):
                self.notes.append(" ".join(part for part in (text, why) if part))
            case _:
                pass

    # What stands beside it

    def _companions(self, kube: Kube | None) -> list[Coroutine[Any, Any, None]]:
        self.hubble, self.policies, self.foreign = Companion(), Companion(), False
        if kube is None:
            return []
        found = [self._beside(self.policies, self._follow_policies(kube)), self._look_for_node(kube)]
        if self._hubbles is not None:
            found.append(self._beside(self.hubble, self._hear(self._hubbles, kube)))
        return found

    async def _beside(self, companion: Companion, work: Coroutine[Any, Any, None]) -> None:
        companion.word = "waiting"
        try:
            await work
        except BeeyardError as error:
            companion.word, companion.why = "away", error.what
            self.version += 1

    async def _follow_policies(self, kube: Kube) -> None:
        async for seen in follow_world(kube):
            self._pods.update(address for pod in seen.world.pods for address in pod.addresses)
            await asyncio.to_thread(self.doctor.learn_world, seen.world)
            self.policies.word = "there"
            self._learned += 1
            self.version += 1

    async def _look_for_node(self, kube: Kube) -> None:
        try:
            nodes = await kube.list(NODES)
        except BeeyardError:
            return
        names = {str((node.get("metadata") or {}).get("name", "")).lower() for node in nodes}
        self.foreign = bool(names) and bool(self._host) and self._host.lower() not in names
        self.version += 1

    async def _hear(self, hubbles: FlowFeeds, kube: Kube) -> None:
        async with aclosing(hubbles(FeedRequest(FeedChoice("relay")), kube)) as told:
            async for item in told:
                match item:
                    case Flows(answers):
                        self._learn([one.flow for one in answers if one.flow is not None])
                        await asyncio.sleep(0)
                    case Connected():
                        self.hubble.word, self.hubble.why = "there", ""
                    case Disconnected(error):
                        self.hubble.word, self.hubble.why = "away", error.what
                    case _:
                        continue
                self.version += 1

    def _learn(self, flows: list[Flow]) -> None:
        self.hubble.word = "there"
        self._heard = self._heard or self._now()
        for flow in flows:
            self.doctor.learn_flow(flow)
        self._compare(self._comparison.hubble, flows)

    # Comparing

    def _compare(self, take: Callable[[Iterable[Flow]], None], flows: list[Flow]) -> None:
        for flow in flows:
            for endpoint, address in _ends(flow):
                if endpoint.pod_name and endpoint.namespace != NETNS:
                    self._pods.add(address)
        take(flows)
        if len(self._comparison) > MOST_COMPARED:
            self._compare_anew()

    async def compare(self) -> Compared | None:
        """Return what only one side told; None as long as Hubble told nothing."""
        if not self._heard:
            return None
        since, until = self._heard, self._now() - GRACE
        snapshot = self._comparison.snapshot()
        result = await asyncio.to_thread(snapshot.result, _time(since), _time(until))
        return Compared(result, since)

    # Explaining

    def explanation(self, drop: DistinctDrop) -> tuple[str, ...]:
        """Return what is known of why it was dropped; empty as long as nobody looked."""
        return self._explained.get(drop.key, (0, ()))[1]

    async def explain(self) -> bool:
        """Explain the newest drops that were not explained yet, or not with what is known now; tell whether any was."""
        drops = self.board.drops.distinct()[:EXPLAINED]
        stale = [one for one in drops if self._explained.get(one.key, (-1, ()))[0] != self._state(one)]
        for one in stale:
            state = self._state(one)
            lines = await asyncio.to_thread(self.doctor.explain, one.flow)
            self._explained[one.key] = state, tuple(lines)
        known = {one.key for one in self.board.drops.distinct()}
        for key in [key for key in self._explained if key not in known]:
            del self._explained[key]
        return bool(stale)

    def _state(self, drop: DistinctDrop) -> int:
        """Return a number that changes when an explanation may change."""
        return 2 * self._learned + int(self.doctor.heard(drop.flow))


def _ends(flow: Flow) -> list[tuple[Any, str]]:
    if flow.ip is None:
        return []
    ends = ((flow.source, flow.ip.source), (flow.destination, flow.ip.destination))
    return [(endpoint, address) for endpoint, address in ends if endpoint is not None]


def _time(seconds: float) -> str:
    return from_ns(int(seconds * SECOND))
