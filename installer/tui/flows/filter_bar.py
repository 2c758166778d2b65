"""The filter bar: an expression, what is wrong with it and where, and what could follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from installer.domain.flows.where import Completion, Where, WhereError, compile_where
from installer.domain.flows.where.fields import field_names
from installer.domain.flows.where.syntax import KEYWORDS
from installer.domain.text import printable

CHOICES = 6
PLACEHOLDER = "verdict=dropped and dst.ns=shop   (all flows; / to filter)"

Completing = Callable[[str, int], Sequence[Completion]]


class _Fault(Highlighter):
    """Marks what is wrong."""

    def __init__(self) -> None:
        self.place: tuple[int, int] | None = None

    def highlight(self, text: Text) -> None:
        """Mark the place."""
        if self.place:
            start, end = self.place
            text.stylize("underline reverse", start, max(end, start + 1))


class FilterInput(Input):
    """The line of the expression; what is wrong in it is marked in place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "accept", "Complete", show=False),
        Binding("down", "choose(1)", "Next", show=False),
        Binding("up", "choose(-1)", "Previous", show=False),
        Binding("escape", "leave", "Leave", show=False),
    ]

    class Accepted(Message):
        """The chosen completion is wanted."""

    class Left(Message):
        """The user is done here."""

    class Moved(Message):
        """The choice moves by ``step``."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self) -> None:
        self._fault = _Fault()
        super().__init__(placeholder=PLACEHOLDER, highlighter=self._fault, compact=True, id="expression")

    def mark(self, place: tuple[int, int] | None) -> None:
        """Mark the characters from ``start`` to ``end``, or none."""
        self._fault.place = place
        self.refresh()

    def action_accept(self) -> None:
        """Take the chosen completion."""
        self.post_message(self.Accepted())

    def action_choose(self, step: int) -> None:
        """Move the choice."""
        self.post_message(self.Moved(step))

    def action_leave(self) -> None:
        """Go back to the table."""
        self.post_message(self.Left())


class FilterBar(Vertical):
    """One line; below it the fault or the completions while it has the focus.

    Args:
        completing: returns what could follow a text at a place.
    """

    DEFAULT_CSS = """
    FilterBar {
        height: auto;
        #filter-line { height: 1; }
        #filter-label { width: auto; padding: 0 1; color: $text-muted; }
        #expression { width: 1fr; background: $surface; }
        #filter-fault { display: none; height: auto; max-height: 2; padding: 0 1; color: $error; }
        #filter-choices { display: none; height: auto; max-height: 6; background: $panel; border: none; padding: 0 1; }
        &.-wrong #filter-fault { display: block; }
        &.-choices #filter-choices { display: block; }
    }
    """

    class Changed(Message):
        """The expression is another one, and right."""

        def __init__(self, where: Where) -> None:
            super().__init__()
            self.where = where

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, FilterBar.Changed)

    class Done(Message):
        """The user has finished typing."""

    def __init__(self, completing: Completing) -> None:
        super().__init__(id="filter")
        self._completing = completing
        self._choices: Sequence[Completion] = ()
        self._history: list[str] = []

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Horizontal(id="filter-line"):
            yield Label("Filter", id="filter-label")
            yield FilterInput()
        yield Static(id="filter-fault")
        yield OptionList(id="filter-choices", compact=True, markup=False)

    @property
    def input(self) -> FilterInput:
        """The line."""
        return self.query_one(FilterInput)

    @property
    def expression(self) -> str:
        """The text as it stands."""
        return self.input.value

    def set_expression(self, text: str) -> None:
        """Use another expression."""
        self.input.value = text
        self.input.cursor_position = len(text)

    def add_clause(self, clause: str) -> None:
        """Narrow the expression by a clause."""
        old = self.expression.strip()
        if clause in old:
            return
        joined = f"({old}) and {clause}" if " or " in old else f"{old} and {clause}"
        self.set_expression(joined if old else clause)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._complete()
        self._judge(finished=not self.input.has_focus)

    def _judge(self, *, finished: bool) -> None:
        """Use the expression, or say what is wrong. While it is typed, a word that may become a field waits."""
        try:
            where = compile_where(self.expression)
        except WhereError as error:
            self._show_fault(error, aloud=finished or not self._choices)
        else:
            self._clear_fault()
            if finished or not _may_become_field(self.expression):
                self.post_message(self.Changed(where))

    def _show_fault(self, error: WhereError, *, aloud: bool) -> None:
        fix = f"; {error.fix}" if error.fix else ""
        self.query_one("#filter-fault", Static).update(Content(printable(f"{error.what}{fix}").replace("\n", " ")))
        self.input.mark((error.start, error.end))
        self.set_class(aloud, "-wrong")

    def _clear_fault(self) -> None:
        self.input.mark(None)
        self.remove_class("-wrong")

    def _complete(self) -> None:
        text, cursor = self.input.value, self.input.cursor_position
        self._choices = self._completing(text, cursor)[:CHOICES] if text and self.input.has_focus else ()
        self.set_class(bool(self._choices), "-choices")
        if self._choices:
            options = self.query_one(OptionList)
            options.set_options([Option(_choice(choice)) for choice in self._choices])
            options.highlighted = 0

    @on(FilterInput.Left)
    def _left(self, event: FilterInput.Left) -> None:
        event.stop()
        self.remove_class("-choices")
        self.post_message(self.Done())

    @on(FilterInput.Moved)
    def _choice_moved(self, event: FilterInput.Moved) -> None:
        event.stop()
        options = self.query_one(OptionList)
        if self._choices:
            options.highlighted = ((options.highlighted or 0) + event.step) % len(self._choices)
        elif event.step < 0 and self._history:
            self._history.insert(0, self._history.pop())
            self.set_expression(self._history[0])

    @on(FilterInput.Accepted)
    def _accepted(self, event: FilterInput.Accepted) -> None:
        event.stop()
        if self._choices:
            self._insert(self._choices[self.query_one(OptionList).highlighted or 0])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._insert(self._choices[event.option_index])
        self.input.focus()

    def _insert(self, choice: Completion) -> None:
        text = self.expression
        self.input.value = text[: choice.start] + choice.text + text[choice.end :]
        self.input.cursor_position = choice.start + len(choice.text)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value and event.value not in self._history:
            self._history.append(event.value)
        self._judge(finished=True)
        if not self.has_class("-wrong"):
            self.input.action_leave()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Hide the completions when the focus goes elsewhere."""
        if event.widget is self.input:
            self.remove_class("-choices")


def _may_become_field(text: str) -> bool:
    """Tell whether the last word is the beginning of a field or a keyword."""
    word = re.split(r"""[\s()=!<>~,"'&|]""", text)[-1].lower()
    return bool(word) and any(name.startswith(word) for name in (*field_names(), *KEYWORDS))


def _choice(choice: Completion) -> Content:
    note = choice.help
    return Content.assemble(printable(choice.text), ("  " + printable(note) if note else "", "$text-muted"))
