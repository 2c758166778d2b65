"""The tabs of the areas."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from installer.tui.areas import Area


class AreaTabs(Horizontal):
    """One line: the name of the program and a tab for each area."""

    DEFAULT_CSS = """
    AreaTabs {
        height: 1; background: $panel;
        .brand { width: auto; padding: 0 2; color: $primary; text-style: bold; }
        AreaTab { width: auto; padding: 0 1; color: $text-muted; pointer: pointer; }
        AreaTab:hover { background: $boost; color: $foreground; }
        AreaTab.-active { background: $background; color: $foreground; text-style: bold; }
    }
    """

    def __init__(self, areas: tuple[Area, ...], active: str):
        super().__init__()
        self._areas = areas
        self._active = active

    def compose(self) -> ComposeResult:
        """Make the tabs."""
        yield Static("beeyard", classes="brand")
        for area in self._areas:
            yield AreaTab(area, classes="-active" if area.id == self._active else "")


class AreaTab(Static):
    """One tab; a click shows its area."""

    class Chosen(Message):
        """A tab was clicked.

        Attributes:
            area: id of its area.
        """

        def __init__(self, area: str) -> None:
            super().__init__()
            self.area = area

    def __init__(self, area: Area, classes: str):
        super().__init__(f"{area.key} {area.title}", markup=False, classes=classes)
        self._area = area

    def on_click(self, event: events.Click) -> None:
        """Ask for the area."""
        event.stop()
        self.post_message(self.Chosen(self._area.id))
