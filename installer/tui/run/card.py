"""What to do when a run has ended before its goal: cause, evidence, fix, and the buttons for it."""

from __future__ import annotations

import textwrap

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from installer.domain.errors import BeeyardError
from installer.domain.run_view import RunView, cause_of
from installer.domain.text import printable
from installer.tui.run.drawn import Drawn
from installer.tui.run.host import RunState

LABEL = 10


class FailureCard(Vertical):
    """The diagnosis; its buttons call the screen's actions."""

    _shown: tuple[RunState, RunView, bool] | None = None

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll(id="card-text"):
            yield Static(id="card-what", markup=False)
            yield Drawn(id="card-rows", markup=False)
        with Horizontal(id="card-buttons"):
            yield Button("Retry", id="retry", variant="primary", compact=True, action="screen.retry")
            yield Button("Undo", id="undo", compact=True, action="screen.undo")
            yield Button("Save report", id="report", compact=True, action="screen.report")

    def show(self, state: RunState, view: RunView, *, can_undo: bool) -> None:
        """Show why the run ended."""
        self._shown = (state, view, can_undo)
        failed = state is RunState.FAILED
        self.set_class(failed, "-failed")
        self.query_one("#card-what", Static).update(_headline(state, view))
        self._write_rows()
        self.query_one("#retry", Button).label = (
            "Retry" if failed else "Go on" if state is RunState.STOPPED else "Again"
        )
        self.query_one("#undo", Button).disabled = not can_undo
        self.query_one("#retry", Button).disabled = state is RunState.UNDOING

    @on(Drawn.Resized)
    def _rows_resized(self, message: Drawn.Resized) -> None:
        message.stop()
        self._write_rows()

    def _write_rows(self) -> None:
        if self._shown is None:
            return
        state, view, can_undo = self._shown
        rows = self.query_one("#card-rows", Static)
        width = rows.content_size.width or 70
        rows.update(Content("\n").join(_rows(state, view, width, can_undo=can_undo)))


def _headline(state: RunState, view: RunView) -> Content:
    if state is RunState.STOPPED:
        return Content("The run was stopped")
    if state is RunState.UNDOING:
        return Content("Taking back what this run changed ...")
    if state is RunState.UNDONE:
        return Content("What this run changed was taken back")
    error = view.error
    return Content(f"{error.code}  {printable(error.what)}" if error else "The run failed")


def _rows(state: RunState, view: RunView, width: int, *, can_undo: bool) -> list[Content]:
    error = view.error
    rows: list[tuple[str, str]] = []
    if error is not None:
        rows += _diagnosis(error)
    if state is RunState.STOPPED:
        rows.append(
            ("Next", "Everything done so far is kept. Go on starts where it stopped, now or at the next start.")
        )
    if state is RunState.FAILED:
        undo = " Undo takes back what this run changed." if can_undo else ""
        rows.append(("Next", f"Retry goes on where it stopped.{undo}"))
    rows.append(("Log", view.log_path))
    return [_row(label, text, max(20, width - LABEL)) for label, text in rows if text]


def _diagnosis(error: BeeyardError) -> list[tuple[str, str]]:
    """Return the cause that was found with its evidence and fix, else what the error says of itself."""
    cause = cause_of(error)
    subject = str(error.details.get("subject", ""))
    if cause is None:
        return [("Cause", error.why), ("Subject", subject), ("Fix", error.fix)]
    found = f"{cause.evidence}\n(in {cause.where})" if cause.evidence and cause.where else cause.evidence
    what = f"{cause.code} {cause.what}" if cause.code != error.code else error.why or cause.what
    return [
        ("Cause", what),
        ("Why", cause.why),
        ("Found", found if found.partition("\n")[0] != what else ""),
        ("Subject", cause.subject or subject),
        ("Fix", cause.fix or error.fix),
    ]


def _row(label: str, text: str, width: int) -> Content:
    """Return a label with the text beside it, wrapped."""
    lines = [part for line in printable(text).splitlines() for part in textwrap.wrap(line, width) or [""]]
    first = Content.assemble((f"{label:<{LABEL}}", "dim"), lines[0] if lines else "")
    return Content("\n").join([first, *(Content(" " * LABEL + line) for line in lines[1:])])
