"""The user's choices, used at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Select, Static

from installer.tui.theme import TITLES

if TYPE_CHECKING:
    from installer.tui.app import Cockpit

_HISTORY = (5_000, 20_000, 50_000, 100_000, 500_000)


class SettingsDialog(ModalScreen[None]):
    """One line for each setting; the rest is in the file."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "Close")]

    @property
    def cockpit(self) -> Cockpit:
        """The app."""
        return cast("Cockpit", self.app)

    def compose(self) -> ComposeResult:
        """Lay it out."""
        settings = self.cockpit.settings
        areas = [("the one that fits", ""), *((area.title, area.id) for area in self.cockpit.areas)]
        history = sorted({*_HISTORY, settings.history})
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Settings"
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield from _row("Theme", "theme", [(title, name) for name, title in TITLES.items()], settings.theme)
                yield from _row("Symbols", "ascii", [("Unicode", False), ("ASCII only", True)], settings.ascii)
                yield from _row("Flows kept", "history", [(f"{n:,}", n) for n in history], settings.history)
                yield from _row("Begin with", "area", areas, settings.area)
                yield Static(f"Keys and saved filters: {self.cockpit.services.settings.path}", classes="dialog-hint")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", variant="primary", compact=True)
                yield Button("Edit the file", id="edit", compact=True)

    @on(Select.Changed)
    def _changed(self, event: Select.Changed) -> None:
        if event.select.id and getattr(self.cockpit.settings, event.select.id) != event.value:
            self.cockpit.change_settings(**{event.select.id: event.value})

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss()

    @on(Button.Pressed, "#edit")
    def _edit(self) -> None:
        self.dismiss()
        self.cockpit.action_open("settings")


def _row(label: str, name: str, options: list[tuple[str, Any]], value: Any) -> ComposeResult:
    values = [option for _, option in options]
    with Horizontal(classes="dialog-row"):
        yield Label(label, classes="dialog-label")
        yield Select(options, value=value if value in values else values[0], allow_blank=False, id=name, compact=True)
