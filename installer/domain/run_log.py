"""The log of a run as it is shown: the newest lines, and those of them that pass a filter."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

LEVELS = ("debug", "info", "warning", "error")
CAPACITY = 20_000
_RANKS = {level: rank for rank, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the log.

    Attributes:
        at: UNIX time in seconds.
        step: step id, empty outside steps.
        level: one of ``LEVELS``.
        text: the line, as hostile as it came.
    """

    at: float
    step: str
    level: str
    text: str


class RunLogRing:
    """The newest lines of a run.

    Attributes:
        added: lines that ever came; also the number of the next one.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=capacity)
        self.added = 0

    @property
    def first(self) -> int:
        """Number of the oldest line kept."""
        return self.added - len(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, number: int) -> LogEntry:
        """Return the line with this number."""
        return self._entries[number - self.first]

    def add(self, entry: LogEntry) -> None:
        """Add a line; of a full ring the oldest goes."""
        self._entries.append(entry)
        self.added += 1


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What is shown of the log.

    Attributes:
        step: only lines of this step, all when empty.
        level: only lines of this level and graver ones.
        text: only lines that hold this text, in any case.
    """

    step: str = ""
    level: str = "info"
    text: str = ""

    def passes(self, entry: LogEntry) -> bool:
        """Whether a line is shown."""
        if self.step and entry.step != self.step:
            return False
        if _RANKS[entry.level] < _RANKS[self.level]:
            return False
        return not self.text or self.text.casefold() in entry.text.casefold()


class FilteredLog:
    """The lines of a ring that pass a filter, kept current a little at a time.

    Attributes:
        ring: where the lines are.
        filter: what passes.
        first: number, among the lines that passed, of the oldest that is still kept.
    """

    def __init__(self, ring: RunLogRing, wanted: LogFilter) -> None:
        self.ring = ring
        self.filter = wanted
        self.first = 0
        self._numbers: deque[int] = deque()
        self._looked = ring.first

    @property
    def version(self) -> int:
        """Changes with every line of the ring."""
        return self.ring.added

    def __len__(self) -> int:
        self._catch_up()
        return len(self._numbers)

    def entry(self, index: int) -> LogEntry:
        """Return the line at an index, 0 being the oldest."""
        return self.ring[self._numbers[index]]

    def _catch_up(self) -> None:
        for number in range(max(self._looked, self.ring.first), self.ring.added):
            if self.filter.passes(self.ring[number]):
                self._numbers.append(number)
        self._looked = self.ring.added
        while self._numbers and self._numbers[0] < self.ring.first:
            self._numbers.popleft()
            self.first += 1
