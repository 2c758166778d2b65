from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.errors import UsageError
from installer.domain.flows import sides
from installer.domain.flows.flow import DNS, HTTP, IP, TCP, Endpoint, EventType, Flow, Layer4, Layer7, Workload
from installer.domain.flows.graph import LEVELS, OUTSIDE, Graph, Node
from installer.domain.flows.graph_export import EXPORTS, edge_lines, to_dot, to_json, to_mermaid, to_text
from installer.domain.flows.grouping import FIELDS, OTHER, Grouping, Window, Windows, parse_fields, table
from installer.domain.flows.lag import Lag, horizon, lag_text
from installer.domain.flows.rates import ASCII_BLOCKS, Rates, sparkline
from installer.domain.flows.talkers import KINDS, Talkers
from tests.support.flows import flows

SECOND = 1_000_000_000
WEB = Endpoint(namespace="shop", pod_name="web-0", workloads=(Workload("web", "Deployment"),))
API = Endpoint(namespace="shop", pod_name="api-0", workloads=(Workload("api", "Deployment"),))
WORLD = Endpoint(identity=2, labels=("reserved:world",))


def flow(source: Endpoint = WEB, destination: Endpoint = API, port: int = 80, **fields: object) -> Flow:
    parts: dict[str, object] = {"verdict": "FORWARDED", "is_reply": False} | fields
    tcp = TCP(port, 40000) if parts["is_reply"] else TCP(40000, port)
    return Flow(source=source, destination=destination, l4=Layer4(tcp=tcp), **parts)  # type: ignore[arg-type]


# -- sides


def test_a_reply_counts_for_the_client_s_connection() -> None:
    there, back = flow(), flow(API, WEB, is_reply=True)
    for told in (there, back):
        assert (sides.client(told).by_pod, sides.server(told).by_pod) == ("shop/web-0", "shop/api-0")
        assert sides.server_port(told) == 80


@given(flows())
def test_every_side_has_a_name(told: Flow) -> None:
    for side in (sides.source(told), sides.destination(told), sides.client(told), sides.server(told)):
        assert side.by_pod
        assert side.by_workload
        assert side.by_namespace
    assert sides.verdict(told)
    assert {sides.source(told), sides.destination(told)} == {sides.client(told), sides.server(told)}


def test_ends_outside_are_named_by_what_is_known_best() -> None:
    to = IP("10.0.0.1", "", "1.1.1.1")
    assert sides.destination(flow(WEB, WORLD, destination_names=("example.org",), ip=to)).by_pod == "example.org"
    assert sides.destination(flow(WEB, WORLD, ip=to)).by_pod == "world"
    assert sides.destination(flow(WEB, Endpoint(), ip=to)).by_pod == "1.1.1.1"
    api = Endpoint(labels=("reserved:host", "reserved:kube-apiserver"))
    assert sides.destination(flow(WEB, api)).by_pod == "kube-apiserver"
    assert sides.destination(Flow()).by_pod == "unknown"


def test_protocols_and_what_l7_speaks_of() -> None:
    assert sides.protocol(Flow()) == ""
    assert sides.application(Flow(l7=Layer7(http=HTTP(200, "GET")))) == "HTTP GET 200"
    assert sides.application(Flow(l7=Layer7(dns=DNS("example.org.")))) == "DNS example.org."


