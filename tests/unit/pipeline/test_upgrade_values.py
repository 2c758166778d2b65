"""Specification and values after each hop of a way, composed with our own layers and the recorded keys."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from installer.adapters.k3s.datastore import LocalDatastore
from installer.adapters.store.assets import asset
from installer.domain.errors import RefusedError
from installer.domain.installed import Installed
from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.path import Hop, Part, Versions
from installer.pipeline.chart_values import Existing, load_releases
from installer.pipeline.run import Options, Run, Tools
from installer.pipeline.upgrade.context import Upgrade
from installer.pipeline.upgrade.values import prepare
from installer.ports.helm import Release

NOW = Versions("v1.33.4+k3s1", "1.18.12")
TO_19, TO_20 = Hop(Part.CILIUM, "1.18.12", "1.19.6"), Hop(Part.CILIUM, "1.19.6", "1.20.0")
K3S = Hop(Part.K3S, NOW.k3s, "v1.34.9+k3s1")


class Cluster:
    """A run with a release in it, and no host."""

    def __init__(self, state: Path, spec: dict[str, Any] | None = None, installed: Installed | None = None) -> None:
        self.release: Release | None = None
        self.spec = ClusterSpec.model_validate({"cilium": {"version": "1.18"}, **(spec or {})})

        async def chart_values(archive: Path) -> dict[str, Any]:
            return {}

        async def release(name: str, namespace: str) -> Release | None:
            return self.release

        helm = SimpleNamespace(release=release)
        tools = SimpleNamespace(assets=asset, sources=SimpleNamespace(chart_values=chart_values), helm=lambda *_: helm)
        self.run = Run(
            self.spec,
            Options(state_dir=state),
            cast(Tools, tools),
            lambda _: None,
            installed or Installed(k3s_version=NOW.k3s, chart_version=NOW.cilium),
            load_releases(asset),
        )
        self.run.helm_binary = Path("helm")
        for version in ("1.18.12", "1.19.6", "1.20.0"):
            self.run.artifacts.put(f"chart@{version}", state / version)

    async def after(self, *hops: Hop, given: dict[str, Any] | None = None) -> Upgrade:
        goal = NOW
        for hop in hops:
            goal = goal.after(hop)
        upgrade = Upgrade(NOW, goal, hops, self.spec, LocalDatastore(), given=given or {})
        upgrade.existing = Existing("kubernetes", (), 1)
        await prepare(self.run, upgrade)
        return upgrade

    async def as_installed(self) -> dict[str, Any]:
        """Return the values that an install of the specification gives."""
        return (await self.after(K3S)).prepared[K3S.id].values

    def holds(self, values: dict[str, Any]) -> None:
        self.release = Release("cilium", "kube-system", 2, "deployed", "cilium", NOW.cilium, values)


async def test_each_minor_has_its_own_keys_and_the_specification_follows(tmp_path: Path) -> None:
    values = {"encryption": {"strictMode": {"enabled": True}}, "customCalls": {"enabled": True}}
    cluster = Cluster(tmp_path, {"cilium": {"version": "1.18", "values": values}})
    upgrade = await cluster.after(TO_19, TO_20)
    first, second = upgrade.prepared[TO_19.id], upgrade.prepared[TO_20.id]
    assert first.spec.cilium.values == {"encryption": {"strictMode": {"enabled": True}}}
    assert second.spec.cilium.values == {"encryption": {"strictMode": {"egress": {"enabled": True}}}}
    assert (first.spec.cilium.version, second.spec.cilium.version) == ("1.19", "1.20")
    assert second.values["encryption"]["strictMode"] == {"egress": {"enabled": True}}
    assert {prepared.values["upgradeCompatibility"] for prepared in (first, second)} == {"1.18"}
    assert [str(note.done) for note in second.notes[:2]] == ["dropped", "moved"]


async def test_the_minor_that_the_cluster_began_with_is_kept(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, installed=Installed(upgrade_compatibility="1.17"))
    assert (await cluster.after(TO_19)).prepared[TO_19.id].values["upgradeCompatibility"] == "1.17"


async def test_another_k3s_leaves_the_values_alone(tmp_path: Path) -> None:
    values = {"nodePort": {"enabled": True}, "debug": {"enabled": True}}
    cluster = Cluster(tmp_path, {"cilium": {"version": "1.18.12", "values": values}, "k3s": {"channel": "v1.33"}})
    upgrade = await cluster.after(K3S, given={"hubble": {"relay": {"replicas": 2}}})
    prepared = upgrade.prepared[K3S.id]
    assert prepared.spec.cilium == cluster.spec.cilium
    assert prepared.spec.k3s.channel == "v1.34"
    assert "upgradeCompatibility" not in prepared.values
    assert prepared.notes == ()


async def test_values_of_a_file_go_to_a_copy_only_where_they_change(tmp_path: Path) -> None:
    old, fine = tmp_path / "old.yaml", tmp_path / "fine.yaml"
    old.write_text(yaml.safe_dump({"customCalls": {"enabled": True}, "debug": {"enabled": True}}))
    fine.write_text(yaml.safe_dump({"debug": {"verbose": "flow"}}))
    cluster = Cluster(tmp_path, {"cilium": {"version": "1.18", "valuesFiles": [str(old), str(fine)]}})
    prepared = (await cluster.after(TO_19)).prepared[TO_19.id]
    copy = tmp_path / "values/old-1.19.yaml"
    assert prepared.files == {copy: {"debug": {"enabled": True}}}
    assert prepared.spec.cilium.values_files == [str(copy), str(fine)]
    assert prepared.values["debug"] == {"enabled": True, "verbose": "flow"}


async def test_what_was_put_into_the_release_by_hand_is_kept_and_told(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    usual = await cluster.as_installed()
    cluster.holds({**usual, "MTU": 1400, "kubeProxyReplacement": False})
    upgrade = await cluster.after(TO_19)
    prepared = upgrade.prepared[TO_19.id]
    assert prepared.spec.cilium.values == {"MTU": 1400}
    assert prepared.values["MTU"] == 1400
    assert prepared.values["kubeProxyReplacement"] is True
    assert any(one.startswith("MTU is in the release") for one in cluster.run.warnings)
    assert any(one.startswith("kubeProxyReplacement is another") for one in cluster.run.warnings)
    cluster = Cluster(tmp_path)
    cluster.holds(usual)
    assert (await cluster.after(TO_19)).carried == {}


async def test_what_has_to_be_decided_stops_and_is_given_for_the_minor_that_knows_it(tmp_path: Path) -> None:
    tls = {"clustermesh": {"apiserver": {"tls": {"server": {"extraDnsNames": ["a"]}}}}}
    cluster = Cluster(tmp_path, {"cilium": {"version": "1.18", "values": tls}})
    with pytest.raises(RefusedError) as refusal:
        await cluster.after(TO_19, TO_20)
    assert refusal.value.code == "E-UPGRADE-011"
    assert "clustermesh.apiserver.tls.server" in refusal.value.what
    given = {"clustermesh": {"apiserver": {"tls": {"auto": {"server": {"extraDnsNames": ["a"]}}}}}}
    upgrade = await cluster.after(TO_19, TO_20, given=given)
    assert upgrade.prepared[TO_19.id].spec.cilium.values == tls  # 1.19 does not know the new key
    assert upgrade.prepared[TO_20.id].spec.cilium.values == given


async def test_an_exact_version_stays_exact(tmp_path: Path) -> None:
    spec = {"cilium": {"version": "1.18.12"}, "k3s": {"version": NOW.k3s}, "downloads": {"bundle": "/gone"}}
    cluster = Cluster(tmp_path, spec)
    prepared = (await cluster.after(TO_19, K3S)).prepared[K3S.id]
    assert (prepared.spec.cilium.version, prepared.spec.k3s.version) == ("1.19.6", "v1.34.9+k3s1")
    assert prepared.spec.downloads.bundle is None
