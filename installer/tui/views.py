"""Screens that show one of several views: its tab, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.message import Message
from textual.widgets import Static

from installer.tui.screen import AreaScreen


class ViewTab(Static):
    """One view; a click shows it."""

    DEFAULT_CSS = """
    ViewTab { width: auto; padding: 0 1; color: $text-muted; pointer: pointer; }
    """

    @dataclass
    class Chosen(Message):
        """A view was clicked.

        Attributes:
            view: the view.
        """

        view: str

    def __init__(self, view: str, title: str) -> None:
        super().__init__(title, markup=False, id=f"view-{view}")
        self._view = view

    def on_click(self, event: events.Click) -> None:
        """Ask for the view."""
        event.stop()
        self.post_message(self.Chosen(self._view))


class ViewsScreen(AreaScreen):
    """A screen with views; a subclass gives ``VIEWS``, their titles, and sets ``view``, the one in use."""

    VIEWS: ClassVar[Mapping[str, str]]
    view: str

    def show_view(self, view: str) -> None:
        """Show a view; the screen does."""
        raise NotImplementedError

    @on(ViewTab.Chosen)
    def _view_clicked(self, message: ViewTab.Chosen) -> None:
        message.stop()
        self.show_view(message.view)

    def action_next_view(self) -> None:
        """Show the next view."""
        self._turn(1)

    def action_previous_view(self) -> None:
        """Show the view before."""
        self._turn(-1)

    def _turn(self, step: int) -> None:
        names = list(self.VIEWS)
        self.show_view(names[(names.index(self.view) + step) % len(names)])
