from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.flows.flow import IP, TCP, Answer, EventType, Flow, Layer4, Policy
from installer.domain.flows.merge import Merger, Pairs, denial_key
from installer.domain.flows.times import from_ns
from tests.support.flows import flows

RECORDING = Path("tests/fixtures/hubble/flows-cilium-1.16.jsonl")


def record(kind: int, at_ms: int, port: int = 80, uuid: str = "", verdict: str = "DROPPED") -> Flow:
    return Flow(
        time=from_ns(1_800_000_000_000_000_000 + at_ms * 1_000_000),
        uuid=uuid or f"{kind}-{at_ms}-{port}",
        verdict=verdict,
        event_type=EventType(kind),
        ip=IP("10.0.0.1", "", "10.0.0.2"),
        l4=Layer4(tcp=TCP(40000, port)),
        node_name="n1",
    )


def merged(stream: list[Flow]) -> list[tuple[str, ...]]:
    merger = Merger()
    out = [item.uuids for flow in stream for item in merger.push(flow)]
    return out + [item.uuids for item in merger.flush()]


def test_the_two_records_become_one_in_either_order() -> None:
    assert merged([record(5, 0, uuid="v"), record(1, 1, uuid="d")]) == [("v", "d")]
    assert merged([record(1, 0, uuid="d"), record(5, 1, uuid="v")]) == [("d", "v")]


def test_the_drop_learns_what_the_verdict_knows() -> None:
    deny = (Policy("deny-all", "shop"),)
    verdict = msgspec.structs.replace(
        record(5, 0), traffic_direction="INGRESS", policy_match_type=2, ingress_denied_by=deny, is_reply=False
    )
    drop = msgspec.structs.replace(record(1, 1), drop_reason=133, drop_reason_desc="POLICY_DENIED")
    merger = Merger()
    assert merger.push(verdict) == []
    (item,) = merger.push(drop)
    flow = item.flow
    assert (flow.drop_reason_desc, flow.traffic_direction, flow.policy_match_type) == ("POLICY_DENIED", "INGRESS", 2)
    assert (flow.ingress_denied_by, flow.is_reply, flow.event_type, flow.time) == (
        deny,
        False,
        EventType(1),
        verdict.time,
    )


def test_the_next_try_is_another_denial() -> None:
    tries = [record(kind, at) for at in (0, 1000, 3000) for kind in (5, 1)]
    assert [len(uuids) for uuids in merged(tries)] == [2, 2, 2]
    assert [len(uuids) for uuids in merged([record(5, 0), record(1, 500)])] == [1, 1]


def test_what_differs_stays_apart() -> None:
    assert len(merged([record(5, 0), record(1, 0, port=81)])) == 2
    assert len(merged([record(5, 0), record(5, 0)])) == 2
    assert denial_key(record(5, 0, verdict="FORWARDED")) is None
    assert denial_key(Flow(verdict="DROPPED", event_type=EventType(1))) is None


def test_a_held_record_holds_what_follows_and_no_longer_than_the_window() -> None:
    merger = Merger()
    assert merger.push(record(5, 0, uuid="v")) == []
    assert merger.push(record(4, 50, verdict="FORWARDED", uuid="a")) == []
    assert [item.uuids for item in merger.push(record(4, 150, verdict="FORWARDED", uuid="b"))] == [
        ("v",),
        ("a",),
        ("b",),
    ]
    assert [item.uuids for item in merger.push(record(1, 151, uuid="late"))] == []
    assert [item.uuids for item in merger.flush()] == [("late",)]


KINDS = st.sampled_from((1, 4, 5))


@settings(max_examples=200)
@given(st.lists(flows() | st.builds(record, KINDS, st.integers(0, 400), st.integers(1, 3)), max_size=40))
def test_no_record_is_lost_or_told_twice_and_the_order_is_kept(stream: list[Flow]) -> None:
    stream = [msgspec.structs.replace(flow, uuid=str(number)) for number, flow in enumerate(stream)]
    out = merged(stream)
    told = [uuid for uuids in out for uuid in uuids]
    assert sorted(told, key=int) == [flow.uuid for flow in stream]
    firsts = [int(uuids[0]) for uuids in out]
    assert firsts == sorted(firsts)


@given(st.lists(st.builds(record, KINDS, st.integers(0, 400), st.integers(1, 3)), max_size=40))
def test_pairs_are_the_merger_s(stream: list[Flow]) -> None:
    stream = [msgspec.structs.replace(flow, uuid=str(number)) for number, flow in enumerate(stream)]
    pairs = Pairs()
    for seq, flow in enumerate(stream):
        pairs.add(seq, flow)
    partners = {seq: other for seq in range(len(stream)) if (other := pairs.partner(seq)) is not None}
    assert all(partners[other] == seq for seq, other in partners.items())
    for seq in range(len(stream)):
        pairs.forget(seq)
    assert not pairs._partner


def test_the_recording_s_denials_fold() -> None:
    decoder = msgspec.json.Decoder(Answer)
    stream = [flow for line in RECORDING.read_bytes().splitlines() if (flow := decoder.decode(line).flow)]
    out = merged(stream)
    assert sum(map(len, out)) == len(stream) == 300
    assert sum(len(uuids) == 2 for uuids in out) == 3
