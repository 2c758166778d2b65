"""HelmClient with a real helm against a real kube-apiserver."""

from __future__ import annotations

import base64
import gzip
import json
import signal
import urllib.error
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.adapters.helm.client import HelmClient
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError
from installer.ports.helm import Release
from tests.support.apiserver import ApiServer, api_server
from tests.support.helm_binary import helm_binary
from tests.support.tiny_chart import tiny_chart

SPACE = "default"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture
def client(api: ApiServer) -> HelmClient:
    return HelmClient(helm_binary(), api.kubeconfig(), timeout=30)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return a release name of the test's own."""
    return f"test-{zlib.crc32(str(request.node.name).encode()):x}"


def call(api: ApiServer, path: str, method: str = "GET", body: object = None) -> Any:
    """Call the API as its administrator; return its answer, also when it refuses."""
    try:
        return api.call(method, path, body)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return json.load(refusal)


def config(api: ApiServer, name: str) -> Any:
    return call(api, f"/api/v1/namespaces/{SPACE}/configmaps/{name}-config")


def set_status(api: ApiServer, name: str, revision: int, status: str) -> None:
    """Put a stored release into a state, as a killed helm leaves it."""
    path = f"/api/v1/namespaces/{SPACE}/secrets/sh.helm.release.v1.{name}.v{revision}"
    secret = call(api, path)
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    release["info"]["status"] = status
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    secret["data"]["release"] = base64.b64encode(packed).decode()
    secret["metadata"]["labels"]["status"] = status
    answer = call(api, path, "PUT", secret)
    assert answer["metadata"]["labels"]["status"] == status


async def test_install_upgrade_uninstall(client: HelmClient, api: ApiServer, tmp_path: Path, name: str) -> None:
    chart = tiny_chart(tmp_path)
    assert await client.release(name, SPACE) is None
    first = await client.install_or_upgrade(name, SPACE, chart, {"greeting": "one", "map": {"c": 3}})
    assert first == Release(name, SPACE, 1, "deployed", "tiny", "1.2.3", {"greeting": "one", "map": {"c": 3}})
    assert await client.release(name, SPACE) == first
    newer = tiny_chart(tmp_path, {"Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 1.3.0-pre.1\n"}, name="newer.tgz")
    second = await client.install_or_upgrade(name, SPACE, newer, {"map": {"d": 4}})
    assert (second.revision, second.version, second.values) == (2, "1.3.0-pre.1", {"map": {"d": 4}})
    assert await client.release(name, SPACE) == second
    seen = json.loads(config(api, name)["data"]["values"])
    assert seen["greeting"] == "hello"  # values of the first revision are not reused
    assert seen["map"] == {"a": 1, "b": 2, "d": 4}
    await client.uninstall(name, SPACE)
    await client.uninstall(name, SPACE)
    assert await client.release(name, SPACE) is None
    assert config(api, name)["code"] == 404


async def test_a_revision_is_brought_back_with_its_chart_and_values(
    client: HelmClient, api: ApiServer, tmp_path: Path, name: str
) -> None:
    newer = tiny_chart(tmp_path, {"Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 1.3.0\n"}, name="newer.tgz")
    assert await client.manifest(name, SPACE) == []
    await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {"greeting": "old"})
    await client.install_or_upgrade(name, SPACE, newer, {"greeting": "new"})
    [rendered] = await client.manifest(name, SPACE)
    assert rendered["data"]["greeting"] == "new"
    await client.rollback(name, SPACE, 1)
    after = await client.release(name, SPACE)
    assert after is not None
    assert (after.revision, after.status, after.version) == (3, "deployed", "1.2.3")
    assert after.values == {"greeting": "old"}
    assert config(api, name)["data"]["greeting"] == "old"
    with pytest.raises(BeeyardError) as caught:
        await client.rollback(f"{name}-absent", SPACE, 1)
    assert caught.value.code == "E-HELM-016"


