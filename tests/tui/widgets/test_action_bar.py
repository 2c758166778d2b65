"""The line of keys."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input

from installer.tui.widgets.action_bar import ActionBar
from tests.support.cockpit import still, text_of


class Keys(App[None]):
    """Counts what is done."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("a,b", "count('a')", "Add", tooltip="Add one."),
        Binding("s", "silent", "Silent", show=False),
        Binding("w", "wait", "Wait"),
        Binding("x", "extra", "Extra"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.rung = 0
        self.extra: bool | None = False

    def compose(self) -> ComposeResult:
        yield Input()
        yield ActionBar()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return {"wait": None, "extra": self.extra}.get(action, True)

    def action_count(self, what: str) -> None:
        self.done.append(what)

    def action_extra(self) -> None:
        self.done.append("extra")

    def bell(self) -> None:
        self.rung += 1


def line(pilot: Pilot[Any]) -> str:
    return text_of(pilot.app).splitlines()[-1]


def looks(app: App[Any], title: str) -> Any:
    """Return the style of the cells with a title."""
    strip = app.query_one(ActionBar).render_line(0)
    return next(segment.style for segment in strip if segment.text.strip() == title)


async def test_keys_in_one_line_each_action_once() -> None:
    async with Keys().run_test(size=(40, 5)) as pilot:
        await still(pilot)
        assert line(pilot) == " a Add  w Wait"
        assert looks(pilot.app, "Wait").dim
        assert not looks(pilot.app, "Add").dim


async def test_it_follows_what_can_be_done() -> None:
    app = Keys()
    async with app.run_test(size=(40, 5)) as pilot:
        app.extra = True
        app.refresh_bindings()
        await still(pilot)
        assert line(pilot) == " a Add  w Wait  x Extra"
        await pilot.click(Input)  # keys are text there
        await still(pilot)
        assert line(pilot) == ""


async def test_a_click_is_the_key_and_rings_where_it_does_nothing() -> None:
    app = Keys()
    async with app.run_test(size=(40, 5)) as pilot:
        await still(pilot)
        await pilot.click(ActionBar, offset=(3, 0))
        await pilot.click(ActionBar, offset=(9, 0))
        await pilot.click(ActionBar, offset=(38, 0))
        assert (app.done, app.rung) == (["a"], 1)


async def test_the_mouse_marks_an_entry_and_tells_what_it_does() -> None:
    app = Keys()
    async with app.run_test(size=(40, 5)) as pilot:
        await still(pilot)
        bar, calm = app.query_one(ActionBar), looks(app, "Add")
        await pilot.hover(ActionBar, offset=(3, 0))
        assert (bar.tooltip, looks(app, "Add") == calm) == ("Add one.", False)
        await pilot.hover(ActionBar, offset=(38, 0))
        assert (bar.tooltip, looks(app, "Add") == calm) == (None, True)
        await pilot.hover(ActionBar, offset=(3, 0))
        await pilot.hover(Input)
        assert looks(app, "Add") == calm


async def test_what_does_not_fit_is_cut() -> None:
    async with Keys().run_test(size=(12, 5)) as pilot:
        await still(pilot)
        assert line(pilot) == " a Add  w Wa"
        await pilot.resize_terminal(6, 5)
        await still(pilot)
        assert line(pilot) == " a Add"
