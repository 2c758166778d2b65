"""Repeating what may work the next time.

This is not stamina because a transfer that moved forward must not use up its tries, and because the pause is the
server's wish (Retry-After) where it has one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from installer.domain.errors import BeeyardError

T = TypeVar("T")
Pause = Callable[[float], Awaitable[object]]


class TransientError(Exception):
    """A try failed and another may succeed.

    Attributes:
        error: what to raise when there is no other try.
        after: seconds that the server asks to wait, or None.
    """

    def __init__(self, error: BeeyardError, *, after: float | None = None):
        super().__init__(error.what)
        self.error = error
        self.after = after


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how fast to try again.

    Attributes:
        tries: tries in a row that may fail without any progress.
        first: longest pause after the first failure, in seconds; it doubles each time.
        longest: upper bound of these pauses, in seconds.
        longest_asked: upper bound of a pause that the server asks for, in seconds.
    """

    tries: int = 4
    first: float = 0.5
    longest: float = 8.0
    longest_asked: float = 60.0

    def delay(self, failures: int, asked: float | None, chance: float) -> float:
        """Return the pause after so many failures; ``chance`` in [0, 1) spreads clients apart."""
        if asked is not None:
            return max(0.0, min(asked, self.longest_asked)) + chance * self.first
        limit: float = min(self.first * 2.0 ** (failures - 1), self.longest)
        return limit * (0.5 + chance / 2)


async def repeat(
    attempt: Callable[[], Awaitable[T]],
    *,
    backoff: Backoff,
    pause: Pause,
    chance: Callable[[], float],
    progressed: Callable[[], bool] = lambda: False,
) -> T:
    """Call until it succeeds, fails for good, or fails too often in a row without progress."""
    failures = 0
    while True:
        try:
            return await attempt()
        except TransientError as failure:
            failures = 1 if progressed() else failures + 1
            if failures >= backoff.tries:
                raise failure.error from failure.__cause__
            delay = backoff.delay(failures, failure.after, chance())
        await pause(delay)
