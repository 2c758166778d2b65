"""Merging two people's edits of one object."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.policy.merge import Conflict, clean, diff, merge, owners, to_yaml
from tests.policy import generated as g
from tests.policy.clusters import Raw, policy

TIMES = settings(max_examples=40, deadline=None)
BASE = policy(
    {"endpointSelector": {}, "ingress": [{"fromEntities": ["host"]}, {"fromEntities": ["world"]}], "egress": [{}]}
)
keys = st.sampled_from("abcdefgh")
values = st.recursive(st.one_of(st.integers(0, 5), st.sampled_from("xyz")), lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)), max_leaves=8)  # fmt: skip
specs = st.dictionaries(keys, values, max_size=4)
objects = st.one_of(g.policies(*g.ALL), st.builds(lambda spec: {**BASE, "spec": spec}, specs))


def changed(**spec: Any) -> Raw:
    return {**BASE, "spec": {**BASE["spec"], **spec}}


@TIMES
@given(objects, objects)
def test_an_edit_against_nothing_is_that_edit(base: Raw, mine: Raw) -> None:
    assert merge(base, mine, base).data == clean(mine)
    assert merge(base, mine, base).conflicts == ()


@TIMES
@given(objects, objects)
def test_no_edit_takes_what_others_did(base: Raw, theirs: Raw) -> None:
    assert merge(base, base, theirs).data == clean(theirs)
    assert merge(base, base, theirs).conflicts == ()


@TIMES
@given(objects, objects)
def test_the_same_edit_twice_is_no_conflict(base: Raw, both: Raw) -> None:
    merged = merge(base, both, copy.deepcopy(both))
    assert (merged.data, merged.conflicts) == (clean(both), ())


@TIMES
@given(objects, objects, objects)
def test_where_nothing_conflicts_the_sides_may_be_swapped(base: Raw, one: Raw, other: Raw) -> None:
    left, right = merge(base, one, other), merge(base, other, one)
    assert bool(left.conflicts) == bool(right.conflicts)
    if not left.conflicts:
        assert left.data == right.data


@TIMES
@given(specs, specs, specs)
def test_edits_of_different_keys_both_stay(base: Raw, one: Raw, other: Raw) -> None:
    before = {**BASE, "spec": {**{f"m-{key}": 0 for key in one}, "both": base, **{f"t-{key}": 0 for key in other}}}
    mine = {**before, "spec": {**before["spec"], **{f"m-{key}": value for key, value in one.items()}}}
    theirs = {**before, "spec": {**before["spec"], **{f"t-{key}": value for key, value in other.items()}}}
    merged = merge(before, mine, theirs)
    assert merged.conflicts == ()
    for key, value in one.items():
        assert merged.data["spec"][f"m-{key}"] == value
    for key, value in other.items():
        assert merged.data["spec"][f"t-{key}"] == value


@TIMES
@given(objects, objects, objects)
def test_inputs_stay_as_they_are(base: Raw, mine: Raw, theirs: Raw) -> None:
    before = copy.deepcopy((base, mine, theirs))
    merge(base, mine, theirs)
    assert (base, mine, theirs) == before


def test_rules_added_in_different_places_are_both_there() -> None:
    mine = changed(ingress=[{"fromEntities": ["health"]}, *BASE["spec"]["ingress"]])
    theirs = changed(ingress=[*BASE["spec"]["ingress"], {"fromEntities": ["ingress"]}])
    merged = merge(BASE, mine, theirs)
    assert [rule["fromEntities"][0] for rule in merged.data["spec"]["ingress"]] == [
        "health",
        "host",
        "world",
        "ingress",
    ]
    assert merged.conflicts == ()


def test_two_edits_of_one_rule_conflict_and_own_stays() -> None:
    mine = changed(ingress=[{"fromEntities": ["all"]}, {"fromEntities": ["world"]}])
    theirs = changed(ingress=[{"fromEntities": ["none"]}, {"fromEntities": ["world"]}])
    merged = merge(BASE, mine, theirs)
    assert merged.data["spec"]["ingress"] == mine["spec"]["ingress"]
    (conflict,) = merged.conflicts
    assert conflict == Conflict(("spec", "ingress"), *(one["spec"]["ingress"] for one in (BASE, mine, theirs)))


def test_taking_out_what_another_changed_conflicts() -> None:
    mine = {**BASE, "spec": {key: value for key, value in BASE["spec"].items() if key != "egress"}}
    merged = merge(BASE, mine, changed(egress=[{"toEntities": ["all"]}]))
    assert "egress" not in merged.data["spec"]
    assert merged.conflicts[0].mine is None


def test_what_the_server_writes_is_no_edit() -> None:
    live = {**BASE, "metadata": {**BASE["metadata"], "resourceVersion": "7", "managedFields": [{}]}, "status": {"x": 1}}
    assert merge(BASE, BASE, live).data == clean(BASE)
    assert diff(BASE, live, "p") == ""


def test_a_difference_shows_only_what_changed() -> None:
    text = diff(BASE, changed(egress=[{"toEntities": ["all"]}]), "p")
    assert [line for line in text.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-  - {}",
        "+  - toEntities:",
        "+    - all",
    ]


def test_yaml_has_no_aliases() -> None:
    peers = [{"matchLabels": {"a": "b"}}]
    assert "&" not in to_yaml({"one": peers, "two": peers})


def test_owners_are_recognised() -> None:
    metadata = {
        "labels": {"app.kubernetes.io/managed-by": "Helm", "kustomize.toolkit.fluxcd.io/name": "apps"},
        "annotations": {"meta.helm.sh/release-name": "shop", "argocd.argoproj.io/tracking-id": "web:x/y"},
        "ownerReferences": [{"kind": "Shop", "name": "one"}],
    }
    assert [str(one) for one in owners({"metadata": metadata})] == [
        "Helm (shop)",
        "Argo CD (web)",
        "Flux (apps)",
        "Shop (one)",
    ]
