"""Asking where ``beeyard.yaml`` goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from installer.domain.errors import BeeyardError
from installer.domain.setup.note import Note
from installer.tui.setup.notes import note_content

Write = Callable[[Path, bool], Path]
"""Writes the file; the flag says that one that is there may be replaced."""


class SaveFile(ModalScreen[Path | None]):
    """Asks for a path, and again before a file is replaced; the answer is where the file is now.

    Args:
        write: writes the file; raises ``E-CONFIG-006`` where one is there.
        path: what is proposed.
    """

    BINDINGS: ClassVar[list[Any]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, write: Write, path: str = "beeyard.yaml"):
        super().__init__()
        self._write = write
        self._path = path
        self._refused = ""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Save the answers"
            yield Static("The file holds every setting that is not the default.", classes="dialog-intro")
            yield Input(self._path, id="save-path")
            yield Static(id="save-trouble", classes="dialog-hint")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Save", id="save", variant="primary")

    def on_mount(self) -> None:
        """Let Enter save."""
        self.query_one(Input).focus()

    def on_input_changed(self) -> None:
        """Forget what was said of another path."""
        self._refused = ""
        self.query_one("#save", Button).label = "Save"
        self.query_one("#save-trouble", Static).update("")

    def on_input_submitted(self) -> None:
        """Save."""
        self._save()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        event.stop()
        if event.button.id == "cancel":
            self.action_cancel()
        else:
            self._save()

    def action_cancel(self) -> None:
        """Save nothing."""
        self.dismiss(None)

    def _save(self) -> None:
        path = self.query_one(Input).value.strip() or self._path
        try:
            self.dismiss(self._write(Path(path), self._refused == path))
        except BeeyardError as error:
            self._tell(error, path)

    def _tell(self, error: BeeyardError, path: str) -> None:
        self.query_one("#save-trouble", Static).update(note_content(Note.of_error(error)))
        if error.code == "E-CONFIG-006":
            self._refused = path
            self.query_one("#save", Button).label = "Replace"
            self.query_one("#save", Button).focus()
