from __future__ import annotations

import asyncio
from datetime import timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from installer.domain.flows import jsonpb
from installer.domain.flows.flow import Answer, Endpoint, Flow, Service
from installer.domain.flows.graph import LEVELS, Graph
from installer.domain.flows.printing import text
from installer.domain.flows.times import SECOND, to_ns
from installer.domain.flows.where import compile_where
from installer.services.flow_feed import FeedChoice
from installer.tui.flows.clock_text import time_of_day
from installer.tui.flows.columns import COLUMNS, GUTTER, ends, fit, fit_end, header, info, layout, values
from installer.tui.flows.detail import detail
from installer.tui.flows.dialogs import choice_of
from installer.tui.flows.export import FLOW_ENDINGS, flow_chunks
from installer.tui.flows.intake import ROOM, Intake
from installer.tui.flows.model import FlowsModel, Tally
from installer.tui.flows.panes import TalkersContent, edge_clause
from installer.tui.flows.seen import MOST, Seen
from tests.support.flow_feeds import RECORDING, answer, recorded
from tests.support.flows import answers, flows


def plain(lines: Any) -> list[str]:
    return [line.text.plain for line in lines]


# -- columns


@given(st.integers(1, 400))
def test_columns_take_the_whole_width_and_no_more(width: int) -> None:
    columns = layout(width)
    taken = GUTTER + sum(column.width + 1 for column in columns) - 1
    assert taken == width or width < 52
    assert "verdict" in {column.id for column in columns}
    assert len(header(width)) == taken
    assert {column.id for column in columns} <= {column.id for column in COLUMNS}


@given(st.text(max_size=60), st.integers(1, 40), st.booleans())
def test_cells_have_their_width_and_are_printable(value: str, width: int, client: bool) -> None:
    for made in (fit(value, width), fit_end(value, width, client=client)):
        assert cell_len(made) == width
        assert made.isprintable()


def test_a_name_is_cut_before_its_port_and_the_client_s_port_goes_first() -> None:
    name = "kube-system/coredns-5dd5756b68-klmno:53"
    assert fit_end(name, 20, client=False) == "kube-system/core…:53"
    assert fit_end(name, 37, client=True) == "kube-system/coredns-5dd5756b68-klmno "
    assert fit_end("[fd00::1]:80", 8, client=False) == "[fd0…:80"
    assert fit_end("[fd00::1]:80", 7, client=False) == "[fd00:…"


@given(flows())
def test_every_column_says_something_of_every_flow(flow: Flow) -> None:
    for value in values(lambda one: time_of_day(None)(one.time)).values():
        assert isinstance(value(flow), str)
    assert info(flow)
    assert set(ends(flow)) == set(text.hosts(flow))


def test_times_of_day() -> None:
    utc, india = time_of_day(None), time_of_day(timezone(timedelta(hours=5, minutes=30)))
    assert utc("2026-11-20T23:59:59.123456Z") == "23:59:59.123"
    assert utc("2026-11-20T23:59:59Z") == "23:59:59.000"
    assert india("2026-11-20T23:59:59.5Z") == "05:29:59.500"
    assert utc("nonsense") == utc("") == ""


# -- details


def one_key_twice(flow: Flow) -> bool:
    """No pod has a label twice; where one has, selectors know the last one only."""
    keys = [[label.partition("=")[0] for label in end.labels] for end in (flow.source, flow.destination) if end]
    plain_keys = [[key.rpartition(":")[2] for key in end] for end in keys]
    return any(len(set(end)) < len(end) for end in plain_keys)


@settings(max_examples=80)
@given(answers().filter(lambda item: item.flow is not None))
def test_details_hold_the_whole_record_and_their_filters_find_the_flow(item: Answer) -> None:
    lines = detail(item, item)
    said = "".join(plain(lines))
    assert said.isprintable()
    record = plain(lines)
    start = record.index("RECORD") + 1
    whole = "".join(record[start : record.index("OTHER RECORD")])
    assert jsonpb.decode(whole.encode()) == jsonpb.decode(jsonpb.encode(item))
    assert item.flow is not None
    odd = {".label="} if one_key_twice(item.flow) else set()
    odd |= {"verdict="} if not str(item.flow.verdict).isalpha() else set()
    for clause in {line.clause for line in lines if line.clause}:
        if not any(part in clause for part in odd):
            assert compile_where(clause).matches(item.flow), clause


@settings(max_examples=80)
@given(flows(), st.sampled_from(sorted(LEVELS)))
def test_the_filter_of_an_edge_finds_its_flows(flow: Flow, level: str) -> None:
    graph = Graph(level)
    graph.add(flow)
    (edge,) = graph.edges()
    compile_where(edge_clause(edge))


