"""What the Policies screen asks: whether to apply, what to begin with, which change to draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Checkbox, Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from installer.domain.policy.form import PEER_FORMS, PolicyForm
from installer.domain.policy.model import Direction
from installer.domain.text import one_line, printable
from installer.services.policies.rollout import Plan
from installer.tui.policies.pages import diff_rows

WITHIN = (("stays", 0), ("goes back after 30 s unless kept", 30), ("after 60 s", 60), ("after 5 min", 300))
_DIFF_STYLES = {"opened": "$success", "cut": "$error", "key": "$secondary", "muted": "dim"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed to.

    Attributes:
        reason: for the history.
        within: seconds in which the change has to be kept, 0 for no limit.
    """

    reason: str = ""
    within: int = 0


class ApplyDialog(ModalScreen[Agreement | None]):
    """Shows a plan and asks for it.

    Args:
        plan: what would be done.
        word: what has to be typed first where the plan has dangers.
        notes: what else to know, such as what would be cut of the flows seen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "No")]

    def __init__(self, plan: Plan, word: str = "", notes: Sequence[str] = ()):
        super().__init__()
        self._plan = plan
        self._word = word
        self._notes = notes

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog -wide policy-apply") as dialog:
            dialog.border_title = "Delete?" if self._deletes else "Apply?"
            dialog.border_subtitle = "Esc does nothing"
            with VerticalScroll(classes="dialog-body"):
                yield Static(self._summary(), id="plan")
            if self._word:
                yield Static(f"Type {self._word} to go on:", classes="dialog-hint", markup=False)
                yield Input(id="word", compact=True)
            yield Input(placeholder="why, for the history (may be empty)", id="reason", compact=True)
            yield Select(WITHIN, value=0, id="within", allow_blank=False, compact=True)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button("Delete" if self._deletes else "Apply", id="yes", disabled=bool(self._word), compact=True)

    @property
    def _deletes(self) -> bool:
        return all(edit.action == "delete" for edit in self._plan.changes)

    def on_mount(self) -> None:
        """Begin with the word where one is asked for, else with the button that does it."""
        self.query_one("#word" if self._word else "#yes").focus()

    def _summary(self) -> Content:
        lines: list[Content] = []
        for danger in self._plan.dangers:
            lines += [
                Content.styled(f"WARNING {one_line(danger.text)}", "bold $error"),
                Content(f"  {one_line(danger.why)}"),
            ]
        for note in self._notes:
            lines.append(Content.styled(one_line(note), "$warning"))
        for edit in self._plan.changes:
            lines.append(Content.styled(f"{edit.action} {one_line(edit.name)}", "bold"))
            if edit.merged:
                lines.append(Content("  somebody changed it meanwhile; both changes are in this one"))
            lines += [
                Content.styled(f"  {one_line(str(owner))} manages it and will put its own version back", "$warning")
                for owner in edit.owners
            ]
            for one in diff_rows(edit.diff):
                text, style = one.parts[0]
                lines.append(Content.styled(f"  {text}", _DIFF_STYLES.get(style, "")))
        return Content("\n").join(lines)

    @on(Input.Changed, "#word")
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value != self._word

    @on(Input.Submitted)
    def _entered(self) -> None:
        self._agree()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "yes":
            self._agree()
        else:
            self.dismiss(None)

    def _agree(self) -> None:
        if not self.query_one("#yes", Button).disabled:
            within = self.query_one("#within", Select).value
            reason = self.query_one("#reason", Input).value.strip()
            self.dismiss(Agreement(reason, within if isinstance(within, int) else 0))


@dataclass(frozen=True, slots=True)
class Offer:
    """Something to choose.

    Attributes:
        title: one line.
        detail: a few words beside it.
    """

    title: str
    detail: str = ""


class ChoiceDialog(ModalScreen[int | None]):
    """Lets one of some offers be chosen; the answer is its number.

    Args:
        title: the question.
        offers: what there is.
        hint: what to know before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, title: str, offers: Sequence[Offer], hint: str = ""):
        super().__init__()
        self._title = title
        self._offers = offers
        self._hint = hint

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog -list -wide") as dialog:
            dialog.border_title = self._title.replace("[", r"\[")
            dialog.border_subtitle = "Enter chooses, Esc closes"
            if self._hint:
                yield Static(Content(printable(self._hint)), classes="dialog-hint")
            yield OptionList(*[Option(_offer(one)) for one in self._offers], id="offers", compact=True, markup=False)

    def on_mount(self) -> None:
        """Begin with the first."""
        options = self.query_one(OptionList)
        options.highlighted = 0
        options.focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_index)


