from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from installer.adapters.store.exports import write_export
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.flows import jsonpb
from installer.domain.flows.feed import Connected, Disconnected, Flows, Gap, NodesChanged, Notice
from installer.domain.flows.flow import Answer
from installer.domain.flows.times import from_ns, to_ns
from installer.services.flow_feed import FeedChoice
from installer.tui.areas import AREAS
from installer.tui.flows.intake import TOO_FAST
from installer.tui.flows.screen import FlowsScreen
from installer.tui.settings import Settings
from tests.support.cockpit import StubKube, cockpit_of, stub_services, text_of, wait_for
from tests.support.flow_feeds import RECORDING, ScriptedFeeds, answer, live, recorded
from tests.tui.conftest import Open

NOW = to_ns("2026-11-20T10:00:30Z") / 1e9
Watch = Callable[..., AbstractAsyncContextManager[Pilot[int]]]


@pytest.fixture
def watch(cockpit: Open) -> Watch:
    """Open the Flows screen on a scripted source, and wait until it shows its first flows."""

    @asynccontextmanager
    async def opened(
        feeds: ScriptedFeeds, *, size: tuple[int, int] = (100, 24), settings: Settings | None = None, **services: Any
    ) -> Any:
        made = stub_services(flow_feeds=feeds, now=lambda: NOW, **services)
        areas = [area for area in AREAS if area.id == "flows"]
        async with cockpit(made, size=size, area="flows", areas=areas, settings=settings) as pilot:
            await wait_for(pilot, lambda: feeds.requests and isinstance(pilot.app.screen, FlowsScreen))
            yield pilot

    return opened


def screen_of(pilot: Pilot[int]) -> FlowsScreen:
    return next(one for one in pilot.app.screen_stack if isinstance(one, FlowsScreen))


def numbered(start: int, count: int, **fields: Any) -> list[Answer]:
    base = recorded()[0].flow
    assert base is not None
    return [
        answer(msgspec.structs.replace(base, uuid=str(number), summary=f"flow {number}", **fields))
        for number in range(start, start + count)
    ]


async def kept(pilot: Pilot[int], count: int) -> None:
    await wait_for(pilot, lambda: len(screen_of(pilot).model.store) == count)
    screen = screen_of(pilot)
    await wait_for(pilot, lambda: screen.model.view.behind == 0)
    screen.table.update_lines()
    screen.show_feed(NOW)
    await pilot.pause()


async def type_filter(pilot: Pilot[int], text: str) -> None:
    await pilot.press("slash")
    screen_of(pilot).filter_bar.set_expression("")
    await pilot.press(*({" ": "space", "=": "equals_sign", ".": "full_stop"}.get(char, char) for char in text))


async def test_it_follows_stops_pauses_and_goes_on(watch: Watch) -> None:
    feeds = live(numbered(0, 50))
    async with watch(feeds) as pilot:
        await kept(pilot, 50)
        table = screen_of(pilot).table
        assert "flow 49" in text_of(pilot.app)
        assert "LIVE" in text_of(pilot.app)
        await pilot.press("up", "up")
        feeds.flows(numbered(50, 30))
        await kept(pilot, 80)
        assert "flow 79" not in text_of(pilot.app)
        assert "30 new (G)" in text_of(pilot.app)
        await pilot.press("G")
        assert "flow 79" in text_of(pilot.app)
        await pilot.press("space")
        before = text_of(pilot.app).splitlines()[4:20]
        feeds.flows(numbered(80, 500))
        await kept(pilot, 580)
        assert text_of(pilot.app).splitlines()[4:20] == before
        assert "PAUSED" in text_of(pilot.app)
        assert "500 new" in text_of(pilot.app)
        await pilot.press("space")
        assert table.follow
        assert "flow 579" in text_of(pilot.app)


