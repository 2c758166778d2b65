"""A question as a widget: its control, its help, and its notes below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, RadioSet, Static
from textual.widgets.selection_list import Selection

from installer.domain.setup.note import Note
from installer.domain.setup.question import Answer, Choice, Kind, Question
from installer.tui.setup.notes import MUTED, Notes, NoteView
from installer.tui.widgets.toggles import Checkbox, RadioButton, SelectionList


class Field(Vertical):
    """One question.

    Args:
        question: what is asked.
        answer: the present answer.
        choices: what can be chosen.
    """

    class Answered(Message):
        """The answer changed.

        Attributes:
            question: id of the question.
            answer: the new answer.
        """

        def __init__(self, question: str, answer: Answer) -> None:
            super().__init__()
            self.question = question
            self.answer = answer

    def __init__(self, question: Question, answer: Answer, choices: Sequence[Choice]):
        super().__init__(id=field_id(question.id), classes=f"field -{question.kind}")
        self.question = question
        self._answer = answer
        self._choices = choices

    def compose(self) -> ComposeResult:
        """Lay it out."""
        asked = self.question
        if asked.kind is Kind.SWITCH:
            with Horizontal(classes="field-line"):
                yield Checkbox(Content(asked.title), bool(self._answer), compact=True)
                yield Static(asked.help, markup=False, classes="field-help")
        else:
            title = Content.assemble((asked.title, "bold"), "  ", (asked.help, MUTED))
            yield Static(title, classes="field-title")
            yield self._control()
        yield Notes()

    def _control(self) -> Input | RadioSet | SelectionList[str]:
        asked = self.question
        if asked.kind is Kind.TEXT:
            placeholder = f"empty: {asked.empty}" if asked.empty else asked.example
            return Input(str(self._answer), placeholder=placeholder, compact=True, select_on_focus=False)
        if asked.kind is Kind.CHOICE:
            buttons = (RadioButton(Content(one.label), one.value == self._answer) for one in self._choices)
            return RadioSet(*buttons, compact=True)
        chosen = self._answer if isinstance(self._answer, tuple) else ()
        return SelectionList[str](
            *(Selection(Content(one.label), one.value, one.value in chosen) for one in self._choices), compact=True
        )

    @property
    def control(self) -> Any:
        """The widget that takes the answer."""
        return self.query_one("Input, Checkbox, RadioSet, SelectionList")

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes as shown now."""
        return self.query_one(Notes).shown

    def show_notes(self, notes: Sequence[Note], *, ascii_only: bool = False) -> None:
        """Show what is to be said about the answer."""
        self.query_one(Notes).show(notes, ascii_only=ascii_only)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()

    @on(Checkbox.Changed)
    def _switched(self, event: Checkbox.Changed) -> None:
        event.stop()
        self._tell(event.value)

    @on(RadioSet.Changed)
    def _chose(self, event: RadioSet.Changed) -> None:
        event.stop()
        self._tell(self._choices[event.index].value)

    @on(SelectionList.SelectedChanged)
    def _ticked(self, event: SelectionList.SelectedChanged[str]) -> None:
        event.stop()
        ticked = set(event.selection_list.selected)
        self._tell(tuple(one.value for one in self._choices if one.value in ticked))

    @on(NoteView.Taken)
    def _taken(self, event: NoteView.Taken) -> None:
        event.stop()
        self.control.value = event.value
        self.control.focus()

    def _tell(self, answer: Answer) -> None:
        if answer != self._answer:
            self._answer = answer
            self.post_message(self.Answered(self.question.id, answer))


def field_id(question: str) -> str:
    """Return the widget's id of a question."""
    return f"field-{question.replace('.', '-')}"
