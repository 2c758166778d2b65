"""Order of time, doubles, gaps and nodes of a followed stream, without any I/O."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from installer.domain.flows.continuity import Continuity, Seen
from installer.domain.flows.feed import Gap, NodesChanged
from installer.domain.flows.flow import Answer, Flow, LostEvent
from installer.domain.flows.node_watch import NodeWatch
from installer.domain.flows.ordering import SECOND, OrderingWindow, nanoseconds
from installer.domain.flows.times import from_ns

NOW = nanoseconds("2026-11-23T10:00:00Z")
MILLI = SECOND // 1000


def answer(at: int, node: str = "a", uuid: str = "") -> Answer:
    """A flow of a node, at nanoseconds after NOW."""
    time = from_ns(NOW + at)
    return Answer(flow=Flow(time=time, uuid=uuid or f"{node}-{at}", node_name=node), node_name=node, time=time)


def uuids(answers: list[Answer]) -> list[str]:
    return [one.flow.uuid for one in answers if one.flow]


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_times_are_read_as_they_are_written(moment: int) -> None:
    assert nanoseconds(from_ns(moment)) == moment


def test_what_is_no_time_is_zero() -> None:
    assert [nanoseconds(text) for text in ("", "x", "2026-99-23T10:00:00Z", "2026-11-23T10:00:00.x")] == [0, 0, 0, NOW]


STEPS = st.lists(st.tuples(st.integers(0, 50), st.lists(st.integers(-400, 0), max_size=4)), max_size=40)
"""Milliseconds since the step before, and how old the flows are that arrive."""


@given(STEPS, st.sampled_from([0.0, 0.1, 0.5]))
def test_the_window_gives_every_answer_once_and_in_order_where_it_can(
    steps: list[tuple[int, list[int]]], hold: float
) -> None:
    window, now, put, given_ = OrderingWindow(hold), NOW, 0, []
    for gap, ages in steps:
        now += gap * MILLI
        batch = [answer(now - NOW + age * MILLI, uuid=str(put + index)) for index, age in enumerate(ages)]
        put += len(batch)
        window.add(batch, now)
        given_ += window.release(now)
    given_ += window.flush()
    assert sorted(map(int, uuids(given_))) == list(range(put))
    times = [nanoseconds(one.time) for one in given_]
    if hold == 0.5:  # longer than any flow is old
        assert times == sorted(times)
        assert window.late == 0


@given(STEPS)
def test_no_answer_is_held_longer_than_asked(steps: list[tuple[int, list[int]]]) -> None:
    window, now = OrderingWindow(0.1), NOW
    waiting: dict[str, int] = {}
    for number, (gap, ages) in enumerate(steps):
        now += gap * MILLI
        batch = [answer(now - NOW + age * MILLI, uuid=f"{number}-{index}") for index, age in enumerate(ages)]
        waiting |= dict.fromkeys(uuids(batch), now)
        window.add(batch, now)
        for uuid in uuids(window.release(now)):
            del waiting[uuid]
        assert all(now - arrived < 100 * MILLI for arrived in waiting.values())


def test_the_window_merges_two_nodes() -> None:
    window = OrderingWindow(0.3)
    window.add([answer(0), answer(20 * MILLI)], NOW)
    window.add([answer(10 * MILLI, "b")], NOW + 100 * MILLI)
    assert window.release(NOW + 299 * MILLI) == []
    assert window.due == NOW + 300 * MILLI
    assert uuids(window.release(NOW + 300 * MILLI)) == ["a-0", f"b-{10 * MILLI}", f"a-{20 * MILLI}"]


def test_a_clock_that_is_ahead_spoils_nobody_elses_order() -> None:
    window = OrderingWindow(0.3)
    window.add([answer(3600 * SECOND, "ahead")], NOW)
    window.add([answer(120 * MILLI)], NOW + 200 * MILLI)
    window.add([answer(110 * MILLI, "b")], NOW + 310 * MILLI)
    assert uuids(window.release(NOW + 310 * MILLI)) == [f"ahead-{3600 * SECOND}"]
    assert uuids(window.release(NOW + 500 * MILLI)) == [f"b-{110 * MILLI}", f"a-{120 * MILLI}"]
    assert window.late == 0


def test_what_comes_too_late_is_given_and_counted() -> None:
    window = OrderingWindow(0.1)
    window.add([answer(SECOND)], NOW + SECOND)
    assert window.release(NOW + 2 * SECOND)
    window.add([answer(0)], NOW + 2 * SECOND)
    assert uuids(window.release(NOW + 2 * SECOND)) == ["a-0"]
    assert window.late == 1


@given(st.lists(st.integers(0, 30)), st.integers(1, 40))
def test_seen_knows_the_last_ones(numbers: list[int], capacity: int) -> None:
    seen = Seen(capacity)
    told = [number for number in numbers if seen.fresh(number)]
    assert set(told) == set(numbers)
    if len(set(numbers)) <= capacity:
        assert len(told) == len(set(numbers))


def tell(known: Continuity, answers: list[Answer], now: int) -> tuple[list[str], list[Gap]]:
    judged = [(one, *known.judge(one, now)) for one in answers]
    return uuids([one for one, wanted, _ in judged if wanted]), [gap for _, _, gap in judged if gap]


NODE_FLOWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000)), max_size=60, unique=True)


@given(NODE_FLOWS, st.integers(0, 60), st.dictionaries(st.sampled_from("abc"), st.integers(-7200, 1800)))
def test_a_loss_neither_repeats_nor_leaves_out_whatever_the_clocks(
    flows: list[tuple[str, int]], cut: int, skews: dict[str, int]
) -> None:
    """Servers that hold everything repeat from ``resume`` on; every node's clock is off by some seconds."""

    def arrived(node: str, at: int) -> Answer:
        return answer((at + skews.get(node, 0) * 1000) * MILLI, node, f"{node}{at}")

    flows = sorted(flows, key=lambda one: one[1])
    before, known = flows[:cut], Continuity()
    told: list[str] = []
    for node, at in before:
        told += tell(known, [arrived(node, at)], NOW + at * MILLI)[0]
    known.lose()
    since = known.resume(NOW + (before[-1][1] if before else 0) * MILLI)
    held = [arrived(node, at) for node, at in flows]
    seen_nodes = {node for node, _ in before}
    again = [one for one in held if nanoseconds(one.time) >= since or one.node_name not in seen_nodes]
    more, gaps = tell(known, again, NOW + 5 * SECOND)
    told += more
    assert len(told) == len(set(told))
    assert gaps == []
    behind = {node for node in seen_nodes if -skews.get(node, 0) > 3590}  # further than a clock is believed
    assert {uuid for uuid in told if uuid[0] not in behind} == {f"{n}{at}" for n, at in flows if n not in behind}


