"""The way from version to version: one minor at a time, in the best tested order, never back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.errors import RefusedError
from installer.domain.releases import Releases, Support, parse_releases
from installer.domain.upgrade.path import (
    Hop,
    Part,
    Versions,
    cilium_chain,
    combination,
    find_path,
    k3s_chain,
    minor_of,
    newest_supported,
)

ROOT = Path(__file__).parents[3]
RELEASES: Releases = parse_releases(yaml.safe_load((ROOT / "charts/cilium/releases.yaml").read_text()))
MINORS = RELEASES.supported
NEWEST_K3S = {f"1.{minor}": f"v1.{minor}.7+k3s1" for minor in range(28, 40)}


def path(now: Versions, goal: Versions, **options: Any) -> list[Hop]:
    return find_path(
        now,
        k3s_chain(now.k3s, goal.k3s, NEWEST_K3S),
        cilium_chain(now.cilium, goal.cilium, RELEASES),
        RELEASES,
        **options,
    )


def told(hops: list[Hop]) -> list[str]:
    return [hop.id for hop in hops]


def test_each_minor_is_gone_through() -> None:
    hops = path(Versions("v1.33.1+k3s1", "1.18.12"), Versions("v1.36.4+k3s1", "1.20.0"))
    assert [hop.id for hop in hops if hop.part is Part.K3S] == ["k3s-1.34.7", "k3s-1.35.7", "k3s-1.36.4"]
    assert [hop.id for hop in hops if hop.part is Part.CILIUM] == ["cilium-1.19.6", "cilium-1.20.0"]


def test_the_newest_patch_comes_before_another_minor() -> None:
    assert cilium_chain("1.18.3", "1.19.6", RELEASES) == ["1.18.12", "1.19.6"]
    assert cilium_chain("1.18.12", "1.19.2", RELEASES) == ["1.19.2"]
    assert cilium_chain("1.18.99", "1.19.6", RELEASES) == ["1.19.6"]
    assert cilium_chain("1.18.3", "1.18.5", RELEASES) == ["1.18.5"]
    assert cilium_chain("1.19.1", "1.20.0", RELEASES, only=True) == ["1.20.0"]


def test_a_newer_cilium_goes_before_a_kubernetes_that_the_old_one_was_not_tested_on() -> None:
    hops = path(Versions("v1.33.4+k3s1", "1.18.12"), Versions("v1.34.7+k3s1", "1.19.6"))
    assert told(hops) == ["cilium-1.19.6", "k3s-1.34.7"]
    assert {hop.support for hop in hops} == {Support.TESTED}


def test_kubernetes_goes_before_a_cilium_that_was_not_tested_on_the_old_one() -> None:
    hops = path(Versions("v1.32.4+k3s1", "1.19.6"), Versions("v1.33.7+k3s1", "1.20.0"))
    assert told(hops) == ["k3s-1.33.7", "cilium-1.20.0"]
    assert {hop.support for hop in hops} == {Support.TESTED}


def test_a_combination_that_the_chart_refuses_is_passed_by_or_refused() -> None:
    around = path(Versions("v1.20.2+k3s1", "1.19.6"), Versions("v1.21.3+k3s1", "1.20.0"))
    assert told(around) == ["k3s-1.21.3", "cilium-1.20.0"]
    with pytest.raises(RefusedError) as refusal:
        path(Versions("v1.20.2+k3s1", "1.19.6"), Versions("v1.20.2+k3s1", "1.20.0"))
    assert refusal.value.code == "E-UPGRADE-003"
    allowed = path(Versions("v1.20.2+k3s1", "1.19.6"), Versions("v1.20.2+k3s1", "1.20.0"), allow_unsupported=True)
    assert allowed[0].support is Support.UNSUPPORTED
    assert "1.21" in allowed[0].note


@pytest.mark.parametrize(
    ("now", "goal"),
    [
        (Versions("v1.36.4+k3s1", "1.20.0"), Versions("v1.36.3+k3s1", "1.20.0")),
        (Versions("v1.36.4+k3s2", "1.20.0"), Versions("v1.36.4+k3s1", "1.20.0")),
        (Versions("v1.36.4+k3s1", "1.20.0"), Versions("v1.36.4+k3s1", "1.19.6")),
        (Versions("v1.36.4+k3s1", "1.20.0"), Versions("v1.36.4+k3s1", "1.20.0-rc.1")),
    ],
)
def test_there_is_no_way_back(now: Versions, goal: Versions) -> None:
    with pytest.raises(RefusedError) as refusal:
        path(now, goal)
    assert refusal.value.code == "E-UPGRADE-001"


def test_a_minor_that_cannot_be_had_is_named() -> None:
    with pytest.raises(RefusedError) as refusal:
        k3s_chain("v1.33.1+k3s1", "v1.36.4+k3s1", {"1.34": "v1.34.7+k3s1"})
    assert refusal.value.code == "E-UPGRADE-002"
    assert refusal.value.details == {"missing": ["1.35"]}
    assert "1.33 -> 1.34 -> 1.35 -> 1.36" in refusal.value.why
    with pytest.raises(RefusedError):
        cilium_chain("1.18.12", "1.20.0", RELEASES, only=True)


def test_what_runs_already_needs_no_way() -> None:
    assert path(Versions("v1.36.4+k3s1", "1.20.0"), Versions("1.36.4+k3s1", "1.20.0")) == []


def test_the_newest_k3s_is_one_that_cilium_was_tested_with() -> None:
    tested = RELEASES.minors[RELEASES.default].kubernetes.tested[-1]
    beyond = f"v1.{int(tested.split('.')[1]) + 1}.0+k3s1"
    now = Versions("v1.33.1+k3s1", "1.19.6")
    usual = newest_supported(RELEASES, {"stable": f"v{tested}.2+k3s1"}, now)
    assert usual == Versions(f"v{tested}.2+k3s1", RELEASES.minors[RELEASES.default].default)
    ahead = newest_supported(RELEASES, {"stable": beyond, f"v{tested}": f"v{tested}.5+k3s1"}, now)
    assert ahead.k3s == f"v{tested}.5+k3s1"
    assert newest_supported(RELEASES, {}, now).k3s == now.k3s
    assert newest_supported(RELEASES, {"stable": "v1.30.1+k3s1"}, now).k3s == now.k3s


versions = st.builds(
    lambda kube, patch, minor, cilium: Versions(f"v1.{kube}.{patch}+k3s1", f"{minor}.{cilium}"),
    st.integers(28, 38),
    st.integers(0, 9),
    st.sampled_from(MINORS),
    st.integers(0, 12),
)


@given(versions, versions)
def test_any_way_is_whole_goes_up_one_minor_at_a_time_and_is_the_best_tested(first: Versions, second: Versions) -> None:
    back = number(second.k3s) < number(first.k3s) or number(second.cilium) < number(first.cilium)
    try:
        hops = path(first, second)
    except RefusedError:
        patches = [one.partition("+")[0].split(".")[-1] for one in (first.k3s, first.cilium, second.k3s, second.cilium)]
        assert back or patches[0] > patches[2] or int(patches[1]) > int(patches[3])
        return
    assert not back
    here = first
    for hop in hops:
        assert hop.source == here.of(hop.part)
        assert number(hop.target) - number(hop.source) in (0, 1)
        here = here.after(hop)
    assert here == second
    assert len({hop.id for hop in hops}) == len(hops)
    assert cost(first, hops) == min(cost(first, order) for order in orders(hops))


def number(version: str) -> int:
    return int(minor_of(version).split(".")[1])


def cost(now: Versions, hops: list[Hop]) -> int:
    untested = 0
    for hop in hops:
        now = now.after(hop)
        untested += combination(RELEASES, now.k3s, now.cilium).support is not Support.TESTED
    return untested


def orders(hops: list[Hop]) -> list[list[Hop]]:
    """Return every order of the hops in which each part keeps its own."""
    places = [index for index, hop in enumerate(hops) if hop.part is Part.K3S]
    found = []
    for chosen in itertools.combinations(range(len(hops)), len(places)):
        k3s = iter([hop for hop in hops if hop.part is Part.K3S])
        cilium = iter([hop for hop in hops if hop.part is Part.CILIUM])
        found.append([next(k3s) if index in chosen else next(cilium) for index in range(len(hops))])
    return found
