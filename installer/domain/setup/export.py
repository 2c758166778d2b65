"""The answers as a file and as a command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from installer.domain.config_layers import leaf_paths, scalar
from installer.domain.errors import UsageError
from installer.domain.spec import ClusterDocument, ClusterSpec

HEADER = "# A cluster as beeyard makes it; settings left out have their defaults (beeyard config show).\n"
_SECRET_WORDS = ("token", "password", "secret", "auth", "datastore-endpoint")


def to_yaml(spec: ClusterSpec) -> str:
    """Return ``beeyard.yaml`` with every setting that is not the default."""
    document = ClusterDocument.model_validate({"spec": spec})
    data = document.model_dump(by_alias=True, exclude_defaults=True)
    whole = {"apiVersion": document.api_version, "kind": document.kind, "spec": data.get("spec", {})}
    return HEADER + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def command_line(spec: ClusterSpec, usual: ClusterSpec, *, file: str = "", allow_unsupported: bool = False) -> str:
    """Return the command that installs the same without a cockpit.

    Args:
        spec: the cluster to be.
        usual: what the command would take without any flag: the defaults, changed by ``BEEYARD_*`` variables.
        file: an exported ``beeyard.yaml`` to name instead of single settings. Where the specification holds a secret
            the file is always named: a command line can be read by everyone on the host.
        allow_unsupported: unsupported versions were allowed.
    """
    words = ["sudo", "beeyard", "install", "--yes", *(["--allow-unsupported"] if allow_unsupported else [])]
    if file or has_secrets(spec):
        return shlex.join([*words, "-f", file or "beeyard.yaml"])
    return shlex.join([*words, *_settings(spec, usual)])


def _settings(spec: ClusterSpec, usual: ClusterSpec) -> list[str]:
    wanted = spec.model_dump(by_alias=True)
    others = (ClusterSpec().model_dump(by_alias=True), usual.model_dump(by_alias=True))
    words: list[str] = []
    for _, *path in (path for path in leaf_paths() if path[0] == "spec"):
        value = _at(wanted, path)
        if any(_at(other, path) != value for other in others):
            words += _words(path, value)
    return words


def _words(path: list[str], value: Any) -> list[str]:
    if path == ["downloads", "bundle"] and value:
        return ["--bundle", str(value)]
    if path == ["hubble", "enabled"] and value is False:
        return ["--no-hubble"]
    return ["--set", f"{'.'.join(path)}={_flow(value)}"]


def _flow(value: Any) -> str:
    """Return a value in YAML's flow form, a string without quotes where it is read back as itself."""
    if isinstance(value, str):
        try:
            if scalar(value, "") == value:
                return value
        except UsageError:
            pass  # it is no YAML by itself, so it is quoted
    return json.dumps(value)


def _at(data: Mapping[str, Any], path: list[str]) -> Any:
    value: Any = data
    for part in path:
        value = value[part]
    return value


def has_secrets(spec: ClusterSpec) -> bool:
    """Whether the specification holds something that must not be seen."""
    k3s = spec.k3s
    free = (k3s.config, k3s.registries, k3s.env, spec.cilium.values)
    return any(_is_secret(part) for part in free) or bool(urlsplit(spec.downloads.proxy or "").password)


def _is_secret(data: Any) -> bool:
    if isinstance(data, Mapping):
        return any(_telling(str(key), value) or _is_secret(value) for key, value in data.items())
    if isinstance(data, list):
        return any(_is_secret(item) for item in data)
    return isinstance(data, str) and "://" in data and _has_password(data)


def _telling(key: str, value: Any) -> bool:
    return bool(value) and not isinstance(value, bool) and any(word in key.lower() for word in _SECRET_WORDS)


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
