"""Asking before something that cannot be taken back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static


class Confirm(ModalScreen[bool]):
    """Asks; the answer is True only when it was given on purpose.

    Args:
        title: the question, such as ``Quit while the install runs?``.
        text: what will happen.
        word: what has to be typed first, such as the name of the thing; empty asks for a key only.
        yes: text of the button that does it.
        no: text of the button that does not.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
    ]

    def __init__(self, title: str, text: str, word: str = "", *, yes: str = "Yes", no: str = "No"):
        super().__init__()
        self._question = title
        self._text = text
        self._word = word
        self._buttons = yes, no

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._question.replace("[", r"\[")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(self._text, markup=False)
                if self._word:
                    yield Static(f"Type {self._word} to go on:", classes="dialog-hint", markup=False)
                    yield Input(id="word")
            with Horizontal(classes="dialog-buttons"):
                yield Button(self._buttons[1], id="no", variant="primary", compact=True)
                yield Button(self._buttons[0], id="yes", variant="error", disabled=bool(self._word), compact=True)

    def on_mount(self) -> None:
        """Let Enter mean no."""
        self.query_one("#word" if self._word else "#no").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Free the button once the word is right."""
        self.query_one("#yes", Button).disabled = event.value != self._word

    def on_input_submitted(self) -> None:
        """Take Enter after the right word as the answer."""
        self.action_answer(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.action_answer(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer; yes counts only where the word has been typed."""
        if not yes or not self.query_one("#yes", Button).disabled:
            self.dismiss(yes)
