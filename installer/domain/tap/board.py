"""What the tap told, put together: streams, drops, connections, questions of DNS, and losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.names import TAP_EVENT
from installer.domain.tap.board_dns import Questions
from installer.domain.tap.board_drops import Drops
from installer.domain.tap.board_tcp import Pairs
from installer.domain.tap.board_traffic import Traffic
from installer.domain.tap.latency import Seconds
from installer.domain.tap.measures import measures_of

_DROP = 1


class Board:
    """Collects flows of the tap. Times are UNIX seconds of the caller's clock.

    Attributes:
        traffic: streams of packets, by socket and direction.
        drops: dropped packets, by reason, place and who speaks to whom.
        tcp: connections, by client and server.
        dns: questions, by name and type.
        losses: what the tap could not tell, by its kind.
        told: flows that were taken.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.traffic = Traffic(interval)
        self.drops = Drops()
        self.tcp = Pairs()
        self.dns = Questions()
        self.losses: Counter[str] = Counter()
        self.told = Seconds()

    @property
    def lost(self) -> int:
        """Events and packets that were not told, of all kinds."""
        return self.losses.total()

    def take(self, answers: Iterable[Answer], now: float) -> None:
        """Take what the tap told."""
        number = 0
        for answer in answers:
            if answer.flow is not None:
                number += 1
                self._take(answer.flow, now)
            elif answer.lost_events is not None:
                self.losses[str(answer.lost_events.source)] += int(answer.lost_events.num_events_lost or 0)
        if number:
            self.told.add(int(now), number)

    def _take(self, flow: Flow, now: float) -> None:
        kind = flow.event_type.type if flow.event_type is not None else 0
        if flow.l7 is not None:
            self.dns.take(flow, now)
        elif kind == _DROP:
            self.drops.take(flow, measures_of(flow), now)
        elif kind in TAP_EVENT:
            self.tcp.take(flow, measures_of(flow), now)
        else:
            self.traffic.take(flow, measures_of(flow), now)