def test_a_server_that_forgot_is_a_gap() -> None:
    known = Continuity()
    tell(known, [answer(0), answer(SECOND)], NOW + SECOND)
    known.lose()
    known.resume(NOW + SECOND)
    told, gaps = tell(known, [answer(20 * SECOND), answer(21 * SECOND)], NOW + 21 * SECOND)
    assert len(told) == 2
    assert gaps == [Gap("2026-11-23T10:00:01Z", "2026-11-23T10:00:20Z", "a", gaps[0].reason)]


def test_a_node_that_was_quiet_long_before_the_loss_is_no_gap() -> None:
    known = Continuity()
    tell(known, [answer(0)], NOW)
    tell(known, [answer(100 * SECOND, "b")], NOW + 100 * SECOND)
    known.lose()
    known.resume(NOW + 100 * SECOND)
    told, gaps = tell(known, [answer(110 * SECOND)], NOW + 110 * SECOND)
    assert (told, gaps) == ([f"a-{110 * SECOND}"], [])


def test_a_node_that_relay_lost_repeats_its_past_without_doubles() -> None:
    known = Continuity(capacity=3)  # all but the last are forgotten
    flows = [answer(second * SECOND) for second in range(10)]
    tell(known, flows, NOW + 9 * SECOND)
    known.lose("a")
    told, gaps = tell(known, [*flows, answer(12 * SECOND)], NOW + 12 * SECOND)
    assert (told, gaps) == ([f"a-{12 * SECOND}"], [])


def test_flows_without_uuid_are_known_by_what_they_say() -> None:
    known = Continuity()
    one = Answer(flow=Flow(time="2026-11-23T10:00:00Z", summary="x"))
    other = Answer(flow=Flow(time="2026-11-23T10:00:00Z", summary="y"))
    judged = [known.judge(flow, NOW)[0] for flow in (one, other, one)]
    assert judged == [True, True, False]
    assert known.doubles == 1


def test_the_flow_of_the_past_that_only_hurries_relay_is_not_told() -> None:
    known = Continuity()
    known.start_live(NOW)
    told, _ = tell(known, [answer(-3600 * SECOND), answer(-10 * SECOND), answer(MILLI), answer(-1, "b")], NOW + MILLI)
    assert told == [f"a-{-10 * SECOND}", f"a-{MILLI}", "b--1"]


def test_what_is_older_than_the_history_asked_for_is_not_told_later() -> None:
    known = Continuity()
    tell(known, [answer(5 * SECOND), answer(6 * SECOND)], NOW + 7 * SECOND)
    known.end_history(limited=True)
    told, _ = tell(known, [answer(4 * SECOND), answer(6 * SECOND), answer(8 * SECOND)], NOW + 8 * SECOND)
    assert told == [f"a-{8 * SECOND}"]


def test_lost_events_that_are_repeated_count_once() -> None:
    known = Continuity()
    lost = Answer(lost_events=LostEvent(source="OBSERVER_EVENTS_QUEUE", num_events_lost="7"), node_name="a")
    assert [known.judge(one, NOW)[0] for one in (lost, lost)] == [True, False]


def test_nodes_that_leave_and_return_are_told() -> None:
    watch = NodeWatch()
    assert watch.changed({"a": "NODE_CONNECTED", "b": "NODE_CONNECTED"}) is None
    assert watch.changed({"a": "NODE_CONNECTED", "b": "NODE_UNAVAILABLE"}) == NodesChanged(("b",), (), 1, 2)
    assert watch.changed({"a": "NODE_CONNECTED", "b": "NODE_UNAVAILABLE"}) is None
    assert watch.changed({"b": "NODE_CONNECTED", "c": "NODE_CONNECTED"}) == NodesChanged(("a",), ("b", "c"), 2, 2)


def test_a_node_that_is_away_from_the_start_is_told() -> None:
    assert NodeWatch().changed({"a": "NODE_CONNECTED", "b": "NODE_ERROR"}) == NodesChanged(("b",), (), 1, 2)
