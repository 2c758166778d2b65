"""What the keys of this screen do, made from the actions themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from installer.tui.actions import Action


class HelpScreen(ModalScreen[None]):
    """Keys, titles and sentences of all actions that work here.

    Args:
        title: the screen it is about.
        intro: what the screen is for.
        sections: heading and (keys, title, help) of its actions.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f12", "dismiss", "Close")]

    def __init__(self, title: str, intro: str, sections: Iterable[tuple[str, list[tuple[str, str, str]]]]):
        super().__init__()
        self._title = title
        self._intro = intro
        self._sections = list(sections)

    def compose(self) -> ComposeResult:
        """Lay it out."""
        keys = max((len(row[0]) for _, rows in self._sections for row in rows), default=0)
        titles = max((len(row[1]) for _, rows in self._sections for row in rows), default=0)
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = f"Help: {self._title}"
            dialog.border_subtitle = "Esc closes"
            with VerticalScroll(classes="dialog-body"):
                if self._intro:
                    yield Static(self._intro, markup=False, classes="dialog-intro")
                for heading, rows in self._sections:
                    yield Static(heading, classes="dialog-heading", markup=False)
                    yield Static(Content("\n").join(_row(row, keys, titles) for row in rows))


def _row(row: tuple[str, str, str], keys: int, titles: int) -> Content:
    key, title, text = row
    return Content.assemble(
        (key.rjust(keys), "$primary"), "  ", (title.ljust(titles), "bold"), "  ", (text, "$text-muted")
    )


def sections(groups: Iterable[tuple[str, Action, str]]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Put (default heading, action, keys) under the headings of their groups, in the order of their first action."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for heading, action, keys in groups:
        found.setdefault(action.group or heading, []).append((keys, action.title, action.help))
    return list(found.items())
