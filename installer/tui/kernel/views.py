"""The line of views."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from installer.tui.views import ViewTab

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


class KernelTabs(Horizontal):
    """All views; the one in use stands out."""

    DEFAULT_CSS = """
    KernelTabs { height: 1; background: $panel; }
    KernelTabs ViewTab.-active { background: $boost; color: $foreground; text-style: bold underline; }
    """

    def compose(self) -> ComposeResult:
        """Make the tabs."""
        for view, title in VIEWS.items():
            yield ViewTab(view, title)

    def show(self, view: str) -> None:
        """Mark the view in use."""
        for name in VIEWS:
            self.query_one(f"#view-{name}", ViewTab).set_class(name == view, "-active")
