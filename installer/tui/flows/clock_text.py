"""Times of flows as the time of day, in UTC or local."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import lru_cache

from installer.domain.flows.times import SECOND, to_ns


def time_of_day(zone: tzinfo | None) -> Callable[[str], str]:
    """Return a function that prints ``10:00:01.123`` in a zone, UTC for None; blanks for what is no time."""

    @lru_cache(maxsize=256)
    def second(text: str) -> str:
        try:
            moment = to_ns(f"{text}Z") // SECOND
        except ValueError:
            return ""
        return datetime.fromtimestamp(moment, zone).strftime("%H:%M:%S") if zone else text[11:19]

    def write(time: str) -> str:
        head = second(time[:19])
        return f"{head}.{time[20:-1][:3].ljust(3, '0')}" if head else ""

    return write
