"""``beeyard preflight``: formats and exit codes, on the host that runs the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.domain.kernel.table import FEATURES
from tests.support.cluster import beeyard

root = pytest.mark.root


@root
def test_the_kernel_as_a_table() -> None:
    done = beeyard("preflight", "--skip-sources", "--kernel")
    assert done.rc in (0, 5), done.err
    for feature in FEATURES:
        assert f"  {feature.title} " in done.out
    assert f"{len(FEATURES)} features tried" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


@root
def test_json_tells_each_feature_and_what_needs_it() -> None:
    done = beeyard("preflight", "--skip-sources", "--kernel", "-o", "json", "--set", "cilium.encryption=wireguard")
    told = done.json()
    assert done.rc == (0 if told["ok"] else 5)
    features = {one["feature"]: one for one in told["kernel"]["features"]}
    assert list(features) == [feature.id for feature in FEATURES]
    wireguard = features["device.wireguard"]
    assert wireguard["neededBy"] == [{"setting": "wireguard", "path": "cilium.encryption"}]
    refused = [one["subject"] for one in told["findings"] if one["code"] == "E-PRE-050"]
    assert ("device.wireguard" in refused) == (wireguard["verdict"] == "missing")


@root
def test_without_kernel_only_findings() -> None:
    told = beeyard("preflight", "--skip-sources", "-o", "json").json()
    assert set(told) == {"ok", "findings"}
    assert "FEATURE" not in beeyard("preflight", "--skip-sources").out


@root
def test_values_in_a_file_decide_what_is_needed(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("tunnelProtocol: geneve\n")
    told = beeyard(
        "preflight", "--skip-sources", "--kernel", "-o", "json", "--set", f"cilium.valuesFiles=[{values}]"
    ).json()
    features = {one["feature"]: one for one in told["kernel"]["features"]}
    assert features["device.geneve"]["neededBy"] == [{"setting": "geneve", "path": "cilium.values.tunnelProtocol"}]
    assert features["device.vxlan"]["neededBy"] == []


def test_a_file_of_values_that_is_not_there(tmp_path: Path) -> None:
    done = beeyard("preflight", "--skip-sources", "--set", f"cilium.valuesFiles=[{tmp_path}/none.yaml]")
    assert (done.rc, done.out) == (2, "")
    assert "E-CILIUM-013" in done.err


@root
def test_an_install_is_refused_for_what_the_kernel_lacks() -> None:  # failure mode 10
    told = beeyard("preflight", "--skip-sources", "--kernel", "-o", "json").json()
    lacking = {one["feature"] for one in told["kernel"]["features"] if one["verdict"] == "missing"}
    if "device.geneve" not in lacking:
        pytest.skip("this kernel has Geneve")
    done = beeyard("install", "--dry-run", "--set", "cilium.values.tunnelProtocol=geneve")
    assert done.rc == 5, done.err
    assert "E-PRE-050" in done.err
    assert "CONFIG_GENEVE" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("--fix", "--undo-fixes"),
        ("--yes",),
        ("--dry-run",),
        ("--fix", "-o", "json"),
        ("--undo-fixes", "-o", "json"),
    ],
)
def test_words_that_make_no_sense_together(words: tuple[str, ...]) -> None:
    done = beeyard("preflight", *words)
    assert done.rc == 2
    assert "E-CLI-001" in done.err + done.out


@root
def test_sources_are_asked() -> None:  # failure mode 29
    told = beeyard("preflight", "-o", "json", "--set", "downloads.k3s=http://127.0.0.1:9/k3s").json()
    found = next(one for one in told["findings"] if one["code"] == "E-PRE-075" and one["subject"] == "k3s")
    assert (found["level"], told["ok"]) == ("error", False)
    assert "127.0.0.1:9" in found["evidence"]
