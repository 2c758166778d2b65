from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.domain.errors import BeeyardError
from installer.domain.kubeconfig import check, holds, merge, remove

K3S: dict[str, Any] = {
    "apiVersion": "v1",
    "clusters": [
        {"cluster": {"certificate-authority-data": "Q0E=", "server": "https://127.0.0.1:6443"}, "name": "default"}
    ],
    "contexts": [{"context": {"cluster": "default", "user": "default"}, "name": "default"}],
    "current-context": "default",
    "kind": "Config",
    "preferences": {},
    "users": [{"name": "default", "user": {"client-certificate-data": "Q1JU", "client-key-data": "S0VZ"}}],
}

NAMES = st.sampled_from(["prod", "dev", "kind", "minikube", "default", "a@b", "Ä"])
TEXT = st.text("ab:-é ", max_size=3)
PLAIN = st.none() | st.booleans() | st.integers(0, 9) | TEXT
VALUES = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(TEXT, PLAIN, max_size=2)
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def entries(inner: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    body = st.dictionaries(TEXT, VALUES, max_size=2)
    entry = st.fixed_dictionaries({"name": NAMES, inner: body}, optional={"unknown": VALUES})
    return st.lists(entry, max_size=4)


@st.composite
def kubeconfigs(draw: st.DrawFn) -> dict[str, Any]:
    """Kubeconfigs with entries of other names, also doubled ones, missing sections and unknown keys."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "apiVersion": st.just("v1"),
        "kind": st.just("Config"),
        "clusters": entries("cluster"),
        "contexts": entries("context"),
        "users": entries("user"),
        "preferences": st.just({}) | st.just({"colors": True}),
        "x-unknown": VALUES,
    }
    config: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=optional))
    known = [entry["name"] for entry in config.get("contexts", [])]
    current = draw(st.sampled_from(["absent", "", *known]))
    if current != "absent":
        config["current-context"] = current
    order = draw(st.permutations(list(config)))
    return {key: config[key] for key in order}


def names(config: dict[str, Any], section: str) -> list[str]:
    return [entry["name"] for entry in config[section]]


def named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    (entry,) = [entry for entry in config[section] if entry["name"] == name]
    return dict(entry)


@untimed
@given(existing=st.none() | kubeconfigs(), set_current=st.booleans())
def test_merging_twice_equals_once(existing: dict[str, Any] | None, set_current: bool) -> None:
    once = merge(existing, K3S, name="beeyard", set_current=set_current)
    twice = merge(once.config, K3S, name="beeyard", set_current=set_current)
    assert once.changed
    assert not once.replaced
    assert twice.config == once.config
    assert list(twice.config) == list(once.config)
    assert (twice.changed, twice.current_set, twice.replaced) == (False, False, True)


@untimed
@given(existing=st.none() | kubeconfigs(), set_current=st.booleans())
def test_remove_is_the_inverse_of_merge(existing: dict[str, Any] | None, set_current: bool) -> None:
    merged = merge(existing, K3S, name="beeyard", set_current=set_current)
    assert remove(merged.config, "beeyard") == existing


@untimed
@given(existing=kubeconfigs(), set_current=st.booleans())
def test_other_entries_and_keys_stay_as_they_are_and_in_order(existing: dict[str, Any], set_current: bool) -> None:
    before = deepcopy(existing)
    merged = merge(existing, K3S, name="beeyard", set_current=set_current).config
    assert existing == before
    for section in ("clusters", "contexts", "users"):
        assert merged[section][:-1] == existing.get(section, [])
        assert names(merged, section)[-1] == "beeyard"
    assert [key for key in merged if key in existing] == list(existing)
    for key in existing.keys() - {"clusters", "contexts", "users", "current-context"}:
        assert merged[key] == existing[key]


@untimed
@given(existing=kubeconfigs(), set_current=st.booleans())
def test_current_context_is_set_if_asked_or_empty(existing: dict[str, Any], set_current: bool) -> None:
    merged = merge(existing, K3S, name="beeyard", set_current=set_current)
    before = existing.get("current-context", "")
    assert merged.config["current-context"] == ("beeyard" if set_current or not before else before)
    assert merged.current_set is (set_current or not before)


@untimed
@given(existing=kubeconfigs())
def test_a_later_merge_replaces_in_place(existing: dict[str, Any]) -> None:
    merged = merge(existing, K3S, name="prod")
    again = merge(merged.config, K3S, name="prod", server="https://10.0.0.1:6443")
    assert again.changed
    assert again.replaced
    for section in ("clusters", "contexts", "users"):
        assert names(again.config, section) == names(merged.config, section)
        assert names(again.config, section).count("prod") == 1
    assert named(again.config, "clusters", "prod")["cluster"]["server"] == "https://10.0.0.1:6443"


def test_all_three_are_renamed_and_nothing_else_is_changed() -> None:
    merged = merge(None, K3S, name="lab").config
    assert named(merged, "clusters", "lab")["cluster"] == K3S["clusters"][0]["cluster"]
    assert named(merged, "users", "lab")["user"] == K3S["users"][0]["user"]
    context = named(merged, "contexts", "lab")["context"]
    assert (context["cluster"], context["user"]) == ("lab", "lab")
    assert (merged["apiVersion"], merged["kind"], merged["current-context"]) == ("v1", "Config", "lab")


def test_the_source_is_left_as_it_was() -> None:
    source = deepcopy(K3S)
    merge(None, source, name="lab", server="https://10.0.0.1:6443")
    assert source == K3S


def test_the_current_one_of_several_contexts_is_taken() -> None:
    other = {"name": "other", "context": {"cluster": "none", "user": "none"}}
    source = {**K3S, "contexts": [other, *K3S["contexts"]]}
    merged = merge(None, source, name="lab").config
    assert names(merged, "contexts") == ["lab"]
    assert named(merged, "clusters", "lab")["cluster"]["server"] == "https://127.0.0.1:6443"


def test_a_namespace_and_foreign_extensions_of_the_context_are_kept() -> None:
    foreign = {"name": "other.io", "extension": {"a": 1}}
    inner = {"cluster": "default", "user": "default", "namespace": "apps", "extensions": [foreign]}
    source = {**K3S, "contexts": [{"name": "default", "context": inner}]}
    context = named(merge({}, source, name="lab").config, "contexts", "lab")["context"]
    assert context["namespace"] == "apps"
    assert context["extensions"][0] == foreign


def test_doubled_entries_of_our_name_become_one() -> None:
    twin = {"name": "lab", "cluster": {"server": "https://old"}}
    other = {"name": "prod", "cluster": {"server": "https://prod"}}
    merged = merge({"clusters": [twin, other, twin]}, K3S, name="lab").config
    assert names(merged, "clusters") == ["lab", "prod"]
    assert merged["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"


def test_sections_that_are_null_count_as_empty() -> None:
    merged = merge({"clusters": None, "contexts": None, "users": None, "current-context": None}, K3S, name="lab")
    assert merged.current_set
    assert remove(merged.config, "lab") == {"clusters": [], "contexts": [], "users": [], "current-context": ""}


def test_remove_points_back_to_the_context_that_was_current() -> None:
    prod = {"name": "prod", "context": {}}
    merged = merge({"contexts": [prod], "current-context": "prod"}, K3S, name="lab", set_current=True).config
    rest = remove(merged, "lab")
    assert rest is not None
    assert rest["current-context"] == "prod"


def test_remove_does_not_point_to_a_context_that_went_away() -> None:
    prod = {"name": "prod", "context": {}}
    merged = merge({"contexts": [prod], "current-context": "prod"}, K3S, name="lab", set_current=True).config
    rest = remove({**merged, "contexts": merged["contexts"][1:]}, "lab")
    assert rest is not None
    assert rest["current-context"] == ""


def test_a_file_that_we_made_is_kept_when_the_user_put_something_in() -> None:
    merged = merge(None, K3S, name="lab").config
    merged["clusters"].append({"name": "prod", "cluster": {}})
    rest = remove(merged, "lab")
    assert rest is not None
    assert names(rest, "clusters") == ["prod"]


def test_remove_of_an_unknown_name_changes_nothing() -> None:
    assert remove(K3S, "lab") == K3S
    assert not holds(K3S, "lab")
    assert holds(K3S, "default")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ([], "E-KUBECONFIG-001"),
        ("text", "E-KUBECONFIG-001"),
        ({"kind": "Pod"}, "E-KUBECONFIG-001"),
        ({"apiVersion": "v2"}, "E-KUBECONFIG-001"),
        ({"clusters": {}}, "E-KUBECONFIG-001"),
        ({"users": "none"}, "E-KUBECONFIG-001"),
        ({"current-context": ["a"]}, "E-KUBECONFIG-001"),
        ({"contexts": ["a"]}, "E-KUBECONFIG-002"),
        ({"contexts": [{"context": {}}]}, "E-KUBECONFIG-002"),
        ({"clusters": [{"name": 1, "cluster": {}}]}, "E-KUBECONFIG-002"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_by_name(config: Any, code: str) -> None:
    for call in (
        lambda: check(config, "/home/a/.kube/config"),
        lambda: merge(config, K3S, name="lab", where="/home/a/.kube/config"),
        lambda: remove(config, "lab", where="/home/a/.kube/config"),
    ):
        with pytest.raises(BeeyardError) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.what.startswith("/home/a/.kube/config")
        assert "--no-merge" in caught.value.fix


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"kind": "Secret"}, "Secret"),
        ({"contexts": None}, "no context named 'default'"),
        ({"contexts": [], "current-context": ""}, "no current context"),
        ({"clusters": []}, "no cluster named 'default'"),
        ({"clusters": [{"name": "default", "cluster": None}]}, "no cluster named"),
        ({"clusters": [{"name": "default", "cluster": {}}]}, "server address"),
        ({"users": [{"name": "root", "user": {}}]}, "no user named 'default'"),
        ({"users": {}}, "users are no list"),
    ],
)
def test_an_unusable_source_is_refused(part: dict[str, Any], why: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        merge({}, {**K3S, **part}, name="lab")
    assert caught.value.code == "E-KUBECONFIG-003"
    assert why in caught.value.why


@pytest.mark.parametrize(
    "extensions", [None, "x", ["x"], [{"name": "beeyard"}], [{"name": "beeyard", "extension": {"created": False}}]]
)
def test_a_damaged_note_of_ours_is_ignored(extensions: Any) -> None:
    config = merge({}, K3S, name="lab").config
    named(config, "contexts", "lab")["context"]["extensions"] = extensions
    assert remove(config, "lab") is not None
    assert merge(config, K3S, name="lab").replaced
