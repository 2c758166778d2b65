from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from installer.domain.flows.flow import IP, Answer, EventType, Flow
from installer.domain.flows.store import FlowStore
from installer.domain.flows.view import View

CAPACITY = 12


def batch(*numbers: int) -> list[Answer]:
    return [Answer(flow=Flow(drop_reason=number)) for number in numbers]


def divisible(divisor: int) -> Callable[[Flow], bool]:
    return lambda flow: flow.drop_reason % divisor == 0


class Viewing(RuleBasedStateMachine):
    """A view is the filter of the contents, whatever came, left, and in whatever slices it looked."""

    def __init__(self) -> None:
        super().__init__()
        self.store = FlowStore(CAPACITY)
        self.view = self.store.view()
        self.numbers: dict[int, int] = {}

    @rule(numbers=st.lists(st.integers(0, 30), max_size=30))
    def add(self, numbers: list[int]) -> None:
        self.store.add(batch(*numbers))

    @rule(divisor=st.integers(1, 7), nothing=st.booleans())
    def filter(self, divisor: int, nothing: bool) -> None:
        self.view = self.store.view(None if nothing else divisible(divisor))
        self.numbers = {}

    @rule(limit=st.integers(1, 9))
    def advance(self, limit: int) -> None:
        assert self.view.advance(limit) is (self.view.behind > 0)

    @precondition(lambda self: len(self.store) > 0)
    @rule()
    def clear(self) -> None:
        self.store.clear()

    @invariant()
    def holds_what_matches_of_what_it_looked_at(self) -> None:
        looked_at = range(max(self.view.scanned_from, self.store.first), self.view.scanned_to)
        assert list(self.view) == [seq for seq in looked_at if self.matches(seq)]

    @invariant()
    def lines_keep_their_numbers(self) -> None:
        for index in range(len(self.view)):
            seq = self.view.seq(index)
            assert self.numbers.setdefault(self.view.first + index, seq) == seq
            assert self.view.find(seq) == index
            assert self.view.first + index >= 0

    @invariant()
    def reaches_the_end(self) -> None:
        view = self.store.view(self.view.predicate)
        while view.advance(5):
            pass
        assert list(view) == [seq for seq, _ in self.store.flows() if self.matches(seq)]

    def matches(self, seq: int) -> bool:
        flow = self.store.flow(seq)
        assert flow is not None
        return self.view.predicate is None or self.view.predicate(flow)


TestViewing = Viewing.TestCase
TestViewing.settings = settings(max_examples=60, stateful_step_count=25)


def test_the_newest_are_found_first() -> None:
    store = FlowStore()
    store.add(batch(*range(100)))
    view = store.view(divisible(2))
    assert view.advance(10)
    assert list(view) == [90, 92, 94, 96, 98]
    store.add(batch(100, 101, 102))
    assert view.advance(5)
    assert list(view) == [88, 90, 92, 94, 96, 98, 100, 102]
    assert view.behind == 88


def test_the_version_changes_with_the_lines_and_only_then() -> None:
    store = FlowStore(4)
    view = store.view(divisible(2))
    store.add(batch(1, 3))
    view.advance()
    assert view.version == 0
    store.add(batch(2))
    view.advance()
    assert view.version == 1
    store.add(batch(5))
    view.advance()
    store.add(batch(5))
    view.advance()
    assert view.version == 1
    store.add(batch(5, 5, 5))
    assert len(view) == 0
    assert view.version == 2


def test_an_index_outside_is_an_error() -> None:
    view: View = FlowStore().view()
    for index in (-1, 0, 1):
        with pytest.raises(IndexError):
            view.seq(index)


def test_a_long_stream_keeps_the_index_small() -> None:
    store = FlowStore(100)
    view = store.view()
    for start in range(0, 40_000, 100):
        store.add(batch(*range(start, start + 100)))
        view.advance()
    assert list(view) == list(range(39_900, 40_000))
    assert len(view._new) < 10_000


def denial(kind: int, reason: int = 0, time: str = "2026-11-23T08:00:00.000000001Z") -> Flow:
    return Flow(
        time=time, verdict="DROPPED", ip=IP("10.0.0.1", "", "10.0.0.2"), event_type=EventType(kind), drop_reason=reason
    )


@given(st.integers(1, 10), st.booleans())
def test_folding_shows_one_of_two_records_if_both_match(limit: int, live: bool) -> None:
    records = [denial(5), denial(1, 133), denial(1, 133, "2026-11-23T08:00:01Z")]
    store = FlowStore()
    everything = store.view(fold=True)
    if not live:
        store.add([Answer(flow=flow) for flow in records])
        everything = store.view(fold=True)
    drops = store.view(lambda flow: flow.drop_reason == 133, fold=True)
    if live:
        store.add([Answer(flow=flow) for flow in records])
    for view in (everything, drops):
        while view.advance(limit):
            pass
    assert list(everything) == [0, 2]
    assert list(drops) == [1, 2]
    assert [store.partner(seq) for seq in (0, 1, 2)] == [1, 0, None]
