"""Where a cluster can go, from real records on the disk; channels and bundles are what the test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from installer.adapters.host.files import LocalFiles
from installer.adapters.k3s.datastore import LocalDatastore
from installer.adapters.store.assets import asset
from installer.adapters.store.journal import FileRunStore
from installer.adapters.store.lock import FileLock
from installer.adapters.store.runlog import FileRunLog
from installer.domain.config_layers import from_set
from installer.domain.errors import BeeyardError, ConnectError, RefusedError, UsageError
from installer.domain.installed import Installed
from installer.domain.redact import Redactor
from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.path import Hop, Part, Versions
from installer.domain.upgrade.state import OpenHop, Phase, UpgradeState
from installer.pipeline import kept_spec
from installer.pipeline.chart_values import load_releases
from installer.pipeline.run import Options, Tools
from installer.pipeline.upgrade.context import Upgrade
from installer.services.install import InstallService
from installer.services.upgrade import UpgradeService, rollback_steps, upgrade_steps
from installer.services.upgrade_outlook import Wanted
from installer.services.upgrade_text import outlook_text

CHANNELS = {"stable": "v1.36.4+k3s1", "v1.34": "v1.34.9+k3s1", "v1.35": "v1.35.5+k3s1", "v1.36": "v1.36.4+k3s1"}
NOW = Versions("v1.33.4+k3s1", "1.18.12")
BUNDLE = Versions("v1.34.7+k3s1", "1.19.6")


class Sources:
    """Tells versions as the test has them; counts what is asked of the network."""

    def __init__(self, failure: BeeyardError | None = None) -> None:
        self.failure = failure
        self.asked: list[str] = []

    async def k3s_version(self, channel: str) -> str:
        self.asked.append(channel)
        if self.failure:
            raise self.failure
        return CHANNELS[channel]

    def read_bundle(self, path: Path) -> Any:
        return SimpleNamespace(k3s_version=BUNDLE.k3s, chart_version=BUNDLE.cilium)


class Host:
    """A state folder with the records of a cluster, and the service on it."""

    def __init__(self, state: Path, sources: Sources | None = None, spec: Mapping[str, Any] | None = None):
        self.state = state
        self.sources = sources or Sources()
        self.spec = ClusterSpec.model_validate(spec or {})
        self.options = Options(state_dir=state)
        (state / "cluster.yaml").write_bytes(kept_spec.dump(self.spec))
        self.installed(NOW)

    def installed(self, versions: Versions) -> None:
        record = Installed(k3s_version=versions.k3s, chart_version=versions.cilium)
        (self.state / "installed.json").write_bytes(record.dump())

    def left(self, hop: OpenHop | None, goal: Versions = BUNDLE, bundle: str = "") -> None:
        (self.state / "upgrade.json").write_bytes(UpgradeState(goal, bundle, hop).dump())

    @property
    def service(self) -> UpgradeService:
        @asynccontextmanager
        async def tools(spec: ClusterSpec, environment: Mapping[str, str]) -> AsyncIterator[Tools]:
            made = {"now": lambda: 5.0, "files": LocalFiles(), "sources": self.sources}
            yield cast(Tools, SimpleNamespace(**made))

        redactor, folder = Redactor(), self.state / "log"
        install = InstallService(
            tools=tools,
            table=load_releases(asset),
            runs=FileRunStore(self.state, redactor=redactor),
            open_log=lambda run_id: FileRunLog(run_id, redactor, fallback=self.state, folder=folder),
            lock=FileLock(self.state),
            redactor=redactor,
            read_current=lambda: LocalFiles().read(self.state / "cluster.yaml"),
            read=LocalFiles().read,
        )
        return UpgradeService(install, LocalDatastore())

    async def way(self, **wanted: Any) -> list[str]:
        return [hop.id for hop in (await self.service.look(Wanted(**wanted), self.options)).hops]

    async def refused(self, **wanted: Any) -> BeeyardError:
        with pytest.raises(BeeyardError) as caught:
            await self.service.look(Wanted(**wanted), self.options)
        return caught.value


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


OPEN = OpenHop("k3s-1.34.7", Part.K3S, NOW.k3s, BUNDLE.k3s, Phase.CHANGE, "/b", 5.0)


async def test_the_latest_are_reached_minor_by_minor_and_each_channel_is_asked_once(host: Host) -> None:
    way = await host.way(latest=True)
    assert [one for one in way if one.startswith("k3s")] == ["k3s-1.34.9", "k3s-1.35.5", "k3s-1.36.4"]
    assert [one for one in way if one.startswith("cilium")] == ["cilium-1.19.6", "cilium-1.20.0"]
    assert sorted(host.sources.asked) == ["stable", "v1.34", "v1.35"]


async def test_one_part_alone_goes_where_it_is_asked_to(host: Host) -> None:
    assert await host.way(cilium="1.19") == ["cilium-1.19.6"]
    assert await host.way(k3s="v1.34") == ["k3s-1.34.9"]
    assert await host.way(k3s="v1.33.9+k3s2") == ["k3s-1.33.9"]
    assert await host.way(cilium="1.18") == []


async def test_a_bundle_brings_both_and_asks_no_network(host: Host) -> None:
    assert sorted(await host.way(bundle="b")) == ["cilium-1.19.6", "k3s-1.34.7"]
    assert host.sources.asked == []
    assert (await host.refused(bundle="b", cilium="1.20")).code == "E-UPGRADE-012"
    host.installed(Versions("v1.32.1+k3s1", NOW.cilium))
    assert (await host.refused(bundle="b")).code == "E-UPGRADE-002"


async def test_without_a_goal_the_newest_are_told_and_nothing_is_planned(host: Host) -> None:
    outlook = await host.service.look(Wanted(), host.options, newest=True)
    assert outlook.hops == ()
    assert outlook.newest == Versions("v1.36.4+k3s1", "1.20.0")
    assert len(outlook.newest_hops) == 5
    text = outlook_text(outlook)
    assert "1. " in text
    assert "--to-latest" in text
    assert json.loads(json.dumps(outlook.to_dict()))["newest"]["cilium"] == "1.20.0"


async def test_without_a_network_cilium_is_told_and_why_k3s_is_not(tmp_path: Path) -> None:
    host = Host(tmp_path, Sources(ConnectError("no route to the channel server", code="E-WEB-001")))
    outlook = await host.service.look(Wanted(), host.options, newest=True)
    assert "no route" in outlook.unknown
    assert outlook.newest == Versions(NOW.k3s, "1.20.0")
    assert "no route" in outlook_text(outlook)
    with pytest.raises(ConnectError):
        await host.service.look(Wanted(latest=True), host.options)


async def test_an_open_hop_comes_first_and_counts_as_not_done(host: Host) -> None:
    host.left(OPEN)
    host.installed(Versions(BUNDLE.k3s, NOW.cilium))  # it was killed after the swap
    outlook = await host.service.look(Wanted(), host.options)
    assert outlook.now == NOW
    assert [hop.id for hop in outlook.hops] == ["k3s-1.34.7", "cilium-1.19.6"]
    assert "stopped in the middle" in outlook_text(outlook)


async def test_another_goal_waits_until_the_open_hop_is_closed(host: Host) -> None:
    host.left(OPEN)
    assert (await host.refused(cilium="1.20")).code == "E-UPGRADE-005"
    host.left(None)
    assert await host.way(cilium="1.19") == ["cilium-1.19.6"]


async def test_an_open_hop_can_be_taken_back_a_proven_one_cannot(host: Host) -> None:
    assert (await host.refused(rollback=True)).code == "E-UPGRADE-006"
    host.left(None)
    assert (await host.refused(rollback=True)).code == "E-UPGRADE-006"
    host.left(OPEN)
    outlook = await host.service.look(Wanted(rollback=True), host.options)
    assert (outlook.rollback, outlook.goal, outlook.hops) == (True, NOW, ())


async def test_a_rollback_that_was_killed_is_ended_first(host: Host) -> None:
    host.left(OpenHop(**{**{name: getattr(OPEN, name) for name in OPEN.__slots__}, "phase": Phase.ROLLBACK}))
    for wanted in (Wanted(), Wanted(cilium="1.20"), Wanted(rollback=True)):
        assert (await host.service.look(wanted, host.options)).rollback


async def test_values_are_given_and_nothing_else(host: Host) -> None:
    sets = (from_set("cilium.values.l2podAnnouncements.interfacePattern=^eth0$"),)
    outlook = await host.service.look(Wanted(cilium="1.19", sets=sets), host.options)
    assert outlook.given == {"l2podAnnouncements": {"interfacePattern": "^eth0$"}}
    for other in ("k3s.clusterCIDR=10.9.0.0/16", "cilium.version=1.20"):
        with pytest.raises(UsageError) as caught:
            await host.service.look(Wanted(sets=(from_set(other),)), host.options)
        assert caught.value.code == "E-UPGRADE-018"


async def test_values_given_before_a_kill_are_still_given_after_it(host: Host) -> None:
    (host.state / "upgrade.json").write_bytes(UpgradeState(BUNDLE, "", OPEN, given={"debug": {"enabled": True}}).dump())
    sets = (from_set("cilium.values.debug.verbose=flow"),)
    outlook = await host.service.look(Wanted(sets=sets), host.options)
    assert outlook.given == {"debug": {"enabled": True, "verbose": "flow"}}


async def test_a_host_without_a_finished_install_is_refused(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.installed(Versions("", ""))
    assert (await host.refused()).code == "E-INSTALL-001"
    (tmp_path / "cluster.yaml").unlink()
    assert (await host.refused()).code == "E-INSTALL-001"


async def test_what_was_installed_meanwhile_is_noticed_under_the_lock(host: Host) -> None:
    outlook = await host.service.look(Wanted(cilium="1.19"), host.options)
    host.installed(Versions(NOW.k3s, "1.19.6"))
    with pytest.raises(RefusedError) as caught:
        async with host.service.open(outlook, host.options, lambda _: None):
            pass
    assert caught.value.code == "E-UPGRADE-019"


def test_each_hop_is_a_step_and_a_proof() -> None:
    hops = (Hop(Part.CILIUM, "1.18.12", "1.19.6"), Hop(Part.K3S, NOW.k3s, BUNDLE.k3s))
    upgrade = Upgrade(NOW, BUNDLE, hops, ClusterSpec(), LocalDatastore(), state=UpgradeState(BUNDLE, "", OPEN))
    assert [step.id for step in upgrade_steps(upgrade)] == [
        "fetch", "preflight", "cilium-1.19.6", "cilium-1.19.6-proof", "k3s-1.34.7", "k3s-1.34.7-proof", "kubeconfig",
    ]  # fmt: skip
    upgrade.bundle = "b"
    assert [step.id for step in upgrade_steps(upgrade)][2] == "images"
    assert [step.id for step in rollback_steps(upgrade)] == ["fetch", "rollback", "ready"]


def test_the_specification_is_kept_as_a_file_that_is_read_back() -> None:
    spec = ClusterSpec.model_validate({"cilium": {"version": "1.19", "values": {"debug": {"enabled": True}}}})
    data = yaml.safe_load(kept_spec.dump(spec))
    assert data["kind"] == "Cluster"
    assert ClusterSpec.model_validate(data["spec"]) == spec
