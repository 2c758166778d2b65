"""Drops: each distinct one, and by the kernel's reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.tap.latency import Seconds, added
from installer.domain.tap.measures import Measures, Wanted

MOST = 2_000
"""Distinct drops that are remembered; the oldest go first."""

Key = tuple[str, str, str, str, int, str]
"""Reason, place, source, destination, its port, protocol."""


@dataclass(slots=True)
class DistinctDrop:
    """Packets that were dropped for one reason at one place between two ends.

    Attributes:
        key: what tells it apart.
        flow: the last of them.
        measures: of that.
        since: when it was told first, UNIX seconds.
        last: when it was told last.
        packets: by second.
        bytes: in all.
    """

    key: Key
    flow: Flow
    measures: Measures
    since: float
    last: float
    packets: Seconds = field(default_factory=Seconds)
    bytes: int = 0

    @property
    def reason(self) -> str:
        """The kernel's word."""
        return self.key[0]

    @property
    def place(self) -> str:
        """Function of the kernel that dropped it."""
        return self.key[1]


@dataclass(frozen=True, slots=True)
class ReasonSum:
    """All drops of one reason.

    Attributes:
        reason: the kernel's word.
        drops: the distinct ones, those with most packets first.
        packets: in all.
        rate: packets a second.
        series: packets by second, oldest first.
    """

    reason: str
    drops: Sequence[DistinctDrop]
    packets: int
    rate: float
    series: Sequence[int]


class Drops:
    """All drops."""

    def __init__(self) -> None:
        self.all = Seconds()
        self.forgotten = 0
        self._drops: dict[Key, DistinctDrop] = {}

    def __len__(self) -> int:
        return len(self._drops)

    def take(self, flow: Flow, told: Measures, now: float) -> None:
        """Take packets that were dropped."""
        key = _key(flow)
        found = self._drops.pop(key, None)
        if found is None:
            found = DistinctDrop(key, flow, told, now, now)
        number = max(1, told.packets)
        found.flow, found.measures, found.last = flow, told, now
        found.packets.add(int(now), number)
        found.bytes += told.bytes
        self.all.add(int(now), number)
        self._drops[key] = found
        if len(self._drops) > MOST:
            del self._drops[next(iter(self._drops))]
            self.forgotten += 1

    def get(self, key: Key) -> DistinctDrop | None:
        """Return a drop that is still remembered."""
        return self._drops.get(key)

    def distinct(self, wanted: Wanted | None = None) -> list[DistinctDrop]:
        """Return the distinct drops, the newest first."""
        return [one for one in reversed(self._drops.values()) if wanted is None or wanted(one.flow)]

    def by_reason(self, now: float, length: int, wanted: Wanted | None = None) -> list[ReasonSum]:
        """Return the drops by reason, those with most packets in the last seconds first.

        Args:
            now: UNIX seconds.
            length: seconds in each series.
            wanted: the drops to look at, None for all.
        """
        groups: dict[str, list[DistinctDrop]] = {}
        for one in self._drops.values():
            if wanted is None or wanted(one.flow):
                groups.setdefault(one.reason, []).append(one)
        sums = [_sum(reason, drops, int(now), length) for reason, drops in groups.items()]
        return sorted(sums, key=lambda one: (-one.rate, -one.packets, one.reason))


def _sum(reason: str, drops: list[DistinctDrop], now: int, length: int) -> ReasonSum:
    drops.sort(key=lambda one: -one.packets.total)
    lately = [one for one in drops if one.last > now - length - 1]
    return ReasonSum(
        reason,
        drops,
        sum(one.packets.total for one in drops),
        sum(one.packets.rate(now) for one in lately),
        added((one.packets.series(now, length) for one in lately), length),
    )


def _key(flow: Flow) -> Key:
    ip, port = flow.ip, text.ports(flow)[1]
    source, destination = (ip.source, ip.destination) if ip is not None else ("", "")
    place = flow.file.name if flow.file is not None else ""
    return str(flow.drop_reason_desc), place.partition("+")[0], source, destination, port, text.protocol(flow)