def _offer(one: Offer) -> Content:
    return Content.assemble((one_line(one.title), "bold"), "  ", (one_line(one.detail), "dim"))


class FormDialog(ModalScreen[PolicyForm | None]):
    """Asks what a policy shall allow, without YAML.

    Args:
        workloads: known ones, to complete.
        namespace: what the subject begins with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, workloads: Sequence[str], namespace: str = "", error: str = "", form: PolicyForm | None = None):
        super().__init__()
        self._workloads = workloads
        self._form = form or PolicyForm(f"{namespace}/" if namespace else "")
        self._error = error

    def compose(self) -> ComposeResult:
        """Lay it out."""
        form = self._form
        names = SuggestFromList(self._workloads, case_sensitive=False)
        with Vertical(classes="dialog -wide policy-form") as dialog:
            dialog.border_title = "New policy"
            dialog.border_subtitle = "Enter writes the YAML, Esc closes"
            with VerticalScroll(classes="dialog-body"):
                yield from _field(
                    "For",
                    Input(form.subject, "namespace/workload, namespace/*", suggester=names, id="subject", compact=True),
                )
                yield from _field(
                    "Side", Select(_DIRECTIONS, value=form.direction, id="direction", allow_blank=False, compact=True)
                )
                yield from _field(
                    "Peers",
                    Input(form.peers, "shop/frontend world 10.0.0.0/8 api.example.org", id="peers", compact=True),
                )
                yield from _field(
                    "Ports", Input(form.ports, "80, 53/UDP, http (empty: every port)", id="ports", compact=True)
                )
                yield from _field(
                    "Requests",
                    Input(form.http, "GET /api/.*, POST /login (empty: every request)", id="http", compact=True),
                )
                yield from _field("Name", Input(form.name, "made of the workload", id="name", compact=True))
                yield Checkbox("let them ask the cluster's DNS too (outgoing)", form.dns, id="dns", compact=True)
                yield Static(f"A peer is {PEER_FORMS}.", classes="dialog-hint", markup=False)
                yield Static(printable(self._error), id="complaint", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button("Write", id="yes", compact=True)

    def on_mount(self) -> None:
        """Begin with the subject."""
        self.query_one("#subject", Input).focus()

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    @on(Input.Submitted)
    def _entered(self) -> None:
        self._write()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "yes":
            self._write()
        else:
            self.dismiss(None)

    def _write(self) -> None:
        direction = self.query_one("#direction", Select).value
        self.dismiss(
            PolicyForm(
                self._value("subject"),
                direction if isinstance(direction, Direction) else Direction.INGRESS,
                self._value("peers"),
                self._value("ports"),
                self._value("http"),
                self.query_one("#dns", Checkbox).value,
                self._value("name"),
            )
        )


_DIRECTIONS = (
    ("who may connect to it (ingress)", Direction.INGRESS),
    ("whom it may connect to (egress)", Direction.EGRESS),
)


def _field(label: str, widget: Input | Select[Direction]) -> ComposeResult:
    with Horizontal(classes="dialog-row"):
        yield Static(label, classes="dialog-label")
        yield widget


class PathDialog(ModalScreen[str | None]):
    """Asks for the path of a recording."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Recorded flows to judge"
            dialog.border_subtitle = "Enter opens, Esc closes"
            yield Input(placeholder="flows.jsonl", id="path", compact=True)
            hint = 'Recorded by "beeyard observe -o jsonpb". Empty: the live flows of the cluster again.'
            yield Static(hint, classes="dialog-hint", markup=False)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())
