"""What the tap told, put together."""

from __future__ import annotations

import pytest

from installer.domain.flows.where import compile_where
from installer.domain.tap import board_dns, board_drops, board_tcp, board_traffic
from installer.domain.tap.board import Board
from installer.domain.tap.board_traffic import state_of
from installer.domain.tap.convert import tcp_flags
from installer.domain.tap.latency import Latency, Seconds
from tests.support.tap import ADDRESSES, NOW, busy, dns, drop, losses, replace_flow, sample, tcp


@pytest.fixture
def board() -> Board:
    made = Board()
    made.take(busy(), NOW)
    return made


def test_streams_are_sorted_by_what_they_send_now(board: Board) -> None:
    top, number = board.traffic.top(NOW, 2)
    assert number == 4
    assert [one.bytes for one in top] == [1_204_500, 84_000]
    assert board.traffic.rate(top[0], NOW) == (860.0, 1_204_500.0)
    assert board.traffic.rate(top[0], NOW + 9) == (0.0, 0.0)
    assert top[0].measures.process == "curl"


def test_a_stream_keeps_its_process_and_adds_up(board: Board) -> None:
    board.take([sample("frontend", "api", 1000)], NOW + 1)
    (first,), _ = board.traffic.top(NOW + 1, 1, compile_where("port=8080 and src.pod=shop/frontend-0").matches)
    assert (first.bytes, first.measures.process) == (1_205_500, "curl")
    assert board.traffic.rate(first, NOW + 1)[1] == 1000


def test_the_interval_is_that_of_the_rates() -> None:
    board = Board(interval=10)
    board.take([sample("cart", "api", 5000)], NOW)
    (one,), _ = board.traffic.top(NOW, 1)
    assert board.traffic.rate(one, NOW + 15)[1] == 500


@pytest.mark.parametrize(
    ("flags", "state"), [(0x02, "opening"), (0x12, "open"), (0x1A, "open"), (0x1B, "closing"), (0x14, "reset")]
)
def test_state_of_a_connection(flags: int, state: str) -> None:
    assert state_of(tcp_flags(flags)) == state


def test_drops_by_reason(board: Board) -> None:
    board.take([drop("frontend", "api", "TC_INGRESS", packets=3)], NOW + 1)
    sums = board.drops.by_reason(NOW + 2, 5)
    assert [(one.reason, one.packets, len(one.drops)) for one in sums] == [
        ("TC_INGRESS", 15, 2),
        ("NETFILTER_DROP", 3, 1),
        ("NO_SOCKET", 1, 1),
    ]
    assert list(sums[0].series) == [0, 0, 12, 3, 0]
    assert sums[0].rate == 3.0
    assert sums[0].drops[0].place == "sch_handle_ingress"


def test_the_newest_drop_stands_first(board: Board) -> None:
    board.take([drop("cart", "api", "TC_INGRESS", place="sch_handle_ingress")], NOW + 5)
    first = board.drops.distinct()[0]
    assert (first.reason, first.packets.total, first.since, first.last) == ("TC_INGRESS", 13, NOW, NOW + 5)
    wanted = compile_where("reason=netfilter_drop").matches
    assert [one.reason for one in board.drops.distinct(wanted)] == ["NETFILTER_DROP"]


def test_connections_of_a_pair(board: Board) -> None:
    pairs = {one.key: one for one in board.tcp.pairs()}
    api = pairs[ADDRESSES["frontend"], ADDRESSES["api"], 8080]
    assert api.events["tcp-connect"] == 8
    assert api.connecting.largest == 4_200_000
    assert 140_000 <= api.connecting.percentile(0.5) <= 165_000
    assert api.lives.count == 1
    assert not api.troubles
    assert pairs[ADDRESSES["cart"], "10.42.0.200", 9090].troubles == 1
    assert board.tcp.pairs()[0].events["tcp-retransmit"] == 6  # troubles first
    assert (board.tcp.retransmits.total, board.tcp.resets.total) == (6, 1)


