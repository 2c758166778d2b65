"""What a user has on the host before the install, and must find again after it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

KUBECONFIG = Path("/root/.kube/config")
CONFIG = Path("/etc/rancher/k3s/config.yaml")
_CA = base64.b64encode(b"somebody's authority").decode()
_FOREIGN: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {},
    "current-context": "work",
    "clusters": [
        {"name": "work", "cluster": {"server": "https://10.9.9.9:6443", "certificate-authority-data": _CA}},
        {"name": "default", "cluster": {"server": "https://127.0.0.1:6999"}},
    ],
    "users": [{"name": "work", "user": {"token": "of-work"}}, {"name": "default", "user": {"username": "me"}}],
    "contexts": [
        {"name": "work", "context": {"cluster": "work", "user": "work", "namespace": "mine"}},
        {"name": "default", "context": {"cluster": "default", "user": "default"}},
    ],
}
_CONFIG_YAML = """\
# of the machine's owner
node-label:
  - "owner=me"
kubelet-arg:
  - max-pods=99  # few
"""
_FILES = {
    "/etc/cni/net.d/99-mine.conflist.bak": ("{}\n", 0o600),
    "/etc/rancher/k3s/mine.txt": ("keep\n", 0o644),
    "/usr/local/bin/crictl": ("#!/bin/sh\necho mine\n", 0o755),
    "/var/lib/rancher/k3s/server/manifests/mine.yaml.skip": ("", 0o600),
    "/opt/cni/bin/mine": ("#!/bin/sh\n", 0o755),
    "/etc/profile.d/mine.sh": ("export MINE=1\n", 0o644),
}
_RULES = """table inet mine {
  chain input {
    type filter hook input priority 10; policy accept;
    tcp dport 9 counter drop
  }
}
"""
_COMMANDS = (
    "ip rule add from 198.18.0.1 lookup 100 pref 1000",
    "ip route add 198.18.1.0/24 via 203.0.113.1 table 100",
    "ip link add mine0 type bridge",
)


def plant() -> None:
    """Put it all there."""
    for name, (text, mode) in _FILES.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    KUBECONFIG.parent.mkdir(mode=0o700, exist_ok=True)
    KUBECONFIG.write_text(yaml.safe_dump(_FOREIGN, sort_keys=False))
    KUBECONFIG.chmod(0o600)
    CONFIG.write_text(_CONFIG_YAML)
    CONFIG.chmod(0o640)
    plant_rules()


def plant_rules() -> None:
    """Put the rules of the network there, as the owner's own boot would."""
    subprocess.run(["nft", "-f", "-"], input=_RULES, text=True, check=True)
    for command in _COMMANDS:
        subprocess.run(command.split(), check=True)


def lost() -> list[str]:
    """Return what is not as it was."""
    return [*_lost_files(), *_lost_contexts(), *_lost_settings(), *_lost_rules()]


def _lost_files() -> list[str]:
    found = []
    for name, (text, mode) in _FILES.items():
        path = Path(name)
        if not path.is_file() or path.read_text() != text or path.stat().st_mode & 0o777 != mode:
            found.append(name)
    return found


def _lost_contexts() -> list[str]:
    now = yaml.safe_load(KUBECONFIG.read_text()) if KUBECONFIG.exists() else {}
    found = []
    for kind in ("clusters", "users", "contexts"):
        entries = {entry["name"]: entry for entry in now.get(kind) or []}
        found += [
            f"{KUBECONFIG}: {kind} {entry['name']}" for entry in _FOREIGN[kind] if entries.get(entry["name"]) != entry
        ]
    if now.get("current-context") != _FOREIGN["current-context"]:
        found.append(f"{KUBECONFIG}: current-context")
    if _before() not in [path.read_bytes() for path in KUBECONFIG.parent.glob("config.beeyard-*")]:
        found.append(f"{KUBECONFIG}: no backup of it as it was")
    return found


def _before() -> bytes:
    return yaml.safe_dump(_FOREIGN, sort_keys=False).encode()


def _lost_settings() -> list[str]:
    text = CONFIG.read_text() if CONFIG.exists() else ""
    now, before = yaml.safe_load(text) or {}, yaml.safe_load(_CONFIG_YAML)
    found = [f"{CONFIG}: {key}" for key, value in before.items() if now.get(key) != value]
    found += [f"{CONFIG}: comment {word!r}" for word in ("# of the machine's owner", "# few") if word not in text]
    if not text or CONFIG.stat().st_mode & 0o777 != 0o640:
        found.append(f"{CONFIG}: mode")
    return found


def _lost_rules() -> list[str]:
    said = {
        "nft table inet mine": ("nft list table inet mine", "tcp dport 9"),
        "ip rule 1000": ("ip rule show pref 1000", "198.18.0.1"),
        "route in table 100": ("ip route show table 100", "198.18.1.0/24"),
        "bridge mine0": ("ip -o link show mine0", "mine0"),
    }
    found = []
    for name, (command, word) in said.items():
        if word not in subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout:
            found.append(name)
    return found


def digest() -> str:
    """Return a checksum of everything that is planted, so that figures of different sets are not compared."""
    parts = [_FOREIGN, _CONFIG_YAML, _FILES, _RULES, _COMMANDS]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