def test_the_filters_of_edges_and_talkers_part_a_recording() -> None:
    told = [item.flow for item in recorded(RECORDING) if item.flow]
    graph = Graph("workload")
    for flow in told:
        graph.add(flow)
    exact = [edge for edge in graph.edges() if all(node.group != "(outside)" for node in (edge.client, edge.server))]
    assert exact
    for edge in exact:
        found = [flow for flow in told if compile_where(edge_clause(edge)).matches(flow)]
        assert len(found) == edge.flows, edge_clause(edge)


# -- model


def test_the_intake_sheds_flows_only() -> None:
    intake = Intake(waiting=3)
    other = recorded()[26:]
    intake.offer([*other, *[answer(Flow(uuid=str(number))) for number in range(6)]])
    assert intake.take_shed() == 3
    assert intake.take_shed() == 0
    taken = intake.take(100)
    assert taken[: len(other)] == other
    assert [item.flow.uuid for item in taken[len(other) :] if item.flow] == ["3", "4", "5"]


async def test_a_source_that_can_wait_waits_for_room() -> None:
    intake = Intake()
    intake.offer([answer(Flow())] * (ROOM + 1))
    waiting = asyncio.ensure_future(intake.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    intake.take(1)
    await waiting


def test_rates_and_lag_follow_the_clock_or_the_recording() -> None:
    live, file = FlowsModel(), FlowsModel()
    file.start_over(recorded=True)
    for model in (live, file):
        model.intake.offer(recorded())
        assert model.take_in(100, 1_800_000_000.0) == 30
        assert model.rates.flows == 26
    assert live.rates.latest == 1_800_000_000
    assert live.now(1_800_000_009.0) == 1_800_000_009
    assert len(live.lag.nodes()) == 2
    assert file.now(1_800_000_009.0) == file.rates.latest == int(to_ns("2026-11-20T10:00:26Z") / SECOND)
    assert file.lag.worst() is None


def test_counting_goes_by_the_filter_and_stays_when_flows_leave() -> None:
    model = FlowsModel(10)
    model.filter(lambda flow: flow.verdict == "DROPPED", fold=False)
    talkers = TalkersContent(model)
    dropped, passed = answer(Flow(verdict="DROPPED")), answer(Flow(verdict="FORWARDED"))
    for _ in range(5):
        model.intake.offer([dropped, passed] * 4)
        model.take_in(100, 0.0)
        while talkers.count():
            pass
    talkers.draw(80)
    assert "20 flows" in talkers.title
    tally = Tally(model.store, model.view, Graph())
    assert tally.since == 30


def test_names_are_learned_and_forgotten_when_rare() -> None:
    seen = Seen()
    for _ in range(2):
        seen.add_endpoint(Endpoint(namespace="shop", pod_name="web-0", labels=("k8s:app=web",)))
    seen.add_flow(Flow(destination_names=("example.org",), destination_service=Service("api", "shop"), node_name="n1"))
    for number in range(MOST + 10):
        seen.add_endpoint(Endpoint(namespace=f"ns-{number}"))
    assert seen.values("namespace")[0] == "shop"
    assert len(seen.values("namespace")) <= MOST
    assert list(seen.values("pod")) == ["shop/web-0"]
    assert list(seen.values("name")) == ["example.org"]
    assert list(seen.values("service")) == ["shop/api"]
    assert list(seen.values("nonsense")) == []
    assert "shop/web-0" in {item.text for item in seen.complete("pod=shop/", 9)}


# -- export, source


@pytest.mark.parametrize("ending", sorted(FLOW_ENDINGS))
def test_exports_hold_every_flow_that_is_still_there(ending: str) -> None:
    model = FlowsModel()
    model.intake.offer(recorded())
    model.take_in(100, 0.0)
    lines = b"".join(flow_chunks(model.store, [0, 3, 25, 99], ending)).decode().splitlines()
    assert len(lines) == (4 if ending == "csv" else 3)
    if ending == "jsonl":
        assert [jsonpb.decode(line.encode()) for line in lines] == [recorded()[index] for index in (0, 3, 25)]


def test_a_typed_source_is_a_file_an_address_or_relay() -> None:
    assert choice_of("  ", 1.0) == FeedChoice("relay")
    for path in ("/tmp/x", "~/x", "./x", "flows.jsonl", "a/b.json"):
        assert choice_of(path, 10.0) == FeedChoice("file", path, 10.0)
    for address in ("relay.example.org:4245", "tls://10.0.0.1:443", "unix:///run/hubble.sock"):
        assert choice_of(address, 10.0) == FeedChoice("server", address)
    assert FeedChoice("file", "/a/b.jsonl").title == "b.jsonl"
    assert FeedChoice().title == "Relay"


def test_the_store_gives_flows_back_as_they_came() -> None:
    model = FlowsModel()
    model.intake.offer(recorded(RECORDING))
    model.take_in(1000, 0.0)
    came = [msgspec.json.encode(item) for item in recorded(RECORDING)]
    assert [msgspec.json.encode(model.store.answer(seq)) for seq in range(300)] == came
