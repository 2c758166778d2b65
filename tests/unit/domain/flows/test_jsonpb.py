from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.flows import brief, jsonpb
from installer.domain.flows.flow import HTTP, SCTP, Answer, EventType, Flow, Layer4, Layer7, Policy, Tunnel
from tests.support.flows import answers
from tests.support.golden import cases, recorded


def decode(value: object) -> Answer:
    return jsonpb.decode(json.dumps(value).encode())


def flow(value: object) -> Flow:
    answer = decode({"flow": value})
    assert answer.flow is not None
    return answer.flow


def test_a_recording_survives_byte_for_byte() -> None:
    lines = recorded("flows-cilium-1.16.jsonl").splitlines()
    assert [jsonpb.encode(jsonpb.decode(line)) for line in lines] == lines


def test_made_flows_come_out_as_hubble_prints_them() -> None:
    lines = recorded("made.jsonl").splitlines()
    told = [line for line in lines if b"node_status" not in line]
    printed = next(case.out for case in cases() if case.number == "004")
    assert [jsonpb.encode(jsonpb.decode(line)) for line in told] == printed.splitlines()


@given(answers())
def test_answers_survive(answer: Answer) -> None:
    line = jsonpb.encode(answer)
    again = jsonpb.decode(line)
    assert jsonpb.decode(jsonpb.encode(again)) == again
    if jsonpb.encode(again) == line:
        assert again == answer


def test_what_html_would_obey_is_escaped_as_go_does() -> None:
    text = "<a href='x'>&\u2028\u2029é\x1b\x7f"
    line = jsonpb.encode(Answer(flow=Flow(summary=text)))
    assert b"\\u003ca href='x'\\u003e\\u0026\\u2028\\u2029\xc3\xa9\\u001b\x7f" in line
    assert jsonpb.decode(line).flow == Flow(summary=text)


def test_names_in_camel_case() -> None:
    assert flow({"nodeName": "a", "isReply": False, "eventType": {"subType": 3}}) == Flow(
        node_name="a", is_reply=False, event_type=EventType(sub_type=3)
    )
    assert decode({"nodeStatus": {"stateChange": "NODE_GONE"}}).node_status is not None


def test_null_is_absent_and_unknown_fields_are_passed_over() -> None:
    assert flow({"labels": None, "source": None, "uuid": None, "news": {"of": [1]}, "verdict": "AUDIT"}) == Flow(
        verdict="AUDIT"
    )


def test_numbers_as_texts_and_texts_as_numbers() -> None:
    found = flow({"proxy_port": "80", "cgroup_id": 12, "policy_match_type": 2.0, "l7": {"latency_ns": 5, "http": {}}})
    assert found == Flow(proxy_port=80, cgroup_id="12", policy_match_type=2, l7=Layer7(latency_ns="5", http=HTTP()))
    assert flow({"egress_allowed_by": [{"revision": 7}, {"revision": "0"}]}).egress_allowed_by == (
        Policy(revision="7"),
        Policy(),
    )


def test_enums_as_numbers_and_zero_values_by_name() -> None:
    found = flow(
        {
            "verdict": 2,
            "Type": "UNKNOWN_TYPE",
            "traffic_direction": 1,
            "drop_reason_desc": 133,
            "trace_observation_point": 250,
            "l4": {"SCTP": {"chunk_type": 1}},
            "tunnel": {"protocol": 1},
        }
    )
    assert found == Flow(
        verdict="DROPPED",
        traffic_direction="INGRESS",
        drop_reason_desc="POLICY_DENIED",
        trace_observation_point=250,
        l4=Layer4(sctp=SCTP(chunk_type="INIT")),
        tunnel=Tunnel(protocol="VXLAN"),
    )


def test_names_of_a_newer_hubble_are_kept() -> None:
    assert flow({"verdict": "PONDERED"}).verdict == "PONDERED"


def test_times_become_utc() -> None:
    assert flow({"time": "2026-11-20T12:00:01.5+02:00"}).time == "2026-11-20T10:00:01.500Z"


def test_a_bare_flow_is_an_answer() -> None:
    line = {"time": "2026-11-20T10:00:01Z", "verdict": "DROPPED", "node_name": "a"}
    answer = decode(line)
    assert (answer.node_name, answer.time) == ("a", "2026-11-20T10:00:01Z")
    assert answer.flow == Flow(time="2026-11-20T10:00:01Z", verdict="DROPPED", node_name="a")


def test_an_empty_object_is_an_empty_answer() -> None:
    assert decode({}) == Answer()
    assert decode({"flow": {}}) == Answer(flow=Flow())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"flow":{"time":"2026', "truncated"),
        (b"", "truncated"),
        (b"nonsense", "malformed"),
        (b"[]", "no JSON object"),
        (b"7", "no JSON object"),
        (b'{"flow":7}', "flow is no object"),
        (b'{"flow":{"verdict":[]}}', "flow.verdict is no whole number"),
        (b'{"flow":{"uuid":5}}', "flow.uuid is no text"),
        (b'{"flow":{"is_reply":"yes"}}', "flow.is_reply is no truth value"),
        (b'{"flow":{"time":"noon"}}', "flow.time is no time"),
        (b'{"flow":{"l4":{"TCP":{"source_port":"-4294967296"}}}}', "flow.l4.TCP.source_port is out of range"),
        (b'{"flow":{"cgroup_id":"-1"}}', "flow.cgroup_id is out of range"),
        (b'{"flow":{"node_labels":["a",2]}}', r"flow.node_labels\[1\] is no text"),
        (b'{"flow":{"node_labels":"a"}}', "flow.node_labels is no list"),
        (b'{"flow":{"uuid":"\xff"}}', "utf-8|UTF-8"),
    ],
)
def test_bad_lines_say_why(line: bytes, why: str) -> None:
    with pytest.raises(jsonpb.BadLineError, match=why):
        jsonpb.decode(line)


@given(st.lists(answers(), max_size=5))
def test_many_lines_are_read_like_one_by_one(given: list[Answer]) -> None:
    lines = [jsonpb.encode(answer) for answer in given]
    for module in (jsonpb, brief):
        found = module.decode_lines(b"\n".join(lines))
        assert found is None or found == [module.decode(line) for line in lines]


def test_lost_events_among_flows_are_read_quickly() -> None:
    golden = next(case for case in cases() if case.number == "004")
    for module in (jsonpb, brief):
        found = module.decode_lines(golden.out + golden.err)
        assert found is not None
        assert [type(answer) for answer in found[26:]] == [Answer] * 3


def test_bad_lines_are_left_to_the_careful_way() -> None:
    for module in (jsonpb, brief):
        assert module.decode_lines(b'{"flow":{}}\nnonsense') is None
        assert module.decode_lines(b'{"flow":{"nodeName":"a"}}') is None


@given(st.lists(answers(), max_size=5))
def test_many_answers_are_written_like_one_by_one(given: list[Answer]) -> None:
    assert jsonpb.encode_lines(given) == b"".join(jsonpb.encode(answer) + b"\n" for answer in given)
