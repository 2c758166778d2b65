from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.flows.flow import Answer, Flow, LostEvent, NodeStatus
from installer.domain.flows.row import RARE, Row, whole
from installer.domain.flows.store import FlowStore, flows_of
from tests.support.flows import answers, flows

FIELDS = Flow.__struct_fields__


def answer(flow: Flow) -> Answer:
    return Answer(flow=flow, node_name=flow.node_name, time=flow.time)


def numbered(count: int, start: int = 0) -> list[Answer]:
    return [answer(Flow(uuid=str(number))) for number in range(start, start + count)]


def uuids(store: FlowStore) -> list[str]:
    return [flow.uuid for _, flow in store.flows()]


def test_a_row_has_every_attribute_of_a_flow() -> None:
    slim = Row(**{name: getattr(Flow(), name) for name in Row.__struct_fields__})
    assert {*Row.__struct_fields__, *RARE} == set(FIELDS)
    assert [getattr(slim, name) for name in FIELDS] == [getattr(Flow(), name) for name in FIELDS]


@settings(max_examples=150)
@given(st.lists(answers(), max_size=30), st.integers(1, 20), st.integers(1, 7))
def test_the_ring_gives_back_what_came_and_counts_the_rest(batch: list[Answer], capacity: int, size: int) -> None:
    store = FlowStore(capacity)
    for start in range(0, len(batch), size):
        store.add(batch[start : start + size])
    came = [item for item in batch if item.flow is not None]
    kept = came[-capacity:]
    assert (store.next, len(store), store.first) == (len(came), len(kept), len(came) - len(kept))
    assert [store.answer(seq) for seq in range(store.first, store.next)] == kept
    for seq, flow in store.flows():
        expected = came[seq].flow
        assert whole(flow) == expected
        assert [getattr(flow, name) for name in FIELDS] == [getattr(expected, name) for name in FIELDS]
    assert store.flow(store.first - 1) is None
    assert store.flow(store.next) is None
    told = [item for item in batch if item.flow is None]
    assert [notice.answer for notice in store.notices] == told
    lost = Counter[str]()
    for event in (item.lost_events for item in told):
        if event:
            lost[str(event.source or "UNKNOWN_LOST_EVENT_SOURCE")] += int(event.num_events_lost or 0)
    assert store.losses.lost == lost
    assert store.losses.lost_nodes.total() == lost.total() == store.losses.total


@given(flows())
def test_equal_parts_are_one_object(flow: Flow) -> None:
    twin = msgspec.msgpack.decode(msgspec.msgpack.encode(flow), type=Flow)
    store = FlowStore()
    store.add([answer(flow), answer(twin)])
    one, other = store.flow(0), store.flow(1)
    assert one is not None
    assert other is not None
    assert one.source is other.source
    assert one.destination is other.destination
    assert one.ip is other.ip
    assert one.summary is other.summary
    assert one.node_labels is other.node_labels


def test_what_the_answer_says_otherwise_than_its_flow_is_kept_until_it_leaves() -> None:
    store = FlowStore(2)
    odd = Answer(flow=Flow(uuid="a", node_name="n1"), node_name="relay", time="2026-11-23T08:00:00Z")
    store.add([odd])
    assert store.answer(0) == odd
    store.add(numbered(2))
    assert store.answer(0) is None
    assert store.answer(2) == numbered(2)[1]


def test_new_endpoints_are_told_once() -> None:
    seen: list[str] = []
    store = FlowStore(on_endpoint=lambda endpoint: seen.append(endpoint.pod_name))
    raw = b'{"flow":{"source":{"pod_name":"a"},"destination":{"pod_name":"b"}}}'
    store.add([msgspec.json.decode(raw, type=Answer) for _ in range(3)])
    assert seen == ["a", "b"]


def test_nodes_and_losses_are_counted_by_reason() -> None:
    store = FlowStore()
    store.add(
        [
            Answer(lost_events=LostEvent("HUBBLE_RING_BUFFER", "37", 0), node_name="n1"),
            Answer(lost_events=LostEvent(7, "x"), node_name="n2"),
            Answer(node_status=NodeStatus("NODE_UNAVAILABLE", ("n1", "n2"))),
            Answer(node_status=NodeStatus("NODE_CONNECTED", ("n2",))),
        ]
    )
    store.shed(5, "too fast")
    store.shed(0, "nothing")
    assert store.losses.lost == {"HUBBLE_RING_BUFFER": 37, "7": 0}
    assert store.losses.shed == {"too fast": 5}
    assert store.losses.total == 42
    assert store.nodes == {"n1": "unavailable", "n2": "connected"}


def test_clearing_forgets_flows_and_goes_on_counting() -> None:
    store = FlowStore(3)
    store.add(numbered(5))
    view = store.view()
    view.advance()
    store.clear()
    assert (len(store), store.first, store.next, len(view)) == (0, 5, 5, 0)
    store.add(numbered(4, 5))
    view.advance()
    assert (store.first, uuids(store)) == (6, ["6", "7", "8"])
    assert list(view) == [6, 7, 8]


def test_flows_of_a_batch_leaves_the_rest_out() -> None:
    batch = [Answer(), *numbered(2)]
    assert [flow.uuid for flow in flows_of(batch)] == ["0", "1"]