async def test_a_chart_refusal_changes_nothing(client: HelmClient, tmp_path: Path, name: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {"fail": "no such thing"})
    assert caught.value.code == "E-HELM-010"
    assert "no such thing" in caught.value.why
    assert await client.release(name, SPACE) is None


async def test_releases_in_any_state_are_listed(client: HelmClient, api: ApiServer, tmp_path: Path, name: str) -> None:
    await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})
    set_status(api, name, 1, "pending-install")
    found = {each.name: each for each in await client.releases()}
    assert (found[name].status, found[name].chart, found[name].version) == ("pending-install", "tiny", "1.2.3")
    assert name in {each.name for each in await client.releases(SPACE)}
    assert name not in {each.name for each in await client.releases("kube-system")}


async def test_an_operation_in_progress_is_named(client: HelmClient, api: ApiServer, tmp_path: Path, name: str) -> None:
    await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})
    set_status(api, name, 1, "pending-upgrade")
    with pytest.raises(BeeyardError) as caught:
        await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})
    assert caught.value.code == "E-HELM-011"


@pytest.mark.parametrize("status", ["pending-upgrade", "pending-rollback"])
async def test_a_killed_upgrade_is_rolled_back_to_the_last_good_revision(
    client: HelmClient, api: ApiServer, tmp_path: Path, name: str, status: str
) -> None:
    chart = tiny_chart(tmp_path)
    await client.install_or_upgrade(name, SPACE, chart, {"greeting": "good"})
    await client.install_or_upgrade(name, SPACE, chart, {"greeting": "half-way"})
    set_status(api, name, 1, "deployed")
    set_status(api, name, 2, status)
    stuck = await client.release(name, SPACE)
    assert stuck is not None
    assert stuck.status == status
    await client.clear_pending(stuck)
    after = await client.release(name, SPACE)
    assert after is not None
    assert (after.status, after.values) == ("deployed", {"greeting": "good"})
    assert config(api, name)["data"]["greeting"] == "good"
    assert (await client.install_or_upgrade(name, SPACE, chart, {"greeting": "new"})).status == "deployed"


async def test_a_killed_first_install_is_finished_not_removed(
    client: HelmClient, api: ApiServer, tmp_path: Path, name: str
) -> None:
    chart = tiny_chart(tmp_path)
    await client.install_or_upgrade(name, SPACE, chart, {"greeting": "first"})
    uid = config(api, name)["metadata"]["uid"]
    set_status(api, name, 1, "pending-install")
    stuck = await client.release(name, SPACE)
    assert stuck is not None
    await client.clear_pending(stuck)
    assert config(api, name)["metadata"]["uid"] == uid
    after = await client.install_or_upgrade(name, SPACE, chart, {"greeting": "second"})
    assert after.status == "deployed"
    assert config(api, name)["data"]["greeting"] == "second"


async def test_a_first_install_killed_before_it_made_anything(
    client: HelmClient, api: ApiServer, tmp_path: Path, name: str
) -> None:
    await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {"greeting": "first"})
    call(api, f"/api/v1/namespaces/{SPACE}/configmaps/{name}-config", "DELETE")
    set_status(api, name, 1, "pending-install")
    stuck = await client.release(name, SPACE)
    assert stuck is not None
    await client.clear_pending(stuck)
    assert config(api, name)["data"]["greeting"] == "first"


async def test_a_killed_uninstall_is_finished(client: HelmClient, api: ApiServer, tmp_path: Path, name: str) -> None:
    await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})
    set_status(api, name, 1, "uninstalling")
    stuck = await client.release(name, SPACE)
    assert stuck is not None
    await client.clear_pending(stuck)
    assert await client.release(name, SPACE) is None


