"""Facts of this host, for ``installer.domain.preflight``."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from installer.adapters.host import firewall, procfs, surroundings
from installer.domain.errors import BeeyardError
from installer.domain.preflight import Address, CniConfig, FoundK3s, HostFacts, Link, Route
from installer.ports.host import Processes, ServiceKind

_BINARIES: Final = ("/usr/local/bin/k3s", "/opt/bin/k3s", "/usr/bin/k3s")
_CONFIG: Final = Path("/etc/rancher/k3s/config.yaml")
_CNI: Final = Path("/etc/cni/net.d")
_SERVICE_FILES: Final = (
    "/etc/systemd/system/{}.service",
    "/usr/lib/systemd/system/{}.service",
    "/etc/init.d/{}",
    "/var/lib/beeyard/services/{}/unit.json",
)
_FLANNEL_LINKS: Final = ("flannel.1", "flannel-v6.1", "flannel-wg", "cni0")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_PATHS: Final = (
    "/usr/local/bin",
    "/opt/bin",
    "/etc",
    "/var/log",
    "/var/lib/kubelet",
    "/var/lib/beeyard",
    "/opt/cni/bin",
    "/run",
)
_IP: Final = {
    "routes": (("-4", "route", "show", "table", "all"), ("-6", "route", "show", "table", "all")),
    "addresses": (("addr", "show"),),
    "links": (("-d", "link", "show"),),
}
_SELINUX_POLICIES: Final = ("usr/share/selinux/packages/k3s.pp*", "var/lib/selinux/*/active/modules/*/k3s")


async def gather(
    processes: Processes,
    *,
    manager: ServiceKind = ServiceKind.NONE,
    data_dir: Path = Path("/var/lib/rancher/k3s"),
    kubeconfigs: Sequence[Path] = (),
    environ: Mapping[str, str] = os.environ,
) -> HostFacts:
    """Look at this host without changing anything.

    Args:
        processes: runs ``ip`` and ``k3s --version``.
        manager: the service manager in use, see ``services.detect``.
        data_dir: k3s' data folder.
        kubeconfigs: kubeconfig files to look for, besides k3s' own.
        environ: environment, for the proxy variables.
    """
    unknown: dict[str, str] = {}
    network, version = await asyncio.gather(_network(processes, unknown), _k3s_version(processes))
    table = procfs.mounts(procfs.text(procfs.PROC / "self/mountinfo"))
    links = _links(network["links"])
    filters, around = await asyncio.gather(
        firewall.gather(processes, unknown),
        surroundings.gather(processes, environ, tuple(link.name for link in links)),
    )
    return HostFacts(
        routes=_routes(network["routes"]),
        addresses=_addresses(network["addresses"]),
        links=links,
        listeners=tuple(procfs.listeners(data_dir)),
        k3s=_k3s(version, links, data_dir),
        cni_configs=tuple(_cni_configs(data_dir)),
        firewall=filters,
        kubeconfigs=tuple(str(path) for path in kubeconfigs if procfs.exists(path)),
        proxy=_proxy(environ),
        service_manager=str(manager),
        unknown=unknown,
        **_machine(),
        **_storage(table, data_dir),
        **_security(),
        **around,
    )


def _machine() -> dict[str, Any]:
    system, release = platform.uname(), _os_release()
    memory = _meminfo()
    return {
        "uid": os.geteuid(),
        "arch": system.machine,
        "kernel": system.release,
        "os_id": release.get("ID", ""),
        "os_like": tuple(release.get("ID_LIKE", "").split()),
        "os_version": release.get("VERSION_ID", ""),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": memory.get("MemTotal", 0),
        "swap_bytes": memory.get("SwapTotal", 0),
        "inotify_instances": _number(procfs.PROC / "sys/fs/inotify/max_user_instances"),
        "inotify_watches": _number(procfs.PROC / "sys/fs/inotify/max_user_watches"),
        "hostname": system.node,
        "init": procfs.text(procfs.PROC / "1/comm").strip(),
        "wsl": "microsoft" in f"{system.release} {procfs.text(procfs.PROC / 'version')}".lower(),
        "time": time.time(),
    }


def _storage(table: list[procfs.Mount], data_dir: Path) -> dict[str, Any]:
    found = (procfs.filesystem(path, table) for path in (data_dir, *map(Path, _PATHS)))
    root = procfs.mount_of(Path("/"), table)
    mode, controllers = procfs.cgroups(table)
    return {
        "filesystems": tuple(one for one in found if one is not None),
        "root_shared": root is not None and root.shared,
        "bpffs": any(mount.point == "/sys/fs/bpf" and mount.kind == "bpf" for mount in table),
        "cgroup": mode,
        "controllers": controllers,
    }


def _security() -> dict[str, Any]:
    enforce = procfs.text(Path("/sys/fs/selinux/enforce")).strip()
    return {
        "selinux": {"1": "enforcing", "0": "permissive"}.get(enforce, ""),
        "selinux_policy": any(next(Path("/").glob(pattern), None) for pattern in _SELINUX_POLICIES),
        "capabilities": procfs.capabilities(procfs.text(procfs.PROC / "self/status")),
    }


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _meminfo() -> dict[str, int]:
    rows = re.findall(r"^(\w+):\s+(\d+) kB$", procfs.text(procfs.PROC / "meminfo"), re.MULTILINE)
    return {name: int(kilobytes) * 1024 for name, kilobytes in rows}


def _number(path: Path) -> int:
    digits = procfs.text(path).strip()
    return int(digits) if digits.isdigit() else 0


def _proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables, upper case, passwords masked."""
    found = {}
    for name in _PROXIES:
        value = environ.get(name) or environ.get(name.lower())
        if value:
            found[name] = value if name == "NO_PROXY" else _without_password(value)
    return found


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    masked = f"{user.partition(':')[0]}:***{at}{host}" if ":" in user else parts.netloc
    return urlunsplit(parts._replace(netloc=masked))


