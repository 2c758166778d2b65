from __future__ import annotations

import csv
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.errors import UsageError
from installer.domain.flows import jsonpb, times
from installer.domain.flows.flow import (
    IP,
    TCP,
    Answer,
    Endpoint,
    EventType,
    Flow,
    IPTraceID,
    Layer4,
    Layer7,
    LostEvent,
    NodeStatus,
    Policy,
    Service,
)
from installer.domain.flows.printing import text
from installer.domain.flows.printing.choice import printer
from installer.domain.flows.printing.fields import COLUMNS
from installer.domain.flows.printing.node_status import join_cut
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.printing.quoting import quote
from tests.support.flows import answers, flows
from tests.support.golden import recorded

FORMATS = ("compact", "dict", "table", "jsonpb", "wide", "csv", "tsv", "custom-columns=A:source.labels,B:Summary")
HOSTILE = "\x1b[2J\x1b[31m\r\n\t\x9b2J\u202e[red]<b>\x07"
PLAIN = PrintOptions(terminal=True)


def printed(form: str, *given: Answer | Flow, options: PrintOptions = PLAIN) -> str:
    made = printer(form, options)
    told = [Answer(flow=item, time=item.time) if isinstance(item, Flow) else item for item in given]
    return made.begin() + "".join(map(made.write, told)) + made.end()


