"""Streams of packets: how much of them came lately, and from which process."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from installer.domain.flows.flow import Flow, TCPFlags
from installer.domain.flows.printing import text
from installer.domain.tap.measures import Measures, Wanted

MOST = 5_000
"""Streams that are remembered; those that are silent for longest go first."""

Key = tuple[str, str, int, int, str, str, int]
"""Source, destination, their ports, protocol, direction, network namespace."""


@dataclass(slots=True)
class Stream:
    """Packets of one socket in one direction.

    Attributes:
        key: what tells it apart.
        flow: what was told of it last.
        measures: of that.
        packets: in all.
        bytes: in all.
        since: when it was told first.
        reported: when it was told last.
    """

    key: Key
    flow: Flow
    measures: Measures
    packets: int
    bytes: int
    since: float
    reported: float

    @property
    def state(self) -> str:
        """State of a TCP connection by the flags that were seen; empty for other protocols."""
        tcp = self.flow.l4.tcp if self.flow.l4 is not None else None
        return state_of(tcp.flags) if tcp is not None and tcp.flags is not None else ""


def state_of(flags: TCPFlags) -> str:
    """Return the state of a connection by the flags of all its segments."""
    if flags.rst:
        return "reset"
    if flags.fin:
        return "closing"
    return "opening" if flags.syn and not flags.psh and not flags.ack else "open"


class Traffic:
    """All streams.

    Args:
        interval: seconds between two reports of the tap.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self.forgotten = 0
        self._streams: dict[Key, Stream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def take(self, flow: Flow, told: Measures, now: float) -> None:
        """Take what a stream grew by."""
        key = _key(flow, told)
        found = self._streams.pop(key, None)  # the newest stand last
        if found is None:
            found = Stream(key, flow, told, 0, 0, now, now)
        found.flow, found.measures, found.reported = flow, _named(told, found.measures), now
        found.packets += told.packets
        found.bytes += told.bytes
        self._streams[key] = found
        if len(self._streams) > MOST:
            del self._streams[next(iter(self._streams))]
            self.forgotten += 1

    def get(self, key: Key) -> Stream | None:
        """Return a stream that is still remembered."""
        return self._streams.get(key)

    def is_live(self, stream: Stream, now: float) -> bool:
        """Tell whether it had packets in the last interval or so."""
        return now - stream.reported <= 2 * self.interval + 0.5

    def rate(self, stream: Stream, now: float) -> tuple[float, float]:
        """Return packets/s and bytes/s."""
        if not self.is_live(stream, now):
            return 0.0, 0.0
        return stream.measures.packets / self.interval, stream.measures.bytes / self.interval

    def top(self, now: float, most: int, wanted: Wanted | None = None) -> tuple[list[Stream], int]:
        """Return the streams with most bytes a second, then those with most bytes, and how many there are."""
        found = [one for one in self._streams.values() if wanted is None or wanted(one.flow)]
        return heapq.nlargest(most, found, key=lambda one: (self.rate(one, now)[1], one.bytes)), len(found)


def _key(flow: Flow, told: Measures) -> Key:
    source, destination = text.ports(flow)
    ip = flow.ip
    ends = (ip.source, ip.destination) if ip is not None else ("", "")
    return (*ends, source, destination, text.protocol(flow), str(flow.traffic_direction), told.netns)


def _named(told: Measures, before: Measures) -> Measures:
    """Keep the process that was known before."""
    return told if told.pid or not before.pid else _with_process(told, before)


def _with_process(told: Measures, before: Measures) -> Measures:
    return Measures(
        told.packets,
        told.bytes,
        told.payload_bytes,
        told.netns,
        before.pid,
        before.process,
        told.event,
        told.duration_ns,
        told.first_seen,
    )
