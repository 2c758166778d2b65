"""Where the lines of a ``LineView`` come from."""

from __future__ import annotations

from typing import Protocol

from rich.text import Text
from textual.strip import Strip


class Lines(Protocol):
    """Where a view's lines come from.

    Attributes:
        version: changes whenever a line came or went.
        first: number of the oldest line kept; line ``index`` has number ``first + index``. It never falls.
    """

    @property
    def version(self) -> int:
        """A number that changes with the content."""
        ...

    @property
    def first(self) -> int:
        """Number of the oldest line kept."""
        ...

    def __len__(self) -> int:
        """How many lines are kept."""
        ...

    def line(self, index: int, width: int) -> str | Text | Strip:
        """Return line ``index`` (0 is the oldest kept) for a view that is ``width`` cells wide.

        A line with a given number never changes; it may be longer than ``width``, then the view scrolls sideways.
        """
        ...


class NoLines:
    """A source without lines."""

    version = 0
    first = 0

    def __len__(self) -> int:
        return 0

    def line(self, index: int, width: int) -> str:
        """There is none."""
        del width
        raise IndexError(index)
