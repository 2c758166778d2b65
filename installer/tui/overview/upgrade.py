"""Upgrading from the overview: what runs, what is newest, the plan, and the way to the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from installer.domain.errors import BeeyardError
from installer.domain.text import printable
from installer.services.aside import aside
from installer.tui.setup.plan_tree import PlanTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.domain.plan import Plan
    from installer.pipeline.run import Options
    from installer.services.upgrade import UpgradeService
    from installer.services.upgrade_outlook import Outlook, Wanted

LOOKING = "Looking at what runs, and asking for the newest versions …"
PLANNING = "Making the plan: fetching charts, rendering them, looking at the cluster …"
NO_ROOT = (
    "Looking for newer versions, planning and upgrading need root: start this cockpit with sudo, or run\n\n"
    "  sudo beeyard upgrade\n  sudo beeyard upgrade --to-latest"
)


class UpgradeDialog(ModalScreen["Wanted | None"]):
    """Shows the way to the newest supported versions; its result is what to go for, None for nothing.

    Args:
        make: makes the service.
        options: how the run would behave.
        root: whether we may change this host.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("space", "fold", "Fold", show=False),
    ]

    def __init__(self, make: Callable[[], UpgradeService], options: Options, *, root: bool):
        super().__init__()
        self._make = make
        self._options = options
        self._root = root
        self._wanted: Wanted | None = None
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan | None:
        """The plan, None before it is made."""
        return self._plan

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog -wide", id="upgrade") as dialog:
            dialog.border_title = "Upgrade"
            dialog.border_subtitle = "Esc closes"
            with VerticalScroll(classes="dialog-body", id="upgrade-body", can_focus=True):
                yield Static(LOOKING, id="upgrade-text", markup=False)
            yield PlanTree(id="upgrade-plan")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", compact=True)
                yield Button("Plan", id="plan", variant="primary", compact=True, disabled=True)
                yield Button("Upgrade", id="go", variant="error", compact=True, disabled=True)

    def on_mount(self) -> None:
        """Look."""
        self.query_one(PlanTree).display = False
        self.query_one("#close", Button).focus()
        if self._root:
            self._look()
        else:
            self._say(NO_ROOT)

    @work(exclusive=True, group="upgrade", exit_on_error=False)
    async def _look(self) -> None:
        from installer.services.upgrade_outlook import Wanted
        from installer.services.upgrade_text import outlook_text

        try:
            outlook = await aside(lambda: self._make().look(Wanted(), self._options, newest=True))
        except BeeyardError as error:
            self._say(_story(error))
            return
        self._say(outlook_text(outlook))
        if outlook.unfinished or outlook.newest_hops:
            self._wanted = Wanted(latest=not outlook.unfinished)
            self.query_one("#plan", Button).disabled = False
            self.query_one("#plan", Button).focus()

    @work(exclusive=True, group="upgrade", exit_on_error=False)
    async def _make_plan(self, wanted: Wanted) -> None:
        self._say(PLANNING)
        try:
            outlook, plan = await aside(lambda: self._make().plan(wanted, self._options))
        except BeeyardError as error:
            self._say(_story(error))
            return
        self._plan = plan
        self._show_plan(outlook, plan)

    def _show_plan(self, outlook: Outlook, plan: Plan) -> None:
        from installer.services.upgrade_text import path_text

        self._say(path_text(outlook.hops) or "The open step is taken back.")
        tree = self.query_one(PlanTree)
        tree.display = True
        tree.show(plan)
        tree.focus()
        self.query_one("#go", Button).disabled = False

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go on."""
        event.stop()
        if event.button.id == "plan" and self._wanted is not None:
            event.button.disabled = True
            self._make_plan(self._wanted)
        elif event.button.id == "go":
            self.dismiss(self._wanted)
        else:
            self.dismiss(None)

    def action_fold(self) -> None:
        """Fold or unfold the differences."""
        tree = self.query_one(PlanTree)
        tree.fold_all(not tree.folded)

    def _say(self, text: str) -> None:
        self.query_one("#upgrade-text", Static).update(printable(text))


def _story(error: BeeyardError) -> str:
    return "\n".join(part for part in (f"{error.code}  {error.what}", error.why, error.fix) if part)
