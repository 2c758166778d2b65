# ruff: noqa: E501  # a table of cases, a line each
"""What must hold for any policies and any traffic, and what is never guessed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.model import (
    Decision,
    Direction,
    HTTPRequest,
    Knowledge,
    Settings,
    Traffic,
    address,
    entity,
    pod,
)
from tests.policy import generated as g
from tests.policy.clusters import Raw, policy

TIMES = settings(max_examples=60, deadline=None)
ORDER = {Decision.DENY: 0, Decision.L7_DENY: 1, Decision.UNKNOWN: 1, Decision.ALLOW: 2}
FRONT, BACK = pod("shop", {"app": "front"}), pod("shop", {"app": "back"})


def engine(objects: list[Raw], chosen: Settings | None = None, knowledge: Knowledge | None = None) -> Engine:
    compiled = compile_policies(objects, chosen, knowledge)
    assert not [one.error for one in compiled if one.error]
    return Engine(compiled, chosen)


@TIMES
@given(g.any_policies, g.policies("ingressDeny", "egressDeny"), st.lists(g.traffic, min_size=1, max_size=8))
def test_adding_a_deny_never_allows_more(before: list[Raw], deny: Raw, asked: list[Traffic]) -> None:
    one, other = engine(before), engine([*before, {**deny, "metadata": {**deny["metadata"], "name": "new"}}])
    for traffic in asked:
        assert ORDER[other.verdict(traffic).decision] <= ORDER[one.verdict(traffic).decision]


@TIMES
@given(g.any_policies, g.policies("ingress", "egress"), st.lists(g.traffic, min_size=1, max_size=8))
def test_an_allow_never_denies_what_it_does_not_newly_isolate(
    before: list[Raw], allow: Raw, asked: list[Traffic]
) -> None:
    one, other = engine(before), engine([*before, {**allow, "metadata": {**allow["metadata"], "name": "new"}}])
    for traffic in asked:
        newly = [
            direction
            for direction, subject in ((Direction.EGRESS, traffic.source), (Direction.INGRESS, traffic.dest))
            if other.isolated(subject, direction) and not one.isolated(subject, direction)
        ]
        if not newly:
            after = other.verdict(traffic).decision
            assert ORDER[after] >= ORDER[one.verdict(traffic).decision]


@TIMES
@given(g.any_policies, g.policies("ingressDeny", "egressDeny", isolating=False))
def test_what_a_deny_means_is_denied_whatever_else_there_is(others: list[Raw], deny: Raw) -> None:
    alone, together = engine([deny]), engine([*others, {**deny, "metadata": {**deny["metadata"], "name": "new"}}])
    for source, dest in product(g.PEERS[::2], g.PEERS[::2]):
        traffic = Traffic(source, dest, 80)
        if alone.verdict(traffic).decision is Decision.DENY:
            assert together.verdict(traffic).decision is Decision.DENY


@TIMES
@given(g.any_policies, g.policies("ingress", "egress", l7=False), st.lists(g.traffic, min_size=1, max_size=8))
def test_a_plain_allow_counts_unless_something_denies(others: list[Raw], allow: Raw, asked: list[Traffic]) -> None:
    alone, together = engine([allow]), engine([*others, {**allow, "metadata": {**allow["metadata"], "name": "new"}}])
    for traffic in asked:
        for direction in Direction:
            if alone.side(direction, traffic).reason == "rule":
                side = together.side(direction, traffic)
                assert side.decision is Decision.ALLOW or side.reason == "deny-rule"


@TIMES
@given(g.any_policies, st.randoms(use_true_random=False), st.lists(g.traffic, min_size=1, max_size=8))
def test_the_order_of_policies_does_not_matter(objects: list[Raw], random: Any, asked: list[Traffic]) -> None:
    mixed = list(objects)
    random.shuffle(mixed)
    one, other = engine(objects), engine(mixed)
    for traffic in asked:
        left, right = one.verdict(traffic), other.verdict(traffic)
        assert left.decision == right.decision
        for side, same in ((left.egress, right.egress), (left.ingress, right.ingress)):
            assert (side is None) == (same is None)
            if side is not None and same is not None:
                assert set(side.origins) == set(same.origins)


@TIMES
@given(g.any_policies, st.lists(g.traffic, min_size=2, max_size=10))
def test_what_was_asked_before_does_not_matter(objects: list[Raw], asked: list[Traffic]) -> None:
    used = engine(objects)
    answers = [used.verdict(traffic) for traffic in asked]
    assert answers == [engine(objects).verdict(traffic) for traffic in asked]
    assert answers == [used.verdict(traffic) for traffic in asked]


@TIMES
@given(g.any_policies, g.traffic)
def test_both_sides_have_to_agree(objects: list[Raw], traffic: Traffic) -> None:
    verdict = engine(objects).verdict(traffic)
    sides = [side.decision for side in (verdict.egress, verdict.ingress) if side is not None]
    assert (verdict.decision is Decision.ALLOW) == all(one is Decision.ALLOW for one in sides)
    assert (verdict.decision is Decision.DENY) == (Decision.DENY in sides)


@TIMES
@given(g.labels, st.lists(g.labels, min_size=1, max_size=2), st.sampled_from((None, 80, 443)), g.traffic)
def test_equal_policies_of_both_kinds_agree(subject: Raw, peers: list[Raw], port: int | None, traffic: Traffic) -> None:
    cilium: Raw = {"fromEndpoints": [{"matchLabels": one} for one in peers]}
    kube: Raw = {"from": [{"podSelector": {"matchLabels": one}} for one in peers]}
    if port is not None:
        cilium["toPorts"] = [{"ports": [{"port": str(port), "protocol": "TCP"}]}]
        kube["ports"] = [{"port": port, "protocol": "TCP"}]
    one = policy({"endpointSelector": {"matchLabels": subject}, "ingress": [cilium]})
    other = policy({"podSelector": {"matchLabels": subject}, "ingress": [kube]}, kind="NetworkPolicy")
    assert engine([one]).verdict(traffic).decision == engine([other]).verdict(traffic).decision


@TIMES
@given(g.any_policies, g.traffic)
def test_never_enforced_means_allowed(objects: list[Raw], traffic: Traffic) -> None:
    assert engine(objects, Settings(enforcement="never")).verdict(traffic).decision is Decision.ALLOW


@TIMES
@given(g.any_policies, st.lists(g.traffic, min_size=1, max_size=8))
def test_ignorance_is_never_a_deny(objects: list[Raw], asked: list[Traffic]) -> None:
    judge = engine(objects)
    for traffic in asked:
        if traffic.dest.ip:
            blind = replace(traffic, dest=replace(traffic.dest, ip="", names=None))
            if judge.verdict(traffic).decision is not Decision.DENY:
                assert judge.verdict(blind).decision is not Decision.DENY


def one_rule(rule: Raw, *, section: str = "egress", **more: Any) -> list[Raw]:
    return [policy({"endpointSelector": {"matchLabels": {"app": "front"}}, section: [rule], **more})]


UNKNOWN_NAMES = address("203.0.113.9", None)
UNKNOWNS: list[tuple[str, list[Raw], Traffic, Settings, str]] = [
    ("names", one_rule({"toFQDNs": [{"matchName": "a.b"}]}), Traffic(FRONT, UNKNOWN_NAMES, 443), Settings(), "names"),
    ("address", one_rule({"toCIDR": ["10.0.0.0/8"]}), Traffic(FRONT, address(""), 443), Settings(), "addresses"),
    ("group", one_rule({"toCIDRSet": [{"cidrGroupRef": "g"}]}), Traffic(FRONT, address("10.0.0.1"), 443), Settings(), "CIDR group g"),
    ("cloud", one_rule({"toGroups": [{"aws": {"securityGroupsIds": ["sg"]}}]}), Traffic(FRONT, address("10.0.0.1"), 443), Settings(), "security group"),
    ("services", one_rule({"toServices": [{"k8sService": {"serviceName": "s"}}]}), Traffic(FRONT, BACK, 80), Settings(), "Services"),
    ("named port", one_rule({"toPorts": [{"ports": [{"port": "http"}]}]}), Traffic(FRONT, BACK, 80), Settings(), "ports"),
    ("node labels", one_rule({"toNodes": [{"matchLabels": {"a": "b"}}]}), Traffic(FRONT, entity("remote-node"), 80), Settings(node_selector_labels=True), "node labels"),
    ("authentication", one_rule({"toEndpoints": [{}], "authentication": {"mode": "required"}}), Traffic(FRONT, BACK, 80), Settings(), "authentication"),
    ("listener", one_rule({"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "80"}], "listener": {"envoyConfig": {"name": "e"}, "name": "l"}}]}), Traffic(FRONT, BACK, 80, l7=HTTPRequest()), Settings(), "listener"),
    ("secret", one_rule({"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "80"}], "rules": {"http": [{"headerMatches": [{"name": "X", "secret": {"name": "s"}}]}]}}]}), Traffic(FRONT, BACK, 80, l7=HTTPRequest(headers=(("x", "1"),))), Settings(), "http"),
    ("expression", one_rule({"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "80"}], "rules": {"http": [{"path": "/(a+)+"}]}}]}), Traffic(FRONT, BACK, 80, l7=HTTPRequest(path="/a")), Settings(), "http"),
    ("parsers", [*one_rule({"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "80"}], "rules": {"http": [{}]}}]}), *one_rule({"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "80"}], "rules": {"dns": [{}]}}]})], Traffic(FRONT, BACK, 80, l7=HTTPRequest()), Settings(), "http"),
    ("denied name?", one_rule({"toCIDRSet": [{"cidrGroupRef": "g"}]}, section="egressDeny", enableDefaultDeny={"egress": False}), Traffic(FRONT, address("10.0.0.1"), 443), Settings(), "CIDR group g"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("objects", "traffic", "chosen", "missing"), [pytest.param(*one[1:], id=one[0]) for one in UNKNOWNS]
)
def test_what_is_not_known_is_said(objects: list[Raw], traffic: Traffic, chosen: Settings, missing: str) -> None:
    verdict = engine(objects, chosen).verdict(traffic)
    assert verdict.decision is Decision.UNKNOWN
    assert verdict.deciding is not None
    assert missing in " ".join(verdict.deciding.missing)
    assert verdict.deciding.origins


def test_what_is_not_known_does_not_matter_where_something_else_decides() -> None:
    deny = one_rule({"toEntities": ["world"]}, section="egressDeny")
    fqdn = one_rule({"toFQDNs": [{"matchName": "a.b"}]})
    asked = Traffic(FRONT, UNKNOWN_NAMES, 443)
    assert engine([*deny, *fqdn]).verdict(asked).decision is Decision.DENY
    allow = one_rule({"toEntities": ["world"]})
    assert engine([*allow, *fqdn]).verdict(asked).decision is Decision.ALLOW


def test_a_policy_for_nodes_of_unknown_labels() -> None:
    nodes = {
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "n"},
        "spec": {"nodeSelector": {"matchLabels": {"role": "worker"}}, "ingress": [{}]},
    }
    verdict = engine([nodes], Settings(host_firewall=True)).verdict(Traffic(address("203.0.113.1"), entity("host"), 22))
    assert verdict.decision is Decision.UNKNOWN


def test_a_pod_reaches_itself_whatever_policies_say() -> None:
    itself = pod("shop", {"app": "front"}, name="shop/front-1")
    twin = pod("shop", {"app": "front"}, name="shop/front-2")
    closed = engine(one_rule({}))
    assert closed.verdict(Traffic(itself, itself, 80)).decision is Decision.ALLOW
    assert closed.verdict(Traffic(itself, twin, 80)).decision is Decision.DENY