# -- rates


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(0, 9)), max_size=40), st.integers(1, 60))
def test_rates_add_up(counts: list[tuple[int, int, int]], step: int) -> None:
    rates = Rates(span=1000)
    for second, count, drops in counts:
        rates.add(second, count, drops)
    series = rates.series(50, 60 // step + 1, step)
    assert sum(bucket.flows for bucket in series) == rates.flows == sum(count for _, count, _ in counts)
    assert sum(bucket.drops for bucket in series) == rates.drops


def test_old_seconds_leave_and_late_ones_count_in_all() -> None:
    rates = Rates(span=10)
    rates.count([Flow(verdict="DROPPED"), Flow()], 100)
    assert rates.rate(101, 1) == (2.0, 1.0)
    rates.add(111, 5, 0)
    rates.add(100, 7, 0)
    assert [bucket.flows for bucket in rates.series(111, 12)] == [0] * 11 + [5]
    assert (rates.flows, rates.drops) == (14, 1)


@given(st.lists(st.integers(0, 10**9), max_size=30))
def test_a_sparkline_shows_every_value_that_is_not_zero(values: list[int]) -> None:
    line = sparkline(values)
    assert [char != " " for char in line] == [value > 0 for value in values]
    assert len(sparkline(values, ASCII_BLOCKS).encode()) == len(values)
    heights = dict(zip(values, line, strict=True))
    assert [heights[value] for value in sorted(heights)] == sorted(heights.values())


# -- talkers


@settings(max_examples=60)
@given(st.lists(flows(), max_size=25), st.sampled_from(sorted(KINDS)), st.integers(1, 5))
def test_talkers_count_every_end_once(told: list[Flow], kind: str, limit: int) -> None:
    bounded, exact = Talkers(kind, limit=limit), Talkers(kind)
    expected: Counter[str] = Counter()
    for item in told:
        bounded.add(item)
        exact.add(item)
        expected.update(KINDS[kind](item))
    top = exact.top(1000)
    assert {talker.name: talker.flows for talker in top} == expected
    assert [talker.flows for talker in top] == sorted(expected.values(), reverse=True)
    assert all(talker.drops <= talker.flows for talker in top)
    assert len(bounded) <= limit + 1
    assert sum(talker.flows for talker in bounded.top(1000)) == expected.total()
    assert bounded.total == exact.total == len(told)


def test_talkers_by_kind() -> None:
    told = [flow(verdict="DROPPED", drop_reason_desc="POLICY_DENIED"), flow(API, WEB, is_reply=True), flow(WEB, WORLD)]
    tops = {}
    for kind in KINDS:
        talkers = Talkers(kind)
        for item in told:
            talkers.add(item)
        tops[kind] = [(talker.name, talker.flows, talker.drops) for talker in talkers.top(2)]
    assert tops == {
        "pod": [("shop/web-0", 3, 1), ("shop/api-0", 2, 1)],
        "workload": [("shop/web", 3, 1), ("shop/api", 2, 1)],
        "namespace": [("shop", 3, 1), ("world", 1, 0)],
        "edge": [("shop/web -> shop/api", 2, 1), ("shop/web -> world", 1, 0)],
        "port": [("80/TCP", 3, 1)],
        "reason": [("POLICY_DENIED", 1, 1)],
    }


# -- grouping


@settings(max_examples=60)
@given(st.lists(flows(), max_size=25), st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True))
def test_groups_add_up(told: list[Flow], fields: list[str]) -> None:
    grouping = Grouping(fields)
    for item in told:
        grouping.add(item)
    groups = grouping.groups()
    assert sum(group.count for group in groups) == grouping.total == len(told)
    assert len({group.values for group in groups}) == len(groups) == len(grouping)
    assert [group.count for group in groups] == sorted((group.count for group in groups), reverse=True)
    assert grouping.groups(2) == groups[:2]
    for line in table(fields, groups):
        assert line.isprintable()


def test_groups_beyond_the_limit_are_counted_together() -> None:
    grouping = Grouping(("dport",), limit=2)
    for port in (1, 2, 3, 4, 1):
        grouping.add(flow(port=port))
    assert {group.values[0]: group.count for group in grouping.groups()} == {"1": 2, "2": 1, OTHER: 2}


def test_fields_are_named_as_people_do() -> None:
    assert parse_fields("ns, dport,VERDICT,ns") == ("ns", "dport", "verdict")
    assert parse_fields("port,src.namespace,proto") == ("dport", "src.ns", "protocol")
    for wrong, hint in (("verdikt", "verdict"), ("", "empty"), ("dst.pot", "dst.pod")):
        with pytest.raises(UsageError) as caught:
            parse_fields(wrong)
        assert caught.value.code == "E-FLOW-061"
        assert hint in caught.value.why


def test_a_table_of_groups() -> None:
    grouping = Grouping(parse_fields("ns,dport,verdict"))
    for item in (flow(), flow(), flow(WEB, WORLD, 443, verdict="DROPPED")):
        grouping.add(item)
    assert table(grouping.fields, grouping.groups()) == [
        "COUNT  SHARE  NS             DPORT  VERDICT",
        "    2  66.7%  shop -> shop   80     FORWARDED",
        "    1  33.3%  shop -> world  443    DROPPED",
    ]


