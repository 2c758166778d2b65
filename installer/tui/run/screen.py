"""The run as it goes on: steps with progress, pods turning ready, the log, and at the end why or how long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from installer.domain.run_log import LEVELS, FilteredLog, LogFilter
from installer.services.run_report import save_report
from installer.tui.actions import Action
from installer.tui.dialogs.confirm import Confirm
from installer.tui.run import drawing
from installer.tui.run.card import FailureCard
from installer.tui.run.drawn import Drawn
from installer.tui.run.grid import PodGrid
from installer.tui.run.host import RunHost, RunState
from installer.tui.run.log import LogLines, LogView
from installer.tui.screen import AreaScreen
from installer.tui.widgets.lines import LineView

TICK = 0.2
"""Seconds between two looks at the run."""
ROOMY = 30
"""Lines from which on there is room for everything at once."""
ENDED = (RunState.FAILED, RunState.STOPPED, RunState.UNDOING, RunState.UNDONE)
PANES = ("log", "pods", "card", "times")


class RunScreen(AreaScreen):
    """Shows the app's run; leaving it stops nothing."""

    AREA = "setup"
    CSS_PATH = "run.tcss"
    HELP = "The install as it goes on. Leaving this screen does not stop it; Esc goes back, 1 comes here again."
    ACTIONS = (
        Action("setup.pane", "Pods/Log", "Show pods, log, diagnosis or times.", ("v",), "setup", "Run", footer=True),
        Action(
            "setup.retry", "Retry", "Start again; it goes on where it stopped.", ("r",), "setup", "Run", footer=True
        ),
        Action("setup.undo", "Undo", "Take back what the failed run changed.", ("u",), "setup", "Run", footer=True),
        Action("setup.report", "Report", "Save a report without secrets.", ("w",), "setup", "Run", footer=True),
        Action("setup.halt", "Stop", "Stop the run; it can be gone on with.", ("x",), "setup", "Run", footer=True),
        Action(
            "setup.step", "Step", "Show the log of one step, then of the next.", ("s",), "setup", "Log", footer=True
        ),
        Action("setup.level", "Level", "Show more or fewer kinds of lines.", ("l",), "setup", "Log", footer=True),
        Action("setup.search", "Filter", "Show only lines that hold a text.", ("slash",), "setup", "Log", footer=True),
        Action("setup.pause", "Pause", "Let the log stand still; lines are still taken in.", ("p",), "setup", "Log"),
        Action("setup.back", "Back", "Leave this screen; the run goes on.", ("escape",), "setup", "Run"),
    )
    shows_run = True
    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(self) -> None:
        super().__init__()
        self._pane = "log"
        self._chosen = False
        self._filter = LogFilter()
        self._log_began: float | None = None
        self._view: object = None
        self._drawn: object = None
        self._state: RunState | None = None

    @property
    def host(self) -> RunHost:
        """The app's run."""
        return self.cockpit.run_host

    @property
    def pane(self) -> str:
        """The pane in sight: ``log``, ``pods``, ``card`` or ``times``."""
        return self._pane

    def compose_body(self) -> ComposeResult:
        """Lay it out."""
        yield Drawn(id="run-head")
        with Container(id="run-main"):
            with Vertical(id="run-left"):
                yield Drawn(id="run-steps")
                yield FailureCard(id="run-card")
                yield PodGrid(id="run-pods")
                with VerticalScroll(id="run-times", can_focus=True):
                    yield Static("Where the time went", id="run-times-title")
                    yield Drawn(id="run-times-bars")
            with Vertical(id="run-right"):
                yield Static(id="run-log-head")
                yield Input(
                    placeholder="text to look for; Enter keeps it, Esc clears it", id="run-filter", compact=True
                )
                yield LogView(id="run-log")

    def on_mount(self) -> None:
        """Begin to look at the run."""
        self.query_one("#run-filter").display = False
        self.set_interval(TICK, self.update_run)
        self.call_after_refresh(self.update_run)

    @on(Drawn.Resized)
    def _redraw(self) -> None:
        self._drawn = None
        self.update_run()

    # Drawing

    def update_run(self) -> None:
        """Draw what changed since the last look."""
        host = self.host
        now = host.now()
        if host.view is not self._view:
            self._view = host.view
            self._chosen = False
            self._show_log()
        if host.state is not self._state:
            self._state = host.state
            self._state_changed()
        self._choose_pane()
        drawn = (id(host.view), host.view.version, round(now / TICK) if host.running else 0, self._pane)
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(now)

    def _draw(self, now: float) -> None:
        host, view = self.host, self.host.view
        ascii_only = self.cockpit.settings.ascii
        head, steps = self.query_one("#run-head", Static), self.query_one("#run-steps", Static)
        head.update(
            drawing.headline(view, str(host.state), now, head.content_size.width or 80, ascii_only=ascii_only),
            layout=False,
        )
        width = steps.content_size.width or self.size.width or 80
        low = self.size.height < ROOMY
        brief = low and self._pane in ("card", "times")
        lines = drawing.step_lines(view, now, width, items=1 if low else 3, brief=brief, ascii_only=ascii_only)
        _update(steps, lines)
        self.query_one(PodGrid).take(view.snapshot, view.no_pods(), ascii_only=ascii_only)
        if self._pane == "times":
            times = self.query_one("#run-times-bars", Static)
            bars = drawing.time_lines(view, times.content_size.width or width, ascii_only=ascii_only)
            _update(times, bars)

    def _state_changed(self) -> None:
        self._chosen = False
        if self.host.state in ENDED:
            self.query_one(FailureCard).show(self.host.state, self.host.view, can_undo=self.host.can_undo)
        self.refresh_bindings()

    def _choose_pane(self) -> None:
        """Show what matters now, unless the user chose."""
        if not self._chosen:
            state = self.host.state
            wanted = "card" if state in ENDED else "times" if state is RunState.DONE else ""
            self._show_pane(wanted or ("pods" if self.host.view.snapshot else "log"))

    def _show_pane(self, pane: str) -> None:
        self.set_class(self.size.height >= ROOMY, "-roomy")
        if self.has_class(f"-pane-{pane}"):
            return
        self._pane = pane
        for name in PANES:
            self.set_class(name == pane, f"-pane-{name}")
        self.call_after_refresh(self._pane_shown)

    def _pane_shown(self) -> None:
        """Draw what was hidden before and had no width, and let its keys work."""
        self._redraw()
        if not isinstance(self.focused, Input):
            names = {"pods": "#run-log" if self.has_class("-wide") else "#run-pods", "card": "#retry"}
            self.query_one(names.get(self._pane, f"#run-{self._pane}")).focus()

    # Log

    def _show_log(self) -> None:
        view = self.host.view
        self._log_began = view.began or 0.0
        log = self.query_one(LogView)
        log.show(LogLines(FilteredLog(view.log, self._filter), self._log_began, log))
        self._tell_log()

    def _tell_log(self) -> None:
        log = self.query_one(LogView)
        wanted = self._filter
        facts = [wanted.step or "all steps", wanted.level if wanted.level == "debug" else f"{wanted.level} and graver"]
        if wanted.text:
            facts.append(f'holding "{wanted.text}"')
        line = Content.assemble(("Log", "bold $primary"), ("  " + ", ".join(facts), "dim"))
        if log.paused:
            line = Content.assemble(line, ("  paused", "$warning bold"))
        if log.unseen:
            line = Content.assemble(line, (f"  {log.unseen} new (G)", "$warning"))
        self.query_one("#run-log-head", Static).update(line, layout=False)

    @on(LineView.Moved, "#run-log")
    def _log_moved(self) -> None:
        self._tell_log()

    def _refilter(self, **changes: str) -> None:
        self._filter = LogFilter(
            **{"step": self._filter.step, "level": self._filter.level, "text": self._filter.text, **changes}
        )
        self._show_log()
        if self._pane != "log" and not self.has_class("-wide"):
            self._choose("log")

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done now."""
        state = self.host.state
        allowed = {
            "retry": state in (RunState.FAILED, RunState.STOPPED, RunState.UNDONE),
            "undo": self.host.can_undo,
            "report": state in (*ENDED, RunState.DONE),
            "halt": self.host.running,
        }
        return allowed.get(action, super().check_action(action, parameters))

    def action_pane(self) -> None:
        """Show the next pane."""
        panes = ["log", "pods"]
        if self.host.state in ENDED:
            panes.append("card")
        if self.host.view.ended is not None:
            panes.append("times")
        if self.has_class("-wide"):
            panes.remove("log")
        at = panes.index(self._pane) if self._pane in panes else -1
        self._choose(panes[(at + 1) % len(panes)])

    def _choose(self, pane: str) -> None:
        self._chosen = True
        self._show_pane(pane)
        self.update_run()

    def action_retry(self) -> None:
        """Start again."""
        self.host.retry()
        self.update_run()

    def action_undo(self) -> None:
        """Ask, then take back."""
        self.run_worker(self._ask_undo(), group="ask", exit_on_error=False)

    async def _ask_undo(self) -> None:
        question = Confirm(
            "Take back what this run changed?",
            "Files are put back as they were, the release is removed or gets its old values, and k3s is stopped if "
            "this run started it. What was downloaded stays.",
            yes="Take it back",
        )
        if await self.cockpit.push_screen_wait(question):
            self.host.undo()

    def action_halt(self) -> None:
        """Ask, then stop."""
        self.run_worker(self._ask_halt(), group="ask", exit_on_error=False)

    async def _ask_halt(self) -> None:
        text = "What is done stays done. The run can be gone on with here, or at the next start."
        if await self.cockpit.push_screen_wait(Confirm("Stop the run?", text, yes="Stop it", no="Let it go on")):
            self.host.cancel()

    def action_report(self) -> None:
        """Save a report."""
        self.run_worker(self._save_report(), group="report", exit_on_error=False)

    async def _save_report(self) -> None:
        host, folder = self.host, self.cockpit.services.reports
        path = await asyncio.to_thread(save_report, host.view, host.install.redactor, folder, now=host.now())
        self.cockpit.tell("The report is saved", str(path))

    def action_step(self) -> None:
        """Filter by the next step."""
        steps = ["", *(step.id for step in self.host.view.steps.values())]
        at = steps.index(self._filter.step) if self._filter.step in steps else 0
        self._refilter(step=steps[(at + 1) % len(steps)])

    def action_level(self) -> None:
        """Filter by the next level."""
        self._refilter(level=LEVELS[(LEVELS.index(self._filter.level) + 1) % len(LEVELS)])

    def action_pause(self) -> None:
        """Let the log stand still, or go on."""
        log = self.query_one(LogView)
        log.pause(not log.paused)

    def action_search(self) -> None:
        """Ask for a text."""
        if not self.has_class("-wide"):
            self._choose("log")
        box = self.query_one("#run-filter", Input)
        box.display = True
        box.focus()

    @on(Input.Changed, "#run-filter")
    def _searched(self, message: Input.Changed) -> None:
        if message.value != self._filter.text:
            self._refilter(text=message.value)

    @on(Input.Submitted, "#run-filter")
    def _search_kept(self) -> None:
        self._close_search()

    def _close_search(self) -> None:
        self.query_one("#run-filter").display = False
        self.query_one(LogView).focus()

    def action_back(self) -> None:
        """Leave a search, else the screen."""
        box = self.query_one("#run-filter", Input)
        if box.display:
            box.value = ""
            self._refilter(text="")
            self._close_search()
            return
        self.app.pop_screen()


def _update(static: Static, lines: Sequence[Content]) -> None:
    """Show other lines; the screen is laid out anew only where their number changed."""
    static.update(Content("\n").join(lines), layout=static.size.height != len(lines))
