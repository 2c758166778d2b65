"""What the keys of this screen do, made from the actions themselves."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from installer.tui.actions import Action

_LEAST = 20
"""Columns that a sentence needs beside its title."""
Row = tuple[str, str, str]
"""Keys, title and help of an action."""


class KeyTable(Static):
    """Three columns; the last one wraps below itself.

    Args:
        rows: keys, title and help.
        keys: width of the keys.
        titles: width of the titles.
    """

    def __init__(self, rows: list[Row], keys: int, titles: int):
        super().__init__()
        self._rows = rows
        self._widths = keys, titles

    def on_resize(self, event: events.Resize) -> None:
        """Wrap for the new width."""
        self.update(Content("\n").join(self._line(row, event.size.width) for row in self._rows))

    def _line(self, row: Row, width: int) -> Content:
        keys, titles = self._widths
        indent = keys + titles + 4
        title = row[1].ljust(titles) + "  "
        if width - indent < _LEAST:  # no room beside: below
            indent, title = keys + 2, f"{row[1]}\n{' ' * (keys + 2)}"
        text = f"\n{' ' * indent}".join(wrap(row[2], max(width - indent, 10)))
        return Content.assemble((row[0].rjust(keys), "$primary"), "  ", title, (text, "$foreground-muted"))


class HelpScreen(ModalScreen[None]):
    """Keys, titles and sentences of all actions that work here.

    Args:
        title: the screen it is about.
        intro: what the screen is for.
        sections: headings, each with its actions.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f12", "dismiss", "Close")]

    def __init__(self, title: str, intro: str, sections: Iterable[tuple[str, list[Row]]]):
        super().__init__()
        self._title = title
        self._intro = intro
        self._sections = list(sections)

    def compose(self) -> ComposeResult:
        """Lay it out."""
        rows = [row for _, rows in self._sections for row in rows]
        keys, titles = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = f"Help: {self._title}"
            dialog.border_subtitle = "Esc closes"
            with VerticalScroll(classes="dialog-body"):
                if self._intro:
                    yield Static(self._intro, markup=False, classes="dialog-intro")
                for number, (heading, found) in enumerate(self._sections):
                    yield Static(heading, classes="dialog-heading" if number else "dialog-heading -first", markup=False)
                    yield KeyTable(found, keys, titles)


def sections(groups: Iterable[tuple[str, Action, str]]) -> list[tuple[str, list[Row]]]:
    """Put (default heading, action, keys) under the headings of their groups, in the order of their first action."""
    found: dict[str, list[Row]] = {}
    for heading, action, keys in groups:
        found.setdefault(action.group or heading, []).append((keys, action.title, action.help))
    return list(found.items())