def hostile() -> Answer:
    side = Endpoint(namespace=HOSTILE, pod_name=HOSTILE, labels=(HOSTILE,), cluster_name=HOSTILE)
    policy = Policy(name=HOSTILE, namespace=HOSTILE, kind=HOSTILE)
    flow = Flow(
        time="2026-11-20T10:00:01Z",
        uuid=HOSTILE,
        verdict="DROPPED",
        ip=IP(HOSTILE, "", HOSTILE, "IPv4"),
        source=side,
        destination=side,
        node_name=HOSTILE,
        event_type=EventType(5),
        traffic_direction="EGRESS",
        egress_denied_by=(policy,),
        drop_reason_desc=HOSTILE,
        auth_type=HOSTILE,
        summary=HOSTILE,
    )
    return Answer(flow=flow, node_name=HOSTILE, time=flow.time)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_that_a_terminal_obeys_comes_through(form: str, colour: bool) -> None:
    options = PrintOptions(terminal=True, node_names=True, policy_names=True, colour=colour)
    lost = Answer(lost_events=LostEvent(source=HOSTILE), node_name=HOSTILE, time="2026-11-20T10:00:01Z")
    status = Answer(node_status=NodeStatus("NODE_ERROR", (HOSTILE,), HOSTILE), node_name=HOSTILE, time=HOSTILE)
    made = printer(form, options)
    out = printed(form, hostile(), lost, options=options) + made.status(lost) + made.status(status)
    for sequence in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[35m", "\x1b[36m", "\x1b[0m") if colour else ():
        out = out.replace(sequence, "")
    allowed = "\n\t" if form == "tsv" else "\n"
    assert all(char in allowed or char.isprintable() for char in out)


def test_hostile_colour_is_only_let_through_where_hubble_does_and_no_terminal_reads_it() -> None:
    options = PrintOptions(colour=True)
    assert "(^[[2J\x1b[31m\\r" in printed("compact", hostile(), options=options)
    assert "(^[[2J^[[31m\\r" in printed("compact", hostile(), options=replace(options, terminal=True))


@settings(max_examples=50)
@given(st.lists(flows(), max_size=3))
def test_every_flow_prints_and_one_flow_is_one_line(given: list[Flow]) -> None:
    for form in FORMATS:
        lines = printed(form, *given).splitlines()
        head = form not in ("compact", "jsonpb", "dict") and (form != "table" or bool(given))
        between = max(len(given) - 1, 0) if form == "dict" else 0
        assert len(lines) == head + len(given) * (6 if form == "dict" else 1) + between


@given(answers())
def test_colour_changes_nothing_but_colour(answer: Answer) -> None:
    for form in ("compact", "dict", "wide"):
        painted = printed(form, answer, options=PrintOptions(colour=True, terminal=True))
        for code in ("31", "32", "33", "34", "35", "36", "0"):
            painted = painted.replace(f"\x1b[{code}m", "")
        assert painted == printed(form, answer)


@given(answers())
def test_json_can_be_read_again(answer: Answer) -> None:
    for terminal in (True, False):
        line = printed("jsonpb", answer, options=PrintOptions(terminal=terminal))
        if line:
            assert jsonpb.encode(jsonpb.decode(line.encode())) == jsonpb.encode(jsonpb.decode(jsonpb.encode(answer)))


def test_lost_events_with_their_times() -> None:
    lost = LostEvent("OBSERVER_EVENTS_QUEUE", "37", 3, "2026-06-22T12:03:10.100Z", "2026-06-22T12:03:11.050Z")
    answer = Answer(lost_events=lost, node_name="a", time="2026-06-22T12:03:11.956Z")
    span = "(first: Jun 22 12:03:10.100, last: Jun 22 12:03:11.050)"
    assert printed("compact", answer) == (f"Jun 22 12:03:11.956 EVENTS LOST: OBSERVER_EVENTS_QUEUE CPU(3) 37 {span}\n")
    assert f"    SUMMARY: CPU(3) - 37 {span}\n" in printed("dict", answer)
    assert f"CPU(3) - 37 {span}\n" in printed("table", answer)
    assert printed("csv", answer) == ",".join(COLUMNS) + "\n"
    assert printer("csv", PLAIN).status(answer).startswith("Jun 22 12:03:11.956 [a] EVENTS LOST: OBSERVER")


def test_states_of_nodes() -> None:
    def told(state: str, form: str = "compact", *, debug: bool = True, names: tuple[str, ...] = ("a", "b")) -> str:
        answer = Answer(node_status=NodeStatus(state, names, 'no "route"'), node_name="r", time="2026-06-22T12:03:11Z")
        return printer(form, PrintOptions(debug=debug)).status(answer)

    assert told("NODE_CONNECTED") == "Jun 22 12:03:11.000 [r]: Receiving flows from 2 nodes: a, b\n"
    assert told("NODE_GONE") == "Jun 22 12:03:11.000 [r]: 2 nodes removed from cluster: a, b\n"
    assert told("NODE_ERROR") == 'Jun 22 12:03:11.000 [r]: Error "no \\"route\\"" on 2 nodes: a, b\n'
    assert told("NODE_CONNECTED", debug=False) == ""
    assert told("NODE_GONE", debug=False) == told("NODE_GONE", "jsonpb", debug=False) == ""
    assert "NODE_NAPPING of 2 nodes: a, b" in told("NODE_NAPPING")
    many = tuple(f"worker-number-{index}" for index in range(9))
    assert "worker-number-0, worker-number-1 (and 7 more)" in told("NODE_GONE", names=many)


def test_status_as_json_is_safe_on_stderr_whatever_stdout_is() -> None:
    answer = Answer(node_status=NodeStatus("NODE_ERROR", (HOSTILE,), HOSTILE), node_name=HOSTILE)
    line = printer("jsonpb", PrintOptions()).status(answer)
    assert all(char == "\n" or char.isprintable() for char in line)


def test_names_are_cut_but_one_is_always_told() -> None:
    assert join_cut(["x" * 99, "b"], ", ", 50) == "x" * 99 + " (and 1 more)"
    assert join_cut([], ", ", 50) == ""


def test_go_quotes() -> None:
    assert quote('a"\\\n\t\x00é\x9b\u202e\U000e0001') == '"a\\"\\\\\\n\\t\\x00é\\u009b\\u202e\\U000e0001"'


def flow(**parts: object) -> Flow:
    base = {"ip": IP("10.0.0.1", "", "10.0.0.2", "IPv4"), "l4": Layer4(tcp=TCP(1, 2))}
    return Flow(**{**base, **parts})  # type: ignore[arg-type]


def test_names_of_a_side_by_rank() -> None:
    pod = Endpoint(namespace="shop", pod_name="web-1")
    assert text.hosts(flow(source=pod, source_service=Service("web", "front"))) == ("front/web-1:1", "10.0.0.2:2")
    assert text.hosts(flow(source_service=Service("web", "front"), source_names=("a.b",)))[0] == "front/web:1"
    assert text.hosts(flow(source=Endpoint(namespace="x"), source_names=("a.b", "c.d")))[0] == "a.b,c.d:1"
    assert text.hosts(flow(source=Endpoint(pod_name="web-1")))[0] == "web-1:1"
    assert text.hosts(flow(source=pod), translate=False)[0] == "10.0.0.1:1"
    assert text.hosts(flow(ip=IP("fd00::1", "", "fd00::2", "IPv6"), l4=None)) == ("fd00::1", "fd00::2")
    assert text.hosts(flow(ip=IP("fd00::1", "", "", "IPv6"))) == ("[fd00::1]:1", ":2")
    assert text.hosts(flow(ip=None)) == ("", "")


@pytest.mark.parametrize(
    ("event", "parts", "said"),
    [
        (EventType(4, 99), {}, "99"),
        (EventType(1, 207), {}, "207, 0"),
        (EventType(1, 160), {}, "No tunnel/encapsulation endpoint (datapath BUG!)"),
        (EventType(3), {"debug_capture_point": "DBG_CAPTURE_PROXY_PRE"}, "DBG_CAPTURE_PROXY_PRE"),
        (EventType(5), {"policy_match_type": 9}, "policy-verdict:unknown TRAFFIC_DIRECTION_UNKNOWN"),
        (EventType(7), {}, "SOCK_XLATE_POINT_UNKNOWN"),
        (EventType(7), {"sock_xlate_point": 4}, "post-xlate-rev"),
        (EventType(130), {}, "UNKNOWN"),
        (None, {}, "UNKNOWN"),
        (EventType(129), {"l7": Layer7(type="SAMPLE")}, "l7-sample"),
        (EventType(129), {"l7": Layer7()}, "l7-unknown_l7_type"),
    ],
)
def test_types(event: EventType | None, parts: dict[str, object], said: str) -> None:
    assert text.flow_type(flow(event_type=event, **parts)) == said


def test_verdicts_and_who_decided() -> None:
    policy = Policy("web-out", "shop", (), "7", "CiliumNetworkPolicy")
    denied = flow(
        verdict="DROPPED",
        event_type=EventType(5),
        traffic_direction="EGRESS",
        egress_denied_by=(policy, replace_name(policy, ""), replace_name(policy, "b")),
    )
    assert text.verdict(denied) == "DENIED"
    names = " BY web-out (CiliumNetworkPolicy), b (CiliumNetworkPolicy)"
    assert text.verdict(denied, policy_names=True) == "DENIED" + names
    assert text.verdict(flow(verdict="")) == "VERDICT_UNKNOWN"
    assert text.verdict(flow(verdict=99)) == "99"
    assert text.verdict(flow(verdict=1, event_type=EventType(5))) == "ALLOWED"


def replace_name(policy: Policy, name: str) -> Policy:
    return Policy(name, policy.namespace, policy.labels, policy.revision, policy.kind)


def test_summary_with_trace_and_authentication() -> None:
    told = flow(summary="TCP", ip_trace_id=IPTraceID("9", 136), auth_type="SPIRE")
    assert text.summary(told) == "IP Trace ID: 9; TCP; Auth: SPIRE"
    assert "; Auth: \x1b[32mSPIRE\x1b[0m)" in printed("compact", told, options=PrintOptions(colour=True))
    failed = flow(auth_type="TEST_ALWAYS_FAIL")
    assert "(; Auth: \x1b[31mTEST_ALWAYS_FAIL\x1b[0m)" in printed("compact", failed, options=PrintOptions(colour=True))


def test_identities() -> None:
    assert [text.identity(number) for number in (0, 8, 11, 256)] == ["(unknown)", "(ingress)", "(ID:11)", "(ID:256)"]


def made_flows() -> list[Flow]:
    found = [jsonpb.decode(line).flow for line in recorded("made.jsonl").splitlines()]
    return [flow for flow in found if flow]


def test_csv_can_be_read_by_others() -> None:
    lines = printed("csv", *made_flows(), options=PrintOptions(time=times.formatter("RFC3339Nano"))).splitlines()
    rows = list(csv.DictReader(lines))
    assert len(rows) == 26
    assert rows[0]["source_pod"] == "web-6d9f-abcde"
    assert rows[0]["source_labels"] == "k8s:app=web,k8s:io.kubernetes.pod.namespace=shop"
    assert rows[0]["tcp_flags"] == "SYN"
    assert rows[3]["policies"] == "shop/api-l7"
    assert rows[10]["summary"] == 'DNS Answer "93.184.216.34" TTL: 300 (Proxy example.org. A)'
    assert rows[14]["reason"] == "POLICY_DENIED"


def test_wide_keeps_its_columns_apart() -> None:
    lines = printed("wide", *made_flows()).splitlines()
    assert lines[0].split()[:6] == ["TIME", "NODE", "SOURCE", "IDENTITY", "DESTINATION", "IDENTITY"]
    assert lines[14].split()[:4] == ["Nov", "20", "10:00:14.123", "node-a"]
    assert "POLICY_DENIED" in lines[14]
    starts = {line.index("node-a") for line in lines[1:20]}
    assert len(starts) == 1


def test_custom_columns() -> None:
    form = "custom-columns=FROM:.source.pod_name,PORT:{.l4.TCP.destination_port},L:destination.labels[1],V:verdict"
    lines = printed(form, *made_flows()[:1], *made_flows()[-1:]).splitlines()
    assert [line.split() for line in lines] == [
        ["FROM", "PORT", "L", "V"],
        ["web-6d9f-abcde", "8080", "k8s:io.kubernetes.pod.namespace=shop", "FORWARDED"],
        ["web-6d9f-abcde", "<none>", "k8s:io.kubernetes.pod.namespace=shop", "FORWARDED"],
    ]
    assert "A  " in printed("custom-columns=A:source.workloads[0].name,B:source_pod,C:destination", made_flows()[0])


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("yaml", "invalid output format: yaml"),
        ("custom-columns=", "custom-columns cannot read ''"),
        ("custom-columns=A", "custom-columns cannot read 'A'"),
        ("custom-columns=A:source.pod", "Flows have no field 'source.pod'"),
        ("custom-columns=A:verdict.name", "Flows have no field 'verdict.name'"),
        ("custom-columns=A:l4.TCP.[0]", "Flows have no field"),
    ],
)
def test_wrong_formats(form: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        printer(form, PLAIN)
    assert said in caught.value.what


def test_a_wrong_path_names_the_nearest_field() -> None:
    with pytest.raises(UsageError) as caught:
        printer("custom-columns=A:source.podname", PLAIN)
    assert "Did you mean 'pod_name'?" in caught.value.why
