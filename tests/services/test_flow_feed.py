"""The feed of flows over a real gRPC server that is stopped, hung, restarted and older than we are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from installer.adapters.hubble.client import GrpcHubble, GrpcHubbles
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, UsageError
from installer.domain.flows.feed import Connected, Disconnected, Flows, Gap, NodesChanged, Notice, Told
from installer.domain.flows.mask import DEFAULT_MASK, OLDER_MASK
from installer.domain.flows.ordering import SECOND, nanoseconds
from installer.domain.flows.times import from_ns
from installer.ports.flows import FlowRequest
from installer.services.flows import FeedOptions, FlowFeed
from tests.support.observer import Observer, serve

START = nanoseconds("2026-11-23T10:00:00Z")
FAST = FeedOptions(order_seconds=0.0, poll_seconds=0.0, delays=(0.02,), mask=())
FOLLOW = FlowRequest(follow=True)


class Clock:
    """A wall clock that only the test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


class Relay:
    """A server that can be stopped and started again on its port, with what it holds or another ring."""

    def __init__(self, observer: Observer):
        self.observer = observer
        self.address = "127.0.0.1:0"
        self._server: Any = None

    async def start(self) -> None:
        self._server = serve(self.observer, address=self.address)
        self.address = await self._server.__aenter__()

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server:
            await server.__aexit__(None, None, None)


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay(Observer())
    await relay.start()
    yield relay
    await relay.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def feed_of(relay: Relay, clock: Clock, *, idle: float = 30.0, **options: Any) -> FlowFeed:
    @asynccontextmanager
    async def connect() -> AsyncIterator[GrpcHubble]:
        async with GrpcHubbles(idle_timeout=idle).open(relay.address) as hubble:
            yield hubble

    return FlowFeed(connect, replace(FAST, **options), wall=clock)


def made(second: float, *, node: str = "a", **fields: Any) -> dict[str, Any]:
    time = from_ns(START + int(second * SECOND))
    flow = {"uuid": f"{node}{second:g}", "time": time, "node_name": node, "verdict": "FORWARDED"} | fields
    return {"flow": flow, "node_name": node, "time": time}


class Reader:
    """Reads a feed step by step, and keeps what it told."""

    def __init__(self, stream: AsyncGenerator[Told, None]):
        self.stream = stream
        self.told: list[Told] = []

    async def until(self, kind: type[Told] | str) -> Any:
        """Read until something of a kind, or the flow with a uuid, was told."""
        async for told in self.stream:
            self.told.append(told)
            if (kind in self.uuids) if isinstance(kind, str) else isinstance(told, kind):
                return told
        raise AssertionError(f"the feed ended before {kind}")

    @property
    def uuids(self) -> list[str]:
        return [one.flow.uuid for told in self.told if isinstance(told, Flows) for one in told.answers if one.flow]

    def kinds(self, kind: type[Told]) -> list[Told]:
        return [told for told in self.told if isinstance(told, kind)]


async def everything(feed: FlowFeed, request: FlowRequest) -> Reader:
    reader = Reader(feed.events(request))
    reader.told = [told async for told in reader.stream]
    return reader


async def test_a_query_tells_what_is_held_and_ends(relay: Relay, clock: Clock) -> None:
    for second in range(3):
        await relay.observer.add(made(second))
    feed = feed_of(relay, clock)
    reader = await everything(feed, FlowRequest(number=2))
    assert isinstance(reader.told[0], Connected)
    assert reader.uuids == ["a1", "a2"]
    assert feed.counts.flows == 2


async def test_live_tells_new_flows_only_and_asks_so_that_relay_is_quick(relay: Relay, clock: Clock) -> None:
    await relay.observer.add(made(-60))
    async with aclosing(feed_of(relay, clock).events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Connected)
        waiting = asyncio.ensure_future(reader.until("a1"))
        await relay.observer.wait_streams(1)
        clock.now += SECOND
        await relay.observer.add(made(1))
        await waiting
    assert reader.uuids == ["a1"]
    assert relay.observer.requests[-1].number == 1


