"""The live table: rows of a view, drawn when they are seen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from installer.domain.flows import sides
from installer.domain.flows.flow import Flow
from installer.domain.flows.view import View
from installer.tui.flows.columns import Column, Value, ends, fit, fit_end, layout, values
from installer.tui.flows.model import FlowsModel
from installer.tui.widgets.lines import LineView

_KIND = {
    "FORWARDED": "forwarded",
    "REDIRECTED": "forwarded",
    "DROPPED": "dropped",
    "ERROR": "error",
    "AUDIT": "audit",
}
_QUIET = frozenset(("time", "time_ms", "arrow", "node"))
_ENDS = frozenset(("source", "destination"))
_SPACE = Segment(" ")
_ARROWS = {"->": "→", "<-": "←", "<>": "↔"}

Styles = Mapping[str, Style]


class FlowLines:
    """A view's flows as lines for ``LineView``.

    Attributes:
        view: what is shown.
        marked: sequence numbers that the user marked.
    """

    def __init__(self, model: FlowsModel, time: Callable[[str], str], *, ascii_only: bool = False) -> None:
        self.view: View = model.view
        self.marked: set[int] = set()
        self._model = model
        self._values: dict[str, Value] = values(lambda flow: time(flow.time))
        self._ascii = ascii_only
        self._columns: tuple[int, list[Column]] = (0, [])
        self.styles: Styles = {}

    def __len__(self) -> int:
        return len(self.view)

    @property
    def version(self) -> int:
        """Changes with the view."""
        len(self.view)
        return self.view.version

    @property
    def first(self) -> int:
        """Number of the oldest line."""
        return self.view.first

    def show_times(self, time: Callable[[str], str]) -> None:
        """Print times in another way from now on."""
        self._values = values(lambda flow: time(flow.time))

    def seq_of(self, line: int) -> int | None:
        """Return the sequence number of a line's flow, None if it is gone."""
        index = line - self.view.first
        return self.view.seq(index) if 0 <= index < len(self.view) else None

    def line(self, index: int, width: int) -> str | Text | Strip:
        """Draw a row."""
        if not 0 <= index < len(self.view):
            return ""
        seq = self.view.seq(index)
        flow = self._model.store.flow(seq)
        return "" if flow is None else self._row(flow, self._gutter(index, seq), width)

    def _row(self, flow: Flow, gutter: str, width: int) -> Strip:
        styles = self.styles
        verdict = styles.get(_KIND.get(sides.verdict(flow), "other"), Style.null())
        quiet = styles.get("quiet", Style.null())
        segments = [Segment(gutter, styles.get("mark", Style.null()))]
        for column in self._layout(width):
            style = quiet if column.id in _QUIET else verdict if column.id == "verdict" else None
            segments += (Segment(self._cell(column, flow), style), _SPACE)
        return Strip(segments[:-1])

    def _cell(self, column: Column, flow: Flow) -> str:
        if column.id in _ENDS:
            return fit_end(ends(flow)[column.id == "destination"], column.width, client=column.id == "source")
        value = self._values[column.id](flow)
        return fit(_ARROWS[value] if column.id == "arrow" and not self._ascii else value, column.width)

    def _layout(self, width: int) -> list[Column]:
        if self._columns[0] != width:
            self._columns = width, layout(width)
        return self._columns[1]

    def _gutter(self, index: int, seq: int) -> str:
        mark = "*" if seq in self.marked else " "
        return mark + ("~" if self._gap_before(index, seq) else " ")

    def _gap_before(self, index: int, seq: int) -> bool:
        """Tell whether flows may be missing between a row's flow and the one above."""
        gaps = self._model.gaps
        position = bisect_right(gaps, seq)
        if not position:
            return False
        above = self.view.seq(index - 1) if index else -1
        return gaps[position - 1] > above


class FlowTable(LineView):
    """The table; verdicts take their colours from the theme."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "flow-table--forwarded",
        "flow-table--dropped",
        "flow-table--error",
        "flow-table--audit",
        "flow-table--other",
        "flow-table--quiet",
        "flow-table--mark",
    }
    DEFAULT_CSS = """
    FlowTable > .flow-table--forwarded { color: $verdict-forwarded; }
    FlowTable > .flow-table--dropped { color: $verdict-dropped; text-style: bold; }
    FlowTable > .flow-table--error { color: $verdict-error; text-style: bold; }
    FlowTable > .flow-table--audit { color: $verdict-audit; }
    FlowTable > .flow-table--other { color: $text-muted; }
    FlowTable > .flow-table--quiet { color: $text-muted; }
    FlowTable > .flow-table--mark { color: $accent; text-style: bold; }
    """

    _base: Style | None = None

    @property
    def rich_style(self) -> Style:
        """The style below a row's own, found once and not for every row of every frame."""
        if self._base is None:
            self._base = super().rich_style
        return self._base

    def notify_style_update(self) -> None:
        """Find the style anew."""
        self._base = None
        super().notify_style_update()

    def redraw(self) -> None:
        """Forget what was drawn, and the style."""
        self._base = None
        super().redraw()

    def align_scrollbar(self) -> None:
        """Let the scroll bar stand where the rows are: one that has just appeared does not know."""
        if self.show_vertical_scrollbar and self.vertical_scrollbar.position != self.scroll_y:
            self.vertical_scrollbar.position = self.scroll_y

    def styles_of_rows(self) -> Styles:
        """Return the styles of the theme in use."""
        found = {name: self.get_component_rich_style(name) for name in FlowTable.COMPONENT_CLASSES}
        return {
            name.removeprefix("flow-table--"): Style(color=style.color, bold=style.bold or None)
            for name, style in found.items()
        }
