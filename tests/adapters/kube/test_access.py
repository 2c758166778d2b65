from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
import yaml

from installer.adapters.kube import access as access_module
from installer.adapters.kube.access import find_access, without_inline_keys
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import ConnectError
from tests.support.apiserver import ApiServer


def write(path: Path, *names: str, current: str = "", **user: str) -> Path:
    config = {
        "current-context": current,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443"}} for name in names],
        "users": [{"name": name, "user": dict(user)} for name in names],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def k3s(tmp_path: Path) -> Path:
    return tmp_path / "k3s.yaml"


def test_the_order_of_sources(tmp_path: Path, k3s: Path) -> None:
    env = {"HOME": str(tmp_path)}
    home = write(tmp_path / ".kube/config", "home", current="home")
    assert find_access(None, None, env, k3s).source == str(home)
    write(k3s, "default", current="default")
    assert find_access(None, None, env, k3s).source == str(k3s)
    named = write(tmp_path / "named", "named", current="named")
    assert find_access(None, None, {**env, "KUBECONFIG": str(named)}, k3s).context == "named"
    other = write(tmp_path / "other", "other", current="other")
    assert find_access(str(other), None, {**env, "KUBECONFIG": str(named)}, k3s).context == "other"


def test_a_named_context_is_found_in_the_users_own_file(tmp_path: Path, k3s: Path) -> None:
    home = write(tmp_path / ".kube/config", "staging", current="staging")
    write(k3s, "default", current="default")
    found = find_access(None, "staging", {"HOME": str(tmp_path)}, k3s)
    assert (found.source, found.context) == (str(home), "staging")


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path, k3s: Path) -> None:
    one = write(tmp_path / "one", "a", "b", current="b", token="first")
    two = write(tmp_path / "two", "b", "c", current="c", token="second")
    env = {"KUBECONFIG": os.pathsep.join([str(one), str(tmp_path / "absent"), str(two)])}
    found = find_access(None, None, env, k3s)
    assert found.context == "b"
    assert found.config is not None
    users = {item["name"]: item["user"]["token"] for item in found.config["users"]}
    assert users == {"a": "first", "b": "first", "c": "second"}


def test_a_lone_context_needs_no_choice(tmp_path: Path, k3s: Path) -> None:
    assert find_access(str(write(tmp_path / "one", "only")), None, {}, k3s).context == "only"


def test_paths_start_at_the_files_folder(tmp_path: Path, k3s: Path) -> None:
    path = write(tmp_path / "one", "a", **{"client-key": "keys/a.key", "tokenFile": "/abs/token"})
    found = find_access(str(path), None, {}, k3s)
    assert found.config is not None
    assert found.config["users"][0]["user"] == {"client-key": str(tmp_path / "keys/a.key"), "tokenFile": "/abs/token"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "not YAML"),
        ("just words", "no mapping"),
        ("users: [{user: {}}]", "without 'name'"),
        ("{}", "contexts: none"),
    ],
)
def test_broken_files_say_why(tmp_path: Path, k3s: Path, text: str, why: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(ConnectError) as caught:
        find_access(str(path), None, {}, k3s)
    assert caught.value.code == "E-KUBE-002"
    assert why in caught.value.why


def test_nothing_found_says_where_it_looked(tmp_path: Path, k3s: Path) -> None:
    with pytest.raises(ConnectError) as caught:
        find_access(None, None, {"HOME": str(tmp_path)}, k3s)
    assert str(k3s) in caught.value.why
    with pytest.raises(ConnectError, match="cannot be read"):
        find_access(str(tmp_path / "nope"), None, {}, k3s)
    with pytest.raises(ConnectError, match="cannot be read"):
        find_access(None, None, {"KUBECONFIG": str(tmp_path / "nope")}, k3s)


def test_an_unknown_context_lists_the_known_ones(tmp_path: Path, k3s: Path) -> None:
    with pytest.raises(ConnectError) as caught:
        find_access(str(write(tmp_path / "one", "a", "b")), "c", {}, k3s)
    assert caught.value.why == "its contexts: a, b"
    with pytest.raises(ConnectError, match="no context is chosen"):
        find_access(str(tmp_path / "one"), None, {}, k3s)


def test_in_a_pod(tmp_path: Path, k3s: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("t")
    monkeypatch.setattr(access_module, "SERVICE_ACCOUNT", tmp_path)
    found = find_access(None, None, {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.43.0.1"}, k3s)
    assert (found.source, found.config) == ("in-cluster", None)


def test_inline_keys_are_memory_files(tmp_path: Path, k3s: Path) -> None:
    path = write(tmp_path / "one", "a", **{"client-key-data": base64.b64encode(b"secret").decode()})
    before = set(Path("/proc/self/fd").iterdir())
    with without_inline_keys(find_access(str(path), None, {}, k3s)) as config:
        user = config["users"][0]["user"]
        assert set(user) == {"client-key"}
        assert Path(user["client-key"]).read_bytes() == b"secret"
        assert str(Path(user["client-key"]).readlink()).startswith("/memfd:")
    assert set(Path("/proc/self/fd").iterdir()) == before


async def test_inline_keys_open_a_connection(api: ApiServer, opener: Kubeconfigs, tmp_path: Path) -> None:
    def inline(name: str) -> str:
        return base64.b64encode((api.folder / name).read_bytes()).decode()

    config = yaml.safe_load(api.kubeconfig().read_text())
    config["clusters"][0]["cluster"] = {"server": api.server, "certificate-authority-data": inline("ca.crt")}
    config["users"][0]["user"] = {
        "client-certificate-data": inline("admin.crt"),
        "client-key-data": inline("admin.key"),
    }
    path = tmp_path / "inline"
    path.write_text(yaml.safe_dump(config))
    client = await opener.open(str(path))
    assert await client.healthy()
    await client.close()


@pytest.mark.parametrize(
    ("key", "value"), [("client-key-data", "%%%"), ("client-key-data", base64.b64encode(b"no key").decode())]
)
async def test_unusable_keys(api: ApiServer, opener: Kubeconfigs, tmp_path: Path, key: str, value: str) -> None:
    config = yaml.safe_load(api.kubeconfig().read_text())
    config["clusters"][0]["cluster"] = {"server": api.server}
    config["users"][0]["user"] = {"client-certificate": str(api.folder / "admin.crt"), key: value}
    path = tmp_path / "unusable"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ConnectError) as caught:
        await opener.open(str(path))
    assert caught.value.code == "E-KUBE-002"


async def test_a_fresh_token_is_taken_after_a_refusal(api: ApiServer, opener: Kubeconfigs, tmp_path: Path) -> None:
    """As kubelet rotates tokens: the file's new content is read when the old one is refused."""
    token = tmp_path / "token"
    token.write_text("reader-token")
    config = yaml.safe_load(api.kubeconfig("reader").read_text())
    config["clusters"][0]["cluster"]["certificate-authority"] = str(api.folder / "ca.crt")
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path = tmp_path / "rotated"
    path.write_text(yaml.safe_dump(config))
    client = await opener.open(str(path))
    client._transport._api.configuration.api_key["BearerToken"] = "Bearer expired"
    assert (await client.version()).startswith("v1.")
    await client.close()