async def test_what_leaves_the_memory_leaves_the_rows_that_are_read(watch: Watch) -> None:
    feeds = live(numbered(0, 1000))
    async with watch(feeds, settings=Settings(history=1000)) as pilot:
        await kept(pilot, 1000)
        await pilot.press(*["pageup"] * 5)
        top = text_of(pilot.app).splitlines()[4]
        feeds.flows(numbered(1000, 300))
        await wait_for(pilot, lambda: screen_of(pilot).model.store.next == 1300)
        screen_of(pilot).table.update_lines()
        await pilot.pause()
        assert text_of(pilot.app).splitlines()[4] == top
        await pilot.press("home")
        await pilot.pause()
        assert "flow 300" in text_of(pilot.app)


async def test_a_filter_is_typed_completed_judged_and_left(watch: Watch) -> None:
    async with watch(live(recorded()), size=(110, 24)) as pilot:
        await kept(pilot, 26)
        screen = screen_of(pilot)
        await type_filter(pilot, "verdict=dr")
        assert "dropped" in text_of(pilot.app)
        assert len(screen.model.view) == 26
        await pilot.press("tab")
        await wait_for(pilot, lambda: screen.where is not None and screen.where.text == "verdict=dropped")
        assert len(screen.model.view) == 4
        await pilot.press(*" and dst.ns".replace(" ", "_"))
        screen.filter_bar.set_expression("verdict=dropped and dst.wrong=1")
        await pilot.pause()
        await pilot.press("enter")
        said = text_of(pilot.app)
        assert "unknown field dst.wrong at column 21" in said
        assert len(screen.model.view) == 4
        assert screen.filter_bar.input.has_focus
        screen.filter_bar.set_expression("src.pod=shop/")
        await pilot.pause()
        assert "shop/web-6d9f-abcde" in text_of(pilot.app)
        await pilot.press("escape")
        assert screen.table.has_focus
        await pilot.press("escape")
        await wait_for(pilot, lambda: len(screen.model.view) == 26)
        await pilot.press("v")
        await wait_for(pilot, lambda: len(screen.model.view) == 5)
        assert "verdict in (dropped, error)" in text_of(pilot.app)
        await pilot.press("v")
        await wait_for(pilot, lambda: len(screen.model.view) == 26)


async def test_a_denial_s_two_records_are_one_row_until_both_are_wanted(watch: Watch) -> None:
    async with watch(live(recorded(RECORDING)), size=(110, 24)) as pilot:
        await kept(pilot, 300)
        assert len(screen_of(pilot).model.view) == 297
        await pilot.press("z")
        await wait_for(pilot, lambda: len(screen_of(pilot).model.view) == 300)


async def test_details_tell_every_field_and_the_record(watch: Watch) -> None:
    async with watch(live(recorded()), size=(130, 60)) as pilot:
        await kept(pilot, 26)
        await pilot.press("N", "enter")
        screen = screen_of(pilot)
        await wait_for(pilot, lambda: "RECORD" in text_of(pilot.app))
        said = text_of(pilot.app)
        assert "Verdict       ERROR" in said
        assert "HTTP/2" in said
        assert '"flow": {' in said
        await pilot.press("N")
        await wait_for(pilot, lambda: "Reason        POLICY_DENY (181)" in text_of(pilot.app))
        screen.pane.view.focus()
        await pilot.press("home", "enter")
        await wait_for(pilot, lambda: screen.filter_bar.expression == "verdict=dropped")
        screen.table.focus()
        for key, there in (("escape", False), ("d", True), ("d", False)):
            await pilot.press(key)
            assert bool(screen.pane.content) is there


HOSTILE = "http://x/\x1b[31mred[/]\u202eevil[bold]\r\n\t'\"<b>"


async def test_hostile_texts_are_literal_everywhere(watch: Watch) -> None:
    flow = recorded()[5].flow
    assert flow is not None
    assert flow.source is not None
    source = msgspec.structs.replace(flow.source, pod_name="[red]\x1b]0;x\x07", labels=("k8s:[/]=\x9b",), workloads=())
    names = {"source_names": (), "destination_names": ("[b]\x1b[2J.org",), "node_name": "[x]\x00"}
    bad = msgspec.structs.replace(flow, summary=HOSTILE, source=source, **names)
    async with watch(live([answer(bad)]), size=(200, 50)) as pilot:
        await kept(pilot, 1)
        for key in ("d", "t", "m", "i"):
            await pilot.press(key)
            await wait_for(pilot, lambda: screen_of(pilot).pane.content is not None)
            await pilot.pause()
            said = text_of(pilot.app)
            assert "[red]\\x1b]0;x\\x07" in said
            assert all(line.isprintable() for line in said.splitlines())
        await type_filter(pilot, "src.pod=[")
        await pilot.pause()
        assert all(line.isprintable() for line in text_of(pilot.app).splitlines())


