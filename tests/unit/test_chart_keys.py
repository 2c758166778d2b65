"""Key trees: text form, look-up of unknown keys, nearest key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.chart_keys import KeyNode, format_keys, keys_of, nearest_path, parse_keys, union, unknown_paths
from tests.support.cilium_combinations import CHART_DATA

TREE = """\
# a comment
affinity *
hubble
  enabled
  relay
    enabled
    replicas
operator
  replicas
"""

names = st.text("abcXYZ", min_size=1, max_size=4)
trees = st.recursive(
    st.builds(KeyNode, open=st.booleans()),
    lambda inner: st.builds(KeyNode, open=st.just(False), children=st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
values = st.recursive(st.none() | st.integers(), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12)
maps = st.dictionaries(names, values, max_size=4)


def test_text_form_is_read_back() -> None:
    assert format_keys(parse_keys(TREE)) == TREE.partition("\n")[2]


@given(trees)
def test_any_tree_survives_its_text_form(tree: KeyNode) -> None:
    root = KeyNode(children=tree.children)
    assert parse_keys(format_keys(root)) == root


def test_unknown_keys_are_reported_once_at_their_root() -> None:
    user = {"hubble": {"relai": {"enabled": True}, "enabled": True}, "affinity": {"x": {"y": 1}}, "operatr": 1}
    assert list(unknown_paths(user, parse_keys(TREE))) == [("hubble", "relai"), ("operatr",)]


def test_a_map_where_the_chart_has_a_scalar_is_unknown_below() -> None:
    assert list(unknown_paths({"operator": {"replicas": {"min": 1}}}, parse_keys(TREE))) == [
        ("operator", "replicas", "min")
    ]


@given(maps)
def test_a_chart_knows_its_own_values(chart: dict[str, object]) -> None:
    assert list(unknown_paths(chart, keys_of(chart))) == []


@given(maps, maps)
def test_a_union_knows_what_either_knows(first: dict[str, object], second: dict[str, object]) -> None:
    both = union(keys_of(first), keys_of(second))
    assert not [*unknown_paths(first, both), *unknown_paths(second, both)]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("hubble.relai", "hubble.relay"),
        ("Hubble", "hubble"),
        ("relay.enabled", "hubble.relay.enabled"),
        ("relay", "hubble.relay"),
        ("hubble.relay.replica", "hubble.relay.replicas"),
        ("hubbel", "hubble"),
        ("xyzzy", None),
    ],
)
def test_nearest_path(path: str, meant: str | None) -> None:
    found = nearest_path(tuple(path.split(".")), parse_keys(TREE))
    assert (".".join(found) if found else None) == meant


@pytest.mark.parametrize("minor", ["1.18", "1.19", "1.20"])
def test_recorded_keys(minor: str) -> None:
    text = (CHART_DATA / "keys" / f"{minor}.txt").read_text(encoding="utf-8")
    tree = parse_keys(text)
    assert format_keys(tree) == "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    paths = {".".join(path): path for path in tree.paths()}
    assert len(paths) > 1000
    # documented but commented out, or known to a template only
    assert {"k8s.apiServerURLs", "hubble.eventBufferCapacity", "nodePort.range", "socketLB.hostNamespaceOnly"} <= set(
        paths
    )
    for free in ("extraConfig", "nodeSelector", "affinity", "operator.affinity", "resources", "podAnnotations"):
        assert free in paths
        assert list(unknown_paths(_nested(free, {"any": {"thing": 1}}), tree)) == []


def _nested(path: str, value: object) -> dict[str, object]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value
