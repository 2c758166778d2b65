"""Which cluster, and with which credentials: finding and reading kubeconfig files.

Keys and certificates that lie in a kubeconfig never touch the disk again: TLS wants files, so they are given as
anonymous memory files that live until the TLS context is made.
"""

from __future__ import annotations

import base64
import binascii
import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from installer.domain.errors import ConnectError
from installer.ports.contexts import ContextInfo

K3S_KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}
_PATH_KEYS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_DATA_KEYS = ("certificate-authority", "client-certificate", "client-key")


@dataclass(frozen=True, slots=True)
class Access:
    """A kubeconfig, read and merged.

    Attributes:
        source: the file or files it comes from, or ``in-cluster``.
        context: name of the context in use.
        config: the kubeconfig as one dict, paths in it absolute; None inside a cluster.
    """

    source: str
    context: str
    config: dict[str, Any] | None = field(repr=False)


def find_access(
    kubeconfig: str | None, context: str | None, env: Mapping[str, str], k3s: Path = K3S_KUBECONFIG
) -> Access:
    """Find the kubeconfig to use.

    The order: ``kubeconfig``, ``$KUBECONFIG``, k3s' own file if readable, ``~/.kube/config``, the pod we run in. Where
    ``context`` is named, the file of the user is taken if k3s' own does not have it.

    Raises:
        ConnectError: ``E-KUBE-002`` nothing usable.
    """
    if kubeconfig:
        return _access([Path(kubeconfig).expanduser()], context)
    if env.get("KUBECONFIG"):
        paths = [Path(part).expanduser() for part in env["KUBECONFIG"].split(os.pathsep) if part]
        return _access([path for path in paths if _there(path)] or paths, context)
    defaults = [k3s, Path(env.get("HOME") or Path.home()) / ".kube/config"]
    usable = [path for path in defaults if _readable(path)]
    if not usable:
        return _in_cluster(env, defaults)
    if context and len(usable) > 1 and context not in _names(_merged(usable[:1]), "contexts"):
        usable = usable[1:]
    return _access(usable[:1], context)


def list_contexts(kubeconfig: str | None, env: Mapping[str, str], k3s: Path = K3S_KUBECONFIG) -> list[ContextInfo]:
    """List the contexts of all kubeconfigs that ``find_access`` looks at; empty where there is none.

    Raises:
        ConnectError: ``E-KUBE-002`` a kubeconfig is not valid.
    """
    groups = _groups(kubeconfig, env, k3s)
    contexts = [context for paths in groups for context in _contexts(paths)]
    first = next((context for context in contexts if context.current), None)
    return [replace(context, current=context is first) for context in contexts]


def has_kubeconfig(kubeconfig: str | None, env: Mapping[str, str], k3s: Path = K3S_KUBECONFIG) -> bool:
    """Tell whether there is any kubeconfig that can be read, or the service account of a pod."""
    return bool(_groups(kubeconfig, env, k3s) or env.get("KUBERNETES_SERVICE_HOST"))


def _groups(kubeconfig: str | None, env: Mapping[str, str], k3s: Path) -> list[list[Path]]:
    """Return the readable kubeconfigs; files that are merged into one stand together."""
    if kubeconfig or env.get("KUBECONFIG"):
        parts = [kubeconfig] if kubeconfig else env["KUBECONFIG"].split(os.pathsep)
        found = [path for part in parts if part and _there(path := Path(part).expanduser())]
        return [found] if found else []
    defaults = (k3s, Path(env.get("HOME") or Path.home()) / ".kube/config")
    return [[path] for path in defaults if _readable(path)]


def _contexts(paths: list[Path]) -> list[ContextInfo]:
    config = _merged(paths)
    servers = {item["name"]: str(item["cluster"].get("server") or "") for item in config["clusters"]}
    current = config["current-context"] or (config["contexts"][0]["name"] if len(config["contexts"]) == 1 else "")
    return [
        ContextInfo(
            name=item["name"],
            server=servers.get(str(item["context"].get("cluster")), ""),
            user=str(item["context"].get("user") or ""),
            namespace=str(item["context"].get("namespace") or ""),
            source=os.pathsep.join(map(str, paths)),
            current=item["name"] == current,
        )
        for item in config["contexts"]
    ]


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK) and path.is_file()


