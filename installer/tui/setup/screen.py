"""The setup: a few questions, then the plan, then the hand-over to the run.

The specification and what it needs take a while to import: that happens beside the first picture, with ``begin``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, ContentSwitcher, Static

from installer.domain.errors import BeeyardError
from installer.domain.plan import Plan
from installer.domain.preflight import Level
from installer.domain.run_view import RunView
from installer.domain.setup.catalog import PAGES
from installer.domain.setup.note import Note
from installer.services.aside import aside
from installer.tui.actions import Action
from installer.tui.screen import AreaScreen
from installer.tui.setup.fields import Field
from installer.tui.setup.notes import MUTED
from installer.tui.setup.pages import FormPage, HostPage
from installer.tui.setup.plan_view import PlanView
from installer.tui.setup.rail import Rail, RailStop, Stop
from installer.tui.setup.save import SaveFile
from installer.tui.setup.verdict import blocking, errors_by_page, sources_of, verdict

if TYPE_CHECKING:
    from installer.domain.setup.form import Form
    from installer.domain.setup.judgement import Found, Judgement, Look
    from installer.domain.spec import ClusterSpec

STOPS = (*(Stop(page.id, page.title) for page in PAGES), Stop("plan", "Plan"))
EARLIER = "beeyard set this host up before; the answers are those of that setup."
QUIET = 0.6
"""Seconds without a change before the sources are asked again."""


class SetupScreen(AreaScreen):
    """A wizard over one form; the host and the sources are looked at while the user reads."""

    AREA = "setup"
    CSS_PATH = "setup.tcss"
    HELP = (
        "A few questions make a cluster: Tab and the arrows move, Space ticks, and what is said about an answer stands "
        "below it. Nothing on this host changes before you start the install from the plan."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("setup.next", "Next", "Go to the next page.", ("ctrl+n",), area="setup", footer=True),
        Action("setup.back", "Back", "Go to the page before.", ("ctrl+b", "escape"), area="setup", footer=True),
        Action("setup.plan", "Plan", "Look again, and show what would change.", ("ctrl+r",), area="setup", footer=True),
        Action("setup.install", "Install", "Carry out the plan.", ("i",), area="setup", footer=True),
        Action("setup.diffs", "Diffs", "Unfold or fold all diffs of the plan.", ("d",), area="setup", footer=True),
        Action("setup.save", "Save", "Write the answers to a beeyard.yaml.", ("ctrl+s",), area="setup", footer=True),
        Action(
            "setup.copy", "Copy command", "Copy the command line that installs the same.", ("ctrl+y",), area="setup"
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self._look: Look | None = None
        self._found: Found | None = None
        self._trouble: tuple[Note, ...] = ()
        self._plan: Plan | None = None
        self._planned: tuple[ClusterSpec, bool] | None = None
        self._seen: set[str] = set()
        self._begun = False
        self._drawn = ("", False)
        self._run_seen: RunView | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out the way, the first and the last page, and the buttons; the questions come when they are known."""
        yield Rail(STOPS)
        with Vertical(id="setup-main"):
            with ContentSwitcher(initial="page-host", id="pages"):
                yield HostPage(PAGES[0])
                yield PlanView()
            with Horizontal(id="setup-bar"):
                yield Static(id="setup-state")
                yield Button("Back", id="back", compact=True)
                yield Button("Save", id="save", compact=True)
                yield Button("Copy command", id="copy", compact=True)
                yield Button("Next", id="next", compact=True, variant="primary")
                yield Button("Install", id="install", compact=True, variant="success")

    def on_mount(self) -> None:
        """Begin."""
        super().on_mount()
        self._hide_buttons()
        self.host_page.focus()
        self.begin()

    @work(group="setup-begin", exit_on_error=False)
    async def begin(self) -> None:
        """Read the earlier setup and the table of versions, make the pages, and look around."""
        make = self.cockpit.services.setup
        if make is None:
            self.host_page.show_origin("This cockpit can look at clusters, and set up none.")
            return
        self.service = await asyncio.to_thread(make)
        beginning = await asyncio.to_thread(self.service.begin)
        self._form = beginning.form
        if beginning.trouble is not None:
            self._trouble = (Note.of_error(beginning.trouble, Level.WARNING),)
        self.host_page.show_origin(EARLIER if self._form.origin else "")
        self._begun, self._run_seen = True, self.cockpit.run_host.view
        await self.show_page("host")
        self.look_around()

    @property
    def form(self) -> Form:
        """The answers."""
        return self._form

    @property
    def judgement(self) -> Judgement:
        """What is to be said about them now."""
        return self._judgement

    @property
    def settled(self) -> bool:
        """Whether host and sources were looked at for the present answers."""
        return self._look is not None and self._found is not None

    @property
    def plan(self) -> Plan | None:
        """The plan that is shown, None where there is none for these answers."""
        return self._plan

    @property
    def page(self) -> str:
        """Id of the page that is shown."""
        return str(self.query_one("#pages", ContentSwitcher).current).removeprefix("page-")

    @property
    def host_page(self) -> HostPage:
        """The first page."""
        return self.query_one(HostPage)

    @property
    def plan_view(self) -> PlanView:
        """The last page."""
        return self.query_one(PlanView)

    @property
    def _ascii(self) -> bool:
        return self.cockpit.settings.ascii

    @on(events.ScreenResume)
    def _look_again_after_a_run(self) -> None:
        """After a run the host is another one."""
        view = self.cockpit.run_host.view
        if self._begun and view is not self._run_seen and not self.cockpit.run_host.running:
            self._run_seen = view
            self._plan = self._planned = None
            self.look_around()
            if self.page == "plan":
                self._show_plan()

    # Answers

    @on(Field.Answered)
    def _answered(self, event: Field.Answered) -> None:
        event.stop()
        before = self._judgement.spec
        self._form = self._form.with_answer(event.question, event.answer)
        self._judge()
        after = self._judgement.spec
        if before.k3s.data_dir != after.k3s.data_dir:
            self.look_around(wait=QUIET)
        elif sources_of(before) != sources_of(after) or event.question in ("source", "unsupported"):
            self._found = None
            self._judge()
            self.ask_sources(wait=QUIET)

    def _judge(self) -> None:
        """Judge the answers and show the verdict."""
        judgement = self.service.judge(self._form, self._look, self._found)
        if self._trouble:
            notes = {**judgement.notes, "host": (*self._trouble, *judgement.notes.get("host", ()))}
            judgement = replace(judgement, notes=notes)
        self._judgement = judgement
        if self._planned != judgement.goal:
            self._plan = self._planned = None
        self._draw()

    def _draw(self) -> None:
        """Bring everything that is visible up to date; what did not change is left alone."""
        from installer.domain.setup.summary import cluster_rows

        judgement, page = self._judgement, self.page
        told = self._verdict()
        if page == "host":
            self.host_page.show_notes(judgement, ascii_only=self._ascii)
            self.host_page.show_verdict(told)
        elif page == "plan":
            self.plan_view.show_command(self._command())
        else:
            self.query_one(f"#page-{page}", FormPage).show(self._form, judgement, ascii_only=self._ascii)
        rail = self.query_one(Rail)
        rail.show(page, errors_by_page(self._judgement), self._seen, ascii_only=self._ascii)
        rail.show_made(cluster_rows(judgement.spec, self._form.answers, self._found))
        self.query_one("#setup-state", Static).update("" if page == "host" else told, layout=False)
        if self._drawn != (drawn := (page, self._plan is not None)):
            self._drawn = drawn
            self._draw_buttons()

    def _hide_buttons(self) -> None:
        """Offer nothing before there is a form."""
        for button in self.query("#setup-bar Button"):
            button.display = False

    def _draw_buttons(self) -> None:
        page = self.page
        self.query_one("#back").display = page != "host"
        self.query_one("#next").display = page != "plan"
        self.query_one("#save").display = self.query_one("#copy").display = page == "plan"
        self.query_one("#install").display = page == "plan" and self._plan is not None
        self.refresh_bindings()

    def _verdict(self) -> Content:
        if self._look is None and not self._trouble:
            return Content.styled("Looking at this host …", MUTED)
        return verdict(self._judgement, self.page, ascii_only=self._ascii)

    # Looking around

    @work(exclusive=True, group="setup-look", exit_on_error=False)
    async def look_around(self, wait: float = 0.0) -> None:
        """Look at the host, then ask the sources."""
        if wait:
            await self.cockpit.services.pause(wait)
        service, spec = self.service, self._judgement.spec
        try:
            self._look = await aside(lambda: service.look(spec))
        except BeeyardError as error:
            self._trouble = (Note.of_error(error),)
        else:
            from installer.domain.setup.summary import host_rows

            self.host_page.show_host(host_rows(self._look))
        self._judge()
        self.ask_sources()

    @work(exclusive=True, group="setup-sources", exit_on_error=False)
    async def ask_sources(self, wait: float = 0.0) -> None:
        """Ask the sources for what would be installed."""
        if wait:
            await self.cockpit.services.pause(wait)
        look, (spec, allowed), service = self._look, self._judgement.goal, self.service
        if look is None or not self._judgement.valid:
            return
        self._found = await aside(lambda: service.find(spec, look, allow_unsupported=allowed))
        self._judge()

    # Pages

    async def show_page(self, page: str) -> None:
        """Show a page; one of questions is made when it is first shown."""
        self._seen.add(self.page)
        pages = self.query_one("#pages", ContentSwitcher)
        asked = next((one for one in PAGES[1:] if one.id == page), None)
        if asked is not None and not pages.query(f"#page-{page}"):
            await pages.add_content(FormPage(asked, self._form))
        pages.current = f"page-{page}"
        self._judge()
        if page == "plan":
            self._show_plan()
        else:
            (self.host_page if page == "host" else self.query_one(f"#page-{page}", FormPage)).focus_first()

    @on(RailStop.Chosen)
    async def _chosen(self, event: RailStop.Chosen) -> None:
        event.stop()
        if self._begun:
            await self.show_page(event.page)

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.run_action(str(event.button.id))

    async def action_next(self) -> None:
        """Go to the next page."""
        await self._step(1)

    async def action_back(self) -> None:
        """Go to the page before."""
        await self._step(-1)

    async def _step(self, by: int) -> None:
        if not self._begun:
            return
        pages = [stop.id for stop in STOPS]
        index = pages.index(self.page) + by
        if 0 <= index < len(pages):
            await self.show_page(pages[index])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what makes no sense on this page."""
        del parameters
        if action in ("install", "diffs"):
            return self._begun and self.page == "plan" and self._plan is not None
        if action == "next":
            return self._begun and self.page != "plan"
        if action == "back":
            return self._begun and self.page != "host"
        if action in ("plan", "save", "copy"):
            return self._begun
        return True

    # The plan

    async def action_plan(self) -> None:
        """Look again, and make the plan anew."""
        self._plan = self._planned = None
        self.look_around()
        await self.show_page("plan")

    def _show_plan(self) -> None:
        if self.cockpit.run_host.running:
            self.plan_view.show_running()
            self.cockpit.show_run()
        elif not self._judgement.valid:
            self.plan_view.show_blocked(blocking(self._judgement), ascii_only=self._ascii)
        elif not self.service.root:
            self.plan_view.show_no_root()
        elif self._plan is not None:
            self.plan_view.show_plan(self._plan)
        else:
            self.plan_view.show_making()
            self.make_plan()

    @work(exclusive=True, group="setup-plan", exit_on_error=False)
    async def make_plan(self) -> None:
        """Make the plan for the present answers."""
        service, goal = self.service, self._judgement.goal
        spec, allowed = goal
        try:
            plan = await aside(lambda: service.plan(spec, allow_unsupported=allowed))
        except BeeyardError as error:
            self.plan_view.show_error(error, ascii_only=self._ascii)
            return
        if goal == self._judgement.goal:
            self._plan, self._planned = plan, goal
            if self.page == "plan":
                self.plan_view.show_plan(plan)
            self._draw()

    def action_diffs(self) -> None:
        """Unfold or fold all diffs."""
        tree = self.plan_view.plan_tree
        tree.fold_all(not tree.folded)

    def action_install(self) -> None:
        """Hand over to the run."""
        if self._plan is None:
            return
        try:
            spec, allowed = self._judgement.goal
            self.cockpit.run_host.start(spec, self.service.options(allow_unsupported=allowed))
        except BeeyardError as error:
            self.cockpit.show_error(error)
        else:
            self.cockpit.show_run()

    # Exports

    def _command(self, file: str = "") -> str:
        spec, allowed = self._judgement.goal
        return self.service.command(spec, file, allow_unsupported=allowed)

    @work(exclusive=True, group="dialog", exit_on_error=False)
    async def action_save(self) -> None:
        """Write the answers to a file."""
        service, spec = self.service, self._judgement.spec

        def write(path: Path, replace: bool) -> Path:
            return service.write(path, spec, replace=replace)

        written = await self.app.push_screen_wait(SaveFile(write))
        if written is not None:
            self.cockpit.tell("Saved", f"{written}\n{self._command(str(written))}")

    def action_copy(self) -> None:
        """Copy the command line."""
        command = self._command()
        self.app.copy_to_clipboard(command)
        self.cockpit.tell("Copied", command)
