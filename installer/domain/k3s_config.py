"""What beeyard wants in k3s' ``config.yaml`` and how it is merged with what the user already has there.

Three sides: the file as it is, the keys we wrote last time, and the keys we want now. A key of the user's own stays,
with its comments. A key that we wrote may change. A key of the user's that contradicts what Cilium needs is a
conflict, told with its fix and never overwritten.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.spec import ClusterSpec

LISTS = ("disable", "tls-san")
"""Keys whose values are united with the user's."""

WISHES = ("write-kubeconfig-mode",)
"""Keys where a value of the user's own wins over ours."""


@dataclass(frozen=True, slots=True)
class MergedConfig:
    """Result of a merge.

    Attributes:
        text: new content of the file.
        effective: the keys in force.
        written: keys that are ours, with their values, to be remembered.
    """

    text: str
    effective: dict[str, Any]
    written: dict[str, Any]


def wanted(spec: ClusterSpec) -> dict[str, Any]:
    """Return the keys of ``config.yaml`` that the specification asks for."""
    k3s = spec.k3s
    keys: dict[str, Any] = {
        "flannel-backend": "none",
        "disable-network-policy": True,
        "disable-kube-proxy": spec.cilium.kube_proxy_replacement,
        "cluster-cidr": k3s.cluster_cidr,
        "service-cidr": k3s.service_cidr,
        "write-kubeconfig-mode": "0600",
        "disable": list(k3s.disable),
        "cluster-dns": k3s.cluster_dns,
        "cluster-domain": k3s.cluster_domain if k3s.cluster_domain != "cluster.local" else None,
        "https-listen-port": k3s.https_listen_port if k3s.https_listen_port != 6443 else None,
        "data-dir": k3s.data_dir if k3s.data_dir != "/var/lib/rancher/k3s" else None,
        "node-name": k3s.node_name,
        "node-ip": k3s.node_ip,
        "tls-san": list(k3s.tls_san),
        **k3s.config,
    }
    if not spec.cilium.kube_proxy_replacement:
        del keys["disable-kube-proxy"]
    return {key: value for key, value in keys.items() if value not in (None, [], "")}


def load(text: str, name: str) -> CommentedMap:
    """Parse ``config.yaml`` keeping comments.

    Raises:
        RefusedError: ``E-K3S-020`` it is not a YAML mapping.
    """
    try:
        data = YAML().load(text)
    except YAMLError as error:
        raise RefusedError(
            f"{name} is not valid YAML",
            why=str(error),
            fix="Mend the file; beeyard leaves it as it is.",
            code="E-K3S-020",
        ) from error
    if data is None:
        data = CommentedMap()
    if not isinstance(data, CommentedMap):
        raise RefusedError(
            f"{name} is not a mapping of k3s flags",
            why=f"It holds a {type(data).__name__}.",
            fix="Write one `flag: value` a line.",
            code="E-K3S-020",
        )
    return data


def merge(existing: str | None, ours: Mapping[str, Any], want: Mapping[str, Any], name: str) -> MergedConfig:
    """Merge what we want into the file.

    Args:
        existing: the file's text, None where there is none.
        ours: keys that we wrote last time, with their values.
        want: keys we want now.
        name: the file's path, for errors.

    Raises:
        RefusedError: ``E-K3S-021`` keys of the user's contradict what we need.
    """
    data = load(existing or "", name)
    conflicts = [key for key, value in want.items() if _conflicts(data, ours, key, value)]
    if conflicts:
        raise RefusedError(
            f"{name} contradicts this installation",
            why="\n".join(f"{key}: the file has {data[key]!r}, needed is {want[key]!r}" for key in conflicts),
            fix="Change these keys in the file, or give the same values in spec.k3s. Nothing was changed.",
            code="E-K3S-021",
            details={"keys": conflicts},
        )
    written: dict[str, Any] = {}
    for key, old in ours.items():
        if key not in want and key in data and not _differs(data[key], old):
            del data[key]
    for key, value in want.items():
        written[key] = _put(data, ours, key, value)
    text = existing if existing is not None and _plain(load(existing, name)) == _plain(data) else _dump(data)
    return MergedConfig(text, _plain(data), {key: value for key, value in written.items() if value is not None})


def _put(data: CommentedMap, ours: Mapping[str, Any], key: str, value: Any) -> Any:
    """Set one key and return what of it is ours (None: it was the user's already)."""
    if key in LISTS:
        current = [str(item) for item in _as_list(data.get(key))]
        before = [str(item) for item in _as_list(ours.get(key))]
        kept = [item for item in current if item not in before or item in value]
        added = [str(item) for item in value if str(item) not in kept]
        mine = [str(item) for item in value if str(item) in added or str(item) in before]
        if kept + added != current:
            data[key] = CommentedSeq(kept + added)
        return mine or None
    if key in data and (not _differs(data[key], value) or (key in WISHES and key not in ours)):
        return value if key in ours else None
    data[key] = DoubleQuotedScalarString(value) if isinstance(value, str) and value[:1].isdigit() else value
    return value


def _conflicts(data: Mapping[str, Any], ours: Mapping[str, Any], key: str, value: Any) -> bool:
    if key in (*LISTS, *WISHES) or key not in data or not _differs(data[key], value):
        return False
    return key not in ours or _differs(data[key], ours[key])


def _differs(left: Any, right: Any) -> bool:
    return bool(_norm(left) != _norm(right))


def _norm(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return [_norm(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _norm(item) for key, item in value.items()}
    return str(value)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else str(value).split(",")


def _plain(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    if isinstance(data, bool) or data is None:
        return data
    return int(data) if isinstance(data, int) else str(data) if isinstance(data, str) else data


def _dump(data: CommentedMap) -> str:
    out = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump(data, out)
    text = out.getvalue()
    if _plain(load(text, "result")) != _plain(data):
        raise BeeyardError(
            "k3s' config.yaml could not be rewritten faithfully",
            why="The merged text does not read back as it was meant.",
            fix="Simplify the file (anchors, tags) and try again; it was left as it is.",
            code="E-K3S-022",
        )
    return text