async def test_objects_of_someone_else_are_not_taken(
    client: HelmClient, api: ApiServer, tmp_path: Path, name: str
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-config"}, "data": {"mine": "yes"}}
    call(api, f"/api/v1/namespaces/{SPACE}/configmaps", "POST", body)
    with pytest.raises(BeeyardError) as caught:
        await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})
    assert caught.value.code == "E-HELM-012"
    assert f"{name}-config" in caught.value.why
    assert config(api, name)["data"] == {"mine": "yes"}


async def test_an_object_that_the_api_rejects(client: HelmClient, tmp_path: Path, name: str) -> None:
    bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 70000, protocol: TCP}]}\n"
    unknown = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: x}\n"
    untyped = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 70000}]}\n"
    for template in (bad, unknown, untyped):
        with pytest.raises(BeeyardError) as caught:
            await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path, {"templates/bad.yaml": template}), {})
        assert caught.value.code == "E-HELM-014", caught.value.why
    # A failed install is no obstacle for the next one.
    assert (await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})).status == "deployed"


async def test_a_failed_upgrade_says_so_in_its_state(client: HelmClient, tmp_path: Path, name: str) -> None:
    await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})
    bad = "apiVersion: v1\nkind: Service\nmetadata: {name: worse}\nspec: {ports: [{port: 70000, protocol: TCP}]}\n"
    with pytest.raises(BeeyardError):
        await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path, {"templates/bad.yaml": bad}), {})
    found = await client.release(name, SPACE)
    assert found is not None
    assert found.status == "failed"
    assert (await client.install_or_upgrade(name, SPACE, tiny_chart(tmp_path), {})).status == "deployed"


async def test_credentials_that_may_not(api: ApiServer, tmp_path: Path) -> None:
    reader = HelmClient(helm_binary(), api.kubeconfig("reader"), timeout=30)
    with pytest.raises(BeeyardError) as caught:
        await reader.install_or_upgrade("any", SPACE, tiny_chart(tmp_path), {})
    assert caught.value.code == "E-HELM-004"
    assert "reader" in caught.value.why


async def test_a_context_is_chosen_by_name(api: ApiServer, tmp_path: Path) -> None:
    document = yaml.safe_load(api.kubeconfig().read_text())
    broken = {"name": "away", "cluster": {"server": "https://127.0.0.1:1"}}
    document["clusters"].append(broken)
    document["contexts"].append({"name": "away", "context": {"cluster": "away", "user": "default"}})
    document["current-context"] = "away"
    path = api.folder / "two.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    assert await HelmClient(helm_binary(), path, "default", timeout=30).release("none", SPACE) is None
    with pytest.raises(ConnectError):
        await HelmClient(helm_binary(), path, timeout=30).release("none", SPACE)


async def test_a_server_of_another_authority(api: ApiServer) -> None:
    document = yaml.safe_load(api.kubeconfig().read_text())
    document["clusters"][0]["cluster"].pop("certificate-authority")
    path = api.folder / "no-ca.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConnectError) as caught:
        await HelmClient(helm_binary(), path, timeout=30).releases()
    assert "x509" in caught.value.why


async def test_an_api_that_hangs_does_not_hang_us(api: ApiServer, tmp_path: Path) -> None:
    client = HelmClient(helm_binary(), api.kubeconfig(), timeout=1.5)
    api.pause_api()
    try:
        with pytest.raises(DeadlineError) as caught:
            await client.install_or_upgrade("hangs", SPACE, tiny_chart(tmp_path), {})
        assert caught.value.code == "E-HELM-003"
    finally:
        api.resume_api()


async def test_an_api_that_is_gone(api: ApiServer, tmp_path: Path) -> None:
    client = HelmClient(helm_binary(), api.kubeconfig(), timeout=30)
    api.stop_api(signal.SIGKILL)
    try:
        with pytest.raises(ConnectError) as caught:
            await client.install_or_upgrade("gone", SPACE, tiny_chart(tmp_path), {})
        assert caught.value.code == "E-HELM-001"
    finally:
        api.start_api()
    assert await client.release("gone", SPACE) is None