async def test_talkers_and_map_count_what_the_filter_lets_through_and_filter_further(watch: Watch) -> None:
    feeds = live(recorded())
    async with watch(feeds, size=(140, 40)) as pilot:
        await kept(pilot, 26)
        screen = screen_of(pilot)
        await pilot.press("t")
        await wait_for(pilot, lambda: "Top by workload: 26 flows" in text_of(pilot.app))
        assert "shop/web" in text_of(pilot.app)
        await pilot.press("T")
        await wait_for(pilot, lambda: "Top by namespace: 26 flows" in text_of(pilot.app))
        await pilot.press("m")
        await wait_for(pilot, lambda: "Map by workload" in text_of(pilot.app))
        await wait_for(pilot, lambda: "─▶ shop/api" in text_of(pilot.app))
        screen.pane.view.focus()
        screen.pane.view.go_to(4)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "src.workload=web" in screen.filter_bar.expression)
        edge = screen.filter_bar.expression
        await kept(pilot, 26)
        count = len(screen.model.view)
        assert 0 < count < 26
        await wait_for(pilot, lambda: f"1 edges, {count} flows" in text_of(pilot.app))
        screen.filter_bar.set_expression("")
        screen.table.focus()
        await wait_for(pilot, lambda: len(screen.model.view) == 26)
        await pilot.press("home", "o")
        await wait_for(pilot, lambda: screen.filter_bar.expression == edge)


async def test_a_lost_source_is_told_and_so_is_what_may_be_missing(watch: Watch) -> None:
    feeds = live(numbered(0, 3))
    error = ConnectError("Relay is out of reach", why="connection refused", fix="wait", code="E-HUBBLE-001")
    async with watch(feeds, size=(200, 30)) as pilot:
        await kept(pilot, 3)
        feeds.tell(Disconnected(error, 2.0, 1))
        await wait_for(pilot, lambda: "LOST" in text_of(pilot.app))
        assert "Relay is out of reach" in text_of(pilot.app)
        assert "comes back by itself" in text_of(pilot.app)
        feeds.tell(Connected("relay 127.0.0.1:4245", again=True), Gap("10:00", "10:05", reason="Relay was away"))
        feeds.tell(Flows(numbered(3, 2)), NodesChanged(("n2",), (), 1, 2), Notice("E-X-1", "an old server"))
        feeds.flows([item for item in recorded() if item.lost_events])
        await kept(pilot, 5)
        await wait_for(pilot, lambda: "lost 37" in text_of(pilot.app))
        assert "out of reach" not in text_of(pilot.app)
        rows = [line for line in text_of(pilot.app).splitlines() if "flow " in line]
        assert [" ~" in row[:3] for row in rows] == [False, False, False, True, False]
        await pilot.press("i")
        await wait_for(pilot, lambda: "Incomplete: 37 events missing" in text_of(pilot.app))
        content = screen_of(pilot).pane.content
        assert content is not None
        said = " ".join(line.text.plain.strip() for line in content.lines._lines)
        assert "HUBBLE_RING_BUFFER" in said
        assert "Relay was away" in said
        assert "unavailable  n2" in said
        feeds.tell(BeeyardError("no such thing", why="really", fix="do better", code="E-HUBBLE-005"))
        await wait_for(pilot, lambda: "FAILED" in text_of(pilot.app))
        assert "E-HUBBLE-005" in text_of(pilot.app)
        await pilot.press("A")
        await wait_for(pilot, lambda: len(feeds.requests) == 2)
        feeds.flows(numbered(3, 3))
        await wait_for(pilot, lambda: screen_of(pilot).model.store.next == 6)
        assert [flow.uuid for _, flow in screen_of(pilot).model.store.flows()] == list("012345")


