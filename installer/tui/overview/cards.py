"""What the overview shows, as data: cards with rows, and what stands behind a row. Texts may come from the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How much a row wants to be looked at."""

    OFF = 0
    OK = 1
    INFO = 2
    HINT = 3
    WARNING = 4
    ERROR = 5


SIGNS = {
    Level.OFF: ("○", "-"),
    Level.OK: ("●", "+"),
    Level.INFO: ("·", "."),
    Level.HINT: ("◆", "*"),
    Level.WARNING: ("▲", "!"),
    Level.ERROR: ("✗", "x"),
}
"""Sign and its form in ASCII. A row says the same in words."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What stands behind a row.

    Attributes:
        title: what it is about.
        level: as of the row.
        parts: labels and texts (several lines); label ``""`` for text without one.
        code: stable code, empty where there is none.
    """

    title: str
    level: Level = Level.INFO
    parts: tuple[tuple[str, str], ...] = ()
    code: str = ""

    def as_text(self) -> str:
        """Return it as plain text, for reports."""
        head = f"{self.code}: {self.title}" if self.code else self.title
        return "\n".join([head, *(f"{label}: {text}" if label else text for label, text in self.parts)])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a card.

    Attributes:
        key: what it is known by when the card changes.
        cells: texts by column; the last is cut off where room is short, the ones before keep theirs.
        level: how much it wants to be looked at.
        detail: what stands behind it.
    """

    key: str
    cells: tuple[str, ...]
    level: Level
    detail: Detail


@dataclass(frozen=True, slots=True)
class Card:
    """A group of rows.

    Attributes:
        id: stable name.
        title: heading.
        summary: one or two words beside it.
        rows: its rows.
        level: the worst of its rows.
        right: columns whose cells stand at the right edge of their column.
        optional: columns in the order in which they are left out where room is short.
        share: percentage of the width that the last column gets at least.
    """

    id: str
    title: str
    summary: str = ""
    rows: tuple[Row, ...] = ()
    right: tuple[int, ...] = ()
    optional: tuple[int, ...] = ()
    share: int = 40

    @property
    def level(self) -> Level:
        """The worst level of its rows."""
        return max((row.level for row in self.rows), default=Level.INFO)