def _there(path: Path) -> bool:
    """Tell whether a file is there, also where its folder may not be looked into."""
    try:
        return path.exists()
    except PermissionError:
        return True


def _in_cluster(env: Mapping[str, str], tried: list[Path]) -> Access:
    if env.get("KUBERNETES_SERVICE_HOST") and (SERVICE_ACCOUNT / "token").is_file():
        return Access("in-cluster", "in-cluster", None)
    unreadable = [str(path) for path in tried if _there(path)]
    why = f"{', '.join(unreadable)}: not readable by this user" if unreadable else f"looked at {tried[0]}, {tried[1]}"
    fix = "Name one with --kubeconfig PATH or KUBECONFIG, or run as root on the k3s server."
    raise ConnectError("no kubeconfig found", why=why, fix=fix, code="E-KUBE-002")


def _access(paths: list[Path], context: str | None) -> Access:
    config = _merged(paths)
    source = os.pathsep.join(map(str, paths))
    contexts = _names(config, "contexts")
    current = context or config["current-context"] or (contexts[0] if len(contexts) == 1 else "")
    if current in contexts:
        return Access(source, current, {**config, "current-context": current})
    what = f"context {current!r} is not in {source}" if current else f"no context is chosen in {source}"
    fix = "Choose one with --context." if contexts else "Use a complete kubeconfig."
    raise ConnectError(what, why=f"its contexts: {', '.join(contexts) or 'none'}", fix=fix, code="E-KUBE-002")


def _names(config: dict[str, Any], section: str) -> list[str]:
    return [item["name"] for item in config[section]]


def _merged(paths: list[Path]) -> dict[str, Any]:
    """Merge files as kubectl does: the first that names a thing wins."""
    merged: dict[str, Any] = {"current-context": "", **{section: [] for section in _SECTIONS}}
    for path in paths:
        config = _read(path)
        merged["current-context"] = merged["current-context"] or config.get("current-context") or ""
        for section, inner in _SECTIONS.items():
            known = _names(merged, section)
            found = [item for item in config.get(section) or [] if _is_named(item, inner, path)]
            merged[section] += [_anchored(item, inner, path) for item in found if item["name"] not in known]
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "Name a kubeconfig that exists and that this user may read."
        why = error.strerror or str(error)
        raise ConnectError(f"kubeconfig {path} cannot be read", why=why, fix=fix, code="E-KUBE-002") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _broken(path, f"not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(config, dict):
        raise _broken(path, "it holds no mapping")
    return config


def _broken(path: Path | str, why: str) -> ConnectError:
    fix = "Use a kubeconfig as kubectl takes it."
    return ConnectError(f"kubeconfig {path} is not valid", why=why, fix=fix, code="E-KUBE-002")


def _is_named(item: Any, inner: str, path: Path) -> bool:
    if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get(inner) or {}, dict):
        return True
    raise _broken(path, f"an entry without 'name' or '{inner}'")


def _anchored(item: dict[str, Any], inner: str, path: Path) -> dict[str, Any]:
    """Return a copy whose relative paths start at the kubeconfig's folder."""
    item = copy.deepcopy(item)
    body = item[inner] = item.get(inner) or {}
    for key in _PATH_KEYS:
        if body.get(key):
            body[key] = str(path.parent.absolute() / body[key])
    return item


@contextmanager
def without_inline_keys(access: Access) -> Iterator[dict[str, Any]]:
    """Give the kubeconfig with inline certificates and keys replaced by paths of memory files.

    Raises:
        ConnectError: ``E-KUBE-002`` inline data that is not base64.
    """
    config = copy.deepcopy(access.config) or {}
    with ExitStack() as stack:
        for section, inner in (("clusters", "cluster"), ("users", "user")):
            for item in config.get(section, ()):  # none in a pod
                for key in _DATA_KEYS:
                    data = item[inner].pop(f"{key}-data", None)
                    if data:
                        item[inner][key] = _memory_file(stack, _decoded(access, f"{key}-data", data))
        yield config


def _decoded(access: Access, key: str, data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _broken(access.source, f"{key} is not base64") from error


def _memory_file(stack: ExitStack, data: bytes) -> str:
    descriptor = os.memfd_create("kubeconfig")
    stack.callback(os.close, descriptor)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data)
    return f"/proc/self/fd/{descriptor}"
