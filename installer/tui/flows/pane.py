"""The pane beside the table."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content as Styled
from textual.widgets import Static

from installer.domain.text import printable
from installer.tui.flows.panes import Content, MapContent
from installer.tui.flows.text_lines import TextLines
from installer.tui.widgets.lines import LineView

COUNTING = 0.012
"""Seconds of a frame that counting may take."""


class Pane(Vertical):
    """Shows one content at a time, or is not there.

    Attributes:
        content: what is shown, None while it is closed.
    """

    def __init__(self) -> None:
        super().__init__(id="pane")
        self.content: Content | None = None
        self._version = -1

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="pane-title", markup=False)
        yield LineView(TextLines(), id="pane-lines")

    @property
    def view(self) -> LineView:
        """The lines."""
        return self.query_one(LineView)

    def open(self, content: Content) -> None:
        """Show a content from its top."""
        self.content = content
        self.screen.add_class("-pane")
        self.set_class(isinstance(content, MapContent), "-map")
        content.count()
        self._fill()
        self.view.show(content.lines, follow=False)
        self._tell()

    def close(self) -> None:
        """Go away."""
        self.content = None
        self.screen.remove_class("-pane")

    def restart(self) -> None:
        """Count anew, because the flows or the filter are others."""
        if self.content is not None:
            self.content.restart()

    def advance(self, *, draw: bool) -> None:
        """Count on for a few milliseconds; ``draw``: bring the lines up to date too."""
        if self.content is None:
            return
        end = time.perf_counter() + COUNTING
        while self.content.count() and time.perf_counter() < end:
            pass
        if draw:
            self._fill()
            if self.content.lines.version != self._version:
                self._tell()

    def clause(self, line: int) -> str:
        """Return the filter that a line stands for."""
        return self.content.lines.clause(line) if self.content is not None else ""

    def _fill(self) -> None:
        assert self.content is not None
        self.content.draw(max(20, self.view.scrollable_content_region.width))

    def _tell(self) -> None:
        assert self.content is not None
        self._version = self.content.lines.version
        self.query_one("#pane-title", Static).update(Styled(printable(self.content.title)), layout=False)
        self.view.redraw()
        self.view.update_lines()
