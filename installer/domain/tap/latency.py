"""Durations as a histogram: small, and two of them can be added."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

_STEPS = 8
"""Buckets for each doubling: a percentile is told 9 % too high at most."""
_LEAST = 1_000
"""Nanoseconds of the first bucket."""


class Latency:
    """How long things took.

    Attributes:
        count: how many.
        largest: the longest, in nanoseconds.
    """

    def __init__(self) -> None:
        self.count = 0
        self.largest = 0
        self._buckets: Counter[int] = Counter()

    def add(self, nanos: int) -> None:
        """Count a duration."""
        self.count += 1
        self.largest = max(self.largest, nanos)
        self._buckets[_bucket(nanos)] += 1

    def percentile(self, part: float) -> int:
        """Return the duration, in nanoseconds, that a part (0 to 1) of them did not pass; 0 where there are none."""
        wanted, seen = part * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(self.largest, _upper(bucket))
        return 0

    def octaves(self) -> list[tuple[int, int]]:
        """Return upper bounds in nanoseconds, each the double of the one before, and how many lie below each."""
        if not self._buckets:
            return []
        found: Counter[int] = Counter()
        for bucket, number in self._buckets.items():
            found[-(-bucket // _STEPS)] += number
        return [(_upper(octave * _STEPS), found[octave]) for octave in range(min(found), max(found) + 1)]

    @classmethod
    def sum(cls, parts: Iterable[Latency]) -> Latency:
        """Return all of them as one."""
        total = cls()
        for part in parts:
            part.add_to(total)
        return total

    def add_to(self, total: Latency) -> None:
        """Add these durations to others."""
        total.count += self.count
        total.largest = max(total.largest, self.largest)
        total._buckets.update(self._buckets)


def _bucket(nanos: int) -> int:
    return math.ceil(_STEPS * math.log2(nanos / _LEAST)) if nanos > _LEAST else 0


def _upper(bucket: int) -> int:
    return round(_LEAST * 2 ** (bucket / _STEPS))


class Seconds:
    """Counts by second, for the last minute.

    Attributes:
        total: of all time.
    """

    SPAN = 60

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[int, int] = {}

    def add(self, second: int, number: int) -> None:
        """Count in a second of UNIX time."""
        self.total += number
        if second not in self._counts and len(self._counts) >= 2 * self.SPAN:
            self._counts = {one: count for one, count in self._counts.items() if one > second - self.SPAN}
        self._counts[second] = self._counts.get(second, 0) + number

    def series(self, now: int, length: int) -> list[int]:
        """Return the counts of the last ``length`` seconds up to ``now``, oldest first."""
        return [self._counts.get(second, 0) for second in range(now - length + 1, now + 1)]

    def rate(self, now: int, over: int = 5) -> float:
        """Return how many a second there were in the last whole seconds before ``now``."""
        return sum(self.series(now - 1, over)) / over


def added(series: Iterable[Sequence[int]], length: int) -> list[int]:
    """Return the sums, second by second, of series of a length."""
    total = [0] * length
    for one in series:
        total = [before + count for before, count in zip(total, one, strict=True)]
    return total
