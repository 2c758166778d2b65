r"""The one widget for many lines: logs, flows, kernel events.

The lines stay where they are (a ring in the domain); ``LineView`` asks for the visible ones only, at most ten times a
second and only when something changed, so its cost is per frame and not per line. Lines are known by their number,
which never changes: when the ring drops old lines, the view scrolls along and the eye keeps its row.

Line text is hostile: whatever is not printable is shown as ``\xNN``, and markup is never interpreted.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollTo, ScrollUp
from textual.strip import Strip
from textual.widget import Widget

from installer.domain.text import one_line
from installer.tui.widgets.line_source import Lines, NoLines

__all__ = ["LONGEST", "LineView", "Lines"]

FRAME = 0.1
"""Seconds between two looks at the source."""
CACHED = 2000
"""Strips kept; a screen of 60 rows is scrolled through back and forth without drawing anything twice."""
STEP = 8
"""Cells that the left and right keys move by."""
LONGEST = 16_384
"""Characters of a line that are looked at."""


MORE = ">"
"""Stands in the last cell of a line that goes on to the right."""


class LineView(ScrollView, can_focus=True):
    """Shows the lines of a source; follows the newest until the user moves.

    Args:
        lines: the source; ``show`` replaces it.
        cursor: whether one line is marked and can be chosen with Enter or a click.

    Attributes:
        follow: the view sticks to the newest line.
        paused: the view stands still while the source goes on.
        cursor_line: number of the marked line, -1 where none is.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-view--cursor", "line-view--more"}
    DEFAULT_CSS = """
    LineView {
        background: $surface;
        color: $foreground;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        scrollbar-gutter: stable;
    }
    LineView > .line-view--cursor { background: $block-cursor-blurred-background; text-style: bold; }
    LineView:focus > .line-view--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    LineView > .line-view--more { text-style: dim; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "line_up", "Line up", show=False),
        Binding("down,j", "line_down", "Line down", show=False),
        Binding("pageup", "lines_up", "Page up", show=False),
        Binding("pagedown", "lines_down", "Page down", show=False),
        Binding("home", "oldest", "Oldest line", show=False),
        Binding("end,G", "newest", "Newest line", show=False),
        Binding("left", "sideways(-1)", "Left", show=False),
        Binding("right", "sideways(1)", "Right", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]

    @dataclass
    class Moved(Message):
        """What the view shows of its source has changed: position, following, pausing, or the lines not seen yet.

        Attributes:
            view: the view.
            follow: it sticks to the newest line.
            paused: it stands still.
            unseen: lines below that came since it stopped following.
        """

        view: LineView
        follow: bool
        paused: bool
        unseen: int

        @property
        def control(self) -> LineView:
            """The view, for ``@on`` selectors."""
            return self.view

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, LineView.Moved) and message.view is self.view

    @dataclass
    class Chosen(Message):
        """A line was chosen with Enter or a click.

        Attributes:
            view: the view.
            line: the line's number.
        """

        view: LineView
        line: int

        @property
        def control(self) -> LineView:
            """The view, for ``@on`` selectors."""
            return self.view

    def __init__(
        self,
        lines: Lines | None = None,
        *,
        cursor: bool = True,
        id: str | None = None,  # noqa: A002 - named as in every widget
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: Lines = lines if lines is not None else NoLines()
        self._with_cursor = cursor
        self.follow = True
        self.paused = False
        self.cursor_line = -1
        self._first = self._lines.first
        self._end = self._first  # number after the last line shown
        self._seen = self._first  # number after the last line that was shown while following
        self._version: int | None = None
        self._widest = 0
        self._strips: OrderedDict[tuple[int, int], Strip] = OrderedDict()
        self._told: tuple[bool, bool, int] | None = None

    @property
    def lines(self) -> Lines:
        """The source."""
        return self._lines

    @property
    def unseen(self) -> int:
        """Lines that came since the view stopped following."""
        if self.follow and not self.paused:
            return 0
        return max(0, self._lines.first + len(self._lines) - max(self._seen, self._lines.first))

    @property
    def cursor_index(self) -> int | None:
        """Index in the source of the marked line."""
        index = self.cursor_line - self._lines.first
        return index if self.cursor_line >= 0 and 0 <= index < len(self._lines) else None

    def show(self, lines: Lines, *, follow: bool = True) -> None:
        """Show another source (a filter changed, say) from its newest line, or from its oldest."""
        self._lines = lines
        self.follow, self.paused = follow, False
        self.cursor_line = -1
        self._first = self._end = self._seen = lines.first
        self._widest = 0
        self._version = None
        self.redraw()
        self.update_lines()
        if not follow:
            self.scroll_to(0, 0, animate=False, force=True)

    def redraw(self) -> None:
        """Forget what was drawn, because lines look different now (theme, columns, time format)."""
        self._strips.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        """Draw anew in the colours of another theme."""
        super().notify_style_update()
        self._strips.clear()

    def pause(self, paused: bool) -> None:
        """Stand still, or go on from the newest line."""
        self.paused = paused
        self._version = None
        if not paused:
            self.follow = True
        self.update_lines()

    def on_mount(self) -> None:
        """Begin to look at the source."""
        self.set_interval(FRAME, self.update_lines)
        self.update_lines()

    def on_resize(self) -> None:
        """Lines are drawn for a width; the newest stays in sight."""
        self._version = None
        self.update_lines()

    def update_lines(self) -> None:
        """Take over what changed in the source; does nothing when nothing did."""
        version = self._lines.version
        if version == self._version:
            return
        self._version = version
        first, end = self._lines.first, self._lines.first + len(self._lines)
        evicted = first - self._first
        self._first = first
        self._end = max(first, min(self._end, end)) if self.paused else end
        self._keep_place(evicted)
        self._tell()
        if not self.paused or evicted:
            self.refresh()

    def _keep_place(self, evicted: int) -> None:
        """Set the height, and the offset so that the newest or the same lines stay in sight."""
        top = self.scroll_offset.y - evicted
        self._resize_content()
        if self.follow and not self.paused:
            self._seen = self._end
            if self._with_cursor:
                self.cursor_line = self._end - 1 if self._end > self._first else -1
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        elif evicted:
            self.cursor_line = max(self.cursor_line, self._first) if self.cursor_line >= 0 else -1
            self.scroll_to(y=max(0, top), animate=False, force=True)

    def _resize_content(self) -> None:
        size = Size(max(self._widest, 1), self._end - self._first)
        before = self.virtual_size
        if size == before:
            return
        bar, page = self.show_vertical_scrollbar, self._page
        if bar and min(size.height, before.height) > page:
            # Only the bar's length changes: no need to lay out the whole screen ten times a second.
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        elif not bar and self.size and max(size.height, before.height) <= page:
            self.set_reactive(Widget.virtual_size, size)  # there is no bar, and none is needed
        else:
            self.virtual_size = size

    def _tell(self) -> None:
        if not self.paused:
            self._seen = max(self._seen, min(self._end, self._first + self.scroll_offset.y + self._page))
        now = (self.follow, self.paused, self.unseen)
        if now != self._told:
            self._told = now
            self.post_message(self.Moved(self, *now))

    def action_line_up(self) -> None:
        """Go one line up."""
        self._move(-1)

    def action_line_down(self) -> None:
        """Go one line down."""
        self._move(1)

    def action_lines_up(self) -> None:
        """Go one page up."""
        self._move(-max(1, self._page - 1))

    def action_lines_down(self) -> None:
        """Go one page down."""
        self._move(max(1, self._page - 1))

    def action_oldest(self) -> None:
        """Go to the oldest line."""
        self._move(self._first - self._end)

    def action_newest(self) -> None:
        """Go to the newest line and follow again."""
        self.pause(False)

    def action_sideways(self, direction: int) -> None:
        """Scroll sideways."""
        self.scroll_to(x=max(0, self.scroll_offset.x + direction * STEP), animate=False, force=True)

    def action_choose(self) -> None:
        """Choose the marked line."""
        if self.cursor_line >= 0:
            self.post_message(self.Chosen(self, self.cursor_line))

    def go_to(self, line: int) -> None:
        """Mark the line with this number and bring it into sight; the view stops following."""
        if self._end <= self._first:
            return
        self._stop_following()
        line = max(self._first, min(line, self._end - 1))
        if self._with_cursor:
            self.cursor_line = line
        row, top = line - self._first, self.scroll_offset.y
        if not top <= row < top + self._page:
            self.scroll_to(y=row if row < top else row - self._page + 1, animate=False, force=True)
        self.refresh()
        self._tell()

    @property
    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height)

    def _move(self, rows: int) -> None:
        if self._with_cursor:
            self.go_to((self.cursor_line if self.cursor_line >= 0 else self._end - 1) + rows)
            return
        self._stop_following()
        self.scroll_to(y=max(0, self.scroll_offset.y + rows), animate=False, force=True)
        self._tell()

    def _stop_following(self) -> None:
        if self.follow and not self.paused:
            self._seen = self._end
        self.follow = False

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves away from the newest line."""
        del event
        if self.max_scroll_y > 0:
            self._stop_following()
            self._tell()

    def on_scroll_up(self, event: ScrollUp) -> None:
        """The scroll bar moves away from the newest line."""
        del event
        self._stop_following()
        self._tell()

    def on_scroll_to(self, event: ScrollTo) -> None:
        """The scroll bar was dragged."""
        if event.y is not None and event.y < self.max_scroll_y:
            self._stop_following()
            self._tell()

    def on_click(self, event: events.Click) -> None:
        """Mark the line under the mouse; a second click chooses it."""
        line = self._first + self.scroll_offset.y + event.y
        if not self._with_cursor or line >= self._end:
            return
        again = line == self.cursor_line and not self.follow
        self.go_to(line)
        if again:
            self.action_choose()

    def render_line(self, y: int) -> Strip:
        """Draw one visible row."""
        left, top = self.scroll_offset
        width = self.scrollable_content_region.width
        line = self._first + top + y
        base = self.rich_style
        if line >= self._end or line < self._lines.first:
            return Strip.blank(width, base)
        whole = self._strip(line, width)
        if whole.cell_length > self._widest:
            self._widest = whole.cell_length
            self.call_after_refresh(self._resize_content)
        style = self._style(line, base)
        row = whole.crop_extend(left, left + width, style).apply_style(style)
        if whole.cell_length > left + width > 1:
            more = self.get_component_rich_style("line-view--more")
            row = Strip([*row.crop(0, width - 1), Segment(MORE, style + more)])
        return row

    def _style(self, line: int, base: Style) -> Style:
        if line == self.cursor_line and not self.follow:
            return base + self.get_component_rich_style("line-view--cursor")
        return base

    def _strip(self, line: int, width: int) -> Strip:
        """Return a line as a strip of its full length, from the cache where it was drawn before."""
        key = (line, width)
        found = self._strips.get(key)
        if found is not None:
            self._strips.move_to_end(key)
            return found
        strip = self._drawn(self._lines.line(line - self._lines.first, width))
        self._strips[key] = strip
        if len(self._strips) > CACHED:
            self._strips.popitem(last=False)
        return strip

    def _drawn(self, content: str | Text | Strip) -> Strip:
        if isinstance(content, str):
            return Strip([Segment(one_line(content[:LONGEST]))])
        segments = content.render(self.app.console, end="") if isinstance(content, Text) else content
        return Strip([_literal(segment) for segment in segments])


def _literal(segment: Segment) -> Segment:
    return segment if segment.text.isprintable() else Segment(one_line(segment.text[:LONGEST]), segment.style)
