"""Steps of a longer work as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from installer.domain.errors import BeeyardError
from installer.domain.events import LogLine, StepDone, StepFailed, StepProgress, StepStarted
from installer.services.bundle.request import Emit

_LITTLE = 4 * 1024 * 1024


@dataclass(slots=True)
class Step:
    """The step at work.

    Attributes:
        id: its short name.
        note: one line for its end.
    """

    id: str
    note: str = ""


class Steps:
    """Tells of steps.

    Args:
        emit: receives the events.
        now: UNIX time in seconds.
    """

    def __init__(self, emit: Emit, now: Callable[[], float]):
        self._emit = emit
        self._now = now
        self._current = ""
        self._told: dict[str, int] = {}

    @contextmanager
    def step(self, step: str, title: str) -> Iterator[Step]:
        """Tell of a step's begin and end."""
        begun, at_work = self._now(), Step(step)
        self._current = step
        self._emit(StepStarted(begun, step, title))
        try:
            yield at_work
        except BeeyardError as error:
            self._emit(StepFailed(self._now(), step, self._now() - begun, error))
            raise
        self._emit(StepDone(self._now(), step, True, self._now() - begun, at_work.note))

    def progress(self, item: str, done: int, total: int) -> None:
        """Tell of bytes done, some fifty times for each item."""
        last = self._told.get(item, -1)
        if last >= 0 and last <= done < max(total, last + 1) and done - last < max(total // 50, _LITTLE):
            return
        self._told[item] = done
        self._emit(StepProgress(self._now(), self._current, item, done, total))

    def warn(self, text: str) -> None:
        """Tell of something that does not stop the work."""
        self._emit(LogLine(self._now(), self._current, "warning", text))
