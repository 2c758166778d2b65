"""Putting the flows of several nodes into the order of time, by waiting a moment for those that come later."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any

from installer.domain.flows.flow import Answer

SECOND = 1_000_000_000
AHEAD = SECOND
"""A node whose flows come from further in the future than this has a wrong clock."""


@lru_cache(maxsize=256)
def _epoch(second: str) -> int:
    """Return the UNIX time of ``2026-11-23T10:00:00`` in seconds; 0 for what is none."""
    from datetime import UTC, datetime

    try:
        return int(datetime.fromisoformat(second).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return 0


def nanoseconds(time: str) -> int:
    """Return an RFC 3339 time in UTC, as Hubble's client writes it, in nanoseconds; 0 for what is none."""
    if len(time) <= 20:
        return _epoch(time[:19]) * SECOND
    fraction = time[20:-1]
    return _epoch(time[:19]) * SECOND + (int((fraction + "000000000")[:9]) if fraction.isdecimal() else 0)


class OrderingWindow:
    """Holds answers for a moment and gives them in the order of time.

    An answer is given when it has been held long enough, or when a later one has. A node whose clock is ahead does not
    drag the others along: its flows are placed where they arrived.

    Args:
        hold: seconds; 0 gives everything at once, in the order of arrival.

    Attributes:
        late: answers that came too late for the order of time.
    """

    def __init__(self, hold: float = 0.3):
        self.late = 0
        self._hold = int(hold * SECOND)
        self._held: list[tuple[int, int, Answer]] = []
        self._arrivals: deque[tuple[int, int]] = deque()
        self._ahead: dict[str, int] = {}
        self._watermark = 0
        self._numbers = count()

    def add(self, answers: Sequence[Answer], now: int) -> None:
        """Take answers that arrived now (UNIX time in nanoseconds)."""
        newest = 0
        for answer in answers:
            key = self._key(answer, now)
            newest = max(newest, key)
            self._held.append((key, next(self._numbers), answer))
        if answers:
            self._arrivals.append((now, newest))

    def _key(self, answer: Answer, now: int) -> int:
        time = nanoseconds(answer.time) or now
        if time > now + AHEAD:
            self._ahead[answer.node_name] = max(self._ahead.get(answer.node_name, 0), time - now)
        return time - self._ahead.get(answer.node_name, 0) if self._ahead else time

    def release(self, now: int) -> list[Answer]:
        """Give what has been held long enough, with all that is older."""
        top = self._watermark
        while self._arrivals and self._arrivals[0][0] + self._hold <= now:
            top = max(top, self._arrivals.popleft()[1])
        return self._give(top)

    def flush(self) -> list[Answer]:
        """Give everything that is held."""
        self._arrivals.clear()
        return self._give(max((key for key, _, _ in self._held), default=self._watermark))

    @property
    def due(self) -> int | None:
        """UNIX time in nanoseconds at which to release next; None when nothing is held."""
        return self._arrivals[0][0] + self._hold if self._arrivals else None

    def _give(self, top: int) -> list[Answer]:
        if self._hold:
            self._held.sort()
        end = bisect_right(self._held, top, key=_first) if self._hold else len(self._held)
        given, self._held = self._held[:end], self._held[end:]
        self.late += sum(1 for key, _, _ in given if key < self._watermark)
        self._watermark = max(top, self._watermark)
        return [answer for _, _, answer in given]


def _first(item: tuple[int, Any, Any]) -> int:
    return item[0]
