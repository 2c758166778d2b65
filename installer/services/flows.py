"""Flows from Hubble, for as long as they are wanted: over restarts of Relay, lost nodes and older servers.

What is told (``domain.flows.feed``) is the truth as far as it can be known: every flow once, and where some may be
missing, from when to when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, UsageError
from installer.domain.flows.continuity import Continuity
from installer.domain.flows.feed import Connected, Disconnected, FeedCounts, Flows, Notice, Told
from installer.domain.flows.flow import Answer
from installer.domain.flows.mask import DEFAULT_MASK, smaller
from installer.domain.flows.node_watch import NodeWatch
from installer.domain.flows.ordering import SECOND, OrderingWindow, nanoseconds
from installer.ports.flows import FlowRequest
from installer.ports.hubble import Hubble

OpenHubble = Callable[[], AbstractAsyncContextManager[Hubble]]
MASK_REFUSED, NO_METHOD = "E-HUBBLE-007", "E-HUBBLE-005"
PASSING = frozenset({"E-HUBBLE-008", "E-HUBBLE-010", "E-KUBE-004", "E-KUBE-009"})
"""Errors, besides those of connections, that pass when Relay is back."""
STANDING = frozenset({"E-HUBBLE-012", "E-HUBBLE-013", "E-KUBE-002", "E-KUBE-005"})
"""Errors of connections that do not pass by themselves."""
RING = "HUBBLE_RING_BUFFER"
WAITING = 4
"""Batches that may wait for the reader of a feed; then the source is not read on."""


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How a feed behaves.

    Attributes:
        order_seconds: how long a followed flow waits for earlier ones of other nodes; 0: not at all.
        poll_seconds: how often the nodes are asked for; 0: never.
        delays: seconds before each further try after a loss; the last one repeats.
        patient: keep trying although the first try failed.
        mask: fields to ask for; a request's own mask goes first. Empty: all fields.
    """

    order_seconds: float = 0.3
    poll_seconds: float = 15.0
    delays: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    patient: bool = False
    mask: tuple[str, ...] = DEFAULT_MASK


