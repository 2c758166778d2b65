"""The widget for many lines: following, pausing, eviction, hostile and wide text."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.strip import Strip

from installer.tui.widgets.lines import CACHED, LineView


class Ring:
    """Lines in a ring; counts how often one is drawn."""

    def __init__(self, capacity: int = 1000) -> None:
        self.kept: deque[str | Text | Strip] = deque(maxlen=capacity)
        self.added = 0
        self.drawn = 0

    @property
    def version(self) -> int:
        return self.added

    @property
    def first(self) -> int:
        return self.added - len(self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    def line(self, index: int, width: int) -> str | Text | Strip:
        self.drawn += 1
        return self.kept[index]

    def add(self, *lines: str | Text | Strip) -> None:
        self.kept.extend(lines)
        self.added += len(lines)

    def count(self, number: int) -> None:
        self.add(*(f"line {self.added + index}" for index in range(number)))


class Viewer(App[None]):
    CSS = "LineView { height: 10; }"

    def __init__(self, ring: Ring) -> None:
        super().__init__()
        self.ring = ring
        self.moved: list[LineView.Moved] = []
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield LineView(self.ring)

    @property
    def view(self) -> LineView:
        return self.query_one(LineView)

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        self.moved.append(message)

    def on_line_view_chosen(self, message: LineView.Chosen) -> None:
        self.chosen.append(message.line)

    def rows(self) -> list[str]:
        return [self.view.render_line(y).text.rstrip() for y in range(10)]


@asynccontextmanager
async def viewing(ring: Ring, width: int = 40) -> AsyncIterator[tuple[Viewer, Pilot[None]]]:
    app = Viewer(ring)
    async with app.run_test(size=(width, 12)) as pilot:
        await pilot.pause()
        yield app, pilot


async def test_the_newest_line_stays_in_sight_while_following() -> None:
    ring = Ring()
    async with viewing(ring) as (app, pilot):
        ring.count(100)
        app.view.update_lines()
        await pilot.pause()
        assert app.rows()[-1] == "line 99"
        assert app.rows()[0] == "line 90"
        ring.count(5)
        app.view.update_lines()
        assert app.rows()[-1] == "line 104"


async def test_only_visible_lines_are_drawn_and_each_once() -> None:
    ring = Ring(100_000)
    ring.count(50_000)
    async with viewing(ring) as (app, pilot):
        assert ring.drawn <= 20
        drawn = ring.drawn
        await pilot.press("up", "down", "up")
        app.rows()
        assert ring.drawn <= drawn + 2


async def test_strips_kept_are_bounded() -> None:
    ring = Ring(100_000)
    async with viewing(ring) as (app, _):
        ring.count(3 * CACHED)
        app.view.update_lines()
        for line in range(0, 3 * CACHED, 10):
            app.view.go_to(line)
            app.rows()
        assert len(app.view._strips) <= CACHED


async def test_moving_up_stops_following_counts_new_lines_and_end_follows_again() -> None:
    ring = Ring()
    ring.count(50)
    async with viewing(ring) as (app, pilot):
        app.view.focus()
        await pilot.press("pageup", "pageup")
        assert not app.view.follow
        before = app.rows()
        ring.count(7)
        app.view.update_lines()
        await pilot.pause()
        assert app.rows() == before
        assert app.view.unseen == 7
        assert (app.moved[-1].follow, app.moved[-1].unseen) == (False, 7)
        await pilot.press("G")
        assert (app.moved[-1].follow, app.view.unseen) == (True, 0)
        assert app.rows()[-1] == "line 56"


async def test_the_wheel_stops_following() -> None:
    ring = Ring()
    ring.count(50)
    async with viewing(ring) as (app, pilot):
        await pilot._post_mouse_events([MouseScrollUp], LineView, (2, 2), button=0)
        assert not app.view.follow


async def test_the_eye_keeps_its_row_when_old_lines_are_dropped() -> None:
    ring = Ring(60)
    ring.count(60)
    async with viewing(ring) as (app, pilot):
        app.view.focus()
        await pilot.press("pageup", "pageup")
        before = app.rows()
        ring.count(20)
        app.view.update_lines()
        assert app.rows() == before
        cursor = app.view.cursor_line
        ring.count(40)  # now what was in sight is gone: the oldest kept is shown
        app.view.update_lines()
        assert app.rows()[0] == f"line {ring.first}"
        assert app.view.cursor_line == max(cursor, ring.first)


async def test_a_paused_view_stands_still_and_the_source_goes_on() -> None:
    ring = Ring()
    ring.count(30)
    async with viewing(ring) as (app, pilot):
        app.view.pause(True)
        before = app.rows()
        ring.count(500)
        app.view.update_lines()
        await pilot.pause()
        assert app.rows() == before
        assert app.view.unseen == 500
        assert len(ring) == 530
        app.view.pause(False)
        assert app.rows()[-1] == "line 529"


async def test_pausing_outlives_the_eviction_of_all_that_is_shown() -> None:
    ring = Ring(20)
    ring.count(20)
    async with viewing(ring) as (app, pilot):
        app.view.pause(True)
        ring.count(100)
        app.view.update_lines()
        await pilot.pause()
        assert app.rows() == [""] * 10
        assert app.view.unseen == 20
        app.view.pause(False)
        assert app.rows()[-1] == "line 119"


async def test_hostile_text_is_shown_literally() -> None:
    ring = Ring()
    ring.add(
        "[red]not markup[/] \x1b[31mescape\x1b[0m",
        "two\nlines\rand\ttab",
        "right-to-left \u202egnp.exe",
        Text("styled \x1b[2Jclear", style="bold"),
        Strip([Segment("strip \x1b]0;title\x07", Style(bold=True))]),
    )
    async with viewing(ring, width=60) as (app, _):
        rows = app.rows()
        assert rows[0] == r"[red]not markup[/] \x1b[31mescape\x1b[0m"
        assert rows[1] == r"two\x0alines\x0dand    tab"
        assert rows[2] == r"right-to-left \u202egnp.exe"
        assert rows[3] == r"styled \x1b[2Jclear"
        assert rows[4] == r"strip \x1b]0;title\x07"


async def test_wide_characters_fill_the_row_exactly() -> None:
    ring = Ring()
    ring.add("蜂蜜の庭" * 20, "x" + "蜂" * 40)
    async with viewing(ring, width=41) as (app, pilot):
        for _ in range(3):
            for y in range(2):
                assert app.view.render_line(y).cell_length == app.view.scrollable_content_region.width
            await pilot.press("right")


async def test_a_long_line_is_cropped_marked_and_scrolled_sideways() -> None:
    ring = Ring()
    ring.add("0123456789" * 1000)
    async with viewing(ring) as (app, pilot):
        app.view.focus()
        await pilot.pause()
        assert app.rows()[0] == "0123456789" * 3 + "01234567" + ">"
        await pilot.press("right")
        assert app.rows()[0].startswith("89012345")
        await pilot.press("left", "left")
        assert app.rows()[0].startswith("01234567")


async def test_a_line_is_chosen_with_enter_and_with_a_second_click() -> None:
    ring = Ring()
    ring.count(30)
    async with viewing(ring) as (app, pilot):
        app.view.focus()
        await pilot.press("up", "up", "enter")
        assert app.chosen == [27]
        await pilot.click(LineView, offset=(2, 1))
        await pilot.click(LineView, offset=(2, 1))
        assert app.chosen == [27, 21]


async def test_another_source_is_shown_from_its_newest_or_oldest_line() -> None:
    ring, other = Ring(), Ring()
    ring.count(30)
    other.add(*(f"other {n}" for n in range(40)))
    async with viewing(ring) as (app, pilot):
        app.view.show(other)
        assert app.rows()[-1] == "other 39"
        app.view.show(other, follow=False)
        await pilot.pause()
        assert app.rows()[0] == "other 0"
        app.view.show(Ring())
        assert app.rows() == [""] * 10


@pytest.mark.parametrize("key", ["up", "down", "pageup", "pagedown", "home", "end", "enter", "left", "right"])
async def test_keys_on_an_empty_view_do_nothing(key: str) -> None:
    async with viewing(Ring()) as (app, pilot):
        app.view.focus()
        await pilot.press(key)
        assert app.rows() == [""] * 10
        assert app.chosen == []


async def test_a_resized_view_keeps_following() -> None:
    ring = Ring()
    ring.count(50)
    async with viewing(ring) as (app, pilot):
        app.view.styles.height = 4
        await pilot.pause()
        assert app.view.follow
        assert app.view.render_line(3).text.rstrip() == "line 49"
        app.view.styles.height = 10
        await pilot.pause()
        assert app.rows()[-1] == "line 49"
