"""A user's values on their way through the minors, checked against the recorded keys of the real charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.chart_keys import KeyNode, parse_keys
from installer.domain.releases import Releases, parse_releases
from installer.domain.upgrade.migration import Done, Migration, carried, migrate, told_changes
from installer.domain.values_lint import Level, lint, put

ROOT = Path(__file__).parents[3]
RELEASES: Releases = parse_releases(yaml.safe_load((ROOT / "charts/cilium/releases.yaml").read_text()))
KNOWN = {minor: parse_keys((ROOT / f"charts/cilium/keys/{minor}.txt").read_text()) for minor in RELEASES.supported}
STEPS = list(zip(RELEASES.supported, RELEASES.supported[1:], strict=False))


def moved(values: dict[str, Any], minor: str = "1.20") -> Migration:
    return migrate(values, RELEASES, minor, known=KNOWN[minor])


def leaf_paths(node: KeyNode, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not node.children:
        return [prefix]
    return [path for name, child in node.children.items() for path in leaf_paths(child, (*prefix, name))]


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    put(result, list(path), value)
    return result


def errors(values: dict[str, Any], minor: str) -> list[str]:
    found = lint(values, KNOWN[minor], RELEASES, minor)
    return [finding.path for finding in found if finding.level is Level.ERROR]


def test_renamed_keys_move_and_are_told() -> None:
    user = {"encryption": {"enabled": True, "strictMode": {"enabled": True, "cidr": "10.42.0.0/16"}}}
    result = moved(user)
    egress = {"enabled": True, "cidr": "10.42.0.0/16"}
    assert result.values == {"encryption": {"enabled": True, "strictMode": {"egress": egress}}}
    assert [(note.path, note.done) for note in result.notes] == [
        ("encryption.strictMode.enabled", Done.MOVED),
        ("encryption.strictMode.cidr", Done.MOVED),
    ]
    assert result.changed
    assert user["encryption"]["strictMode"] == egress  # the user's own are left alone


def test_a_value_changes_its_form_where_the_new_key_wants_another() -> None:
    result = moved({"l2podAnnouncements": {"enabled": True, "interface": "eth0"}}, "1.19")
    assert result.values == {"l2podAnnouncements": {"enabled": True, "interfacePattern": "^eth0$"}}


def test_what_is_gone_without_a_successor_or_was_off_is_left_out_and_told() -> None:
    result = moved({"customCalls": {"enabled": True}, "nodePort": {"enabled": False, "range": "30000,32767"}}, "1.19")
    assert result.values == {"nodePort": {"range": "30000,32767"}}
    assert {note.path: note.done for note in result.notes} == {
        "customCalls": Done.DROPPED,
        "nodePort.enabled": Done.DROPPED,
    }


def test_what_only_somebody_who_knows_the_cluster_can_tell_is_asked() -> None:
    result = moved({"nodePort": {"enabled": True}}, "1.19")
    assert [note.path for note in result.undecided] == ["nodePort.enabled"]
    assert result.values == {"nodePort": {"enabled": True}}
    given_too = migrate({"nodePort": {"enabled": True}}, RELEASES, "1.19", others=[{"kubeProxyReplacement": True}])
    assert (given_too.values, given_too.undecided) == ({}, [])


def test_the_new_key_wins_where_both_are_given() -> None:
    user = {"clustermesh": {"enableMCSAPISupport": True, "mcsapi": {"enabled": False}}}
    assert moved(user).values == {"clustermesh": {"mcsapi": {"enabled": False}}}


def test_a_key_that_nobody_knows_is_to_be_decided_on() -> None:
    result = moved({"hubble": {"relai": {"enabled": True}}})
    assert [note.path for note in result.undecided] == ["hubble.relai"]


def test_a_value_that_is_no_longer_taken_is_to_be_decided_on() -> None:
    assert [note.path for note in moved({"kubeProxyReplacement": "strict"}).undecided] == ["kubeProxyReplacement"]


@pytest.mark.parametrize(("old", "new"), STEPS)
def test_every_key_of_a_chart_is_understood_by_the_next_or_told(old: str, new: str) -> None:
    for path in leaf_paths(KNOWN[old]):
        result = moved(nested(path, True), new)
        left = errors(result.values, new)
        assert left == [note.path for note in result.undecided] or not left, (path, left, result.notes)
        if result.values != nested(path, True):
            assert result.notes, path


@pytest.mark.parametrize(("old", "new"), STEPS)
def test_a_key_that_both_charts_know_stays_as_it_is(old: str, new: str) -> None:
    both = set(leaf_paths(KNOWN[old])) & set(leaf_paths(KNOWN[new]))
    ruled = tuple(rule.path for rule in RELEASES.removed_in(new))
    assert len(both) > 800
    for path in both:
        if not ".".join(path).startswith(ruled):
            assert moved(nested(path, "x"), new) == Migration(nested(path, "x")), path


paths = st.sampled_from(sorted(leaf_paths(KNOWN["1.18"])))
users = st.dictionaries(paths, st.sampled_from([True, False, "x", 7, None]), max_size=8)


@given(users)
@settings(max_examples=150, deadline=None)
def test_minor_by_minor_is_the_same_as_at_once_and_doing_it_twice_changes_nothing(user: dict[Any, Any]) -> None:
    values: dict[str, Any] = {}
    for path, value in user.items():
        put(values, list(path), value)
    step = moved(moved(values, "1.19").values, "1.20")
    at_once = moved(values, "1.20")
    assert step.values == at_once.values
    assert moved(at_once.values, "1.20").values == at_once.values


def test_changed_defaults_are_told_unless_the_user_set_them() -> None:
    told = {note.path for note in told_changes({}, RELEASES, "1.18", "1.19")}
    assert "authentication.enabled" in told
    kept = told_changes({"authentication": {"enabled": True}}, RELEASES, "1.18", "1.19")
    assert "authentication.enabled" not in {note.path for note in kept}
    assert told_changes({}, RELEASES, "1.19", "1.19") == []


def test_what_was_put_into_the_release_by_hand_is_kept_and_what_differs_is_named() -> None:
    release = {"a": 1, "hubble": {"relay": {"enabled": True, "replicas": 3}}, "mine": {"x": [1]}}
    composed = {"a": 2, "hubble": {"relay": {"enabled": True}}}
    assert carried(release, composed) == ({"hubble": {"relay": {"replicas": 3}}, "mine": {"x": [1]}}, ["a"])
    assert carried(composed, composed) == ({}, [])
