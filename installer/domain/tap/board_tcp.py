"""Connections of TCP, by client and server: how many, how long connecting took, what went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.tap.latency import Latency, Seconds
from installer.domain.tap.measures import Measures, Wanted

MOST = 2_000
"""Pairs that are remembered; the oldest go first."""

Key = tuple[str, str, int]
"""Client, server, port of the server."""
_BY_CLIENT = ("tcp-connect", "tcp-connect-failed", "tcp-accept")
RETRANSMIT, RESET_SENT, RESET_RECEIVED = "tcp-retransmit", "tcp-reset-sent", "tcp-reset-received"
_TROUBLES = (RETRANSMIT, RESET_SENT, RESET_RECEIVED, "tcp-connect-failed")


@dataclass(slots=True)
class Pair:
    """Connections of a client with a port of a server.

    Attributes:
        key: what tells it apart.
        flow: the last step that was told.
        last: when that was, UNIX seconds.
        events: how often each step was told, by the words of ``flows.names.TAP_EVENT``.
        connecting: how long it took to connect.
        lives: how long connections lived.
        from_client: whether ``flow`` was told from client to server.
    """

    key: Key
    flow: Flow
    last: float
    events: Counter[str] = field(default_factory=Counter)
    connecting: Latency = field(default_factory=Latency)
    lives: Latency = field(default_factory=Latency)
    from_client: bool = True

    @property
    def troubles(self) -> int:
        """Retransmits, resets, and connections that were not made."""
        return sum(self.events[name] for name in _TROUBLES)


class Pairs:
    """All pairs.

    Attributes:
        retransmits: of all time and by second.
        resets: the same, sent and received.
    """

    def __init__(self) -> None:
        self.retransmits = Seconds()
        self.resets = Seconds()
        self.forgotten = 0
        self._pairs: dict[Key, Pair] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def take(self, flow: Flow, told: Measures, now: float) -> None:
        """Take a step of a connection."""
        event = told.event
        key, from_client = self._key(flow, event)
        found = self._pairs.pop(key, None) or Pair(key, flow, now)
        found.flow, found.last, found.from_client = flow, now, from_client
        found.events[event] += 1
        if event == "tcp-connect" and told.duration_ns:
            found.connecting.add(told.duration_ns)
        elif event == "tcp-close" and told.duration_ns:
            found.lives.add(told.duration_ns)
        elif event == RETRANSMIT:
            self.retransmits.add(int(now), 1)
        elif event in (RESET_SENT, RESET_RECEIVED):
            self.resets.add(int(now), 1)
        self._pairs[key] = found
        if len(self._pairs) > MOST:
            del self._pairs[next(iter(self._pairs))]
            self.forgotten += 1

    def get(self, key: Key) -> Pair | None:
        """Return a pair that is still remembered."""
        return self._pairs.get(key)

    def pairs(self, wanted: Wanted | None = None) -> list[Pair]:
        """Return the pairs, those with most troubles first, then the newest."""
        found = [one for one in self._pairs.values() if wanted is None or wanted(one.flow)]
        return sorted(found, key=lambda one: (-one.troubles, -one.last, one.key))

    def _key(self, flow: Flow, event: str) -> tuple[Key, bool]:
        """Return client, server and port, and whether the flow goes from the first to the second."""
        source, target = (flow.ip.source, flow.ip.destination) if flow.ip is not None else ("", "")
        sport, dport = text.ports(flow)
        there, back = (source, target, dport), (target, source, sport)
        if event in _BY_CLIENT or there in self._pairs:
            return there, True
        if back in self._pairs:
            return back, False
        return (there, True) if dport <= sport else (back, False)
