"""The cockpit: areas, theme, keys, the connection, and the place where every error ends."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Literal

from textual import work
from textual.app import App
from textual.binding import Binding
from textual.reactive import reactive
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, WorkerState

from installer.domain.errors import BeeyardError
from installer.domain.text import printable
from installer.ports.contexts import ContextInfo
from installer.tui import theme
from installer.tui.actions import APP, APP_ACTIONS, Action, bindings
from installer.tui.areas import AREAS, Area, present
from installer.tui.connection import Connection, ConnectionChanged
from installer.tui.failures import as_beeyard_error
from installer.tui.hangup import leave_when_gone
from installer.tui.keymap import check_keymap
from installer.tui.palette import ActionCommands
from installer.tui.run.host import RunChanged, RunHost, RunState
from installer.tui.screen import AreaScreen
from installer.tui.services import CockpitServices
from installer.tui.settings import Settings, read_settings
from installer.tui.stylesheet import KeepingStylesheet

SLOW = 0.02
"""Seconds that nothing may hold up the screen."""
LOG = logging.getLogger("beeyard.cockpit")
RUN_GOES_ON = "It stops after what it is doing now and can be resumed at the next start."
UNSAVED = "These edits are not in the cluster and would be lost: {}"
Worker.StateChanged.bubble = True  # so that one handler, the app's, sees the workers of every widget
Severity = Literal["information", "warning", "error"]


class Cockpit(App[int]):
    """The app.

    Args:
        services: what the screens work with.
        settings: the user's choices.
        area: id of the area to begin with; empty for the one that fits.
        areas: the areas there are.
        notes: what the user is to be told at start, such as a broken settings file.

    Attributes:
        connection: the cluster in use.
        frames: screens that show the connection.
        lost_events: events that were lost on the way (ring, Hubble, kernel).
        run_host: the run of this cockpit.
        crash: the error that ended the app, None while it lives.
    """

    TITLE = "beeyard"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[Any]] = {ActionCommands}
    BINDINGS: ClassVar[list[Any]] = [
        *bindings(area.action() for area in AREAS),
        *bindings(APP_ACTIONS),
        Binding("ctrl+z", "suspend_process", show=False, system=True),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide")]  # noqa: RUF012  # as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012

    lost_events: reactive[int] = reactive(0, init=False)

    def __init__(
        self,
        services: CockpitServices,
        settings: Settings,
        *,
        area: str = "",
        areas: Sequence[Area] = AREAS,
        notes: Sequence[BeeyardError] = (),
    ):
        self.areas = present(areas)
        if first := self._first_area(area or settings.area, services):
            self.DEFAULT_MODE = first  # type: ignore[misc]  # Textual reads it when an app is made
        super().__init__()
        self._begin_with_theme(settings.theme)
        self.services = services
        self.settings = settings
        self.connection = Connection(services, self._connection_changed)
        self.frames: set[AreaScreen] = set()
        self.contexts: Sequence[ContextInfo] = ()
        self.run_host = RunHost(self, services.install)
        self.crash: Exception | None = None
        self._notes = list(notes)
        self._screens: dict[str, type[AreaScreen]] = {}
        self._keys: Mapping[str, str] = {}
        self._told: set[str] = set()
        for one in self.areas:
            self.add_mode(one.id, self._maker(one))

    # Start

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give themes that lack our variables a value for them."""
        return theme.DEFAULTS

    def get_default_screen(self) -> Screen[Any]:
        """Show an empty frame where no area is there yet."""
        return AreaScreen()

    def _begin_with_theme(self, name: str) -> None:
        """Choose the theme before anything is styled; chosen later, everything would be styled twice."""
        for one in theme.THEMES:
            self.register_theme(one)
        self.set_reactive(App.theme, name)
        dark = self.current_theme.dark
        self.update_classes({f"-theme-{name}": True, "-dark-mode": dark, "-light-mode": not dark}, update=False)
        self._refresh_truecolor_filter(self.ansi_theme)
        self.stylesheet = KeepingStylesheet(variables=self.get_css_variables())

    def _first_area(self, wanted: str, services: CockpitServices) -> str:
        names = [one.id for one in self.areas]
        if wanted in names or not names:
            return wanted if names else ""
        usual = "overview" if services.has_kubeconfig() else "setup"
        return usual if usual in names else names[0]

    def on_mount(self) -> None:
        """Begin with what takes time after the first picture."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self.services.environment.get("BEEYARD_DEBUG"):  # whatever holds up the screen goes to the log
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = SLOW
            loop.set_debug(True)
        self._tell_notes()
        self._apply_keymap()
        if not self.is_headless:
            leave_when_gone(self, busy=lambda: self.run_host.running)
        self._find_clusters()
        self.preload_areas()
        if self.services.install is not None:
            self._offer_resume()

    def _tell_notes(self) -> None:
        for note in self._notes:
            self.tell(note.what, f"{note.why}\n{note.fix}", "warning")
        self._notes.clear()

    @work(thread=True, group="preload")
    def preload_areas(self) -> None:
        """Import the other areas, so that showing one for the first time is quick."""
        for one in self.areas:
            self._screens.setdefault(one.id, one.load())
        self.call_from_thread(self._apply_keymap)
        # What is there now stays: collections of garbage, of which one takes longer than a key may, pass over it.
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)

    @work(group="resume", exit_on_error=False)
    async def _offer_resume(self) -> None:
        """Ask about a run that was not finished."""
        from installer.tui.run.opening import offer_resume

        await offer_resume(self)

    @work(group="resume", exclusive=True, exit_on_error=False)
    async def action_resume(self) -> None:
        """Go on with a run that was not finished; a run that goes on is shown."""
        from installer.tui.run.opening import offer_resume, show_run

        if self.run_host.running or self.run_host.state is RunState.FAILED:
            await show_run(self)
        elif not await offer_resume(self):
            self.tell("No run is unfinished", "All installs of this host reached their goal or were taken back.")

    def show_run(self) -> None:
        """Show the run of this cockpit."""
        from installer.tui.run.opening import show_run

        self.call_later(show_run, self)

    def on_run_changed(self, message: RunChanged) -> None:
        """Tell how a run ended, wherever the user is; a cluster may be there now, or gone."""
        if message.state is RunState.DONE and self.connection.state != "connected":
            self._find_clusters()  # the new one has brought its kubeconfig
        elif message.state in (RunState.DONE, RunState.UNDONE):
            self.connection.retry()
        if getattr(self.screen, "shows_run", False):
            return
        if message.state is RunState.DONE:
            self.tell("The install is done")
        elif message.state is RunState.FAILED and self.run_host.view.error is not None:
            self.tell("The install failed", self.run_host.view.error.what, "error")

    def _maker(self, area: Area) -> Callable[[], AreaScreen]:
        return lambda: self._screens.setdefault(area.id, area.load())()

    # Areas and actions

    async def action_area(self, area: str) -> None:
        """Show an area."""
        if any(one.id == area for one in self.areas):
            await self.switch_mode(area)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the keys of areas that are not there."""
        if action == "area":
            return any(one.id in parameters for one in self.areas)
        return True

    def actions_on(self, screen: Screen[Any]) -> list[tuple[Action, str]]:
        """Return what can be done on a screen now, each with its keys for people: its own first, then everywhere's."""
        own = tuple(getattr(screen, "ACTIONS", ()))
        areas = tuple(one.action() for one in self.areas)
        usable = [action for action in own if self._usable(screen, action)]
        return [(action, self.keys_of(action)) for action in (*usable, *areas, *APP_ACTIONS)]

    def keys_of(self, action: Action) -> str:
        """Return an action's keys as they are printed, the user's own where there are some."""
        mine = self._keys.get(action.id)
        keys = mine.split(",") if mine else action.keys
        return " ".join(self.get_key_display(Binding(key, "", "")) for key in keys[:2])

    def key_for(self, name: str) -> str:
        """Return the keys of an action of the app by its id, as they are printed."""
        return next((self.keys_of(action) for action in APP_ACTIONS if action.id == name), "")

    def _usable(self, screen: Screen[Any], action: Action) -> bool:
        name, _, arguments = action.action.partition("(")
        return not arguments and screen.check_action(name, ()) is not False

    async def run_registered(self, action: Action, screen: Screen[Any]) -> None:
        """Do what an action says, for a screen."""
        await self.run_action(action.action, screen)

    def _apply_keymap(self) -> None:
        """Use the user's own keys; those that cannot be used are told."""
        known = [*(one.action() for one in AREAS), *APP_ACTIONS]
        known += [action for screen in self._screens.values() for action in screen.ACTIONS]
        pending = {one.id for one in AREAS} - self._screens.keys()
        checked = check_keymap(self.settings.keymap, known, pending)
        self._keys = checked.keys
        self.set_keymap(checked.keys)
        new = [problem for problem in checked.problems if problem not in self._told]
        if new:
            self._told.update(new)
            self.tell("Some of your keys cannot be used", "\n".join(new), "warning")

    # The cluster

    @work(group="connection", exclusive=True)
    async def connect_to(self, target: ContextInfo | None) -> None:
        """Connect to a context, to the usual one for None, and stay connected."""
        await self.connection.keep(target)

    @work(group="contexts", exclusive=True)
    async def _find_clusters(self) -> None:
        """Connect to the context that the command line, else the settings, else the kubeconfig names."""
        with suppress(BeeyardError):  # connecting meets the same error and shows it
            self.contexts = await self.services.contexts()
        wanted = self.services.context or self.settings.context
        self.connect_to(next((one for one in self.contexts if one.name == wanted), self._usual_context()))

    def _usual_context(self) -> ContextInfo | None:
        return next((one for one in self.contexts if one.current), None)

    def _connection_changed(self) -> None:
        message = ConnectionChanged(self.connection.state)
        LOG.info("connection %s %s", self.connection.state, self.connection.error or "")
        for frame in self.frames:
            frame.post_message(ConnectionChanged(message.state))

    def watch_lost_events(self) -> None:
        """Show the number on the current screen."""
        for frame in self.frames:
            if frame.is_attached:
                frame.show_connection()

    def action_explain(self) -> None:
        """Tell why the cluster is not connected."""
        if self.connection.error is not None:
            self.show_error(self.connection.error)
        else:
            self.tell(f"The cluster is {self.connection.state}.")

    def action_reconnect(self) -> None:
        """Try to reach the cluster now."""
        self.connection.retry()

    @work(group="dialog", exclusive=True)
    async def action_contexts(self) -> None:
        """Choose another cluster."""
        from installer.tui.dialogs.contexts import ContextSwitcher

        self.contexts = await self.services.contexts()
        chosen = await self.push_screen_wait(ContextSwitcher(self.contexts, self.connection.target))
        if chosen is not None and (chosen != self.connection.target or self.connection.state != "connected"):
            self.change_settings(context=chosen.name)
            self.connect_to(chosen)

    # Telling

    def tell(self, what: str, why: str = "", severity: Severity = "information") -> None:
        """Notify: what happened, and why or what to do. Texts may come from a cluster."""
        title = what if severity == "information" else f"{severity.title()}: {what}"
        self.notify(
            printable(why) or printable(what), title=printable(title) if why else "", severity=severity, markup=False
        )

    def show_error(self, error: BaseException) -> None:
        """Open the dialog for an error; one that is not ours becomes ``E-BUG-001`` and goes to the log."""
        from installer.tui.dialogs.error import ErrorDialog

        known = as_beeyard_error(error, str(self.services.log_file or ""))
        LOG.error("%s %s", known.code, known, exc_info=error if known.code == "E-BUG-001" else None)
        self.push_screen(ErrorDialog(known))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show the error of a worker of ours that was not to end the app."""
        event.stop()
        if event.state is WorkerState.ERROR and not event.worker.exit_on_error and event.worker.error:
            self.show_error(event.worker.error)

    def _handle_exception(self, error: Exception) -> None:
        """Let a failed worker, wherever it was started, end in the dialog; everything else ends the app."""
        if isinstance(error, WorkerFailed):
            self.show_error(error.error)
            return
        LOG.critical("the cockpit ended", exc_info=error)
        self.crash = self.crash or error
        super()._handle_exception(error)

    # Settings

    def change_settings(self, **changes: Any) -> None:
        """Change settings, use them at once and keep them."""
        self.settings = replace(self.settings, **changes)
        self.theme = self.settings.theme
        try:
            self.services.settings.save(self.settings.to_data())
        except BeeyardError as error:
            self.tell(error.what, f"{error.why}\n{error.fix}", "warning")
        for frame in self.frames:
            frame.show_connection()

    def action_settings(self) -> None:
        """Open the settings."""
        from installer.tui.dialogs.settings import SettingsDialog

        self.push_screen(SettingsDialog())

    def action_help(self) -> None:
        """Show the keys of this screen."""
        from installer.tui.dialogs.help import HelpScreen, sections

        screen = self.screen
        name = next((one.title for one in self.areas if one.id == getattr(screen, "AREA", "")), "beeyard")
        rows = [
            (name if action.area != APP else "Everywhere", action, keys) for action, keys in self.actions_on(screen)
        ]
        self.push_screen(HelpScreen(name, screen.HELP or "", sections(rows)))

    # Other programs

    @work(group="terminal", exclusive=True)
    async def action_open(self, program: str) -> None:
        """Give the terminal to another program: ``shell``, ``kubectl``, ``log``, ``settings``."""
        from installer.tui.programs import PROGRAMS

        await PROGRAMS[program](self)

    async def edit_file(self, path: str) -> None:
        """Let the user's editor have a file; for workers.

        Raises:
            BeeyardError: ``E-TUI-001`` or ``E-TUI-002``.
        """
        from installer.tui.programs import edit

        await edit(self, path)

    def reread_settings(self) -> None:
        """Use the settings as they stand in their file now."""
        stored = self.services.settings.load()
        self.settings, problems = read_settings(stored.data)
        if stored.problem or problems:
            why = f"{stored.problem.why}\n{stored.problem.fix}" if stored.problem else "\n".join(problems)
            self.tell("Not all settings were understood", why, "warning")
        self.theme = self.settings.theme
        self._apply_keymap()

    # End

    def action_help_quit(self) -> None:
        """Tell whoever presses Ctrl+C how to leave."""
        self.tell("Ctrl+C copies here", "q leaves beeyard.")

    @work(group="dialog", exclusive=True)
    async def action_quit(self) -> None:  # type: ignore[override]
        """Leave; ask first while a run goes on, or edits would be lost."""
        from installer.tui.dialogs.confirm import Confirm

        unsaved = [name for frame in self.frames for name in frame.unsaved()]
        if unsaved:
            question = Confirm("Quit without saving?", UNSAVED.format(", ".join(unsaved)), yes="Lose them", no="Stay")
            if not await self.push_screen_wait(question):
                return
        if self.run_host.running:
            question = Confirm("Quit while the run goes on?", RUN_GOES_ON, yes="Stop it and quit", no="Stay")
            if not await self.push_screen_wait(question):
                return
        await self.run_host.stop()
        self.exit(0)
