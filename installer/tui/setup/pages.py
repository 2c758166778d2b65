"""The pages of questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Collapsible, Static

from installer.domain.preflight import Level
from installer.domain.setup.catalog import questions_of
from installer.domain.setup.question import Page, Question
from installer.tui.setup.fields import Field
from installer.tui.setup.notes import Notes
from installer.tui.setup.rows import Rows

if TYPE_CHECKING:
    from installer.domain.setup.form import Form
    from installer.domain.setup.judgement import Judgement


class FormPage(VerticalScroll):
    """The questions of one page; those that few people need are folded away, and made when they are asked for."""

    def __init__(self, page: Page, form: Form):
        super().__init__(id=f"page-{page.id}", classes="page", can_focus=False)
        self._page = page
        self._form = form
        self._judgement: Judgement | None = None
        self._ascii = False

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(self._page.intro, markup=False, classes="page-intro")
        questions = questions_of(self._page.id)
        yield from (self._field(item) for item in questions if not item.more)
        if any(item.more for item in questions):
            yield Collapsible(title="More", collapsed=True)

    def _field(self, question: Question) -> Field:
        field = Field(question, self._form.answers[question.id], self._form.choices(question))
        field.display = question.shown(self._form.answers)
        return field

    @on(Collapsible.Expanded)
    async def _unfold(self, event: Collapsible.Expanded) -> None:
        event.stop()
        if not event.collapsible.query(Field):
            folded = [self._field(item) for item in questions_of(self._page.id) if item.more]
            await event.collapsible.query_one(Collapsible.Contents).mount_all(folded)
            self._draw()

    def show(self, form: Form, judgement: Judgement, *, ascii_only: bool) -> None:
        """Show the questions that make sense now, and what is to be said about them."""
        self._form, self._judgement, self._ascii = form, judgement, ascii_only
        self._draw()

    def _draw(self) -> None:
        form, judgement = self._form, self._judgement
        assert judgement is not None
        for field in self.query(Field):
            field.display = field.question.shown(form.answers)
            field.show_notes(judgement.of(field.question.id), ascii_only=self._ascii)
        for fold in self.query(Collapsible):
            folded = [item for item in form.shown(self._page.id) if item.more]
            fold.display = bool(folded)
            if fold.collapsed and any(_stands_in_the_way(item, judgement) for item in folded):
                fold.collapsed = False  # it scrolls to itself, but the user is elsewhere
                self.call_after_refresh(self.call_after_refresh, self.scroll_to, y=self.scroll_y, animate=False)

    def focus_first(self) -> None:
        """Give the first question the keys."""
        for field in self.query(Field):
            if field.display:
                field.control.focus()
                return


def _stands_in_the_way(question: Question, judgement: Judgement) -> bool:
    return any(note.level is Level.ERROR for note in judgement.of(question.id))


class HostPage(VerticalScroll):
    """What is on this host, and what preflight says of it."""

    def __init__(self, page: Page):
        super().__init__(id=f"page-{page.id}", classes="page", can_focus=True)
        self._page = page

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(self._page.intro, markup=False, classes="page-intro")
        yield Static(id="setup-origin", markup=False)
        yield Rows(id="host-rows")
        yield Static(id="host-verdict")
        yield Notes(id="host-notes")

    def show_origin(self, text: str) -> None:
        """Say where the answers come from; nothing where they are the defaults."""
        origin = self.query_one("#setup-origin", Static)
        origin.update(text)
        origin.display = bool(text)

    def show_host(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show the host."""
        self.query_one("#host-rows", Rows).show(rows)

    def show_verdict(self, verdict: Content) -> None:
        """Show what all findings come to."""
        self.query_one("#host-verdict", Static).update(verdict, layout=False)

    def show_notes(self, judgement: Judgement, *, ascii_only: bool) -> None:
        """Show what is to be said about the host."""
        self.query_one("#host-notes", Notes).show(judgement.of("host"), ascii_only=ascii_only)

    def focus_first(self) -> None:
        """Take the keys, for scrolling."""
        self.focus()
