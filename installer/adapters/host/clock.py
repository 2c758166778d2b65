"""The time of day for one run: it neither jumps nor goes back when the host's clock is set meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable


def steady() -> Callable[[], float]:
    """Return a clock that starts at the time of day and then counts the seconds since; sleep of the host counts."""
    ahead = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return lambda: ahead + time.clock_gettime(time.CLOCK_BOOTTIME)
