"""The overview's screen on recorded overviews."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.errors import BeeyardError
from installer.domain.overview import Overview
from installer.domain.status_rules.assemble import assemble
from installer.tui.areas import AREAS
from installer.tui.dialogs.error import ErrorDialog
from installer.tui.overview.card_view import CardView
from installer.tui.overview.detail import DetailDialog, DetailPanel
from installer.tui.overview.screen import OverviewScreen
from installer.tui.settings import Settings
from tests.support.cockpit import StubCluster, cockpit_of, out_of_reach, still, stub_services, text_of, wait_for
from tests.support.overviews import HOSTILE, NOW, Overviews, calm, crowd, hostile, status_of, troubled
from tests.tui.conftest import Open

Picture = Callable[[Pilot[Any]], bool]
AREA = tuple(area for area in AREAS if area.id == "overview")


class Opened:
    """The cockpit on its overview."""

    def __init__(self, pilot: Pilot[int], feed: Overviews):
        self.pilot = pilot
        self.feed = feed

    @property
    def screen(self) -> OverviewScreen:
        assert isinstance(self.pilot.app.screen, OverviewScreen)
        return self.pilot.app.screen

    def card(self, name: str) -> CardView:
        return self.pilot.app.get_screen_stack("overview")[0].query_one(f"#{name}", CardView)

    @property
    def focused(self) -> str:
        assert self.screen.focused is not None
        return str(self.screen.focused.id)

    @property
    def text(self) -> str:
        return text_of(self.pilot.app)

    async def tell(self, overview: Overview) -> None:
        self.feed.tell(overview)
        for _ in range(5):
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()


@asynccontextmanager
async def opened(
    cockpit: Open, first: Overview | None = None, cluster: StubCluster | None = None, **options: Any
) -> AsyncIterator[Opened]:
    feed = Overviews(first)
    services = stub_services(cluster, overview=feed, now=lambda: NOW)
    async with cockpit(services, areas=AREA, **options) as pilot:
        found = Opened(pilot, feed)
        if first is not None:
            await wait_for(pilot, lambda: len(found.card("nodes").card.rows) > 0)
        yield found


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        ((60, 20), "beeyard-dark"),
        ((80, 24), "beeyard-dark"),
        ((120, 36), "beeyard-dark"),
        ((200, 60), "beeyard-dark"),
        ((80, 24), "beeyard-light"),
        ((200, 60), "beeyard-light"),
    ],
    ids=lambda value: f"{value[0]}x{value[1]}" if isinstance(value, tuple) else value,
)
async def test_pictures(cockpit: Open, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async with opened(cockpit, troubled(), size=size, settings=Settings(theme=theme)) as app:
        await still(app.pilot)
        assert picture(app.pilot)


async def test_picture_of_a_calm_cluster(cockpit: Open, picture: Picture) -> None:
    async with opened(cockpit, calm()) as app:
        await still(app.pilot)
        assert picture(app.pilot)


async def test_picture_of_details(cockpit: Open, picture: Picture) -> None:
    async with opened(cockpit, troubled()) as app:
        await app.press("down", "enter")
        await still(app.pilot)
        assert picture(app.pilot)


async def test_a_red_row_leads_to_cause_evidence_and_fix(cockpit: Open) -> None:
    async with opened(cockpit, troubled()) as app:
        await app.press("p", "enter")
        assert isinstance(app.pilot.app.screen, DetailDialog)
        for words in ("E-DIA-029", "Evidence", "Back-off pulling image", "Fix", "registries.yaml"):
            assert words in app.text
        await app.press("c")
        assert "E-DIA-029" in app.pilot.app.clipboard
        await app.press("escape")
        assert app.focused == "problems"


async def test_where_there_is_room_details_stand_beside(cockpit: Open) -> None:
    async with opened(cockpit, troubled(), size=(200, 60)) as app:
        assert app.screen.query_one(DetailPanel).display
        await app.press("down")
        assert "controller sync-policymap-497 fails" in app.text.replace("\n", " ")
        await app.press("tab")
        assert "Node vm" in app.text
        await app.pilot.resize_terminal(100, 30)
        await app.pilot.pause()
        assert not app.screen.query_one(DetailPanel).display


async def test_the_cursor_stays_on_its_row_and_the_row_on_its_line(cockpit: Open) -> None:
    async with opened(cockpit, calm()) as app:
        events = app.card("events")
        events.focus()
        await app.press("end", "up")
        marked, line = events.row, events.cursor - events.scroll_offset.y
        assert marked is not None
        status = status_of(calm())
        new = [replace(status.events[0], name=f"new-{number}", last="2026-11-23T08:39:00Z") for number in range(3)]
        await app.tell(Overview(replace(status, events=(*new, *status.events))))
        assert events.row is not None
        assert events.row.key == marked.key
        assert events.cursor - events.scroll_offset.y == line
        await app.tell(Overview(replace(status, events=status.events[:2])))
        assert events.cursor == 1
        assert app.focused == "events"


async def test_nothing_is_drawn_when_nothing_changed(cockpit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    original = CardView.render_line

    def counting(self: CardView, y: int) -> Any:
        drawn.append(y)
        return original(self, y)

    async with opened(cockpit, calm()) as app:
        monkeypatch.setattr(CardView, "render_line", counting)
        await app.tell(calm())
        assert drawn == []
        await app.tell(Overview(replace(status_of(calm()), events=())))
        assert 0 < len(drawn) < 30


async def test_moving_through_all_cards(cockpit: Open) -> None:
    async with opened(cockpit, troubled()) as app:
        seen = []
        for _ in range(4):
            seen.append(app.focused)
            await app.press("end", "down")
        seen.append(app.focused)
        assert seen == ["problems", "nodes", "components", "agents", "events"]
        app.card("nodes").focus()
        await app.press("right")
        assert app.focused == "namespaces"
        await app.press("h", "k")
        assert app.focused == "problems"
        await app.press("shift+tab", "home", "pagedown", "pageup")
        assert app.focused == "events"


async def test_the_mouse_marks_and_chooses(cockpit: Open) -> None:
    async with opened(cockpit, troubled()) as app:
        await app.pilot.click("#namespaces", offset=(3, 3))
        assert (app.focused, app.card("namespaces").cursor) == ("namespaces", 2)
        await app.pilot.click("#namespaces", offset=(3, 3), times=2)
        await app.pilot.pause()
        assert isinstance(app.pilot.app.screen, DetailDialog)
        assert "legacy-000" in app.text


async def test_out_of_reach_at_start_and_back(cockpit: Open) -> None:
    cluster = StubCluster(out_of_reach())
    async with opened(cockpit, cluster=cluster) as app:
        await wait_for(app.pilot, lambda: "out of reach" in app.text)
        row = app.card("problems").row
        assert row is not None
        assert row.detail.code == "E-KUBE-001"
        await app.press("enter")
        assert "Is the cluster running?" in app.text
        await app.press("escape")
        cluster.failure = None
        app.feed.tell(calm())
        await app.press("R")
        await wait_for(app.pilot, lambda: "Nothing is wrong." in app.text)


async def test_what_was_known_stays_while_the_cluster_is_lost(cockpit: Open) -> None:
    async with opened(cockpit, calm()) as app:
        await app.tell(replace(calm(), lost="connection refused"))
        assert app.screen.has_class("-stale")
        assert app.card("nodes").card.summary == "1/1 ready"
        assert app.card("problems").card.summary == "out of reach, older below"
        assert "what is shown may be old" in app.text
        assert "Nothing is wrong." not in app.text
        await app.tell(calm())
        assert not app.screen.has_class("-stale")
        assert "Nothing is wrong." in app.text


async def test_reading_anew_keeps_what_is_shown_until_there_is_more(cockpit: Open) -> None:
    async with opened(cockpit, calm()) as app:
        await app.press("r")
        await app.tell(Overview(pending=("agents",)))
        assert app.card("nodes").card.summary == "1/1 ready"
        assert app.feed.asked == [False, False]
        await app.press("u")
        await wait_for(app.pilot, lambda: app.feed.asked == [False, False, True])


async def test_another_cluster_begins_empty(cockpit: Open) -> None:
    async with opened(cockpit, calm()) as app:
        contexts = cockpit_of(app.pilot).contexts
        app.feed._last = None
        cockpit_of(app.pilot).connect_to(contexts[1])
        await wait_for(app.pilot, lambda: app.card("nodes").card.rows == ())


async def test_hostile_words_are_shown_literally(cockpit: Open) -> None:
    async with opened(cockpit, hostile(), size=(200, 60)) as app:
        assert "[/bold][red]x[/]" in app.text
        assert not set(app.text) & {"\x1b", "\u202e", "\u202c"}
        app.card("nodes").focus()
        await app.press("enter")
        assert "[/bold][red]x[/]" in app.text
        assert not set(app.text) & {"\x1b", "\u202e"}
        assert len(HOSTILE) > 10_000


async def test_small_and_back(cockpit: Open) -> None:
    async with opened(cockpit, troubled()) as app:
        app.card("certificates").focus()
        await app.press("down")
        for size in ((40, 12), (20, 5), (200, 60), (80, 24)):
            await app.pilot.resize_terminal(*size)
            await app.pilot.pause()
        assert app.focused == "certificates"
        assert app.card("certificates").cursor == 1
        assert app.screen.has_class("-scrolls") is False
        heights = {name: app.card(name).size.height for name in ("nodes", "agents", "versions")}
        assert all(heights.values()), heights


async def test_in_a_small_terminal_the_marked_row_is_in_sight(cockpit: Open) -> None:
    async with opened(cockpit, troubled(), size=(40, 12)) as app:
        await app.press(*["down"] * 12)
        view = app.screen.focused
        assert isinstance(view, CardView)
        assert view.row is not None
        assert view.row.cells[0][:6] in app.text


async def test_many_pods_and_namespaces(cockpit: Open) -> None:
    async with opened(cockpit, Overview(assemble(crowd())), size=(80, 24)) as app:
        app.card("namespaces").focus()
        await app.press("end")
        assert "team-59" in app.text
        assert "490/500 managed" in app.text


async def test_ascii_signs(cockpit: Open) -> None:
    async with opened(cockpit, troubled(), settings=Settings(ascii=True)) as app:
        assert "x hubble-relay" in app.text
        assert not set(app.text) & set("●✗▲◆○…")


async def test_no_colour_is_needed(cockpit: Open) -> None:
    async with opened(cockpit, troubled()) as app:
        for words in ("4 errors, 4 warnings", "failed", "sync-policymap-497 fails", "expired", "12 days left"):
            assert words in app.text


async def test_a_failing_reader_ends_in_the_dialog(cockpit: Open) -> None:
    async def failing(kube: Any, ask: bool) -> Any:
        if not ask:
            raise BeeyardError("the table of Cilium releases is damaged", fix="Install again.", code="E-CILIUM-003")
        yield calm()

    async with cockpit(stub_services(overview=failing), areas=AREA) as pilot:
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))
        assert "E-CILIUM-003" in text_of(pilot.app)


async def test_copy(cockpit: Open) -> None:
    async with opened(cockpit, troubled()) as app:
        app.card("agents").focus()
        await app.press("y")
        assert "sync-policymap-497: timed out after 30 s" in app.pilot.app.clipboard


def test_the_status_that_is_shown_is_the_one_that_the_command_prints() -> None:
    found = json.loads(json.dumps(status_of(troubled()).to_dict()))
    assert {"namespaces", "unmanaged", "certificates", "versions", "hints", "events", "policyFaults"} <= found.keys()
    assert found["unreadDetails"][0]["resource"] == "secrets"
    assert found["agents"][0]["enforcement"]["demo/backend-684cc96cbd-hz6pz"] == "ingress"
