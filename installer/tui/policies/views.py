"""The line of views: on small screens one at a time, on large ones it chooses what the panel shows."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from installer.tui.views import ViewTab

VIEWS = {
    "policies": "Policies",
    "text": "Text",
    "effect": "Effect",
    "impact": "Impact",
    "diff": "Diff",
    "explain": "Explain",
    "problems": "Problems",
    "history": "History",
}
"""Titles of the views."""
PAGES = tuple(VIEWS)[2:]
"""Views that the panel shows."""


class ViewTabs(Horizontal):
    """All views; the one in use and the page of the panel stand out."""

    DEFAULT_CSS = """
    ViewTabs ViewTab.-page { color: $foreground; text-style: underline; }
    ViewTabs ViewTab.-active { background: $boost; color: $foreground; text-style: bold; }
    ViewTabs ViewTab.-bad { color: $error; }
    """

    def __init__(self) -> None:
        super().__init__(id="views")

        self._said: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Make the tabs."""
        for view, title in VIEWS.items():
            yield ViewTab(view, title)

    def show(self, view: str, page: str, problems: int) -> None:
        """Mark the view in use, the page of the panel, and the number of problems."""
        said = (view, page, problems, self.screen.has_class("-narrow"))
        if said == self._said:
            return
        self._said = said
        for name in VIEWS:
            tab = self.query_one(f"#view-{name}", ViewTab)
            tab.set_class(name == view, "-active")
            tab.set_class(name == page, "-page")
        bad = self.query_one("#view-problems", ViewTab)
        bad.set_class(problems > 0, "-bad")
        count = f" {problems}" if not self.screen.has_class("-narrow") else "!"
        bad.update(VIEWS["problems"] + (count if problems else ""))
