"""Lists of rows that are replaced as a whole while the cursor stays with what it marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.message import Message

from installer.tui.widgets.lines import LineView

STYLES = ("error", "warning", "good", "muted", "head", "name", "opened", "cut", "key")


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        parts: texts, each with the name of its style (one of ``STYLES``, or empty).
        target: what choosing it means; rows with a target keep the cursor when rows come and go.
    """

    parts: tuple[tuple[str, str], ...]
    target: object = None


def row(*parts: str | tuple[str, str], target: object = None) -> Row:
    """Return a row of texts and of pairs of text and style."""
    return Row(tuple((part, "") if isinstance(part, str) else part for part in parts), target)


class RowLines:
    """The rows as a source of lines."""

    def __init__(self) -> None:
        self.version = 0
        self.first = 0
        self.rows: tuple[Row, ...] = ()
        self.styles: Mapping[str, Style] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def line(self, index: int, width: int) -> Text:
        """Return a row as text; an empty one where there is none any more."""
        del width
        text = Text(no_wrap=True, end="")
        for part, style in self.rows[index].parts if 0 <= index < len(self.rows) else ():
            text.append(part, self.styles.get(style))
        return text


class RowView(LineView):
    """Shows rows.

    Args:
        skip: the cursor passes over rows that stand for nothing.
        id: of the widget.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"row--{name}" for name in STYLES}
    DEFAULT_CSS = """
    RowView {
        & .row--error, & .row--cut { color: $error; }
        & .row--warning { color: $warning; }
        & .row--good, & .row--opened { color: $success; }
        & .row--muted { color: $text-muted; }
        & .row--head { color: $primary; text-style: bold; }
        & .row--name { text-style: bold; }
        & .row--key { color: $secondary; }
    }
    """

    class Fitted(Message):
        """The view has another size: rows made for a width are to be made anew."""

    def __init__(self, *, skip: bool = False, id: str | None = None) -> None:  # noqa: A002 - as in every widget
        self.source = RowLines()
        self._skip = skip
        super().__init__(self.source, id=id)
        self.follow = False

    def on_mount(self) -> None:
        """Take the colours of the theme."""
        super().on_mount()
        self._take_styles()

    def on_resize(self) -> None:
        """Say so to whoever makes the rows."""
        super().on_resize()
        self.post_message(self.Fitted())

    def notify_style_update(self) -> None:
        """Take the colours of another theme."""
        super().notify_style_update()
        if self.is_mounted:
            self._take_styles()

    def _take_styles(self) -> None:
        found = {}
        for name in STYLES:
            colour = self.get_component_rich_style(f"row--{name}").color  # a muted one depends on the background
            bold = self.get_component_rich_style(f"row--{name}", partial=True).bold
            found[name] = Style(color=colour, bold=bold)
        self.source.styles = found
        self.redraw()

    @property
    def target(self) -> object:
        """What the marked row stands for, None where it stands for nothing."""
        return self.target_of(self.cursor_line)

    def target_of(self, line: int) -> object:
        """Return what a row stands for."""
        rows = self.source.rows
        return rows[line].target if 0 <= line < len(rows) else None

    def fill(self, rows: Sequence[Row], *, top: bool = False) -> None:
        """Show other rows; the cursor stays with its target, else near its place.

        Args:
            rows: the rows.
            top: begin at the first row that has a target.
        """
        wanted = tuple(rows)
        if wanted == self.source.rows and not top:
            return
        target, line = self.target, self.cursor_line
        self.source.rows = wanted
        self.source.version += 1
        self.redraw()
        self.update_lines()
        places = [index for index, one in enumerate(wanted) if one.target is not None]
        same = next((index for index in places if wanted[index].target == target), None) if not top else None
        if same is None:
            after = [index for index in places if index >= line] if not top else places
            same = (after or places[-1:] or [0])[0]
        if wanted:
            self.go_to(same)
        if top:
            self.scroll_to(0, 0, animate=False, force=True)

    def go_to(self, line: int) -> None:
        """Mark a row, the next one in that direction that stands for something where others are passed over."""
        rows = self.source.rows
        if self._skip and 0 <= line < len(rows) and rows[line].target is None:
            step = -1 if line < self.cursor_line else 1
            places = [number for number, one in enumerate(rows) if one.target is not None]
            onward = [number for number in places if (number - line) * step > 0]
            line = (
                (min if step > 0 else max)(onward)
                if onward
                else self.cursor_line
                if self.cursor_line in places
                else line
            )
        super().go_to(line)
        if self._skip and line in (0, 1):
            self.scroll_to(y=0, animate=False, force=True)

    def mark(self, target: object) -> bool:
        """Put the cursor on the row of a target; tell whether there is one."""
        for index, one in enumerate(self.source.rows):
            if one.target == target:
                self.go_to(index)
                return True
        return False
