"""Tables of rows that are made anew while the cursor stays, and the list that shows them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.message import Message

from installer.domain.text import one_line
from installer.tui.flows.columns import GUTTER, Column, fit, layout
from installer.tui.policies.rows import Row, RowView

Cell = str | tuple[str, str]
"""A text, or a text and the name of its style."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a view shows.

    Attributes:
        head: headings of the columns.
        rows: the rows.
        summary: lines above the headings, each a row.
    """

    head: str = ""
    rows: Sequence[Row] = ()
    summary: Sequence[Row] = ()


class Table:
    """Columns of a width.

    Args:
        columns: those that there may be, see ``layout``.
        numbers: ids of those that stand to the right.
        width: cells of the list.
    """

    def __init__(self, columns: Sequence[Column], numbers: frozenset[str], width: int) -> None:
        self._columns = layout(max(20, width - 1 + GUTTER), columns)
        self._numbers = numbers

    @property
    def head(self) -> str:
        """Headings."""
        return " " + " ".join(self._fit(column, column.title) for column in self._columns)

    def has(self, name: str) -> bool:
        """Tell whether a column is there."""
        return any(column.id == name for column in self._columns)

    def width(self, name: str) -> int:
        """Return the cells of a column, 0 where it is not there."""
        return next((column.width for column in self._columns if column.id == name), 0)

    def row(self, cells: Mapping[str, Cell], target: object) -> Row:
        """Return a row; columns without a cell stay empty."""
        parts: list[tuple[str, str]] = [(" ", "")]
        for column in self._columns:
            cell = cells.get(column.id, "")
            text, style = cell if isinstance(cell, tuple) else (cell, "")
            gap = " " if column is not self._columns[-1] else ""
            parts.append((self._fit(column, text) + gap, style))
        return Row(tuple(parts), target)

    def _fit(self, column: Column, text: str) -> str:
        return fit(text.rjust(column.width) if column.id in self._numbers else text, column.width)


class TapRows(RowView):
    """The list of a view; it tells when another row is marked."""

    class Marked(Message):
        """Another row may be marked."""

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, TapRows.Marked)

    def go_to(self, line: int) -> None:
        """Mark a row."""
        super().go_to(line)
        self.post_message(self.Marked())


class DetailRows(RowView):
    """Rows without a cursor; the place of the reader stays when they are made anew."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - as in every widget
        super().__init__(id=id)
        self._with_cursor = False

    def fill(self, rows: Sequence[Row], *, top: bool = False) -> None:
        """Show other rows, from the top or where the reader is."""
        if tuple(rows) != self.source.rows:
            self.source.rows = tuple(rows)
            self.source.version += 1
            self.redraw()
            self.update_lines()
        if top:
            self.scroll_to(0, 0, animate=False, force=True)


def lines(text: str, width: int, style: str = "", indent: int = 0) -> list[Row]:
    """Return a text, which may come from anywhere, in rows of a width; its later lines are indented."""
    rows: list[Row] = []
    for part in text.splitlines() or [""]:
        found = textwrap.wrap(
            one_line(part), max(16, width - 1), subsequent_indent=" " * indent, break_on_hyphens=False
        )
        rows += [Row(((line, style),)) for line in found or [""]]
    return rows


def field(name: str, text: str, width: int, style: str = "") -> list[Row]:
    """Return a named text; nothing where there is none."""
    if not text:
        return []
    found = textwrap.wrap(
        one_line(text), max(16, width - 1), initial_indent=f"{name}  ", subsequent_indent="  ", break_on_hyphens=False
    )
    first, size = found[0], len(name) + 2
    return [
        Row(((first[:size], "muted"), (first[size:], style))),
        *(Row(((line, style),)) for line in found[1:]),
    ]
