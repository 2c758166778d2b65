"""The way through the setup: a line above the page, or a column beside it on a wide terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from installer.tui.setup.notes import MUTED
from installer.tui.setup.rows import Rows


@dataclass(frozen=True, slots=True)
class Stop:
    """A page on the way.

    Attributes:
        id: the page.
        title: what it is called.
    """

    id: str
    title: str


class RailStop(Static):
    """One page on the way; a click goes there."""

    class Chosen(Message):
        """The page was clicked.

        Attributes:
            page: its id.
        """

        def __init__(self, page: str) -> None:
            super().__init__()
            self.page = page

    def __init__(self, stop: Stop):
        super().__init__(id=f"stop-{stop.id}", classes="stop")
        self._stop = stop
        self._shown: tuple[bool, bool, int, bool] | None = None

    def show(self, *, active: bool, done: bool, errors: int, ascii_only: bool) -> None:
        """Show where one is and what stands in the way there."""
        if self._shown == (shown := (active, done, errors, ascii_only)):
            return
        self._shown = shown
        signs = ("x", ">", "v", "-") if ascii_only else ("✗", "●", "✓", "○")
        index = 0 if errors else 1 if active else 2 if done else 3
        colour = ("$error", "$primary", "$success", MUTED)[index]
        count = f" {errors}" if errors else ""
        self.update(Content.assemble((f"{signs[index]} ", colour), self._stop.title, (count, "$error bold")))
        self.set_class(active, "-active")

    def on_click(self, event: events.Click) -> None:
        """Ask for the page."""
        event.stop()
        self.post_message(self.Chosen(self._stop.id))


class Rail(Vertical):
    """All pages in order, and on a wide terminal what the answers make."""

    def __init__(self, stops: Sequence[Stop]):
        super().__init__(id="rail")
        self._stops = stops

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(id="stops"):
            for stop in self._stops:
                yield RailStop(stop)
        with Vertical(id="made"):
            yield Static("What you get", classes="rail-title")
            yield Rows(id="made-rows")

    def show(self, page: str, errors: dict[str, int], seen: set[str], *, ascii_only: bool) -> None:
        """Show the present page, those seen, and errors by page."""
        for stop in self._stops:
            self.query_one(f"#stop-{stop.id}", RailStop).show(
                active=stop.id == page, done=stop.id in seen, errors=errors.get(stop.id, 0), ascii_only=ascii_only
            )

    def show_made(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show what the answers make."""
        self.query_one("#made-rows", Rows).show(rows)
