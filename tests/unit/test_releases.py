"""The table of Cilium releases."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from installer.domain.errors import BeeyardError, ExitCode, RefusedError, UsageError
from installer.domain.releases import Releases, Support, check_kubernetes, newer, parse_releases
from tests.support.cilium_combinations import CHART_DATA, load_yaml

COMPONENTS = {"agent", "operator", "envoy", "relay", "ui", "ui-backend", "certgen"}


@pytest.fixture(scope="module")
def document() -> Any:
    return load_yaml(CHART_DATA / "releases.yaml")


@pytest.fixture(scope="module")
def releases(document: Any) -> Releases:
    return parse_releases(document)


def test_every_minor_is_complete(releases: Releases) -> None:
    assert releases.supported == ["1.18", "1.19", "1.20"]
    for minor in releases.supported:
        release = releases.resolve(minor)
        assert release.version.startswith(f"{minor}.")
        assert set(release.images) == COMPONENTS
        assert all("@sha256:" in image and len(image.rpartition(":")[2]) == 64 for image in release.images.values())
        assert all(len(digest) == 64 for digest in release.data.charts.values())
        assert (CHART_DATA / "keys" / f"{minor}.txt").is_file()


@pytest.mark.parametrize("wanted", [None, "1.20", "v1.20", "1.20.0", "v1.20.0"])
def test_the_default_patch(releases: Releases, wanted: str | None) -> None:
    release = releases.resolve(wanted)
    assert (release.version, release.minor) == ("1.20.0", "1.20")
    assert release.sha256.startswith("c5f01391")
    assert release.images["agent"].startswith("quay.io/cilium/cilium:v1.20.0@sha256:383968cd")


def test_an_older_patch_has_a_digest_but_no_images(releases: Releases) -> None:
    release = releases.resolve("1.18.3")
    assert release.sha256.startswith("ab93b9f4")
    assert not release.images


@pytest.mark.parametrize("wanted", ["1.20.3", "1.20.99", "1.20.1-rc.0"])
def test_an_unknown_patch_of_a_known_minor_is_taken_without_digest(releases: Releases, wanted: str) -> None:
    release = releases.resolve(wanted)
    assert (release.version, release.minor, release.sha256) == (wanted, "1.20", "")


@pytest.mark.parametrize("wanted", ["1.17", "1.11.0", "2.0", "1.21"])
def test_another_minor_is_refused_by_name(releases: Releases, wanted: str) -> None:
    with pytest.raises(RefusedError) as caught:
        releases.resolve(wanted)
    error = caught.value
    assert (error.code, error.exit_code) == ("E-CILIUM-001", ExitCode.REFUSED)
    assert wanted in error.what
    assert "1.18, 1.19, 1.20" in error.why
    assert error.details == {"supported": ["1.18", "1.19", "1.20"]}


@pytest.mark.parametrize("wanted", ["latest", "1", "1.2.3.4", "", "1.20.x"])
def test_no_version_is_a_usage_error(releases: Releases, wanted: str) -> None:
    if not wanted:
        assert releases.resolve(wanted).version == "1.20.0"
        return
    with pytest.raises(UsageError) as caught:
        releases.resolve(wanted)
    assert caught.value.code == "E-CILIUM-002"


def test_beyond_the_table_an_exact_version_takes_the_nearest_facts(releases: Releases) -> None:
    old = releases.beyond_table("1.17.18")
    assert (old.version, old.minor, old.sha256) == ("1.17.18", "1.17", "")
    assert old.data == releases.minors["1.18"]
    assert releases.beyond_table("v1.21.0").data == releases.minors["1.20"]
    with pytest.raises(UsageError):
        releases.beyond_table("1.17")


@pytest.mark.parametrize(
    ("minor", "kubernetes", "support"),
    [
        ("1.20", "v1.36.4+k3s1", Support.TESTED),
        ("1.18", "1.33", Support.TESTED),
        ("1.18", "v1.36.4+k3s1", Support.UNTESTED),
        ("1.20", "v1.21.0+k3s1", Support.UNTESTED),
        ("1.20", "v1.20.2+k3s1", Support.UNSUPPORTED),
    ],
)
def test_kubernetes(releases: Releases, minor: str, kubernetes: str, support: Support) -> None:
    answer = check_kubernetes(releases.resolve(minor), kubernetes)
    assert answer.support == support
    assert bool(answer.what) == bool(answer.fix) == (support != Support.TESTED)


def test_kernels(releases: Releases) -> None:
    assert releases.kernel.required(("debian",), "12") == "5.10"
    assert releases.kernel.required(("rocky", "rhel", "centos"), "8.10") == "4.18"
    assert releases.kernel.required(("rhel",), "8.9") == "5.10"


def test_removed_keys_follow_the_minor(releases: Releases) -> None:
    def removed(minor: str) -> set[str]:
        return {key.path for key in releases.removed_in(minor)}

    assert "tunnel" in removed("1.18")
    assert "nodePort.enabled" not in removed("1.18")
    assert "nodePort.enabled" in removed("1.19")
    assert removed("1.18") < removed("1.19") < removed("1.20")
    assert {key.path for key in releases.deprecated_in("1.19")} >= {"encryption.strictMode.enabled"}
    assert "encryption.strictMode.enabled" not in {key.path for key in releases.deprecated_in("1.20")}


def test_changes_between_minors(releases: Releases) -> None:
    assert {key.since for key in releases.changed_between("1.18", "1.20")} == {"1.19", "1.20"}
    assert releases.changed_between("1.20", "1.20") == []


def test_order_is_by_number() -> None:
    assert newer("1.20", "1.9")
    assert not newer("1.9", "1.20")
    assert not newer("1.20.3", "1.20")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda doc: doc.update(format=2), "format"),
        (lambda doc: doc.update(default="1.7"), "default"),
        (lambda doc: doc["minors"]["1.20"].pop("images"), "minors.1.20.images"),
        (lambda doc: doc["minors"]["1.20"].update(defualt="1.20.0"), "minors.1.20.defualt"),
        (lambda doc: doc["minors"]["1.20"].update(default="1.20.9"), "minors.1.20.charts"),
        (lambda doc: doc["minors"]["1.20"]["charts"].update({"1.19.6": "0" * 64}), "minors.1.20.charts"),
    ],
)
def test_a_damaged_table_says_where(document: Any, damage: Any, named: str) -> None:
    damaged = copy.deepcopy(document)
    damage(damaged)
    with pytest.raises(BeeyardError) as caught:
        parse_releases(damaged)
    assert caught.value.code == "E-CILIUM-003"
    assert named in caught.value.why


def test_a_new_minor_is_data(document: Any) -> None:
    grown = copy.deepcopy(document)
    grown["minors"]["1.21"] = {**grown["minors"]["1.20"], "default": "1.21.0", "charts": {"1.21.0": "a" * 64}}
    grown["default"] = "1.21"
    assert parse_releases(grown).resolve().version == "1.21.0"
