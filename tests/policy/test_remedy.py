"""The smallest changes that let a denied connection through: each one really does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from installer.domain.policy.cases import read_case
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.model import (
    Decision,
    Direction,
    HTTPRequest,
    Knowledge,
    Peer,
    Settings,
    Traffic,
    address,
    pod,
)
from installer.domain.policy.remedy import Remedies, Remedy
from installer.domain.policy.sanitize import sanitize
from tests.policy import generated as g
from tests.policy.clusters import Raw, policy
from tests.policy.test_reference import FOLDER

FRONT, BACK, OTHER = (pod("shop", {"app": name}) for name in ("front", "back", "other"))
KNOWN = [FRONT, BACK, OTHER]


def find(
    objects: list[Raw], traffic: Traffic, peers: list[Peer] | None = None, chosen: Settings | None = None
) -> list[Remedy]:
    judge = Engine(compile_policies(objects, chosen), chosen)
    return Remedies(objects, judge, KNOWN if peers is None else peers).find(traffic)


def applied(objects: list[Raw], remedy: Remedy) -> list[Any]:
    changes = [(remedy.before, remedy.after), *remedy.rest]
    gone = [id(before) for before, _ in changes]
    return [*(one for one in objects if id(one) not in gone), *(after for _, after in changes)]


def allowed(
    objects: list[Any], traffic: Traffic, chosen: Settings | None = None, knowledge: Knowledge | None = None
) -> bool:
    return Engine(compile_policies(objects, chosen, knowledge), chosen).verdict(traffic).decision is Decision.ALLOW


def into(*rules: Raw, name: str = "p", **more: Any) -> Raw:
    return policy(
        {"endpointSelector": {"matchLabels": {"app": "back"}}, **({"ingress": list(rules)} if rules else {}), **more},
        name=name,
    )


def peer(app: str) -> Raw:
    return {"matchLabels": {"app": app}}


def port(number: int) -> Raw:
    return {"toPorts": [{"ports": [{"port": str(number), "protocol": "TCP"}]}]}


def test_nothing_to_mend_where_it_is_allowed() -> None:
    assert find([], Traffic(FRONT, BACK, 80)) == []


def test_a_missing_port_is_added_to_the_rule_of_the_peer_first() -> None:
    objects = [into({"fromEndpoints": [peer("front")], **port(80)})]
    found = find(objects, Traffic(FRONT, BACK, 443))
    assert found[0].title == "ingress: add port 443/TCP to CiliumNetworkPolicy shop/p"
    assert all(allowed(applied(objects, one), Traffic(FRONT, BACK, 443)) for one in found)
    assert found[-1].before is None


def test_a_request_is_added_beside_the_others() -> None:
    rules = [{"method": "GET", "path": "/a"}]
    objects = [
        into(
            {
                "fromEndpoints": [peer("front")],
                "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": rules}}],
            }
        )
    ]
    asked = Traffic(FRONT, BACK, 80, l7=HTTPRequest("POST", "/items/7"))
    first = find(objects, asked)[0]
    assert "admit POST /items/7" in first.title
    assert allowed(applied(objects, first), asked)
    assert not allowed(applied(objects, first), Traffic(FRONT, BACK, 80, l7=HTTPRequest("POST", "/else")))
    assert rules == [{"method": "GET", "path": "/a"}]


def test_what_a_change_opens_beside_is_counted() -> None:
    wide = into({"fromEndpoints": [peer("front"), peer("other")], **port(80)})
    found = {one.title: one.opens for one in find([wide], Traffic(FRONT, BACK, 443))}
    assert found["ingress: add port 443/TCP to CiliumNetworkPolicy shop/p"] == 1
    assert found["ingress: add a rule to CiliumNetworkPolicy shop/p"] == 0


def test_only_the_peer_is_taken_out_of_a_deny_where_that_is_enough() -> None:
    objects = [
        into(enableDefaultDeny={"ingress": False}, ingressDeny=[{"fromEndpoints": [peer("front"), peer("other")]}])
    ]
    first = find(objects, Traffic(FRONT, BACK, 80))[0]
    assert (first.title, first.opens) == (
        "ingress: take the peer or port out of CiliumNetworkPolicy shop/p that denies it",
        0,
    )
    assert not allowed(applied(objects, first), Traffic(OTHER, BACK, 80))


def test_only_the_port_is_taken_out_of_a_deny() -> None:
    ports = [{"ports": [{"port": "80", "protocol": "TCP"}, {"port": "443", "protocol": "TCP"}]}]
    objects = [into(enableDefaultDeny={"ingress": False}, ingressDeny=[{"toPorts": ports}])]
    first = find(objects, Traffic(FRONT, BACK, 80))[0]
    assert allowed(applied(objects, first), Traffic(FRONT, BACK, 80))
    assert not allowed(applied(objects, first), Traffic(FRONT, BACK, 443))


def test_denies_of_several_policies_are_mended_together() -> None:
    one = into({"fromEndpoints": [{}]}, ingressDeny=[{"fromEndpoints": [peer("front")]}])
    two = into(
        name="q", enableDefaultDeny={"ingress": False}, ingressDeny=[{"fromEndpoints": [peer("front")], **port(80)}]
    )
    three = {
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "c"},
        "spec": {"endpointSelector": {}, "ingressDeny": [{"fromEntities": ["cluster"]}]},
    }
    objects = [one, two, three]
    asked = Traffic(FRONT, BACK, 80)
    found = find(objects, asked)
    assert found
    for remedy in found:
        assert len(remedy.rest) == 2
        assert allowed(applied(objects, remedy), asked)
    assert "shop/q" in found[0].title


def test_a_deny_alone_goes_on_isolating_when_it_is_emptied() -> None:
    objects = [into(ingressDeny=[{"fromEndpoints": [peer("front")]}])]
    asked = Traffic(FRONT, BACK, 80)
    (found,) = find(objects, asked)
    assert "and add a rule that allows it" in found.title
    assert sanitize(found.after) == []
    after = applied(objects, found)
    assert allowed(after, asked)
    assert not allowed(after, Traffic(OTHER, BACK, 80))


def test_both_sides_are_mended_one_after_the_other() -> None:
    out = policy({"endpointSelector": {"matchLabels": {"app": "front"}}, "egress": [{}]}, name="out")
    objects: list[Any] = [into({}), out]
    asked = Traffic(FRONT, BACK, 80)
    found = find(objects, asked)
    assert {one.title.split(":")[0] for one in found} == {"egress", "ingress"}
    for direction in Direction:
        chosen = next(one for one in find(objects, asked) if one.title.startswith(direction.value))
        objects = applied(objects, chosen)
    assert allowed(objects, asked)


def test_a_name_is_used_for_an_address_that_has_one() -> None:
    out = policy({"endpointSelector": {"matchLabels": {"app": "front"}}, "egress": [{}]}, name="out")
    outside = address("203.0.113.7", frozenset({"api.example.org"}))
    found = find([out], Traffic(FRONT, outside, 443))
    assert any("toFQDNs" in str(one.after) for one in found)
    assert not any("203.0.113.7" in str(one.after) for one in found)


CANNOT = {"R22", "R65", "R33"}
"""No rule helps against pods that are still starting, failing authentication, and requirements of others."""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_denied_case_has_remedies_that_help(path: Any) -> None:
    for raw in yaml.load(path.read_text(), Loader=yaml.CSafeLoader):
        if raw["expect"] == "allow":
            continue
        case = read_case(raw, "case")
        judge = Engine(compile_policies(case.policies, case.settings, case.knowledge), case.settings)
        found = Remedies(case.policies, judge, [case.traffic.source, case.traffic.dest], case.knowledge).find(
            case.traffic
        )
        known = raw.get("rule") in CANNOT or raw["id"] in ("default_deny-always-host-120",)
        assert found or known, raw["id"]
        denied = [
            side
            for side in (judge.verdict(case.traffic).egress, judge.verdict(case.traffic).ingress)
            if side and side.decision is not Decision.ALLOW
        ]
        for remedy in found:
            for _, after in ((remedy.before, remedy.after), *remedy.rest):
                assert (
                    not after["kind"].startswith("Cilium")
                    or not sanitize(after, case.settings)
                    or any(sanitize(one, case.settings) for one in case.policies if one["kind"].startswith("Cilium"))
                )
            if len(denied) == 1:
                objects: list[Any] = applied(list(case.policies), remedy)  # type: ignore[arg-type]
                assert allowed(objects, case.traffic, case.settings, case.knowledge), (raw["id"], remedy.title)


@settings(max_examples=40, deadline=None)
@given(g.any_policies, st.sampled_from(g.PODS), st.sampled_from(g.PODS), st.sampled_from(g.PORTS))
def test_remedies_mend_generated_denials(objects: list[Raw], source: Peer, dest: Peer, number: int) -> None:
    asked = Traffic(source, dest, number)
    assume(not allowed(objects, asked))
    for _ in range(2):  # at most one for each side
        found = find(objects, asked, g.PODS[:4])
        if not found:
            break
        objects = applied(objects, found[0])
    assert allowed(objects, asked)
