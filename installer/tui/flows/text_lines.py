"""A short list of lines for a pane, each with the filter that choosing it adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text


@dataclass(frozen=True, slots=True)
class PaneLine:
    """One line.

    Attributes:
        text: what it says.
        clause: filter that choosing it adds; empty for none.
    """

    text: Text
    clause: str = ""


class TextLines:
    """Lines that are replaced as a whole; the source of a pane's ``LineView``."""

    def __init__(self, lines: Sequence[PaneLine] = ()) -> None:
        self.version = 0
        self.first = 0
        self._lines = tuple(lines)

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, index: int, width: int) -> Text:
        """Return a line; an empty one where there is none any more."""
        del width
        return self._lines[index].text if 0 <= index < len(self._lines) else Text()

    def clause(self, line: int) -> str:
        """Return the filter of a line, empty for none."""
        return self._lines[line].clause if 0 <= line < len(self._lines) else ""

    def replace(self, lines: Sequence[PaneLine]) -> bool:
        """Show other lines; tell whether they differ."""
        if tuple(lines) == self._lines:
            return False
        self._lines = tuple(lines)
        self.version += 1
        return True
