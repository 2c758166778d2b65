"""What the policies say of flows that were refused."""

from __future__ import annotations

from typing import Any

from installer.domain.flows.flow import DNS, HTTP, IP, TCP, UDP, Endpoint, EventType, Flow, Layer4, Layer7
from installer.domain.policy.advice import FlowAdvice
from installer.domain.policy.world import World


def policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"endpointSelector": {"matchLabels": {"app": "web"}}, **spec},
    }


def side(name: str) -> Endpoint:
    return Endpoint(namespace="shop", pod_name=f"{name}-0", labels=(f"k8s:app={name}",))


WORLD = Endpoint(labels=("reserved:world",), identity=2)


def dropped(**parts: Any) -> Flow:
    made: dict[str, Any] = {
        "verdict": "DROPPED",
        "ip": IP("10.0.0.1", "", "10.0.0.2", "IPv4"),
        "l4": Layer4(tcp=TCP(40000, 80)),
        "source": side("web"),
        "destination": side("api"),
        "drop_reason_desc": "POLICY_DENIED",
        "event_type": EventType(1, 133),
        "traffic_direction": "EGRESS",
    }
    return Flow(**(made | parts))


def advice(*objects: dict[str, Any]) -> FlowAdvice:
    made = FlowAdvice()
    made.learn_world(World(objects=objects))
    return made


def test_the_policy_and_the_change_that_would_allow_it() -> None:
    lines = advice(policy(egress=[{"toEndpoints": [{"matchLabels": {"app": "db"}}]}])).explain(dropped())
    assert lines[:2] == ["why: Policy denied (POLICY_DENIED, 133)", "where: on the way out of shop/web-0 (egress)"]
    assert lines[2].startswith("policies: shop/web-0 to shop/api-0 port 80/TCP: deny at egress")
    assert lines[2].endswith("(isolated by CiliumNetworkPolicy shop/web spec)")
    assert lines[3].startswith("fix: egress: add a rule to CiliumNetworkPolicy shop/web")
    assert "{egress: [{toEndpoints: [{matchLabels: {app: api}}], toPorts: [{ports: [{port: '80'" in lines[3]
    assert lines[4].startswith("fix: egress: write a new policy CiliumNetworkPolicy shop/allow-egress-web")


def test_a_deny_rule_is_named() -> None:
    rule = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}
    lines = advice(policy(egressDeny=[rule])).explain(dropped(drop_reason_desc="POLICY_DENY"))
    assert any(
        line.startswith("fix: ") and "take the rule out of CiliumNetworkPolicy shop/web" in line for line in lines
    )


def test_policies_that_changed_since() -> None:
    lines = advice(policy(egress=[{"toEntities": ["all"]}])).explain(dropped())
    assert lines[-1].startswith("policies: shop/web-0 to shop/api-0 port 80/TCP: allow")
    assert lines[-1].endswith("they have changed since, or the agent does not know them yet")
    assert any(line.startswith("fix: a policy that selects") for line in lines)


def test_other_reasons_are_left_alone() -> None:
    flow = dropped(drop_reason_desc="CT_MAP_INSERTION_FAILED", event_type=EventType(1, 155))
    assert advice(policy(egress=[{"toEntities": ["all"]}])).explain(flow) == FlowAdvice().explain(flow)


def test_a_request_that_the_proxy_refused() -> None:
    ports = [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}]
    rules = advice(policy(egress=[{"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": ports}]))
    request = Layer7(type="REQUEST", http=HTTP(method="POST", url="http://api/orders"))
    lines = rules.explain(dropped(l7=request, type="L7", drop_reason_desc=0))
    assert lines[0].startswith("why: the L7 proxy refused")
    assert any(line.startswith("fix: egress: admit POST /orders in CiliumNetworkPolicy shop/web") for line in lines)


def test_names_come_from_the_dns_answers_before() -> None:
    rules = advice(policy(egress=[{"toFQDNs": [{"matchName": "a.example"}]}]))
    answer = Layer7(type="RESPONSE", dns=DNS(query="a.example.", ips=("198.51.100.7",)))
    assert rules.explain(Flow(verdict="FORWARDED", l7=answer)) == []
    known = dropped(destination=WORLD, ip=IP("10.0.0.1", "", "198.51.100.7", "IPv4"))
    other = dropped(destination=WORLD, ip=IP("10.0.0.1", "", "198.51.100.8", "IPv4"))
    assert "policies: shop/web-0 to " in rules.explain(known)[-1]
    assert "unknown" in rules.explain(other)[-1]


def test_without_policies_the_flow_speaks() -> None:
    assert any("must allow egress to pods app=api" in line for line in FlowAdvice().explain(dropped()))
    udp = dropped(verdict="FORWARDED", l4=Layer4(udp=UDP(1, 53)))
    assert advice().explain(udp) == []
