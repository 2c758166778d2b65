"""Two small areas for tests of the shell."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.widgets import Input, Static

from installer.domain.errors import BeeyardError
from installer.domain.text import printable
from installer.tui.actions import Action
from installer.tui.areas import Area
from installer.tui.screen import AreaScreen

HOSTILE = "[bold]web[/bold] [/] \x1b[31mred\x1b[0m \u202egnp.exe " + "x" * 10_000
"""Markup, escape sequences, direction marks, 10 kB."""


class Failing(Static):
    """A widget whose workers fail."""

    @work
    async def fail(self, error: Exception) -> None:
        raise error


class SetupDemo(AreaScreen):
    AREA = "setup"
    AUTO_FOCUS = ""
    HELP = "Where a cluster is made."
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("setup.bug", "Fail", "Fail in a way nobody expected.", ("b",), area="setup", footer=True),
        Action("setup.refuse", "Refuse", "Fail with an error of ours.", ("r",), area="setup", group="Trouble"),
        Action("setup.hidden", "Hidden", "Cannot be done now.", ("h",), area="setup"),
    )

    def compose_body(self) -> ComposeResult:
        yield Failing("This is Setup.")
        yield Input(id="name")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "hidden"

    def action_bug(self) -> None:
        self.query_one(Failing).fail(KeyError("no [such] thing"))

    @work(exit_on_error=False)
    async def action_refuse(self) -> None:
        raise BeeyardError("cannot do that", why="It is a demo.", fix="Do something else.", code="E-DEMO-001")

    def action_hidden(self) -> None:
        raise AssertionError


class OverviewDemo(AreaScreen):
    AREA = "overview"

    def compose_body(self) -> ComposeResult:
        yield Static(printable(HOSTILE), markup=False)


SETUP = Area("setup", "Setup", "1", f"{__name__}:SetupDemo", "Make a cluster.")
OVERVIEW = Area("overview", "Overview", "2", f"{__name__}:OverviewDemo", "See a cluster.")
ABSENT = Area("kernel", "Kernel", "5", f"{__name__}.absent:Screen", "Not there.")
DEMO = (SETUP, OVERVIEW, ABSENT)
