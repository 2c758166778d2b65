"""The plan page: what would change, or why there is no plan yet."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from installer.domain.errors import BeeyardError
from installer.domain.plan import Plan
from installer.domain.plan_text import summary
from installer.domain.setup.note import Note
from installer.domain.text import printable
from installer.tui.setup.notes import MUTED, note_content
from installer.tui.setup.plan_tree import PlanTree

NO_ROOT = (
    "Making the plan and installing need root: both read and write files that are root's alone.\n\n"
    "What you can do from here: save beeyard.yaml (ctrl+s) or copy the command (ctrl+y), and run it with sudo. "
    "Or leave, and start this cockpit with sudo."
)


RUNNING = "It goes on while you look around; ctrl+r shows it. The next plan is made after its end."
NOTHING = "This host is already as the answers want it. An install would look, and change nothing."


class PlanView(Vertical):
    """Shows one of: a message, an error, the plan."""

    def __init__(self) -> None:
        super().__init__(id="page-plan", classes="page")

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="plan-head")
        with VerticalScroll(id="plan-message", can_focus=True):
            yield Static(id="plan-text")
        yield PlanTree(id="plan-tree")
        yield Static(id="plan-line")
        yield Static(id="plan-command")

    @property
    def plan_tree(self) -> PlanTree:
        """The plan as a tree."""
        return self.query_one(PlanTree)

    def show_command(self, command: str) -> None:
        """Show the command line that does the same."""
        self.query_one("#plan-command", Static).update(
            Content.assemble(("Without this cockpit  ", MUTED), (printable(command), "$secondary"))
        )

    def show_making(self) -> None:
        """Say that the plan is being made."""
        self._say("Making the plan …", Content("Looking at the host, and asking the sources for what is missing."))

    def show_no_root(self) -> None:
        """Say what can be done without root."""
        self._say("No plan without root", Content(NO_ROOT))

    def show_running(self) -> None:
        """Say that there is no plan while a run goes on."""
        self._say("An install is going on", Content(RUNNING))

    def show_blocked(self, notes: list[tuple[str, Note]], *, ascii_only: bool) -> None:
        """Say which answers stand in the way, each with its title."""
        parts = [
            Content.assemble((printable(title), "bold"), "\n", note_content(note, ascii_only=ascii_only))
            for title, note in notes
        ]
        self._say("First mend these answers", Content("\n\n").join(parts))

    def show_error(self, error: BeeyardError, *, ascii_only: bool) -> None:
        """Say why there is no plan."""
        self._say("There is no plan", note_content(Note.of_error(error), ascii_only=ascii_only))

    def show_plan(self, plan: Plan) -> None:
        """Show the plan."""
        if not any(step.changes for step in plan.steps):
            self._say(summary(plan), Content(NOTHING))
            return
        self.query_one("#plan-head", Static).update(Content.styled(summary(plan), "bold"))
        self.query_one("#plan-message").display = False
        self.plan_tree.display = True
        self.plan_tree.show(plan)
        self.plan_tree.focus()

    @on(PlanTree.NodeHighlighted)
    def _show_line(self, event: PlanTree.NodeHighlighted[str]) -> None:
        """Show the whole of a line that is wider than the terminal."""
        event.stop()
        line, room = event.node.label, self.plan_tree.size.width
        text = line.plain if isinstance(line, Text) else line
        self.query_one("#plan-line", Static).update(Content(text.strip() if len(text) + 6 > room else ""), layout=False)

    def _say(self, head: str, text: Content) -> None:
        self.query_one("#plan-head", Static).update(Content.styled(head, "bold"))
        self.query_one("#plan-text", Static).update(text)
        message = self.query_one("#plan-message")
        message.display = True
        self.plan_tree.display = False
        self.query_one("#plan-line", Static).update("")
        message.focus()
