"""How fast something comes in, over the last seconds."""

from __future__ import annotations

from collections import deque

SPAN = 5.0
"""Seconds that the rate is taken over."""


class Rate:
    """Measures units a second from samples of what is done so far."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at: float, done: int) -> None:
        """Add a sample; less than before means that it began anew."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((at, done))
        while len(self._samples) > 2 and self._samples[1][0] <= at - SPAN:
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        """Units a second, 0 while unknown."""
        if len(self._samples) < 2:
            return 0.0
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended > began else 0.0

    def remaining(self, units: int) -> float | None:
        """Return the seconds that so many units will take, None while unknown."""
        rate = self.per_second
        return units / rate if rate > 0 else None
