"""What stands behind a row: beside the cards where there is room, else in a dialog."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from installer.domain.text import printable
from installer.tui.actions import Action, bindings
from installer.tui.overview.cards import Detail, Level

COLOURS = {
    Level.OFF: "$foreground 60%",
    Level.OK: "$success",
    Level.INFO: "$foreground",
    Level.HINT: "$secondary",
    Level.WARNING: "$warning",
    Level.ERROR: "$error",
}
_WORDS = {Level.WARNING: "Warning", Level.ERROR: "Error", Level.HINT: "Hint"}


def as_content(detail: Detail) -> Content:
    """Return a detail as styled text; nothing in it is taken for markup."""
    colour = COLOURS[detail.level]
    head = Content.styled(_sentence(detail.title), f"bold {colour}")
    marks = " ".join(filter(None, (_WORDS.get(detail.level, ""), detail.code)))
    lines = [head, *([Content.styled(marks, "$foreground 60%")] if marks else [])]
    for label, text in detail.parts:
        lines += [Content(""), *([Content.styled(label, "$primary")] if label else []), Content(printable(text))]
    return Content("\n").join(lines)


def _sentence(text: str) -> str:
    text = printable(text)
    return text[:1].upper() + text[1:]


class DetailPanel(VerticalScroll, can_focus=True):
    """Shows what stands behind the marked row."""

    DEFAULT_CSS = """
    DetailPanel {
        width: 1fr; height: 100%; padding: 0 2; scrollbar-size-vertical: 1;
        border-left: solid $border; border-title-color: $primary; background: $surface;
    }
    DetailPanel:focus { border-left: heavy $primary; }
    """

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._detail: Detail | None = None

    def compose(self) -> ComposeResult:
        """Make the text."""
        yield Static(id="detail-text", markup=False)

    def show(self, detail: Detail) -> None:
        """Show a detail; another one is read from its beginning."""
        if detail == self._detail:
            return
        other = self._detail is None or detail.title != self._detail.title
        self._detail = detail
        self.query_one("#detail-text", Static).update(as_content(detail))
        if other:
            self.scroll_home(animate=False)


class DetailDialog(ModalScreen[None]):
    """Shows a detail over the cards."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("detail.close", "Close", "Go back.", ("escape", "q", "enter"), area="detail"),
        Action("detail.copy", "Copy", "Copy the whole text.", ("c", "y"), area="detail"),
    )
    BINDINGS = bindings(ACTIONS)

    def __init__(self, detail: Detail):
        super().__init__()
        self.detail = detail

    def compose(self) -> ComposeResult:
        """Lay it out."""
        level = "-error" if self.detail.level is Level.ERROR else ""
        with Vertical(classes=f"dialog -wide {level}") as dialog:
            dialog.border_title = "Details"
            dialog.border_subtitle = "Esc close   c copy"
            with VerticalScroll(classes="dialog-body", can_focus=True):
                yield Static(as_content(self.detail), markup=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_copy(self) -> None:
        """Put the text on the clipboard."""
        self.app.copy_to_clipboard(printable(self.detail.as_text()))
        self.app.notify("The details are on the clipboard.", title="Copied", markup=False)