@dataclass(slots=True)
class FlowFeed:
    """One stream of flows from one Hubble.

    Attributes:
        open: connects to it anew; called again after every loss, so it finds a new pod by itself.
        options: behaviour.
        wall: UNIX time in nanoseconds.
        counts: what happened so far.
    """

    open: OpenHubble
    options: FeedOptions = field(default_factory=FeedOptions)
    wall: Callable[[], int] = time.time_ns
    counts: FeedCounts = field(default_factory=FeedCounts)
    _continuity: Continuity = field(default_factory=Continuity)
    _masks: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _last: int = 0
    _edge_told: bool = False

    def events(self, request: FlowRequest) -> AsyncGenerator[Told, None]:
        """Tell flows, and what happens to the stream. Whoever stops early closes the generator.

        Raises:
            BeeyardError: what the first connection says (unless ``patient``), or what no further try can mend.
        """
        request = replace(request, mask=request.mask or self.options.mask)
        if not request.follow:
            return self._once(request)
        if request.first:
            raise UsageError(
                "The oldest flows cannot be followed",
                why="first cannot be specified with follow",
                fix="Leave --first or --follow out.",
                code="E-HUBBLE-006",
            )
        return self._follow(request)

    async def _once(self, request: FlowRequest) -> AsyncGenerator[Told, None]:
        async with self.open() as hubble:
            yield Connected(hubble.name)
            async with aclosing(self._past(hubble, request)) as past:
                async for told in past:
                    yield told

    async def _past(self, hubble: Hubble, request: FlowRequest) -> AsyncGenerator[Told, None]:
        async with aclosing(self._batches(hubble, request)) as batches:
            async for batch in batches:
                if isinstance(batch, Notice):
                    yield batch
                    continue
                for told in self._judged(batch, whole_ring=True):
                    yield told

    async def _follow(self, request: FlowRequest) -> AsyncGenerator[Told, None]:
        attempt, reached = 0, False
        while True:
            try:
                async with self.open() as hubble, aclosing(self._session(hubble, request, again=reached)) as session:
                    async for told in session:
                        attempt, reached = (0, True) if isinstance(told, Connected | Flows) else (attempt, reached)
                        yield told
            except BeeyardError as error:
                if not self._passes(error, reached=reached):
                    raise
                delay = self.options.delays[min(attempt, len(self.options.delays) - 1)]
                attempt += 1
                self._continuity.lose()
                yield Disconnected(error, delay, attempt)
                await asyncio.sleep(delay)

    def _passes(self, error: BeeyardError, *, reached: bool) -> bool:
        """Tell whether another try may succeed."""
        if error.code in STANDING or not (reached or self.options.patient):
            return False
        return isinstance(error, ConnectError | DeadlineError) or error.code in PASSING

    async def _session(self, hubble: Hubble, request: FlowRequest, *, again: bool) -> AsyncGenerator[Told, None]:
        """Tell what one connection gives; it ends with the error that ended it."""
        await hubble.status()
        yield Connected(hubble.name, again)
        self.counts.reconnects += again
        if again:
            live = self._resumed(request)
        elif request.number or request.since is not None:
            async with aclosing(self._past(hubble, replace(request, follow=False, until=None))) as past:
                async for told in past:
                    yield told
            self._continuity.end_history(limited=bool(request.number) and request.since is None)
            live = self._resumed(request)
        else:
            self._last = self.wall()
            self._continuity.start_live(self._last)
            live = replace(request, number=1)
        async with aclosing(self._live(hubble, live)) as stream:
            async for told in stream:
                yield told

    def _resumed(self, request: FlowRequest) -> FlowRequest:
        """Return the request that goes on where the last answer was.

        ``number=1`` keeps Relay's queue short: with 0 it waits for a second of silence before it sends what it sorted.
        """
        since = self._continuity.resume(self._last or self.wall()) / SECOND
        return replace(request, number=1, since=since if request.since is None else max(since, request.since))

    async def _live(self, hubble: Hubble, request: FlowRequest) -> AsyncGenerator[Told, None]:
        window = OrderingWindow(self.options.order_seconds)
        queue: asyncio.Queue[Told | Sequence[Answer] | BeeyardError] = asyncio.Queue(WAITING)
        async with _tasks(self._pump(hubble, request, queue), self._poll(hubble, queue)):
            while True:
                item = await self._next(queue, window)
                now = self.wall()
                if isinstance(item, BeeyardError):
                    for told in self._told(window.flush()):
                        yield told
                    raise item
                if isinstance(item, Sequence):
                    for told in self._judged(item, window=window):
                        yield told
                elif item is not None:
                    yield item
                for told in self._told(window.release(now)):
                    yield told
                self.counts.late += window.late
                window.late = 0

    async def _next(
        self, queue: asyncio.Queue[Told | Sequence[Answer] | BeeyardError], window: OrderingWindow
    ) -> Told | Sequence[Answer] | BeeyardError | None:
        """Wait for the next item; None when it is time to release what is held."""
        due = window.due
        wait = None if due is None else max(due - self.wall(), 0) / SECOND
        try:
            async with asyncio.timeout(wait):
                return await queue.get()
        except TimeoutError:
            return None

    async def _pump(
        self, hubble: Hubble, request: FlowRequest, queue: asyncio.Queue[Told | Sequence[Answer] | BeeyardError]
    ) -> None:
        try:
            async with aclosing(self._batches(hubble, request)) as batches:
                async for batch in batches:
                    await queue.put(batch)
            why = "the server ended the stream; it is probably being restarted"
            fix = "Nothing: it is tried again. `beeyard status` tells how Relay is."
            await queue.put(ConnectError(f"{hubble.name} went away", why=why, fix=fix, code="E-HUBBLE-001"))
        except BeeyardError as error:
            await queue.put(error)

    async def _poll(self, hubble: Hubble, queue: asyncio.Queue[Told | Sequence[Answer] | BeeyardError]) -> None:
        """Ask for the nodes now and then: Relay does not tell of those that leave or return in mid-stream."""
        watch = NodeWatch()
        while self.options.poll_seconds:
            try:
                nodes = await hubble.nodes()
            except BeeyardError as error:
                if error.code == NO_METHOD:  # an agent: it is the only node
                    return
            else:
                changed = watch.changed({node.name: node.state for node in nodes})
                if changed:
                    await queue.put(changed)
            await asyncio.sleep(self.options.poll_seconds)

    async def _batches(self, hubble: Hubble, request: FlowRequest) -> AsyncGenerator[Sequence[Answer] | Notice, None]:
        """Read a stream; with a smaller mask, now and ever after, when a server does not know a field of it."""
        while True:
            mask = self._masks.get(request.mask, request.mask)
            try:
                async with aclosing(hubble.batches(replace(request, mask=mask))) as batches:
                    async for batch in batches:
                        if mask:
                            _check_mask(batch)
                        yield batch
                    return
            except BeeyardError as error:
                if error.code != MASK_REFUSED or not mask:
                    raise
                first = request.mask not in self._masks
                self._masks[request.mask] = smaller(mask)
                if first:
                    yield Notice(error.code, "A server does not know every field asked for; it is asked for fewer")

    def _judged(
        self, batch: Sequence[Answer], *, window: OrderingWindow | None = None, whole_ring: bool = False
    ) -> list[Told]:
        """Drop doubles, find gaps, count losses; what is left goes into the window, or out if there is none."""
        now = self._last = self.wall()
        kept: list[Answer] = []
        told: list[Told] = []
        for answer in batch:
            wanted, gap = self._continuity.judge(answer, now)
            if gap:
                self.counts.gaps += 1
                told.append(gap)
            if wanted:
                kept.append(answer)
                if answer.flow is None:
                    told += self._noted(answer, whole_ring=whole_ring)
        self.counts.doubles = self._continuity.doubles
        if kept and (newest := nanoseconds(kept[-1].time)):
            self.counts.lag_seconds = (now - newest) / SECOND
        if window is None:
            return told + self._told(kept)
        window.add(kept, now)
        return told

    def _told(self, answers: list[Answer]) -> list[Told]:
        self.counts.flows += sum(1 for answer in answers if answer.flow)
        return [Flows(answers)] if answers else []

    def _noted(self, answer: Answer, *, whole_ring: bool) -> list[Told]:
        """Take note of lost events and of nodes that Relay lost."""
        if answer.node_status and answer.node_status.state_change == "NODE_ERROR":
            for name in answer.node_status.node_names:
                self._continuity.lose(name)
        lost = answer.lost_events
        if lost is None:
            return []
        number = int(lost.num_events_lost or 0)
        if not (whole_ring and lost.source == RING and number == 1):
            self.counts.lost += number
            return []
        if self._edge_told:
            return []
        self._edge_told = True
        why = "The whole ring was read, and its oldest entry was being overwritten. It says nothing about lost traffic."
        return [Notice("N-FLOW-001", "One event lost in HUBBLE_RING_BUFFER is the edge of the ring, not a loss", why)]


def _check_mask(batch: Sequence[Answer]) -> None:
    """Relay tells in its stream that one of the agents does not know a field."""
    for answer in batch:
        if answer.node_status and "invalid fieldmask" in answer.node_status.message.lower():
            names = ", ".join(answer.node_status.node_names)
            why = f"{names}: {answer.node_status.message}"
            raise BeeyardError("An agent does not know a field that was asked for", why=why, code=MASK_REFUSED)


@asynccontextmanager
async def _tasks(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run coroutines beside a block, and end them with it."""
    running = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
