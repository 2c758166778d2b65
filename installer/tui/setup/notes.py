"""What is said beside a question."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from installer.domain.preflight import Level
from installer.domain.setup.note import Note
from installer.domain.text import printable

MUTED = "$foreground 60%"
"""Style of what matters less; Textual's own muted colour is for style sheets only."""
WORDS = {
    Level.ERROR: ("✗", "x", "error", "$error"),
    Level.WARNING: ("▲", "!", "warning", "$warning"),
    Level.INFO: ("·", "-", "note", "$secondary"),
}
"""Sign, sign in ASCII, word and colour of a level."""


def level_content(note: Note, *, ascii_only: bool = False) -> Content:
    """Return the level of a note as sign and word."""
    sign, plain, word, colour = WORDS[note.level]
    return Content.styled(f"{plain if ascii_only else sign} {word}", f"{colour} bold")


def note_content(note: Note, *, ascii_only: bool = False) -> Content:
    """Return what a note says: what is the matter, its evidence and its fix. Texts are shown literally."""
    code = f"  {note.code}" if note.code else ""
    parts = [Content.assemble((printable(note.what), "$foreground"), (code, MUTED))]
    if note.evidence:
        parts.append(Content.styled(printable(note.evidence), MUTED))
    if note.fix and note.fix != "nothing":
        arrow = "-> " if ascii_only else "→ "
        parts.append(Content.assemble((arrow, WORDS[note.level][3]), (printable(note.fix), "$foreground")))
    return Content("\n").join(parts)


class NoteView(Horizontal):
    """One note, with a button where another answer would do."""

    class Taken(Message):
        """The offered answer was taken.

        Attributes:
            value: the answer.
        """

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    def __init__(self, note: Note, *, ascii_only: bool):
        super().__init__(classes=f"note -{note.level}")
        self._note = note
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(level_content(self._note, ascii_only=self._ascii), classes="note-level")
        with Vertical(classes="note-body"):
            yield Static(note_content(self._note, ascii_only=self._ascii), classes="note-text")
            if self._note.value:
                yield Button(f"Use {printable(self._note.value)}", compact=True, classes="note-take")

    @on(Button.Pressed)
    def _take(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.Taken(self._note.value))


class Notes(Vertical):
    """The notes of one question; drawn anew only when they changed."""

    def __init__(self, *, id: str | None = None):  # noqa: A002 - Textual's name
        super().__init__(id=id, classes="notes")
        self._shown: tuple[Note, ...] = ()
        self.display = False

    @property
    def shown(self) -> tuple[Note, ...]:
        """The notes as shown now."""
        return self._shown

    def show(self, notes: Sequence[Note], *, ascii_only: bool = False) -> None:
        """Show these notes instead of the present ones."""
        if tuple(notes) == self._shown:
            return
        self._shown = tuple(notes)
        self.display = bool(notes)
        self.remove_children()
        self.mount_all(NoteView(note, ascii_only=ascii_only) for note in notes)
