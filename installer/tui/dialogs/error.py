"""What went wrong, why, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static

from installer.domain.errors import BeeyardError
from installer.domain.text import printable
from installer.tui.actions import Action, bindings


class ErrorDialog(ModalScreen[None]):
    """Shows an error with its code, cause, fix and evidence."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("error.close", "Close", "Go on.", ("escape", "q"), area="error"),
        Action("error.copy", "Copy", "Copy the whole text.", ("c",), area="error"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(ACTIONS),
        Binding("down", "read(1)", show=False),
        Binding("up", "read(-1)", show=False),
        Binding("pagedown", "read(8)", show=False),
        Binding("pageup", "read(-8)", show=False),
    ]

    def __init__(self, error: BeeyardError):
        super().__init__()
        self.error = error

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog -error") as dialog:
            dialog.border_title = f"Error {self.error.code}"
            with VerticalScroll(classes="dialog-body", can_focus=True):
                yield Static(_sentence(self.error.what), classes="dialog-lead", markup=False)
                for label, text in _parts(self.error):
                    with Horizontal(classes="dialog-row"):
                        yield Label(label, classes="dialog-label")
                        yield Static(printable(text), classes="dialog-text", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", variant="primary", compact=True)
                yield Button("Copy", id="copy", compact=True)

    def on_mount(self) -> None:
        """Let Enter close it."""
        self.query_one("#close").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        event.stop()
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.action_close()

    def action_close(self) -> None:
        """Go on."""
        self.dismiss()

    def action_read(self, lines: int) -> None:
        """Move through a long text while a button has the focus."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        """Put the error on the clipboard, as plain text."""
        self.app.copy_to_clipboard(as_text(self.error))
        self.app.notify("The error is on the clipboard.", title="Copied", markup=False)


def as_text(error: BeeyardError) -> str:
    """Return an error as plain text, for reports."""
    parts = "\n".join(f"{label}: {printable(text)}" for label, text in _parts(error))
    return f"{error.code}: {_sentence(error.what)}\n{parts}".rstrip()


def _parts(error: BaseException) -> list[tuple[str, str]]:
    assert isinstance(error, BeeyardError)
    evidence = "\n".join(f"{name}: {value}" for name, value in error.details.items() if value)
    return [(label, text) for label, text in (("Why", error.why), ("Fix", error.fix), ("Facts", evidence)) if text]


def _sentence(text: str) -> str:
    text = printable(text)
    return text[:1].upper() + text[1:]