async def test_overload_sheds_the_oldest_and_says_how_many(watch: Watch) -> None:
    feeds = live()
    async with watch(feeds) as pilot:
        screen = screen_of(pilot)
        screen.model.intake.offer([*recorded()[26:], *numbered(0, 25_000)])
        await wait_for(pilot, lambda: screen.model.store.losses.shed == {TOO_FAST: 5_000})
        assert screen.model.store.losses.lost.total() == 37
        screen.model.intake.clear()
        await wait_for(pilot, lambda: "lost 5,037" in text_of(pilot.app))


async def test_another_source_replaces_the_flows(watch: Watch) -> None:
    feeds = live(numbered(0, 3))
    async with watch(feeds) as pilot:
        await kept(pilot, 3)
        await pilot.press("S")
        await wait_for(pilot, lambda: "Source of flows" in text_of(pilot.app))
        await pilot.press(*"x.jsonl", "enter")
        await wait_for(pilot, lambda: len(feeds.requests) == 2)
        assert feeds.requests[1].choice == FeedChoice("file", "x.jsonl", 0.0)
        await kept(pilot, 3)
        assert feeds.closed == 1
        feeds.tell(None)
        await wait_for(pilot, lambda: "ENDED" in text_of(pilot.app))


async def test_the_source_can_filter_too(watch: Watch) -> None:
    feeds = live(recorded())
    async with watch(feeds, size=(140, 24)) as pilot:
        await kept(pilot, 26)
        screen = screen_of(pilot)
        screen.filter_bar.set_expression("verdict=dropped")
        await wait_for(pilot, lambda: len(screen.model.view) == 4)
        assert not feeds.requests[0].filters.whitelist
        await pilot.press("u")
        await wait_for(pilot, lambda: len(feeds.requests) == 2)
        assert feeds.requests[1].filters.whitelist[0].verdict == ("DROPPED",)
        await wait_for(pilot, lambda: "filtered at the source" in text_of(pilot.app))