async def _network(processes: Processes, unknown: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Ask ``ip`` for routes, addresses and links; what it cannot tell is noted as unknown."""

    async def ask(fact: str, commands: tuple[tuple[str, ...], ...]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        try:
            for command in commands:
                result = await processes.run(["ip", "-j", *command], timeout=20.0)
                rows += json.loads(result.out or "[]")
        except BeeyardError as error:
            unknown[fact] = f"{error.what}: {error.why}"
        except ValueError as error:
            unknown[fact] = f"ip -j prints no JSON (is it iproute2?): {error}"
        return rows

    found = await asyncio.gather(*(ask(fact, commands) for fact, commands in _IP.items()))
    return dict(zip(_IP, found, strict=True))


def _routes(rows: list[dict[str, Any]]) -> tuple[Route, ...]:
    return tuple(_route(row) for row in rows if row.get("type", "unicast") == "unicast" and row.get("table") != "local")


def _route(row: dict[str, Any]) -> Route:
    hops = row.get("nexthops") or [{}]
    gateway = row.get("gateway") or row.get("via", {}).get("host") or hops[0].get("gateway", "")
    six = ":" in gateway or ":" in row["dst"] or row.get("pref") is not None
    destination = row["dst"] if row["dst"] != "default" else "::/0" if six else "0.0.0.0/0"
    device, table = row.get("dev") or hops[0].get("dev", ""), str(row.get("table", "main"))
    return Route(destination, device, gateway, table, int(row.get("metric", 0)))


def _addresses(rows: list[dict[str, Any]]) -> tuple[Address, ...]:
    return tuple(
        Address(f"{info['local']}/{info['prefixlen']}", row["ifname"])
        for row in rows
        for info in row.get("addr_info", ())
        if "local" in info
    )


def _links(rows: list[dict[str, Any]]) -> tuple[Link, ...]:
    found = []
    for row in rows:
        info = row.get("linkinfo", {})
        kind = info.get("info_kind", "")
        port = int(info.get("info_data", {}).get("port", 0)) if kind in ("vxlan", "geneve") else 0
        found.append(Link(row["ifname"], kind, port, row.get("master", "")))
    return tuple(found)


async def _k3s_version(processes: Processes) -> tuple[str, str]:
    """Return path and version of a k3s binary; empty where there is none or it does not run."""
    binary = next((path for path in _BINARIES if procfs.exists(Path(path))), "")
    if not binary:
        return "", ""
    try:
        result = await processes.run([binary, "--version"], timeout=20.0)
    except BeeyardError:
        return binary, ""
    found = re.search(r"k3s version (\S+)", result.out)
    return binary, found[1] if found else ""


def _k3s(version: tuple[str, str], links: Sequence[Link], data_dir: Path) -> FoundK3s:
    return FoundK3s(
        binary=version[0],
        version=version[1],
        service=_k3s_service(),
        pid=_k3s_pid(),
        config=str(_CONFIG) if procfs.exists(_CONFIG) else "",
        data_dir=str(data_dir) if any(procfs.exists(data_dir / part) for part in ("server", "agent")) else "",
        flannel=_flannel(links, data_dir),
        kube_proxy=_kube_proxy(),
    )


def _kube_proxy() -> bool | None:
    """Whether the configuration of a k3s leaves kube-proxy on."""
    if not procfs.exists(_CONFIG):
        return None
    found = re.findall(r"^\s*[\"']?disable-kube-proxy[\"']?\s*:\s*[\"']?(\w+)", procfs.text(_CONFIG), re.MULTILINE)
    return not (found and found[-1].lower() in ("true", "yes", "on"))


def _k3s_service() -> str:
    for name in ("k3s", "k3s-agent"):
        if any(procfs.exists(Path(path.format(name))) for path in _SERVICE_FILES):
            return name
    return ""


def _k3s_pid() -> int:
    for pid in procfs.processes():
        args = procfs.command(pid)
        words = " ".join(args[:3]).split()
        names = [Path(word).name for word in words[:2]]
        if "k3s" in names and {"server", "agent"} & set(words[1:3]):
            return pid
    return 0


def _flannel(links: Sequence[Link], data_dir: Path) -> tuple[str, ...]:
    found = [link.name for link in links if link.name in _FLANNEL_LINKS]
    configs = (folder / "10-flannel.conflist" for folder in (data_dir / "agent/etc/cni/net.d", _CNI))
    return (*found, *(str(path) for path in configs if procfs.exists(path)))


def _cni_configs(data_dir: Path) -> list[CniConfig]:
    """Return the configurations where containerd looks without flannel, and where k3s' own flannel keeps its."""
    folders = (_CNI, data_dir / "agent/etc/cni/net.d")
    paths = (path for folder in folders for path in sorted(folder.glob("*")))
    return [_cni_config(path) for path in paths if path.suffix in (".conf", ".conflist", ".json")]


def _cni_config(path: Path) -> CniConfig:
    try:
        found = json.loads(procfs.text(path))
        plugins = found.get("plugins") or [found]
        return CniConfig(str(path), str(found.get("name", "")), str(plugins[0].get("type", "")))
    except (ValueError, AttributeError, IndexError, TypeError):
        return CniConfig(str(path))
