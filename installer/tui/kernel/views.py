"""The line of views."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

VIEWS = {
    "proof": "Proof",
    "traffic": "Traffic",
    "drops": "Drops",
    "doctor": "Doctor",
    "tcp": "TCP",
    "dns": "DNS",
    "compare": "Compare",
}
"""Titles of the views."""


class KernelTab(Static):
    """One view; a click shows it."""

    @dataclass
    class Chosen(Message):
        """A view was clicked.

        Attributes:
            view: the view.
        """

        view: str

    def __init__(self, view: str) -> None:
        super().__init__(VIEWS[view], markup=False, id=f"view-{view}")
        self._view = view

    def on_click(self, event: events.Click) -> None:
        """Ask for the view."""
        event.stop()
        self.post_message(self.Chosen(self._view))


class KernelTabs(Horizontal):
    """All views; the one in use stands out."""

    DEFAULT_CSS = """
    KernelTabs { height: 1; background: $panel; }
    KernelTabs KernelTab { width: auto; padding: 0 1; color: $text-muted; pointer: pointer; }
    KernelTabs KernelTab.-active { background: $boost; color: $foreground; text-style: bold underline; }
    """

    def compose(self) -> ComposeResult:
        """Make the tabs."""
        for view in VIEWS:
            yield KernelTab(view)

    def show(self, view: str) -> None:
        """Mark the view in use."""
        for name in VIEWS:
            self.query_one(f"#view-{name}", KernelTab).set_class(name == view, "-active")
