"""HelmClient with a real helm and no cluster."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from installer.adapters.helm.client import HelmClient
from installer.adapters.helm.command import helm_environment
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError
from installer.ports.helm import Helm, Release
from tests.support.helm_binary import helm_binary
from tests.support.tiny_chart import tiny_chart

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: t0ken}}]
current-context: c
"""


@pytest.fixture(scope="module")
def binary() -> Path:
    return helm_binary()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    path.chmod(0o600)
    return path


def script(tmp_path: Path, text: str) -> Path:
    """Write an executable that stands in for helm where a test must see how it is called."""
    path = tmp_path / "fake-helm"
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def as_port(client: HelmClient) -> Helm:
    return client


async def test_version(binary: Path) -> None:
    version = await as_port(HelmClient(binary)).version()
    assert [part.isdigit() for part in version.split(".")] == [True, True, True]


async def test_the_chart_is_read_from_its_file(binary: Path, tmp_path: Path) -> None:
    client, chart = HelmClient(binary), tiny_chart(tmp_path)
    assert (await client.chart_metadata(chart))["version"] == "1.2.3"
    assert (await client.chart_values(chart))["greeting"] == "hello"


async def test_template_renders_values_of_any_yaml_type(binary: Path, tmp_path: Path) -> None:
    values: Mapping[str, Any] = MappingProxyType(
        {"greeting": "a 'quoted' $(value) {{ with braces }}", "map": {"b": None, "day": datetime.date(2026, 1, 2)}}
    )
    (found,) = await HelmClient(binary).template(
        "demo", "ns", tiny_chart(tmp_path), values, kube_version="v1.33.1+k3s1"
    )
    assert found["metadata"]["name"] == "demo-config"
    assert found["data"]["greeting"] == values["greeting"]
    assert found["data"]["kube"] == "v1.33.1+k3s1"
    assert json.loads(found["data"]["values"])["map"] == {"a": 1, "day": "2026-01-02"}


