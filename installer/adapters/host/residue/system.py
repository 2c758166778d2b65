"""Mounts, network namespaces, cgroups, sysctls, kernel modules, listening ports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from installer.adapters.host import procfs
from installer.adapters.host.residue.common import change
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.scope import Scope
from installer.ports.host import Processes
from installer.ports.residue import Seen

_CGROUPS: Final = Path("/sys/fs/cgroup")
_NETNS: Final = Path("/run/netns")
_SYS: Final = Path("/proc/sys")
_POD_CGROUPS: Final = ("kubepods", "kubepods.slice", "k8s.io")
_PASSING_MOUNTS: Final = ("/run/user", "/proc/sys/fs/binfmt_misc", "/run/credentials")
FIRST_SYSCTLS: Final = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding")
"""Set before the others: they reset what single devices have."""
_SYSCTLS: Final = (
    *FIRST_SYSCTLS, "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables",
    "net.core.bpf_jit_enable", "net.core.default_qdisc", "net.core.fb_tunnels_only_for_init_net",
    "net.ipv4.fib_multipath_use_neigh", "net.ipv4.tcp_congestion_control",
    "net.ipv4.ip_local_reserved_ports", "net.ipv4.vs.conntrack", "net.ipv4.vs.conn_reuse_mode",
    "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "kernel.timer_migration",
    "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes",
    "net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
)  # fmt: skip
_DEVICE_SYSCTLS: Final = {
    "ipv4": ("rp_filter", "accept_local", "send_redirects", "route_localnet", "forwarding"),
    "ipv6": ("forwarding", "disable_ipv6", "accept_ra"),
}


class SystemArea:
    """Implements ``installer.ports.residue.Area`` with what the kernel tells below /proc and /sys."""

    kinds = frozenset({Kind.MOUNT, Kind.NETNS, Kind.CGROUP, Kind.SYSCTL, Kind.MODULE, Kind.PORT})

    def __init__(self, processes: Processes, *, cgroups: Path = _CGROUPS) -> None:
        """Set up.

        Args:
            processes: runs mount and umount.
            cgroups: where control groups are.
        """
        self._processes = processes
        self._cgroups = cgroups

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return what is there."""
        del before
        ports = [
            Item(Kind.PORT, f"{one.protocol} {one.address} {one.port}", {"program": one.process})
            for one in procfs.listeners(Path(scope.data_dir))
        ]
        modules = [
            Item(Kind.MODULE, line.split()[0]) for line in procfs.text(procfs.PROC / "modules").splitlines() if line
        ]
        places = [*_mounts(), *_namespaces(), *self._pod_cgroups(), *_sysctls()]
        return Seen((*places, *modules, *ports))

    def _pod_cgroups(self) -> Iterator[Item]:
        """Yield the groups of pods at the root of each hierarchy; those below belong to clusters in containers."""
        with suppress(OSError):
            for root in [self._cgroups, *(one for one in self._cgroups.iterdir() if one.is_dir())]:
                if os.path.ismount(root):
                    yield from (Item(Kind.CGROUP, f"{root}/{name}") for name in _POD_CGROUPS if (root / name).is_dir())

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Unmount (deepest first), remove namespaces and groups."""
        failed = []
        for item in sorted(items, key=lambda one: -len(one.name)):
            path = item.name.partition(" #")[0]
            match item.kind:
                case Kind.MOUNT:
                    failed.append(await self._unmount(path))
                case Kind.NETNS:
                    if os.path.ismount(_NETNS / path):
                        await self._unmount(str(_NETNS / path))
                    (_NETNS / path).unlink(missing_ok=True)
                case Kind.CGROUP:
                    failed.append(_remove_group(Path(path)))
        return [text for text in failed if text]

    async def _unmount(self, path: str) -> str:
        failed = await change(self._processes, ["umount", path])
        return await change(self._processes, ["umount", "-l", path]) if failed else ""

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Set sysctls, forwarding first, and the propagation of mounts."""
        failed = []
        for one in sorted(changes, key=lambda one: one.item.name not in FIRST_SYSCTLS):
            name, before = one.item.name, one.before
            if before is None:
                continue
            if one.item.kind is Kind.SYSCTL:
                failed.append(_set(name, str(before.facts["value"])))
            elif one.item.kind is Kind.MOUNT:
                failed.append(await change(self._processes, ["mount", "--make-private", name.partition(" #")[0]]))
        return [text for text in failed if text]


def _mounts() -> Iterator[Item]:
    for mount in procfs.mounts(procfs.text(procfs.PROC / "self/mountinfo")):
        passing = mount.point.startswith(_PASSING_MOUNTS)
        facts = {"type": mount.kind, "shared": mount.shared, **({"dynamic": True} if passing else {})}
        if mount.kind == "bpf" and not any(files for _, _, files in os.walk(mount.point)):
            facts["empty"] = True
        yield Item(Kind.MOUNT, mount.point, facts)


def _namespaces() -> Iterator[Item]:
    """Yield the named network namespaces; ``busy`` where a process lives in one."""
    with suppress(OSError):
        used = _used_namespaces()
        for path in sorted(_NETNS.iterdir()):
            yield Item(Kind.NETNS, path.name, {"busy": True} if path.stat().st_ino in used else {})


def _used_namespaces() -> set[int]:
    found = set()
    for pid in procfs.processes():
        with suppress(OSError):
            found.add(Path(f"/proc/{pid}/ns/net").stat().st_ino)
    return found


def _sysctls() -> Iterator[Item]:
    for name in _SYSCTLS:
        yield from _sysctl(name, _SYS / name.replace(".", "/"))
    for family, keys in _DEVICE_SYSCTLS.items():
        folder = _SYS / "net" / family / "conf"
        with suppress(OSError):
            for device in sorted(folder.iterdir()):
                for key in keys:
                    yield from _sysctl(f"net.{family}.conf.{device.name}.{key}", device / key)


def _sysctl(name: str, path: Path) -> Iterator[Item]:
    with suppress(OSError):
        yield Item(Kind.SYSCTL, name, {"value": path.read_text().strip()})


def _path_of(name: str) -> Path:
    """Return the file of a sysctl; names of devices may have dots."""
    parts = name.split(".")
    if parts[:1] == ["net"] and parts[2:3] == ["conf"]:
        return _SYS / "net" / parts[1] / "conf" / ".".join(parts[3:-1]) / parts[-1]
    return _SYS / name.replace(".", "/")


def _set(name: str, value: str) -> str:
    path = _path_of(name)
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"sysctl {name}={value}: {error.strerror}"
    return ""


def _remove_group(path: Path) -> str:
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{folder}: {error.strerror}"
    return ""
