"""The flows that pass a filter, as an index into the ring.

An index is brought up to date in slices (``advance``), newest first when it is made, so that typing a filter never
waits for the whole ring: what is on the screen is right at once, the rest follows. Lines have numbers that stay the
same while the view lives: ``first`` moves up when lines leave with the ring, and down when older ones are found.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Protocol

from installer.domain.flows.flow import Flow

_COMPACT = 8192


class Ring(Protocol):
    """What a view needs of the store."""

    @property
    def first(self) -> int:
        """Oldest sequence number kept."""
        ...

    @property
    def next(self) -> int:
        """Sequence number to come."""
        ...

    def flow(self, seq: int) -> Flow | None:
        """Return the flow of a sequence number."""
        ...

    def partner(self, seq: int) -> int | None:
        """Return the other record of the same denial."""
        ...


class View:
    """Sequence numbers of the flows that match, oldest first.

    After ``advance`` has returned False and until something is added, the view is exactly the filter of the ring's
    contents; before that, of ``[scanned_from, scanned_to)``.

    Args:
        ring: where the flows are.
        predicate: what matches; None for all.
        fold: show the two records of one denial as the first of them, when both match.
    """

    def __init__(self, ring: Ring, predicate: Callable[[Flow], bool] | None, *, fold: bool = False) -> None:
        self.predicate = predicate
        self.version = 0
        self.scanned_from = self.scanned_to = ring.next
        self._fold = fold
        self._ring = ring
        self._old = array("q")  # found going back, newest first
        self._new = array("q")  # came after the view was made, oldest first
        self._origin = ring.next
        self._trimmed = ring.first
        self._skip = 0  # entries at the head of _new that have left the ring
        self._dropped = 0  # entries cut off the head of _new for good

    def __len__(self) -> int:
        self._trim()
        return len(self._old) + len(self._new) - self._skip

    def __iter__(self) -> Iterator[int]:
        return (self.seq(index) for index in range(len(self)))

    @property
    def first(self) -> int:
        """Number of the line at index 0; a line's number never changes and is never below 0."""
        self._trim()
        return self._origin + self._skip + self._dropped - len(self._old)

    @property
    def behind(self) -> int:
        """Flows of the ring not looked at yet."""
        return self._ring.next - max(self.scanned_to, self._ring.first) + max(0, self.scanned_from - self._ring.first)

    def seq(self, index: int) -> int:
        """Return the sequence number at an index, 0 being the oldest.

        Raises:
            IndexError: there is no such line.
        """
        self._trim()
        if not 0 <= index < len(self._old) + len(self._new) - self._skip:
            raise IndexError(index)
        if index < len(self._old):
            return self._old[-1 - index]
        return self._new[index - len(self._old) + self._skip]

    def find(self, seq: int) -> int:
        """Return the index of a sequence number, or of the first one after it (``len`` if there is none)."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.seq(middle) < seq:
                low = middle + 1
            else:
                high = middle
        return low

    def shows(self, seq: int) -> bool:
        """Tell whether a flow of the ring belongs to the view."""
        flow = self._ring.flow(seq)
        if flow is None or not self._matches(flow):
            return False
        partner = self._ring.partner(seq) if self._fold else None
        if partner is None or partner > seq:
            return True
        other = self._ring.flow(partner)
        return other is None or not self._matches(other)

    def advance(self, limit: int = 5000) -> bool:
        """Look at up to ``limit`` more flows, new ones before old ones; tell whether some are left."""
        self._trim()
        limit -= self._forward(limit)
        if limit > 0:
            self._backward(limit)
        return self.behind > 0

    def _forward(self, limit: int) -> int:
        start = max(self.scanned_to, self._ring.first)
        stop = min(start + limit, self._ring.next)
        if stop <= self.scanned_to:
            return 0
        self.scanned_to = stop
        self._found(self._new, range(start, stop))
        return stop - start

    def _backward(self, limit: int) -> None:
        stop = max(self.scanned_from - limit, self._ring.first)
        if stop >= self.scanned_from:
            return
        seqs = range(self.scanned_from - 1, stop - 1, -1)
        self.scanned_from = stop
        self._found(self._old, seqs)

    def _found(self, index: array[int], seqs: range) -> None:
        before = len(index)
        index.extend(seqs if self.predicate is None and not self._fold else filter(self.shows, seqs))
        if len(index) != before:
            self.version += 1

    def _matches(self, flow: Flow) -> bool:
        return self.predicate is None or self.predicate(flow)

    def _trim(self) -> None:
        first, before = self._ring.first, len(self._old) - self._skip
        if first == self._trimmed:
            return
        self._trimmed = first
        while self._old and self._old[-1] < first:
            self._old.pop()
        while self._skip < len(self._new) and self._new[self._skip] < first:
            self._skip += 1
        if self._skip > _COMPACT:
            del self._new[: self._skip]
            self._dropped += self._skip
            self._skip = 0
        if before != len(self._old) - self._skip:
            self.version += 1
