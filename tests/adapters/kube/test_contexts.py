"""Listing what a user can choose from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from installer.adapters.kube.access import has_kubeconfig, list_contexts
from installer.domain.errors import ConnectError


def written(path: Path, *names: str, current: str = "") -> Path:
    config = {
        "clusters": [{"name": f"{name}-c", "cluster": {"server": f"https://{name}:6443"}} for name in names],
        "users": [{"name": "u", "user": {}}],
        "contexts": [
            {"name": name, "context": {"cluster": f"{name}-c", "user": "u", "namespace": "shop"}} for name in names
        ],
        "current-context": current,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config))
    return path


def test_none(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    assert list_contexts(None, env, tmp_path / "k3s.yaml") == []
    assert not has_kubeconfig(None, env, tmp_path / "k3s.yaml")
    assert not has_kubeconfig(str(tmp_path / "absent"), env)


def test_k3s_own_and_the_users_file(tmp_path: Path) -> None:
    k3s = written(tmp_path / "k3s.yaml", "default", current="default")
    user = written(tmp_path / ".kube/config", "prod", "dev", current="dev")
    found = list_contexts(None, {"HOME": str(tmp_path)}, k3s)
    assert [(one.name, one.source, one.current) for one in found] == [
        ("default", str(k3s), True),
        ("prod", str(user), False),
        ("dev", str(user), False),
    ]
    assert (found[1].server, found[1].user, found[1].namespace) == ("https://prod:6443", "u", "shop")


def test_files_of_the_variable_are_one(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", "a"), written(tmp_path / "two", "b", "a", current="b")
    env = {"KUBECONFIG": f"{one}:{tmp_path / 'absent'}:{two}"}
    assert [(item.name, item.current) for item in list_contexts(None, env)] == [("a", False), ("b", True)]
    assert list_contexts(None, env)[0].source == f"{one}:{two}"


def test_a_context_without_its_cluster_is_listed_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(json.dumps({"contexts": [{"name": "x", "context": {"cluster": ["odd"]}}]}))
    assert [(item.name, item.server, item.current) for item in list_contexts(str(path), {})] == [("x", "", True)]


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("a: [")
    with pytest.raises(ConnectError) as caught:
        list_contexts(str(path), {})
    assert caught.value.code == "E-KUBE-002"


@pytest.mark.root
def test_a_folder_that_may_not_be_looked_into_is_no_kubeconfig(tmp_path: Path) -> None:
    """As on a k3s server for people who are not root."""
    code = f"""
import os
from pathlib import Path
from installer.adapters.kube.access import find_access, has_kubeconfig, list_contexts
from installer.domain.errors import ConnectError
env, k3s = {{"HOME": "/nonexistent"}}, Path({str(tmp_path / "closed" / "k3s.yaml")!r})
os.setuid(65534)
assert list_contexts(None, env, k3s) == [] and not has_kubeconfig(None, env, k3s)
try:
    find_access(None, None, env, k3s)
except ConnectError as error:
    assert str(k3s) in error.why and "not readable" in error.why, error.why
else:
    raise AssertionError
"""
    written(tmp_path / "closed" / "k3s.yaml", "default")
    (tmp_path / "closed").chmod(0o700)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