async def test_history_and_live_meet_without_a_gap_or_a_double(relay: Relay, clock: Clock) -> None:
    for second in range(5):
        await relay.observer.add(made(second))
    clock.now += 5 * SECOND
    async with aclosing(feed_of(relay, clock).events(FlowRequest(number=2, follow=True))) as stream:
        reader = Reader(stream)
        await reader.until("a4")
        waiting = asyncio.ensure_future(reader.until("a6"))
        await relay.observer.wait_streams(1)
        await relay.observer.add(made(6))
        await waiting
    assert reader.uuids == ["a3", "a4", "a6"]


async def test_a_restart_of_relay_costs_no_flow_and_repeats_none(relay: Relay, clock: Clock) -> None:
    feed = feed_of(relay, clock)
    async with aclosing(feed.events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Connected)
        waiting = asyncio.ensure_future(reader.until("a2"))
        await relay.observer.wait_streams(1)
        for second in (1, 2):
            clock.now = START + second * SECOND
            await relay.observer.add(made(second))
        await waiting
        await relay.stop()
        lost = await reader.until(Disconnected)
        assert (lost.attempt, lost.error.code) == (1, "E-HUBBLE-001")
        await relay.observer.add(made(3))  # while nobody listens
        clock.now += 10 * SECOND
        await relay.start()
        await reader.until("a3")
    assert reader.uuids == ["a1", "a2", "a3"]
    assert reader.kinds(Gap) == []
    assert [told.again for told in reader.kinds(Connected) if isinstance(told, Connected)] == [False, True]
    assert (feed.counts.reconnects, feed.counts.doubles) == (1, 2)


async def test_what_a_new_agent_no_longer_holds_is_told_as_a_gap(relay: Relay, clock: Clock) -> None:
    feed = feed_of(relay, clock)
    async with aclosing(feed.events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Connected)
        waiting = asyncio.ensure_future(reader.until("a1"))
        await relay.observer.wait_streams(1)
        clock.now += SECOND
        await relay.observer.add(made(1))
        await waiting
        await relay.stop()
        relay.observer = Observer([made(30)])
        clock.now += 30 * SECOND
        await relay.start()
        gap = await reader.until(Gap)
        await reader.until("a30")
    assert (gap.since, gap.until, gap.node) == ("2026-11-23T10:00:01Z", "2026-11-23T10:00:30Z", "a")
    assert feed.counts.gaps == 1


async def test_a_server_that_hangs_is_left_and_tried_again(relay: Relay, clock: Clock) -> None:
    feed = feed_of(relay, clock, idle=0.2)
    async with aclosing(feed.events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Connected)
        waiting = asyncio.ensure_future(reader.until(Disconnected))
        await relay.observer.wait_streams(1)
        relay.observer.stalled = True
        assert isinstance((await waiting).error, DeadlineError)
        relay.observer.stalled = False
        await reader.until(Connected)


async def test_an_absent_relay_is_an_error_at_the_start(relay: Relay, clock: Clock) -> None:
    await relay.stop()
    with pytest.raises(ConnectError):
        await everything(feed_of(relay, clock), FOLLOW)


async def test_a_patient_feed_waits_for_relay_to_come(relay: Relay, clock: Clock) -> None:
    await relay.stop()
    async with aclosing(feed_of(relay, clock, patient=True).events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Disconnected)
        await relay.start()
        assert (await reader.until(Connected)).again is False


async def test_what_no_further_try_mends_ends_the_feed(relay: Relay, clock: Clock) -> None:
    relay.observer.failure = (grpc.StatusCode.PERMISSION_DENIED, "not you")
    with pytest.raises(BeeyardError) as caught:
        await everything(feed_of(relay, clock, patient=True), FOLLOW)
    assert caught.value.code == "E-HUBBLE-004"


async def test_a_field_that_the_server_does_not_know_costs_the_mask_for_good(relay: Relay, clock: Clock) -> None:
    relay.observer.older = {"uuid"}
    await relay.observer.add(made(1))
    feed = feed_of(relay, clock, mask=("time", "uuid"))
    reader = await everything(feed, FlowRequest())
    assert [told.code for told in reader.told if isinstance(told, Notice)] == ["E-HUBBLE-007"]
    assert reader.uuids == ["a1"]
    again = await everything(feed, FlowRequest())
    assert again.kinds(Notice) == []
    assert [list(request.field_mask.paths) for request in relay.observer.requests] == [[], []]


