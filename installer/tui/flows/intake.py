"""Between a source and the screen: a bounded queue that sheds the oldest flows, and says how many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence

from installer.domain.flows.flow import Answer

WAITING = 20_000
"""Flows that may wait for the screen."""

ROOM = 5_000
"""Waiting answers up to which ``room`` does not wait."""

TOO_FAST = "came faster than this screen takes them in"
"""Reason of what is shed."""


class Intake:
    """Answers that wait to be taken in at frame rate. What is told beside flows is never shed.

    Attributes:
        shed: flows thrown away since ``take_shed`` was asked last.
    """

    def __init__(self, waiting: int = WAITING) -> None:
        self._limit = waiting
        self._answers: deque[Answer] = deque()
        self._kept: list[Answer] = []
        self._taken = asyncio.Event()
        self.shed = 0

    def __len__(self) -> int:
        return len(self._answers) + len(self._kept)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self._answers)

    def offer(self, answers: Sequence[Answer]) -> None:
        """Let answers wait; the oldest flows give way."""
        self._answers.extend(answers)
        while len(self._answers) > self._limit:
            oldest = self._answers.popleft()
            if oldest.flow is None:
                self._kept.append(oldest)
            else:
                self.shed += 1

    async def room(self) -> None:
        """Wait until few answers wait, for a source that can wait: then nothing is shed."""
        while len(self) > ROOM:
            self._taken.clear()
            await self._taken.wait()

    def take(self, limit: int) -> list[Answer]:
        """Return up to ``limit`` answers, oldest first, and what was told beside the flows that were shed."""
        told, self._kept = self._kept, []
        self._taken.set()
        return told + [self._answers.popleft() for _ in range(min(limit, len(self._answers)))]

    def take_shed(self) -> int:
        """Return how many flows were shed since the last time."""
        shed, self.shed = self.shed, 0
        return shed

    def clear(self) -> None:
        """Forget what waits."""
        self._answers.clear()
        self._kept.clear()
        self._taken.set()
