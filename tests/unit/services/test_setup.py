"""The setup's use cases: with real files and locks, over a host and sources in memory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from installer.adapters.host.files import LocalFiles
from installer.adapters.store.lock import FileLock
from installer.domain.errors import BeeyardError, RefusedError, UsageError
from installer.domain.preflight import Level
from installer.domain.setup.judgement import Look
from installer.domain.spec import ClusterSpec
from installer.services.setup import SetupService
from tests.support.setup import VPS, World, install_service, setup_service, unreachable


def spec(**sections: Any) -> ClusterSpec:
    return ClusterSpec.model_validate(sections)


def notes(found: Any) -> dict[str, list[str]]:
    return {key: [note.code for note in group] for key, group in found.notes.items()}


def test_it_begins_with_the_defaults(tmp_path: Path) -> None:
    begun = setup_service(World(), tmp_path).begin()
    assert begun.trouble is None
    assert (begun.form.read().spec, begun.form.origin) == (ClusterSpec(), "")
    assert begun.form.minors[0][0] == begun.form.base.cilium.version  # the recommended one comes first


def test_it_begins_with_what_was_set_up_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump({"spec": {"k3s": {"channel": "latest", "nodeName": "bee"}}}))
    begun = setup_service(World(), tmp_path, environment={"BEEYARD_K3S_NODE_NAME": "wasp"}).begin()
    assert begun.form.origin == "cluster.yaml"
    assert (begun.form.base.k3s.channel, begun.form.base.k3s.node_name) == ("latest", "wasp")


@pytest.mark.parametrize("text", ["spec: [", "spec: {k3s: {nope: 1}}", "- a"])
def test_a_damaged_earlier_setup_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.yaml").write_text(text)
    begun = setup_service(World(), tmp_path).begin()
    assert begun.form.base == ClusterSpec()
    assert begun.trouble is not None
    assert begun.trouble.code.startswith("E-CONFIG")


async def test_looking_tells_whether_the_k3s_there_is_ours(tmp_path: Path) -> None:
    service = setup_service(World(), tmp_path)
    assert await service.look(ClusterSpec()) == Look(VPS)
    (tmp_path / "installed.json").write_text('{"format": 1, "service": "k3s", "k3s_version": "v1.36.4+k3s1"}')
    assert await service.look(ClusterSpec()) == Look(VPS, ours=True, k3s_version="v1.36.4+k3s1")


async def test_a_record_that_cannot_be_read_is_told_to_root_and_shows_others_that_k3s_is_ours(tmp_path: Path) -> None:
    (tmp_path / "installed.json").write_text("{")
    with pytest.raises(BeeyardError) as told:
        await setup_service(World(), tmp_path).look(ClusterSpec())
    assert told.value.code == "E-STATE-001"
    assert await setup_service(World(), tmp_path, root=False).look(ClusterSpec()) == Look(VPS, ours=True)


async def test_the_sources_tell_the_versions(tmp_path: Path) -> None:
    found = await setup_service(World(), tmp_path).find(ClusterSpec(), Look(VPS))
    assert (found.k3s_version, found.cilium_version, dict(found.notes)) == ("v1.36.4+k3s1", "1.20.0", {})


async def test_a_running_cluster_asks_nobody(tmp_path: Path) -> None:
    world = World(web=unreachable())
    found = await setup_service(world, tmp_path).find(ClusterSpec(), Look(VPS, ours=True, k3s_version="v1.35.1+k3s1"))
    assert (found.k3s_version, dict(found.notes)) == ("v1.35.1+k3s1", {})


@pytest.mark.parametrize(
    ("downloads", "host", "key"),
    [
        ({}, "github.com", "source"),
        ({"k3s": "https://m.test/k3s"}, "m.test", "mirror.k3s"),
        ({"channels": "https://m.test/c", "k3s": "https://n.test"}, "m.test", "mirror.channels"),
        ({"chart": {"repository": "https://m.test"}}, "m.test", "mirror.chart"),
        ({"helm": {"url": "https://m.test"}}, "m.test", "mirror.helm"),
        ({"k3s": "https://m.test/k3s", "helm": {"url": "https://m.test/helm"}}, "m.test (m.test/helm/x)", "mirror.k3s"),
    ],
)
async def test_a_source_out_of_reach_is_blamed(tmp_path: Path, downloads: dict[str, Any], host: str, key: str) -> None:
    found = await setup_service(World(web=unreachable(host)), tmp_path).find(spec(downloads=downloads), Look(VPS))
    assert set(notes(found)) == {key}


@pytest.mark.parametrize(
    ("code", "k3s", "key"),
    [
        ("E-K3S-003", {}, "k3s.release"),
        ("E-K3S-003", {"version": "v1.99.0+k3s1"}, "k3s.exact"),
        ("E-HELM-023", {}, "cilium.version"),
    ],
)
async def test_a_version_that_is_not_there_is_told_beside_it(
    tmp_path: Path, code: str, k3s: dict[str, Any], key: str
) -> None:
    world = World(web=BeeyardError("not there", fix="choose another", code=code))
    assert set(notes(await setup_service(world, tmp_path).find(spec(k3s=k3s), Look(VPS)))) == {key}


@pytest.mark.parametrize(("code", "told"), [("E-WEB-001", True), ("E-WEB-006", False)])
async def test_a_registry_that_wants_a_password_is_there(tmp_path: Path, code: str, told: bool) -> None:
    world = World()
    registries = {"mirrors": {"*": {"endpoint": ["https://r.test"]}}}

    async def refuse(*_: Any, **__: Any) -> str:
        raise BeeyardError("cannot", why="https://r.test/v2/", code=code)

    world.text = refuse
    found = await setup_service(world, tmp_path).find(spec(k3s={"registries": registries}), Look(VPS))
    assert ("registry" in found.notes) is told


async def test_a_bundle_tells_its_versions(tmp_path: Path) -> None:
    world = World(bundles={"/b.tar": SimpleNamespace(k3s_version="v1.34.1+k3s1", chart_version="1.19.6")})
    found = await setup_service(world, tmp_path).find(spec(downloads={"bundle": "/b.tar"}), Look(VPS))
    assert (found.k3s_version, found.cilium_version) == ("v1.34.1+k3s1", "1.19.6")


async def test_a_bundle_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = await setup_service(World(), tmp_path).find(spec(downloads={"bundle": "/nowhere"}), Look(VPS))
    (note,) = found.notes["bundle"]
    assert (note.level, note.code[:8]) == (Level.ERROR, "E-BUNDLE")


@pytest.mark.root
async def test_the_real_service_names_who_holds_the_lock(tmp_path: Path) -> None:
    service = SetupService(install_service(World(), tmp_path), LocalFiles(), {}, tmp_path)
    with FileLock(tmp_path).hold("beeyard install"), pytest.raises(RefusedError) as told:
        await service.plan(ClusterSpec())
    assert told.value.code == "E-RUN-001"
    assert f"pid {os.getpid()}" in told.value.why


def test_the_file_is_written_once_and_replaced_on_purpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    service, made = setup_service(World(), tmp_path / "state"), spec(k3s={"nodeName": "bee"})
    assert service.write(Path("b.yaml"), made) == tmp_path / "b.yaml"
    assert service.write(Path("b.yaml"), made) == tmp_path / "b.yaml"  # the same is no replacing
    with pytest.raises(UsageError) as told:
        service.write(Path("b.yaml"), ClusterSpec())
    assert told.value.code == "E-CONFIG-006"
    service.write(Path("b.yaml"), ClusterSpec(), replace=True)
    assert yaml.safe_load((tmp_path / "b.yaml").read_text())["spec"] == {}


def test_a_file_with_secrets_is_the_users_alone(tmp_path: Path) -> None:
    service = setup_service(World(), tmp_path)
    service.write(tmp_path / "open.yaml", ClusterSpec())
    service.write(tmp_path / "secret.yaml", spec(k3s={"config": {"token": "t0p"}}))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("open.yaml", "secret.yaml")]
    assert modes == [0o644, 0o600]


@pytest.mark.root
def test_under_sudo_the_file_belongs_to_who_called(tmp_path: Path) -> None:
    service = setup_service(World(), tmp_path, environment={"SUDO_UID": "12345", "SUDO_GID": "54321"})
    written = service.write(tmp_path / "b.yaml", ClusterSpec()).stat()
    assert (written.st_uid, written.st_gid) == (12345, 54321)


def test_the_command_and_the_file_are_what_the_command_line_understands(tmp_path: Path) -> None:
    service, made = setup_service(World(), tmp_path), spec(k3s={"clusterCIDR": "10.52.0.0/16"}, hubble={"ui": False})
    file = service.write(tmp_path / "b.yaml", made)
    command = service.command(made, str(file)).split()
    assert command == ["sudo", "beeyard", "install", "--yes", "-f", str(file)]
    shown = [sys.executable, "-m", "installer", "config", "show"]
    from_file = subprocess.run([*shown, "-f", str(file)], capture_output=True, text=True, check=True).stdout
    from_flags = subprocess.run(
        [*shown, *service.command(made).split()[4:]], capture_output=True, text=True, check=True
    ).stdout
    assert "k3s.clusterCIDR" in from_file
    assert [line.split("#")[0] for line in from_file.splitlines()] == [
        line.split("#")[0] for line in from_flags.splitlines()
    ]


def test_a_variable_is_overruled_in_the_command(tmp_path: Path) -> None:
    service = setup_service(World(), tmp_path, environment={"BEEYARD_K3S_CHANNEL": "latest"})
    assert service.command(ClusterSpec()) == "sudo beeyard install --yes --set k3s.channel=stable"
    broken = setup_service(World(), tmp_path, environment={"BEEYARD_K3S_CHANNEL": "["})
    assert broken.command(ClusterSpec()) == "sudo beeyard install --yes"


async def test_unsupported_versions_reach_plan_and_command(tmp_path: Path) -> None:
    service = setup_service(World(), tmp_path)
    assert service.options(allow_unsupported=True).allow_unsupported is True
    assert service.options().allow_unsupported is False
    spec = ClusterSpec.model_validate({"cilium": {"version": "1.21.0"}})
    assert "--allow-unsupported" in service.command(spec, allow_unsupported=True)
    assert "--allow-unsupported" not in service.command(spec)
    look = await service.look(spec)
    assert "cilium.version" in (await service.find(spec, look)).notes
    assert "cilium.version" not in (await service.find(spec, look, allow_unsupported=True)).notes
