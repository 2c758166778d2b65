"""Flows and drops per second, for the last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from installer.domain.flows.flow import Flow

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*#@"

REFUSED = frozenset(("DROPPED", "ERROR"))
"""Verdicts that count as drops."""


@dataclass(slots=True)
class Bucket:
    """Counts of one second (or of several, see ``Rates.series``)."""

    flows: int = 0
    drops: int = 0


class Rates:
    """Counts per second for the last ``span`` seconds that were counted; older ones leave.

    Seconds are UNIX time, the clock's for a live stream or the flows' own for a recording.
    """

    def __init__(self, span: int = 600) -> None:
        self.flows = 0
        self.drops = 0
        self.latest = 0
        self._span = max(1, span)
        self._buckets: dict[int, Bucket] = {}

    def count(self, flows: Sequence[Flow], second: int) -> None:
        """Count flows that came in a second."""
        self.add(second, len(flows), sum(flow.verdict in REFUSED for flow in flows))

    def add(self, second: int, flows: int, drops: int) -> None:
        """Count ``flows``, ``drops`` of them dropped, in a second."""
        self.flows += flows
        self.drops += drops
        if second > self.latest:
            self.latest = second
            self._expire()
        if second > self.latest - self._span:
            bucket = self._buckets.setdefault(second, Bucket())
            bucket.flows += flows
            bucket.drops += drops

    def series(self, now: int, length: int, step: int = 1) -> list[Bucket]:
        """Return ``length`` sums of ``step`` seconds each, the last one ending with second ``now``, oldest first."""
        start = now - length * step + 1
        return [self._sum(start + index * step, step) for index in range(length)]

    def rate(self, now: int, over: int = 5) -> tuple[float, float]:
        """Return flows/s and drops/s, averaged over the last ``over`` whole seconds before ``now``."""
        total = self._sum(now - over, over)
        return total.flows / over, total.drops / over

    def _sum(self, start: int, step: int) -> Bucket:
        found = [self._buckets[second] for second in range(start, start + step) if second in self._buckets]
        return Bucket(sum(bucket.flows for bucket in found), sum(bucket.drops for bucket in found))

    def _expire(self) -> None:
        oldest = self.latest - self._span
        for second in [second for second in self._buckets if second <= oldest]:
            del self._buckets[second]


def sparkline(values: Sequence[int], blocks: str = BLOCKS) -> str:
    """Return one character per value, scaled to the largest; a space for 0, so that the smallest is still seen."""
    top = max(values, default=0)
    steps = len(blocks)
    return "".join(" " if value <= 0 else blocks[min(steps - 1, value * steps // (top + 1))] for value in values)