def test_a_segment_of_the_server_belongs_to_the_clients_pair() -> None:
    board = Board()
    board.take([tcp("frontend", "api", 1, lasted=5000)], NOW)
    answer = tcp("frontend", "api", 5)
    flow = answer.flow
    assert flow is not None
    assert flow.ip is not None
    assert flow.l4 is not None
    assert flow.l4.tcp is not None
    back = replace_flow(
        answer,
        ip=type(flow.ip)(flow.ip.destination, "", flow.ip.source, "IPv4"),
        l4=type(flow.l4)(tcp=type(flow.l4.tcp)(8080, 40000)),
    )
    board.take([back], NOW)
    (pair,) = board.tcp.pairs()
    assert (pair.events["tcp-retransmit"], pair.from_client) == (1, False)
    other = Board()
    other.take([back], NOW)
    assert other.tcp.pairs()[0].key == pair.key  # also where nobody saw it open


def test_questions_and_answers(board: Board) -> None:
    found = {one.key: one for one in board.dns.questions()}
    good, bad = found["api.shop.svc.cluster.local.", "A"], found["nope.shop.svc.cluster.local.", "A"]
    assert (good.asked, good.answered, good.answer, good.troubles) == (1, 1, ("10.43.0.9",), 0)
    assert good.latency.largest == 340_000
    assert dict(bad.failures) == {3: 1}
    assert board.dns.questions()[0] is bad


def test_questions_that_nobody_answers() -> None:
    board = Board()
    board.take([dns("slow."), dns("slow.")], NOW)
    board.dns.expire(NOW + board_dns.PATIENCE - 1)
    (one,) = board.dns.questions()
    assert (one.asked, one.again, one.silent) == (2, 1, 0)
    board.dns.expire(NOW + board_dns.PATIENCE)
    assert one.silent == 1
    board.take([dns("slow.", reply=True, after=9_000_000_000)], NOW + 9)
    assert (one.answered, one.latency.count) == (1, 0)  # too late to be measured


def test_a_message_between_two_sockets_of_this_node_counts_once() -> None:
    board = Board()
    asked, answered = dns("x."), dns("x.", reply=True, after=1000)
    board.take([asked, replace_flow(asked, traffic_direction="INGRESS")], NOW)
    board.take([replace_flow(answered, traffic_direction="EGRESS"), answered], NOW)
    (one,) = board.dns.questions()
    assert (one.asked, one.answered, one.again) == (1, 1, 0)


def test_losses_are_counted_by_kind(board: Board) -> None:
    board.take(losses(shed=3, events=1), NOW)
    assert dict(board.losses) == {"TAP_EVENT_RING_FULL": 18, "TAP_NEW_FLOWS_TOO_FAST": 3}
    assert board.lost == 21


def test_nothing_grows_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (board_traffic, board_drops, board_tcp, board_dns):
        monkeypatch.setattr(module, "MOST", 3)
    monkeypatch.setattr(board_dns, "WAITING", 2)
    board = Board()
    for number in range(6):
        told = [
            sample("cart", f"10.9.0.{number}", 100),
            drop("cart", f"10.9.0.{number}", "NO_SOCKET"),
            tcp("cart", f"10.9.0.{number}", 1),
            dns(f"a{number}.", port=41000 + number),
        ]
        board.take(told, NOW + number)
    tables = (board.traffic, board.drops, board.tcp, board.dns)
    assert [(len(table), table.forgotten) for table in tables] == [(3, 3)] * 4


def test_flows_that_are_not_the_taps_do_no_harm() -> None:
    from tests.support.flow_feeds import recorded

    board = Board()
    board.take(recorded(), NOW)
    assert board.told.total


def test_latency() -> None:
    latency = Latency()
    assert (latency.percentile(0.5), latency.octaves()) == (0, [])
    for nanos in (500, 3_000, 3_100, 60_000):
        latency.add(nanos)
    assert latency.percentile(0.25) == 1000
    assert 3_000 <= latency.percentile(0.5) <= 3_300
    assert latency.percentile(1) == 60_000
    assert sum(number for _, number in latency.octaves()) == 4
    assert latency.octaves()[0] == (1000, 1)
    assert Latency.sum([latency, latency]).count == 8


def test_seconds_forget_what_is_old() -> None:
    counts = Seconds()
    for second in range(500):
        counts.add(second, 1)
    assert counts.total == 500
    assert counts.rate(500) == 1.0
    assert counts.series(500, 3) == [1, 1, 0]
