"""Kubeconfigs on disk for tests: what k3s writes, what a user has, and the adapter on both."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import yaml

from installer.adapters.host.files import LocalFiles
from installer.adapters.store.kubeconfig_file import Invoker, KubeconfigFile

K3S = b"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: Q1JU
    client-key-data: S0VZ
"""
PROD = """# mine
apiVersion: v1
kind: Config
clusters:
- {name: prod, cluster: {server: https://prod, expiry: 2026-01-01T00:00:00Z}}
contexts:
- {name: prod, context: {cluster: prod, user: prod}}
users:
- {name: prod, user: {username: "1234", password: 12:34:56, token: "yes"}}
current-context: prod
"""


def kubeconfigs(home: Path, **kwargs: Any) -> KubeconfigFile:
    env = kwargs.pop("env", {})
    owner = kwargs.pop("owner", None)
    return KubeconfigFile(LocalFiles(), env, Invoker(home, owner), **kwargs)


def written(home: Path, text: str = PROD, mode: int = 0o600) -> Path:
    """Make the user's file."""
    path = home / ".kube" / "config"
    path.parent.mkdir(mode=0o700)
    path.write_text(text)
    path.chmod(mode)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def read(path: Path) -> dict[str, Any]:
    config = yaml.safe_load(path.read_text())
    assert isinstance(config, dict)
    return config


def contexts(path: Path) -> list[str]:
    return [context["name"] for context in read(path)["contexts"]]
