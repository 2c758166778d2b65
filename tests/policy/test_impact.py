"""The effect of a change on recorded flows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from installer.domain.flows.flow import Answer, Endpoint, Flow, LostEvent
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.impact import Assessor, Impact
from installer.domain.policy.model import Decision, DNSQuery, HTTPRequest, Settings
from installer.domain.policy.replay import Replay

FIXTURES = Path(__file__).parents[1] / "fixtures"
SETTINGS = Settings(version=(1, 16))


@pytest.fixture(scope="module")
def recorded() -> list[Answer]:
    decoder = msgspec.json.Decoder(Answer)
    with (FIXTURES / "hubble" / "flows-cilium-1.16.jsonl").open("rb") as lines:
        return [decoder.decode(line) for line in lines]


@pytest.fixture(scope="module")
def applied() -> list[dict[str, Any]]:
    items = json.loads((FIXTURES / "api" / "demo.json").read_text())["items"]
    return [item for item in items if item["kind"] == "CiliumNetworkPolicy"]


def assess(flows: list[Answer], before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Impact:
    one, other = (Engine(compile_policies(objects, SETTINGS), SETTINGS) for objects in (before, after))
    assessor = Assessor(one, other)
    assessor.add(flows)
    return assessor.result()


def test_the_engine_agrees_with_every_recorded_verdict(recorded: list[Answer], applied: list[dict[str, Any]]) -> None:
    impact = assess(recorded, applied, applied)
    assert impact.judged > 100
    assert impact.disagreements == 0
    assert not [edge for edge in impact.edges if edge.change != "unchanged"]


def test_it_disagrees_when_a_policy_is_kept_from_it(recorded: list[Answer], applied: list[dict[str, Any]]) -> None:
    assert assess(recorded, [], applied).disagreements > 0


def test_removing_the_policies_opens_what_they_denied(recorded: list[Answer], applied: list[dict[str, Any]]) -> None:
    opened = {(edge.source, edge.dest, edge.port) for edge in assess(recorded, applied, []).of("opened")}
    assert opened == {
        ("demo/intruder", "demo/backend", "80/TCP"),
        ("demo/intruder", "demo/backend", "8/ICMPv4"),
        ("demo/intruder", "203.0.113.7", "443/TCP"),
    }


def test_a_narrower_policy_cuts_what_it_leaves_out(recorded: list[Answer], applied: list[dict[str, Any]]) -> None:
    narrow = json.loads(json.dumps(applied))
    policy = next(item for item in narrow if item["metadata"]["name"] == "allow-frontend-to-backend")
    policy["spec"]["ingress"][0]["toPorts"] = [{"ports": [{"port": "80", "protocol": "TCP"}]}]
    cut = assess(recorded, applied, narrow).of("cut")
    assert {(edge.source, edge.dest, edge.port) for edge in cut} == {
        ("demo/frontend", "demo/backend", "81/TCP"),
        ("demo/frontend", "demo/backend", "8/ICMPv4"),
    }
    assert all(edge.count and edge.examples and "allow-frontend-to-backend" in edge.why for edge in cut)


def test_lost_events_are_told(applied: list[dict[str, Any]]) -> None:
    lost = Answer(lost_events=LostEvent("HUBBLE_RING_BUFFER", "37"))
    assert assess([lost], applied, applied).lost == 37


def made() -> dict[str, Flow]:
    decoder = msgspec.json.Decoder(Answer)
    with (FIXTURES / "hubble" / "made.jsonl").open("rb") as lines:
        flows = [answer.flow for answer in map(decoder.decode, lines) if answer.flow is not None]
    return {flow.summary: flow for flow in reversed(flows)}


def test_requests_are_read_from_l7_flows() -> None:
    flows = made()
    request = Replay().traffic(flows["HTTP/1.1 GET http://api.shop.svc/items?page=2"])
    assert request is not None
    assert request.l7 == HTTPRequest("GET", "/items?page=2", "api.shop.svc", (("user-agent", "curl/8.5"),))
    query = Replay().traffic(flows["DNS Query example.org. A"])
    assert query is not None
    assert query.l7 == DNSQuery("example.org")


def test_replies_ask_nothing() -> None:
    flows = made()
    assert Replay().traffic(flows["TCP Flags: SYN, ACK"]) is None
    assert Replay().traffic(flows["HTTP/1.1 200 3ms (GET http://api.shop.svc/items?page=2)"]) is None


def test_names_learned_from_dns_answers_decide_fqdn_rules() -> None:
    flows = made()
    answer = flows['DNS Answer "93.184.216.34" TTL: 300 (Proxy example.org. A)']
    replay = Replay()
    replay.learn(answer)
    policy = {
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "out", "namespace": "shop"},
        "spec": {"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": "example.org"}]}]},
    }
    engine = Engine(compile_policies([policy]))
    outside = msgspec.structs.replace(
        flows["TCP Flags: SYN"], destination=Endpoint(identity=2, labels=("reserved:world",)), is_reply=False
    )
    before = Replay().traffic(to_address(outside, "93.184.216.34"))
    after = replay.traffic(to_address(outside, "93.184.216.34"))
    assert before is not None
    assert after is not None
    assert engine.verdict(before).decision is Decision.UNKNOWN
    assert engine.verdict(after).decision is Decision.ALLOW


def to_address(flow: Flow, ip: str) -> Flow:
    assert flow.ip is not None
    return msgspec.structs.replace(flow, ip=msgspec.structs.replace(flow.ip, destination=ip))
