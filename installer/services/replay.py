"""A recording told as if it happened now."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from installer.domain.flows.feed import Connected, Flows, Told
from installer.domain.flows.flow import Answer
from installer.domain.flows.times import SECOND, to_ns
from installer.ports.flows import FlowRequest, FlowSource

TICK = 0.05
"""Seconds between two batches at least, where there is a speed."""


async def replay(
    source: FlowSource,
    request: FlowRequest,
    *,
    speed: float,
    now: Callable[[], float],
    pause: Callable[[float], Awaitable[None]],
) -> AsyncGenerator[Told, None]:
    """Tell a recording's flows with the distances in time that they had, ``speed`` times as fast; at once for 0.

    Args:
        source: the recording.
        request: what is wanted of it.
        speed: factor; 0 for no waiting.
        now: seconds of a clock that only goes forward.
        pause: waits some seconds.

    Raises:
        BeeyardError: what the source raises.
    """
    pacer = _Pacer(speed, now)
    yield Connected(source.name)
    async with aclosing(source.batches(request)) as batches:
        async for batch in batches:
            async for part in _paced(batch, pacer, pause):
                yield Flows(part)


async def _paced(
    batch: Sequence[Answer], pacer: _Pacer, pause: Callable[[float], Awaitable[None]]
) -> AsyncGenerator[Sequence[Answer], None]:
    due: list[Answer] = []
    for answer in batch:
        wait = pacer.wait(answer)
        if wait >= TICK:
            if due:
                yield due
                due = []
            await pause(wait)
        due.append(answer)
    if due:
        yield due


class _Pacer:
    """Knows when an answer is due; one without a time is due at once, and so is one older than those before."""

    def __init__(self, speed: float, now: Callable[[], float]) -> None:
        self._speed = speed
        self._now = now
        self._began: tuple[float, float] | None = None

    def wait(self, answer: Answer) -> float:
        """Return the seconds until an answer is due."""
        moment = _seconds(answer.time) if self._speed > 0 else None
        if moment is None:
            return 0.0
        if self._began is None:
            self._began = self._now(), moment
        clock, first = self._began
        return clock + (moment - first) / self._speed - self._now()


def _seconds(time: str) -> float | None:
    try:
        return to_ns(time) / SECOND
    except ValueError:
        return None
