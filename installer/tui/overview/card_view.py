"""A card on the screen: a heading and rows with a cursor. Only rows in sight are drawn, only changed cards at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from installer.domain.text import one_line
from installer.tui.overview.cards import SIGNS, Card, Detail, Level, Row
from installer.tui.overview.layout import GAP, fit_columns

LONGEST = 500
"""Characters of a cell that are looked at."""
WIDEST = 120
"""Cells of a column that are counted."""


class CardView(ScrollView, can_focus=True):
    """Shows one card. The cursor stays on its row by the row's key, whatever comes and goes around it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "card--cursor",
        *(f"card--{level.name.lower()}" for level in Level),
    }
    DEFAULT_CSS = """
    CardView {
        height: auto;
        border-top: solid $border;
        border-title-color: $primary;
        border-title-style: bold;
        border-title-align: left;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        background: $background;
    }
    CardView:focus { border-top: heavy $primary; }
    CardView.-error { border-title-color: $error; }
    CardView.-warning { border-title-color: $warning; }
    CardView > .card--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    CardView > .card--off { color: $foreground 50%; }
    CardView > .card--ok { color: $success; }
    CardView > .card--info { color: $foreground; }
    CardView > .card--hint { color: $secondary; }
    CardView > .card--warning { color: $warning; }
    CardView > .card--error { color: $error; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", "Up", show=False),
        Binding("down,j", "cursor(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(0)", "First", show=False),
        Binding("end", "edge(1)", "Last", show=False),
        Binding("enter,space", "choose", "Details", show=False),
    ]

    @dataclass
    class Marked(Message):
        """Another row is marked, or what stands behind the marked row has changed."""

        card: CardView
        detail: Detail

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, CardView.Marked) and message.card is self.card

    @dataclass
    class Chosen(Message):
        """A row was chosen."""

        card: CardView
        detail: Detail

    @dataclass
    class Left(Message):
        """The cursor went past the first (-1) or the last (1) row."""

        card: CardView
        direction: int

    def __init__(self, card: Card, *, ascii_only: bool = False):
        super().__init__(id=card.id)
        self.card = card
        self.cursor = 0
        self._ascii = ascii_only
        self._columns: list[int] = []
        self._measured = -1
        self._title()

    @property
    def row(self) -> Row | None:
        """The marked row."""
        return self.card.rows[self.cursor] if self.cursor < len(self.card.rows) else None

    @property
    def wanted(self) -> int:
        """Lines that would show all rows, the heading included."""
        return max(1, len(self.card.rows)) + 1

    def show(self, card: Card) -> bool:
        """Show the card as it is now; return whether it differs from what was shown."""
        if card == self.card:
            return False
        marked, top = self.row, self.scroll_offset.y
        before = self.card
        self.card = card
        self._keep_cursor(marked, top)
        if (before.title, before.summary, before.level) != (card.title, card.summary, card.level):
            self._title()
        self._measured = -1
        self.refresh()
        if self.row is not None and self.row != marked and self.has_focus:
            self.post_message(self.Marked(self, self.row.detail))
        return True

    def use_ascii(self, ascii_only: bool) -> None:
        """Draw signs in ASCII or not."""
        if ascii_only != self._ascii:
            self._ascii = ascii_only
            self._title()
            self.refresh()

    def _keep_cursor(self, marked: Row | None, top: int) -> None:
        """Leave the cursor on its row, and that row on its line."""
        keys = [row.key for row in self.card.rows]
        place = keys.index(marked.key) if marked is not None and marked.key in keys else self.cursor
        place = max(0, min(place, len(keys) - 1))
        moved, self.cursor = place - self.cursor, place
        self.virtual_size = Size(0, len(keys))
        if top and moved:
            self.scroll_to(y=max(0, top + moved), animate=False, force=True)

    def _title(self) -> None:
        level = self.card.level
        sign = SIGNS[level][self._ascii] + " " if level >= Level.WARNING else ""
        summary = f" · {self.card.summary}" if self.card.summary and not self._ascii else ""
        summary = summary or (f" - {self.card.summary}" if self.card.summary else "")
        self.border_title = Content(f"{sign}{self.card.title}{one_line(summary)}").markup
        self.set_class(level is Level.ERROR, "-error")
        self.set_class(level is Level.WARNING, "-warning")

    # Moving

    def action_cursor(self, step: int) -> None:
        """Move by rows; past the ends the neighbour takes over."""
        place = self.cursor + step
        if 0 <= place < len(self.card.rows):
            self.mark(place)
        else:
            self.post_message(self.Left(self, step))

    def action_page(self, direction: int) -> None:
        """Move by a page."""
        self.mark(self.cursor + direction * max(1, self.scrollable_content_region.height - 1))

    def action_edge(self, last: int) -> None:
        """Go to the first or the last row."""
        self.mark(last * len(self.card.rows))

    def action_choose(self) -> None:
        """Choose the marked row."""
        if self.row is not None:
            self.post_message(self.Chosen(self, self.row.detail))

    def mark(self, place: int) -> None:
        """Mark a row and bring it into sight."""
        self.cursor = max(0, min(place, len(self.card.rows) - 1))
        page, top = max(1, self.scrollable_content_region.height), self.scroll_offset.y
        if not top <= self.cursor < top + page:
            target = self.cursor if self.cursor < top else self.cursor - page + 1
            self.scroll_to(y=target, animate=False, force=True)
        self.refresh()
        self._tell()

    def _tell(self) -> None:
        if self.row is not None:
            self.post_message(self.Marked(self, self.row.detail))

    def on_mount(self) -> None:
        """Know the size of the content."""
        self.virtual_size = Size(0, len(self.card.rows))

    def on_focus(self) -> None:
        """Tell what is marked."""
        self.refresh()
        self._tell()

    def on_blur(self) -> None:
        """Draw without the cursor."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Mark the row under the mouse; a second click chooses it."""
        offset = event.get_content_offset(self)
        place = self.scroll_offset.y + offset.y if offset is not None else len(self.card.rows)
        if place < len(self.card.rows):
            again = place == self.cursor and event.chain > 1
            self.mark(place)
            if again:
                self.action_choose()

    # Drawing

    def on_resize(self) -> None:
        """Scroll so that the marked row is seen."""
        page, top = max(1, self.scrollable_content_region.height), self.scroll_offset.y
        if not top <= self.cursor < top + page:
            self.scroll_to(y=max(0, self.cursor - page + 1), animate=False, force=True)

    def _measure(self, width: int) -> None:
        """Work out the width of each column for a row of this width."""
        if self._measured == width:
            return
        self._measured = width
        rows = [row for row in self.card.rows if len(row.cells) > 1]
        count = max((len(row.cells) for row in rows), default=0)
        widths = [_width_of(rows, index) for index in range(count)]
        self._columns = fit_columns(
            widths, width - 2, [one for one in self.card.optional if one < count], self.card.share
        )

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width = self.scrollable_content_region.width
        self._measure(width)
        index = self.scroll_offset.y + y
        base = self.rich_style
        if index >= len(self.card.rows):
            return Strip.blank(width, base)
        row = self.card.rows[index]
        marked = index == self.cursor and self.has_focus
        if marked:
            base += self.get_component_rich_style("card--cursor")
        colour = (
            base if marked else base + self.get_component_rich_style(f"card--{row.level.name.lower()}", partial=True)
        )
        segments = [Segment(f"{SIGNS[row.level][self._ascii]} ", colour), *self._cells(row, base, colour)]
        return Strip(segments).adjust_cell_length(width, base)

    def _cells(self, row: Row, base: Style, colour: Style) -> list[Segment]:
        if len(row.cells) == 1:
            return [Segment(_plain(row.cells[0]), base)]
        found = []
        for index, (text, width) in enumerate(zip(row.cells, self._columns, strict=False)):
            if width:
                loud = index == 1 and row.level in (Level.WARNING, Level.ERROR, Level.HINT)
                found.append(Segment(self._cell(index, _plain(text), width) + " " * GAP, colour if loud else base))
        return found

    def _cell(self, index: int, text: str, width: int) -> str:
        size = cell_len(text)
        if size > width:
            return set_cell_size(text, max(0, width - 1)) + ("…" if not self._ascii else ">")
        return " " * (width - size) + text if index in self.card.right else text + " " * (width - size)


def _plain(text: str) -> str:
    return one_line(text[:LONGEST])


def _width_of(rows: Iterable[Row], column: int) -> int:
    widths = (cell_len(_plain(row.cells[column])) for row in rows if column < len(row.cells))
    return min(WIDEST, max(widths, default=0))
