from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from installer.domain.flows.explain import explain
from installer.domain.flows.flow import (
    HTTP,
    IP,
    TCP,
    Endpoint,
    EventType,
    Flow,
    Layer4,
    Layer7,
    Policy,
)
from tests.support.flows import flows

WEB = Endpoint(1, 30001, "", "shop", ("k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"), "web-1")
API = Endpoint(2, 30002, "", "shop", ("k8s:app=api", "k8s:io.cilium.k8s.policy.cluster=default"), "api-1")
WORLD = Endpoint(identity=2, labels=("reserved:world",))
POLICY = Policy("no-mail", "shop", (), "7", "CiliumNetworkPolicy")


def dropped(**parts: Any) -> Flow:
    base = {
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "ip": IP("10.0.0.1", "", "10.0.0.2", "IPv4"),
        "l4": Layer4(tcp=TCP(40000, 8080)),
        "source": WEB,
        "destination": API,
        "event_type": EventType(1, 133),
    }
    return Flow(**{**base, **parts})


def line(flow: Flow, key: str) -> str:
    return next((text.partition(": ")[2] for text in explain(flow) if text.startswith(f"{key}: ")), "")


def test_what_passed_needs_no_explanation() -> None:
    assert explain(Flow(verdict="FORWARDED")) == explain(Flow()) == []


def test_no_policy_allows_it() -> None:
    out = dropped(traffic_direction="EGRESS")
    assert line(out, "why") == "Policy denied (POLICY_DENIED, 133)"
    assert line(out, "where") == "on the way out of shop/web-1 (egress)"
    assert line(out, "fix").startswith(
        "a policy that selects shop/web-1 (app=web) must allow egress "
        "to pods app=api in namespace shop on port 8080/TCP;"
    )
    into = dropped(traffic_direction="INGRESS")
    assert line(into, "where") == "on the way into shop/api-1 (ingress)"
    assert line(into, "fix").startswith(
        "a policy that selects shop/api-1 (app=api) must allow ingress from pods app=web in namespace shop"
    )
    unknown = dropped()
    assert line(unknown, "where") == "the flow does not say at which side"
    assert "port 8080/TCP between both sides" in line(unknown, "fix")


@pytest.mark.parametrize(
    ("parts", "peer"),
    [
        ({"destination": WORLD}, "egress to entity world or CIDR 10.0.0.2/32 on port 8080/TCP"),
        ({"destination": WORLD, "ip": IP("fd00::1", "", "fd00::2", "IPv6")}, "entity world or CIDR fd00::2/128 on"),
        ({"destination": Endpoint(identity=16777217)}, "egress to CIDR 10.0.0.2/32 on port"),
        ({"destination": WORLD, "destination_names": ("a.org", "b.org")}, "egress to toFQDNs a.org, b.org on port"),
        ({"destination": None, "ip": None, "l4": None}, "egress to the peer on any protocol"),
    ],
)
def test_other_sides(parts: dict[str, Any], peer: str) -> None:
    assert peer in line(dropped(traffic_direction="EGRESS", **parts), "fix")


def test_a_deny_rule_names_its_policies() -> None:
    flow = dropped(drop_reason_desc="POLICY_DENY", traffic_direction="EGRESS", egress_denied_by=(POLICY,))
    assert line(flow, "policies") == "CiliumNetworkPolicy shop/no-mail"
    assert line(flow, "fix") == "narrow or remove the policies named above: a deny rule wins over every allow rule."
    assert "the deny rule that matches" in line(dropped(drop_reason_desc="POLICY_DENY"), "fix")


def test_authentication() -> None:
    assert "SPIRE" in line(dropped(drop_reason_desc="AUTH_REQUIRED"), "fix")


def test_reasons_that_are_no_policy() -> None:
    flow = dropped(drop_reason_desc="CT_MAP_INSERTION_FAILED", event_type=EventType(1, 155))
    assert explain(flow)[0] == "why: CT: Map insertion failed (CT_MAP_INSERTION_FAILED, 155)"
    assert "bpf.ctTcpMax" in line(flow, "fix")
    assert explain(dropped(drop_reason_desc="", event_type=EventType(1, 173))) == [
        "why: NAT not needed (NAT_NOT_NEEDED, 173)"
    ]
    assert explain(dropped(drop_reason_desc=207, event_type=None))[0] == (
        "why: 207, 0 (DROP_FRAG_NOT_FOUND_WORLD, 207)"
    )
    assert explain(dropped(drop_reason_desc="", event_type=None)) == ["why: the flow does not say"]


def test_the_proxy_refuses_by_its_own_rules() -> None:
    flow = dropped(l7=Layer7("REQUEST", http=HTTP(method="POST")), summary="HTTP/1.1 POST http://api/items")
    assert line(flow, "why").startswith("the L7 proxy refused HTTP/1.1 POST http://api/items: no rule")


@given(flows())
def test_every_flow_can_be_explained(flow: Flow) -> None:
    assert bool(explain(flow)) == (flow.verdict in ("DROPPED", "ERROR"))