async def test_a_server_without_the_newest_fields_is_asked_for_the_others(relay: Relay, clock: Clock) -> None:
    relay.observer.older = {"ip_trace_id"}
    await relay.observer.add(made(1, drop_reason=133))
    feed = feed_of(relay, clock, mask=DEFAULT_MASK)
    assert (await everything(feed, FlowRequest())).uuids == ["a1"]
    await everything(feed, FlowRequest())
    assert [tuple(request.field_mask.paths) for request in relay.observer.requests] == [OLDER_MASK, OLDER_MASK]


async def test_one_old_agent_behind_relay_costs_the_mask_but_no_flow(relay: Relay, clock: Clock) -> None:
    refusal = {"state_change": "NODE_ERROR", "node_names": ["b"], "message": "rpc error: invalid fieldmask"}
    await relay.observer.add(made(1))
    await relay.observer.add({"node_status": refusal})
    await relay.observer.add(made(2))
    feed = feed_of(relay, clock, mask=("time", "uuid"))
    reader = await everything(feed, FlowRequest())
    assert reader.uuids == ["a1", "a2"]
    assert [list(request.field_mask.paths) for request in relay.observer.requests] == [["time", "uuid"], []]


async def test_the_default_mask_is_one_that_servers_know(relay: Relay, clock: Clock) -> None:
    await relay.observer.add(made(1, Summary="x"))
    reader = await everything(feed_of(relay, clock, mask=FeedOptions().mask), FlowRequest())
    assert reader.uuids == ["a1"]
    assert reader.kinds(Notice) == []


async def test_the_oldest_cannot_be_followed(relay: Relay, clock: Clock) -> None:
    with pytest.raises(UsageError):
        feed_of(relay, clock).events(FlowRequest(first=True, follow=True, number=3))


async def test_flows_of_several_nodes_come_in_the_order_of_time(relay: Relay, clock: Clock) -> None:
    feed = feed_of(relay, clock, order_seconds=0.2)
    async with aclosing(feed.events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Connected)
        waiting = asyncio.ensure_future(reader.until("b1.2"))
        await relay.observer.wait_streams(1)
        clock.now += SECOND
        for flow in (made(1.3), made(1.1), made(1.2, node="b")):
            await relay.observer.add(flow)
        while feed.counts.lag_seconds != -0.2:  # until the last has come
            await asyncio.sleep(0.005)
        clock.now += SECOND
        await waiting
    assert reader.uuids == ["a1.1", "b1.2", "a1.3"]


async def test_nodes_that_leave_in_mid_stream_are_told(relay: Relay, clock: Clock) -> None:
    relay.observer = Observer(nodes=("a", "b"))
    await relay.stop()
    await relay.start()
    async with aclosing(feed_of(relay, clock, poll_seconds=0.02).events(FOLLOW)) as stream:
        reader = Reader(stream)
        await reader.until(Connected)
        relay.observer.move("b", up=False)
        assert await reader.until(NodesChanged) == NodesChanged(("b",), (), 1, 2)
        relay.observer.move("b", up=True)
        assert await reader.until(NodesChanged) == NodesChanged((), ("b",), 2, 2)


def lost(source: str, number: int) -> dict[str, Any]:
    return {"lost_events": {"source": source, "num_events_lost": str(number)}, "node_name": "a"}


async def test_lost_events_are_told_and_counted(relay: Relay, clock: Clock) -> None:
    await relay.observer.add(lost("OBSERVER_EVENTS_QUEUE", 7))
    feed = feed_of(relay, clock)
    reader = await everything(feed, FlowRequest(number=10))
    (told,) = reader.kinds(Flows)
    assert isinstance(told, Flows)
    assert told.answers[0].lost_events is not None
    assert feed.counts.lost == 7


async def test_the_edge_of_the_ring_is_explained_and_not_counted(relay: Relay, clock: Clock) -> None:
    await relay.observer.add(lost("HUBBLE_RING_BUFFER", 1))
    feed = feed_of(relay, clock)
    reader = await everything(feed, FlowRequest(number=10))
    assert [told.code for told in reader.told if isinstance(told, Notice)] == ["N-FLOW-001"]
    assert len(reader.kinds(Flows)) == 1
    assert feed.counts.lost == 0


async def test_doubled_flows_are_told_once(relay: Relay, clock: Clock) -> None:
    for _ in range(3):
        await relay.observer.add(made(1))
    feed = feed_of(relay, clock)
    assert (await everything(feed, FlowRequest())).uuids == ["a1"]
    assert feed.counts.doubles == 2