async def test_a_refusal_of_the_chart_is_told_in_its_words(binary: Path, tmp_path: Path) -> None:
    with pytest.raises(BeeyardError) as caught:
        await HelmClient(binary).template("demo", "ns", tiny_chart(tmp_path), {"fail": "tunnel was removed"})
    assert caught.value.code == "E-HELM-010"
    assert "tunnel was removed" in caught.value.why


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"templates/bad.yaml": "{{ .Values.nothing.at.all }}"}, "E-HELM-010"),
        ({"templates/bad.yaml": "{{ if }}"}, "E-HELM-010"),
        ({"templates/bad.yaml": "a: [\n"}, "E-HELM-010"),
        ({"values.schema.json": '{"properties": {"greeting": {"type": "integer"}}}'}, "E-HELM-010"),
    ],
)
async def test_broken_templates(binary: Path, tmp_path: Path, changes: dict[str, str], code: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        await HelmClient(binary).template("demo", "ns", tiny_chart(tmp_path, changes), {})
    assert caught.value.code == code


async def test_a_chart_for_newer_kubernetes(binary: Path, tmp_path: Path) -> None:
    chart = tiny_chart(
        tmp_path, {"Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 1.2.3\nkubeVersion: '>= 1.21.0-0'\n"}
    )
    with pytest.raises(BeeyardError) as caught:
        await HelmClient(binary).template("demo", "ns", chart, {}, kube_version="1.20.2")
    assert "requires kubeVersion" in caught.value.why


@pytest.mark.parametrize("name", ["none.tgz", "cilium"])
async def test_only_files_are_charts(binary: Path, tmp_path: Path, name: str) -> None:
    client = HelmClient(binary)
    for call in (
        client.template("d", "ns", tmp_path / name, {}),
        client.install_or_upgrade("d", "ns", tmp_path / name, {}),
    ):
        with pytest.raises(BeeyardError) as caught:
            await call
        assert caught.value.code == "E-HELM-020"


async def test_a_cluster_out_of_reach(binary: Path, kubeconfig: Path, tmp_path: Path) -> None:
    client, chart = HelmClient(binary, kubeconfig), tiny_chart(tmp_path)
    release = Release("d", "ns", 1, "pending-install", "tiny", "1.2.3", {})
    for call in (
        client.release("d", "ns"),
        client.releases(),
        client.install_or_upgrade("d", "ns", chart, {}),
        client.uninstall("d", "ns"),
        client.clear_pending(release),
    ):
        with pytest.raises(ConnectError) as caught:
            await call
        assert caught.value.code == "E-HELM-001"
        assert "127.0.0.1:1" in caught.value.why


async def test_no_such_context_or_kubeconfig(binary: Path, kubeconfig: Path, tmp_path: Path) -> None:
    for client in (HelmClient(binary, kubeconfig, "nope"), HelmClient(binary, tmp_path / "none")):
        with pytest.raises(ConnectError) as caught:
            await client.release("d", "ns")
        assert caught.value.code == "E-HELM-002"


async def test_a_stable_release_has_nothing_to_clear(tmp_path: Path) -> None:
    await HelmClient(tmp_path / "no-helm").clear_pending(Release("d", "ns", 1, "deployed", "tiny", "1.2.3", {}))


@pytest.mark.parametrize("content", [None, "not a program"])
async def test_a_helm_that_cannot_be_run(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "helm"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BeeyardError) as caught:
        await HelmClient(path).version()
    assert caught.value.code == "E-HELM-006"


async def test_values_never_show_in_the_arguments(tmp_path: Path, kubeconfig: Path) -> None:
    helm = script(
        tmp_path, f'echo "$@" >> {tmp_path}/argv; cat > {tmp_path}/stdin; env > {tmp_path}/env; echo "{{}}"\n'
    )
    client = HelmClient(helm, kubeconfig, "c", home=tmp_path / "home")
    with pytest.raises(KeyError):  # the stand-in's answer is no release
        await client.install_or_upgrade("d", "ns", tiny_chart(tmp_path), {"password": "s3cret"})
    argv = (tmp_path / "argv").read_text()
    assert json.loads((tmp_path / "stdin").read_text()) == {"password": "s3cret"}
    assert "s3cret" not in argv
    assert "s3cret" not in (tmp_path / "env").read_text()
    words = argv.split()
    assert words[:2] == ["upgrade", "d"]
    assert {"--install", "--reset-values", "--namespace", f"--kubeconfig={kubeconfig}", "--kube-context=c"} <= set(
        words
    )
    assert not {"--wait", "--atomic", "--rollback-on-failure", "--repo", "--version", "--force"} & set(words)


async def test_a_shell_sees_nothing_of_names(tmp_path: Path, kubeconfig: Path) -> None:
    helm = script(
        tmp_path,
        f'for each in "$@"; do echo "$each" >> {tmp_path}/argv; done; echo "Error: release: not found" >&2; exit 1\n',
    )
    odd = "a b; touch owned $(id)"
    assert await HelmClient(helm, kubeconfig).release(odd, "ns") is None
    assert odd in (tmp_path / "argv").read_text().splitlines()
    assert not (tmp_path / "owned").exists()


def test_the_environment_is_private(tmp_path: Path) -> None:
    base = {"PATH": "/bin", "HELM_NAMESPACE": "x", "HELM_KUBETOKEN": "t", "KUBECONFIG": "/k", "HTTPS_PROXY": "http://p"}
    env = helm_environment(tmp_path, base)
    assert env["HTTPS_PROXY"] == "http://p"
    assert not {"HELM_NAMESPACE", "HELM_KUBETOKEN", "KUBECONFIG"} & set(env)
    assert all(value.startswith(str(tmp_path)) for name, value in env.items() if name.startswith("HELM_"))


def test_the_temporary_home_is_private_and_goes_with_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = HelmClient(tmp_path / "helm")
    (home,) = tmp_path.iterdir()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    del client
    assert list(tmp_path.iterdir()) == []


async def test_a_helm_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    helm = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; wait\n")
    with pytest.raises(DeadlineError) as caught:
        await HelmClient(helm, timeout=0.5).version()
    assert caught.value.code == "E-HELM-003"
    assert _gone(int((tmp_path / "child").read_text()))


async def test_a_cancelled_call_ends_helm(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    helm = script(tmp_path, f"echo $$ > {tmp_path}/started; exec sleep 600\n")
    call = asyncio.ensure_future(HelmClient(helm).version())
    pid = int(await asyncio.to_thread((tmp_path / "started").read_text))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert _gone(pid)


def _gone(pid: int) -> bool:
    """Return whether a process has ended (a zombie that waits for its reaper has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