@given(st.lists(st.integers(0, 100), max_size=30).map(sorted), st.integers(1, 20))
def test_windows_cover_time_without_overlap(moments: list[int], every: int) -> None:
    windows = Windows(("verdict",), every * SECOND)
    done: list[Window] = []
    for moment in moments:
        done += windows.add(Flow(), moment * SECOND)
    done += windows.close()
    assert sum(window.grouping.total for window in done) == len(moments)
    expected = Counter(moment // every for moment in moments)
    assert {window.start // (every * SECOND): window.grouping.total for window in done} == expected
    assert all(window.end - window.start == every * SECOND for window in done)


def test_a_quiet_stream_s_window_ends_by_the_clock() -> None:
    windows = Windows(("verdict",), 5 * SECOND)
    assert windows.add(Flow(), 12 * SECOND) == []
    assert windows.advance(14 * SECOND) == []
    (window,) = windows.advance(15 * SECOND)
    assert (window.start, window.end) == (10 * SECOND, 15 * SECOND)
    assert windows.advance(99 * SECOND) == windows.close() == []


# -- lag


def test_lag_per_node() -> None:
    lag = Lag()
    assert lag.worst() is None
    for sample in range(100):
        lag.add("b", 1000.0, 1000.0 + sample / 100, flows=3)
    lag.add("a", 1000.0, 997.0)
    a, b = lag.nodes()
    assert (b.node, b.flows) == ("b", 300)
    assert b.median == pytest.approx(0.5)
    assert b.p95 == pytest.approx(0.95)
    assert lag.worst() == b
    assert [lag_text(seconds) for seconds in (a.median, -0.01, 0.0123, 1.44)] == [
        "clock +3.0 s",
        "0 ms",
        "12 ms",
        "1.4 s",
    ]
    assert horizon(4095, 100) == pytest.approx(40.95)
    assert horizon(4095, 0) is None


# -- service map


@settings(max_examples=60)
@given(st.lists(flows(), max_size=25), st.sampled_from(sorted(LEVELS)), st.integers(1, 4))
def test_the_map_counts_every_flow_once(told: list[Flow], level: str, limit: int) -> None:
    graph, bounded = Graph(level), Graph(level, limit=limit)
    for item in told:
        graph.add(item)
        bounded.add(item)
    for made in (graph, bounded):
        edges = made.edges()
        assert sum(edge.flows for edge in edges) == made.total == len(told)
        assert all(edge.verdicts.total() == edge.flows for edge in edges)
    assert len(bounded) <= limit + 1
    assert set(graph.nodes()) == {end for item in told for end in graph.ends(item)}
    for export in EXPORTS.values():
        assert export(graph)
    assert [edge for _, edge in edge_lines(graph, 80) if edge] == graph.edges()


@pytest.fixture
def shop() -> Graph:
    graph = Graph()
    ok = Layer7(http=HTTP(200, "GET"))
    for item in (
        flow(port=8080),
        flow(port=8080, l7=Layer7(http=HTTP(0, "GET"))),
        flow(API, WEB, 8080, is_reply=True, l7=ok),
        flow(WEB, API, 5432, verdict="DROPPED", drop_reason_desc="POLICY_DENIED", is_reply=None),
        flow(API, WORLD, 25, verdict="DROPPED", drop_reason_desc="POLICY_DENIED", is_reply=None),
        flow(WORLD, WEB, 80),
        flow(WEB, WORLD, 53, l7=Layer7(dns=DNS("x"))),
    ):
        graph.add(item)
    return graph


def test_the_map_as_text(shop: Graph) -> None:
    assert to_text(shop) == [
        "shop",
        "  api",
        "    ─✗ world     DROPPED 1  25/TCP  POLICY_DENIED",
        "  web",
        "    ─▶ shop/api  DROPPED 1, FORWARDED 3  8080/TCP, 5432/TCP  POLICY_DENIED  HTTP 2xx, HTTP GET",
        "    ─▶ world     FORWARDED 1  53/TCP  DNS",
        "(outside)",
        "  world",
        "    ─▶ shop/web  FORWARDED 1  80/TCP",
    ]
    assert "".join(to_text(shop, ascii_only=True)).isascii()
    assert all(len(line) <= 40 for line in to_text(shop, 40))
    found = edge_lines(shop)[4][1]
    assert found is not None
    assert (found.client, found.server) == (Node("shop", "web"), Node("shop", "api"))
    assert edge_lines(shop)[3][1] is None


def test_the_map_by_namespace_and_for_other_programs(shop: Graph) -> None:
    by_namespace = Graph("namespace")
    by_namespace.add(flow())
    by_namespace.add(flow(WEB, WORLD))
    assert to_text(by_namespace) == ["shop", "    ─▶ shop   FORWARDED 1  80/TCP", "    ─▶ world  FORWARDED 1  80/TCP"]
    content = json.loads(to_json(shop))
    assert content["flows"] == 7
    assert content["nodes"][-1] == {"group": "", "name": "world"}
    assert sum(edge["flows"] for edge in content["edges"]) == 7
    assert 'subgraph gn0["shop"]' in to_mermaid(shop)
    assert 'n1 -.->|"8080/TCP, 5432/TCP · DROPPED 1, FORWARDED 3"| n0' in to_mermaid(shop)
    assert 'label="shop";' in to_dot(shop)


@pytest.mark.parametrize("export", [to_mermaid, to_dot])
def test_hostile_names_stay_text(export: Callable[[Graph], str]) -> None:
    graph = Graph()
    hostile = Endpoint(namespace='a"]; end', pod_name='x\\"`\n\x1b[31m<script>')
    graph.add(flow(hostile, WORLD, event_type=EventType(4)))
    text = export(graph)
    assert "\x1b" not in text
    assert "\n\x1b" not in text
    for line in text.splitlines():
        assert line.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 0
    assert OUTSIDE not in text
