"""Collectors of a support archive that look at this host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from installer.domain.redact import Redactor
from installer.domain.sysdump.entry import part
from installer.ports.host import Processes
from installer.services.evidence_host import HostTexts
from installer.services.sysdump import BYTES, Collector

_COMMANDS = {
    "uname.txt": ("kernel and machine", ("uname", "-a")),
    "uptime.txt": ("load", ("uptime",)),
    "processes.txt": ("processes, without their arguments", ("ps", "-eo", "pid,ppid,user,stat,pcpu,rss,etime,comm")),
    "memory.txt": ("memory", ("free", "-m")),
    "disks.txt": ("file systems", ("df", "-hT")),
    "inodes.txt": ("inodes", ("df", "-i")),
    "modules.txt": ("modules of the kernel", ("lsmod",)),
    "sysctl.txt": ("settings of the kernel", ("sysctl", "-a")),
    "dmesg.txt": ("messages of the kernel", ("dmesg",)),
    "time.txt": ("clock", ("timedatectl", "--no-pager")),
    "network/addresses.txt": ("addresses", ("ip", "address")),
    "network/links.txt": ("links", ("ip", "-d", "link")),
    "network/routes.txt": ("routes of all tables", ("ip", "route", "show", "table", "all")),
    "network/routes6.txt": ("routes of IPv6", ("ip", "-6", "route", "show", "table", "all")),
    "network/rules.txt": ("routing rules", ("ip", "rule")),
    "network/neighbours.txt": ("neighbours", ("ip", "neigh")),
    "network/nft.txt": ("packet filter", ("nft", "list", "ruleset")),
    "network/iptables.txt": ("packet filter as iptables sees it", ("iptables-save",)),
    "network/ip6tables.txt": ("the same for IPv6", ("ip6tables-save",)),
    "network/sockets.txt": ("listening sockets", ("ss", "-lntup")),
    "network/tc.txt": ("queueing disciplines", ("tc", "-s", "qdisc")),
    "network/bpf.txt": ("BPF programs at network devices", ("bpftool", "net")),
}
_FILES = {
    "os-release.txt": "/etc/os-release",
    "kernel-command-line.txt": "/proc/cmdline",
    "mounts.txt": "/proc/self/mountinfo",
    "cgroup-controllers.txt": "/sys/fs/cgroup/cgroup.controllers",
    "network/resolv.conf": "/etc/resolv.conf",
    "k3s/config.yaml": "/etc/rancher/k3s/config.yaml",
    "k3s/registries.yaml": "/etc/rancher/k3s/registries.yaml",
}
_FOLDERS = {
    "k3s/config.yaml.d": ("/etc/rancher/k3s/config.yaml.d", "*.yaml"),
    "network/cni": ("/etc/cni/net.d", "*"),
    "sysctl.d": ("/etc/sysctl.d", "*.conf"),
}
_NEWEST = 5
_LOG_LINES = 4000
_SECRETS = (
    "server/token",
    "server/node-token",
    "server/agent-token",
    "server/cred/passwd",
    "agent/client-kubelet.key",
)
_MOST = 512 * 1024


def host_collectors(texts: HostTexts, state: Path, logs: Path) -> Iterator[Collector]:
    """Yield the collectors of this host.

    Args:
        texts: reads logs.
        state: beeyard's own state.
        logs: folder of beeyard's logs.
    """
    for path, (title, argv) in _COMMANDS.items():
        yield Collector(f"host/{path}", title, _Command(texts.processes, argv), 10.0)
    for path, name in _FILES.items():
        if Path(name).exists():
            yield Collector(f"host/{path}", name, _File(Path(name)), 5.0)
    for path, (folder, pattern) in _FOLDERS.items():
        for found in sorted(Path(folder).glob(pattern)):
            yield Collector(f"host/{path}/{part(found.name)}", str(found), _File(found), 5.0)
    yield Collector("host/k3s/k3s.log", "log of k3s", _K3sLog(texts), 10.0)
    yield from _k3s_files(texts)
    yield from _runs(state, logs)


def _k3s_files(texts: HostTexts) -> Iterator[Collector]:
    containerd = texts.data_dir / "agent/etc/containerd/config.toml"
    for name, found in (("containerd.log", texts.containerd_log), ("containerd-config.toml", containerd)):
        if _exists(found):
            yield Collector(f"host/k3s/{name}", str(found), _File(found), 5.0)


def _runs(state: Path, logs: Path) -> Iterator[Collector]:
    """Yield collectors of beeyard's newest runs: journal, goal and log."""
    for name in ("installed.json", "cluster.yaml"):
        if _exists(state / name):
            yield Collector(f"beeyard/{name}", str(state / name), _File(state / name), 5.0)
    for run in _newest(state / "runs", "*"):
        for found in sorted(run.glob("*.jsonl")) + sorted(run.glob("*.yaml")):
            yield Collector(f"beeyard/runs/{part(run.name)}/{part(found.name)}", str(found), _File(found), 5.0)
    for found in _newest(logs, "*.log"):
        yield Collector(f"beeyard/logs/{part(found.name)}", str(found), _File(found), 5.0)


def _newest(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))[-_NEWEST:]
    except OSError:
        return []


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # only root may look there: trying to read it says so
        return True


class _Command:
    def __init__(self, processes: Processes, argv: tuple[str, ...]):
        self._processes = processes
        self._argv = argv

    async def __call__(self) -> str:
        return (await self._processes.run(self._argv, timeout=9.0)).out


class _File:
    """The end of a file."""

    def __init__(self, path: Path):
        self._path = path

    async def __call__(self) -> str:
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        with self._path.open("rb") as file:
            try:
                size = file.seek(0, 2)
                file.seek(max(0, size - BYTES))
            except OSError:  # not a plain file: read from where it begins
                pass
            return file.read(BYTES).decode(errors="replace")


class _K3sLog:
    def __init__(self, texts: HostTexts):
        self._texts = texts

    async def __call__(self) -> str:
        name, lines = await self._texts.k3s_log(_LOG_LINES)
        return "\n".join([f"service {name}", *lines]) + "\n" if name else "there is no service k3s\n"


def learn_host_secrets(redactor: Redactor, data_dir: Path, environment: dict[str, str]) -> None:
    """Teach a redactor what is secret on this host: tokens, keys, passwords of proxies and registries."""
    found = []
    for path in (*(data_dir / name for name in _SECRETS), Path("/etc/rancher/node/password")):
        try:
            if path.is_file() and path.stat().st_size < _MOST:
                found.append(path.read_text(errors="replace"))
        except OSError:  # what we may not read cannot get into the archive either
            continue
    for token in tuple(found):
        found += token.strip().rpartition("::")[2:]  # the password within K10…::server:password
        found.append(token.strip().rpartition(":")[2])
    redactor.learn(found)
    for name, value in environment.items():
        if name.lower().endswith("_proxy") and "@" in value:
            redactor.register(value.rpartition("@")[0].rpartition("://")[2].partition(":")[2])