async def test_filters_are_saved_used_and_deleted(watch: Watch) -> None:
    async with watch(live(recorded()), settings=Settings(filters={"web": "src.workload=web"})) as pilot:
        await kept(pilot, 26)
        screen = screen_of(pilot)
        await pilot.press("f")
        await wait_for(pilot, lambda: "Saved filters" in text_of(pilot.app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: screen.filter_bar.expression == "src.workload=web")
        await pilot.press("f")
        await wait_for(pilot, lambda: "Saved filters" in text_of(pilot.app))
        await pilot.press("tab", *"mine", "enter")
        await wait_for(pilot, lambda: len(cockpit_of(pilot).settings.filters) == 2)
        assert cockpit_of(pilot).settings.filters["mine"] == "src.workload=web"
        await pilot.press("f")
        await wait_for(pilot, lambda: "Saved filters" in text_of(pilot.app))
        await pilot.press("delete")
        await wait_for(pilot, lambda: list(cockpit_of(pilot).settings.filters) == ["web"])


async def export_to(pilot: Pilot[int], path: Path, what: str) -> None:
    await pilot.press("e")
    await wait_for(pilot, lambda: what in text_of(pilot.app))
    pilot.app.screen.query_one("#path", Input).value = str(path)
    await pilot.press("enter")


def store(path: Path, chunks: Any, overwrite: bool) -> int:
    return write_export(path, chunks, overwrite=overwrite)


async def test_marked_flows_are_exported_and_nothing_is_overwritten_unasked(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with watch(live(recorded()), write_file=store) as pilot:
        await kept(pilot, 26)
        await pilot.press("end", "x", "up", "up", "x")
        await export_to(pilot, path, "2 flows (marked)")
        await wait_for(pilot, path.exists)
        lines = [jsonpb.decode(line) for line in path.read_bytes().splitlines()]
        assert lines == [recorded()[23], recorded()[25]]
        path.write_text("mine")
        await export_to(pilot, path, "2 flows (marked)")
        await wait_for(pilot, lambda: "Overwrite the file?" in text_of(pilot.app))
        await pilot.press("n")
        await wait_for(pilot, lambda: "Overwrite" not in text_of(pilot.app))
        assert path.read_text() == "mine"
        await export_to(pilot, path, "2 flows (marked)")
        await wait_for(pilot, lambda: "Overwrite the file?" in text_of(pilot.app))
        await pilot.press("y")
        await wait_for(pilot, lambda: path.read_text() != "mine")


async def test_a_full_disk_is_told(watch: Watch) -> None:
    def full(path: Path, chunks: Any, overwrite: bool) -> int:
        del chunks, overwrite
        raise BeeyardError(f"cannot write {path}", why="No space left on device", fix="make room", code="E-EXPORT-002")

    async with watch(live(recorded()), write_file=full) as pilot:
        await kept(pilot, 26)
        await pilot.press("e")
        await wait_for(pilot, lambda: "26 flows (of the table)" in text_of(pilot.app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "E-EXPORT-002" in text_of(pilot.app))
        assert "No space left on device" in text_of(pilot.app)


async def test_a_map_is_exported(watch: Watch) -> None:
    written: list[bytes] = []

    def take(path: Path, chunks: Any, overwrite: bool) -> int:
        del path, overwrite
        written.append(b"".join(chunks))
        return len(written[0])

    async with watch(live(recorded()), write_file=take, size=(120, 30)) as pilot:
        await kept(pilot, 26)
        await pilot.press("m", "e")
        await wait_for(pilot, lambda: "The map:" in text_of(pilot.app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: written)
        assert written[0].startswith(b"flowchart LR\n")


async def test_it_shrinks_and_grows(watch: Watch) -> None:
    async with watch(live(recorded()), size=(120, 36)) as pilot:
        await kept(pilot, 26)
        await pilot.press("m")
        for size in ((40, 12), (20, 6), (80, 24), (200, 60), (120, 36)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await pilot.press("escape")
        await wait_for(pilot, lambda: "DESTINATION" in text_of(pilot.app))
        await pilot.resize_terminal(40, 12)
        await wait_for(pilot, lambda: "DROPPED" in text_of(pilot.app) or "FORWARDED" in text_of(pilot.app))


async def test_no_cluster_and_no_source_are_said(cockpit: Open) -> None:
    async with cockpit(stub_services(), area="flows") as pilot:
        await wait_for(pilot, lambda: "No source of flows" in text_of(pilot.app))


async def test_times_are_shown_in_utc_or_local(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta, timezone

    monkeypatch.setattr("installer.tui.flows.screen.time_zone", lambda: timezone(timedelta(hours=5, minutes=30)))
    async with watch(live(numbered(0, 1, time=from_ns(to_ns("2026-11-20T10:00:01.5Z")))), size=(110, 24)) as pilot:
        await kept(pilot, 1)
        assert "10:00:01.500" in text_of(pilot.app)
        await pilot.press("w")
        await wait_for(pilot, lambda: "15:30:01.500" in text_of(pilot.app))
        assert "LOCAL" in text_of(pilot.app)


async def test_drafting_appears_only_where_policies_are_drafted(watch: Watch) -> None:
    async with watch(live(recorded())) as pilot:
        await kept(pilot, 26)
        screen = screen_of(pilot)
        assert screen.check_action("draft", ()) is (screen._drafting_area() is not None)
        assert [flow.uuid for flow in screen.marked_flows()] == [recorded()[25].flow.uuid]  # type: ignore[union-attr]


async def test_another_cluster_s_flows_replace_these_and_the_same_one_s_go_on(watch: Watch) -> None:
    feeds = live(numbered(0, 3))
    async with watch(feeds) as pilot:
        await kept(pilot, 3)
        screen, connection = screen_of(pilot), cockpit_of(pilot).connection
        connection.kube = StubKube("beeyard")  # type: ignore[assignment]
        screen.show_connection()
        await wait_for(pilot, lambda: len(feeds.requests) == 2)
        await kept(pilot, 3)
        assert screen.model.store.next == 3
        connection.kube = StubKube("another")  # type: ignore[assignment]
        screen.show_connection()
        await wait_for(pilot, lambda: len(feeds.requests) == 3)
        await wait_for(pilot, lambda: screen.model.store.next == 6)
        assert len(screen.model.store) == 3
