"""The desk, the effect, the inventory and the form: what the Policies screen shows, without the screen."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.errors import UsageError
from installer.domain.flows.flow import Answer, Flow, Policy
from installer.domain.policy.effect import effect
from installer.domain.policy.engine import compile_policies
from installer.domain.policy.form import PolicyForm, policy_of, workloads
from installer.domain.policy.inventory import Hits, Inventory, unprotected
from installer.domain.policy.merge import to_yaml
from installer.domain.policy.model import Direction, Traffic
from installer.domain.policy.who import resolve
from installer.domain.policy.world import Pod, World
from installer.services.policies.desk import Desk
from tests.support.policies import identity, policy, shop_flow

API = ("CiliumNetworkPolicy", "shop", "api")


def world(*objects: dict[str, Any]) -> World:
    from installer.domain.policy.model import Peer

    apps = [("shop", "frontend"), ("shop", "api"), ("shop", "api"), ("shop", "cart"), ("ops", "prometheus")]
    pods = [
        Pod(Peer(identity(namespace, app), name=f"{namespace}/{app}-{number}"), namespace, f"{app}-{number}")
        for number, (namespace, app) in enumerate(apps)
    ]
    return World(objects=objects, pods=tuple(pods))


def desk(*objects: dict[str, Any]) -> Desk:
    made = Desk()
    made.world = world(*objects)
    return made


def test_a_policy_is_opened_once_and_keeps_its_edits() -> None:
    made = desk(policy("api", "api", "frontend"))
    draft = made.open(API)
    assert "resourceVersion" not in draft.text
    assert not draft.is_changed
    draft.text += "# more\n"
    assert made.open(API) is draft
    assert made.dirty() == [draft]
    made.applied(draft, draft.text, made.world.objects)
    assert made.dirty() == []


def test_an_absent_policy_cannot_be_opened() -> None:
    with pytest.raises(KeyError):
        desk().open(API)


def test_a_change_below_a_draft_is_seen() -> None:
    made = desk(policy("api", "api", "frontend"))
    draft = made.open(API)
    assert made.changed_below(draft) == []
    made.world = world(policy("api", "api", "cart"))
    assert made.changed_below(draft) == [API]
    made.world = world()
    assert made.changed_below(draft) == [API]


def test_checking_is_quick_first_and_thorough_after() -> None:
    made = desk(policy("api", "api", "frontend"))
    text = to_yaml(policy("api", "api", "frontends"))
    quick = made.check(text)
    assert quick.findings == ()
    assert not quick.deep
    deep = made.deepen(quick)
    assert deep.deep
    assert any("app=frontends" in one.text for one in deep.findings)
    assert len(deep.policies) == 1


def test_a_bad_document_does_not_hide_the_others() -> None:
    text = (
        to_yaml(policy("good", "api", "frontend"))
        + "---\nkind: CiliumNetworkPolicy\napiVersion: cilium.io/v2\nmetadata: {name: bad}\nspec: {}\n"
    )
    checked = desk().check(text)
    assert checked.errors > 0
    assert [raw["metadata"]["name"] for raw in checked.policies] == ["good"]


def test_text_that_is_no_yaml_has_a_line() -> None:
    checked = desk().check("spec:\n\tfoo: 1\n")
    assert checked.findings[0].mark is not None
    assert checked.findings[0].mark.line == 2
    assert checked.policies == ()


def test_impact_counts_what_was_seen() -> None:
    made = desk(policy("api", "api", "frontend", "cart"))
    answers = [shop_flow("cart", "api", second=second) for second in range(4)] + [shop_flow("frontend", "api")]
    impact = made.impact([policy("api", "api", "frontend")], answers)
    assert [(edge.change, edge.count) for edge in impact.edges] == [("cut", 4), ("unchanged", 1)]
    removed = made.impact([], answers, made.world.objects)
    assert [edge.change for edge in removed.edges] == ["unchanged", "unchanged"]


def test_explain_knows_the_lines() -> None:
    made = desk()
    text = "# a comment\n" + to_yaml(policy("api", "api", "frontend"))
    ((origin, sentences),) = made.explain(made.check(text))
    assert origin.object_name == "shop/api"
    lines = text.splitlines()
    assert next(lines[line - 1].strip(" -") for _, line in sentences) == "spec:"
    assert all(line for _, line in sentences)


def test_effect_names_sources_and_destinations() -> None:
    raw = policy("api", "api", "frontend")
    made = world(raw)
    found = effect(made.engine(), compile_policies([raw]), made.peers)
    assert found.subjects == {"shop/api": 2}
    assert found.isolated == {Direction.INGRESS: True, Direction.EGRESS: False}
    sources = {one.name: (one.word, one.ports) for one in found.sources}
    assert sources["shop/frontend"] == ("some", ("8080/TCP",))
    assert sources["shop/cart"] == ("deny", ())
    assert sources["host"][0] == "allow"
    assert {one.word for one in found.dests if one.name != "world"} == {"allow"}
    assert found.sources[0].is_open


def test_effect_tells_when_the_other_side_denies() -> None:
    raw, closed = policy("api", "api", "frontend"), policy("cart", "cart")
    closed["spec"] = {"endpointSelector": {"matchLabels": {"app": "cart"}}, "ingress": [{}]}
    made = world(raw, closed)
    found = effect(made.engine(), compile_policies([raw]), made.peers)
    cart = next(one for one in found.dests if one.name == "shop/cart")
    assert (cart.word, cart.note) == ("deny", "their ingress denies it")


def test_effect_names_networks_and_names_of_rules() -> None:
    raw = policy("api", "api")
    raw["spec"] = {
        "endpointSelector": {"matchLabels": {"app": "api"}},
        "egress": [{"toCIDR": ["192.0.2.0/24"]}, {"toFQDNs": [{"matchName": "api.example.org"}]}],
    }
    made = world(raw)
    found = effect(made.engine(), compile_policies([raw]), made.peers)
    words = {one.name: one.word for one in found.dests}
    assert words["192.0.2.0/24"] == "allow"
    assert words["api.example.org"] == "allow"
    assert words["shop/cart"] == "deny"


def test_a_policy_without_pods_has_no_effect() -> None:
    raw = policy("none", "nobody", "frontend")
    assert effect(world(raw).engine(), compile_policies([raw]), world().peers).subjects == {}


def test_inventory_and_unprotected_workloads() -> None:
    bad = policy("bad", "cart", "frontend")
    bad["spec"]["ingress"][0]["fromEntities"] = ["world"]
    made = world(policy("api", "api", "frontend"), bad)
    items = {item.key[2]: item for item in Inventory().items(made)}
    assert items["api"].state == "isolates ingress"
    assert items["api"].pods == 2
    assert items["bad"].state == "ignored by agents"
    assert "cannot stand in one rule" in items["bad"].problem
    found = {one.name: one.open for one in unprotected(made, made.engine())}
    assert found == {
        "api": (Direction.EGRESS,),
        "cart": (Direction.INGRESS, Direction.EGRESS),
        "frontend": (Direction.INGRESS, Direction.EGRESS),
        "prometheus": (Direction.INGRESS, Direction.EGRESS),
    }


def test_endpoints_in_audit_mode() -> None:
    from dataclasses import replace

    made = world(policy("api", "api", "frontend"))
    pods = tuple(replace(pod, audit=("ingress",)) if "api" in pod.name else pod for pod in made.pods)
    found = {one.name: one for one in unprotected(replace(made, pods=pods), made.engine())}
    assert found["api"].audit == (Direction.INGRESS,)
    assert found["cart"].audit == ()


def test_inventory_looks_only_at_what_changed() -> None:
    first, second = policy("a", "api", "frontend"), policy("b", "cart", "frontend")
    inventory, made = Inventory(), world(first, second)
    before = inventory.items(made)
    changed = policy("b", "api", "frontend")
    after = inventory.items(World(objects=(first, changed), pods=made.pods))
    assert after[0] is before[0]
    assert after[1].pods == 2


def test_hits_count_a_flow_once_for_each_policy() -> None:
    one = Policy(name="api", namespace="shop", kind="CiliumNetworkPolicy")
    other = Policy(name="api", namespace="shop", kind="NetworkPolicy")
    hits = Hits()
    hits.add([Flow(ingress_allowed_by=(one, one)), Flow(ingress_denied_by=(other,)), Flow()])
    assert hits.of(API) == 1
    assert hits.of(("NetworkPolicy", "shop", "api")) == 1
    assert hits.of(("CiliumNetworkPolicy", "shop", "b")) == 0


def allowed(form: PolicyForm, source: str, dest: str, port: int = 80) -> bool:
    made = world()
    raw = policy_of(form, made)
    assert desk().check(to_yaml(raw)).errors == 0
    verdict = made.engine([raw]).verdict(Traffic(resolve(source, made), resolve(dest, made), port))
    return verdict.decision == "allow"


def test_the_form_for_incoming_connections() -> None:
    form = PolicyForm("shop/api", Direction.INGRESS, "shop/frontend, ops/prometheus", "80 8000-8100/TCP")
    assert allowed(form, "shop/frontend", "shop/api", 80)
    assert allowed(form, "ops/prometheus", "shop/api", 8050)
    assert not allowed(form, "shop/cart", "shop/api", 80)
    assert not allowed(form, "shop/frontend", "shop/api", 81)


def test_the_form_for_outgoing_connections() -> None:
    form = PolicyForm("shop/api", Direction.EGRESS, "shop/cart 192.0.2.0/24 *.example.org", name="out")
    raw = policy_of(form, world())
    assert raw["metadata"]["name"] == "out"
    assert {"toFQDNs": [{"matchPattern": "*.example.org"}]} in raw["spec"]["egress"]
    assert "kube-dns" in str(raw["spec"]["egress"][-1])
    assert allowed(form, "shop/api", "shop/cart")
    assert allowed(form, "shop/api", "192.0.2.9")
    assert not allowed(form, "shop/api", "ops/prometheus")


def test_the_form_without_peers_isolates() -> None:
    assert not allowed(PolicyForm("shop/*", Direction.INGRESS), "ops/prometheus", "shop/api")
    assert allowed(PolicyForm("shop/*", Direction.INGRESS), "shop/api", "ops/prometheus")


def test_the_form_with_requests() -> None:
    raw = policy_of(PolicyForm("shop/api", Direction.INGRESS, "all", "80", "get /items/.*, POST"), world())
    assert raw["spec"]["ingress"][0]["toPorts"][0]["rules"] == {
        "http": [{"method": "GET", "path": "/items/.*"}, {"method": "POST"}]
    }


@pytest.mark.parametrize(
    "form",
    [
        PolicyForm("api"),
        PolicyForm("shop/"),
        PolicyForm("shop/api", Direction.INGRESS, "what?"),
        PolicyForm("shop/api", Direction.INGRESS, "api.example.org"),
        PolicyForm("shop/api", Direction.INGRESS, "all", "70000"),
        PolicyForm("shop/api", Direction.INGRESS, "all", "!"),
        PolicyForm("shop/api", Direction.INGRESS, "all", "", "GET /"),
        PolicyForm("shop/api", Direction.INGRESS, "all", "80", "GET items"),
        PolicyForm("shop/api", Direction.INGRESS, "", "80"),
    ],
)
def test_answers_that_are_not_understood_name_what_would_be(form: PolicyForm) -> None:
    with pytest.raises(UsageError) as caught:
        policy_of(form, world())
    assert caught.value.code == "E-POL-040"
    assert caught.value.fix


def test_workloads_to_choose_from() -> None:
    assert workloads(world()) == ["ops/prometheus", "shop/api", "shop/cart", "shop/frontend"]


def test_remedies_and_suggestions() -> None:
    made = desk(policy("api", "api", "frontend"))
    dropped = shop_flow("cart", "api", verdict="DROPPED").flow
    assert dropped is not None
    remedies = made.remedies(dropped)
    assert remedies
    checked = made.check(to_yaml(dict(remedies[0].after)))
    impact = made.impact(checked.policies, [Answer(flow=dropped)])
    assert [edge.change for edge in impact.edges] == ["opened"]
    found = made.suggest([shop_flow("frontend", "cart", second=second) for second in range(5)])
    assert found.refused == []
    assert found.drafts
