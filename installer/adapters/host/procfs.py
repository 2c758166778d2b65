"""What the kernel tells below /proc, as plain values."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from installer.domain.preflight import Filesystem, Listener

PROC: Final = Path("/proc")
_TCP_LISTEN = "0A"
_UDP_UNCONNECTED = "07"
_CAPABILITIES: Final = (  # noqa: SIM905 - the kernel's order; one name a line would fill the page
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


def text(path: Path) -> str:
    """Return a small file's text; empty where it is missing or cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def exists(path: Path) -> bool:
    """Whether we can see that something is there; folders that are closed to us hide what they hold."""
    try:
        path.stat()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo.

    Attributes:
        point: where it is mounted.
        kind: type of the file system.
        options: of the mount and of the file system.
        shared: it propagates.
    """

    point: str
    kind: str
    options: tuple[str, ...]
    shared: bool


def mounts(mountinfo: str) -> list[Mount]:
    """Parse ``/proc/<pid>/mountinfo``."""
    found = []
    for line in mountinfo.splitlines():
        own, _, rest = line.partition(" - ")
        fields, tail = own.split(), rest.split()
        point = fields[4].encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
        # "rw" of the file system says nothing when the mount is "ro", and the other way round: either makes it ro.
        options = {*fields[5].split(","), *(tail[2].split(",") if len(tail) > 2 else ())}
        if "ro" in options:
            options.discard("rw")
        shared = any(field.startswith("shared:") for field in fields[6:])
        found.append(Mount(point, tail[0] if tail else "", tuple(sorted(options)), shared))
    return found


def mount_of(path: Path, table: Iterable[Mount]) -> Mount | None:
    """Return the mount that holds a path: the deepest one, the latest of several at the same place."""
    best = None
    for mount in table:
        point = Path(mount.point)
        if (path == point or point in path.parents) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def filesystem(path: Path, table: Iterable[Mount]) -> Filesystem | None:
    """Measure the file system that holds a path or will hold it."""
    there = path
    while not exists(there):
        there = there.parent
    there = there.resolve()
    mount, size = mount_of(there, table), os.statvfs(there)
    if mount is None:
        return None
    return Filesystem(
        path=str(path),
        mount=mount.point,
        kind=mount.kind,
        options=mount.options,
        total_bytes=size.f_blocks * size.f_frsize,
        free_bytes=size.f_bavail * size.f_frsize,
        total_inodes=size.f_files,
        free_inodes=size.f_favail,
    )


def cgroups(table: Iterable[Mount]) -> tuple[str, tuple[str, ...]]:
    """Return the cgroup mode (``v1``, ``v2``, ``hybrid`` or empty) and the controllers that are on.

    ``v2`` is what the kubelet takes for it: ``/sys/fs/cgroup`` itself is a cgroup2 mount. Strays do not count.
    """
    table = list(table)
    main = mount_of(Path("/sys/fs/cgroup"), table)
    if main is not None and main.kind == "cgroup2":
        return "v2", tuple(sorted(text(Path(main.point) / "cgroup.controllers").split()))
    known = {line.split("\t")[0] for line in text(PROC / "cgroups").splitlines() if line.endswith("\t1")}
    old: set[str] = set()
    new: set[str] = set()
    has_v1 = has_v2 = False
    for mount in table:
        if mount.kind == "cgroup":
            has_v1 = True
            old |= known & set(mount.options)
        elif mount.kind == "cgroup2":
            has_v2 = True
            new |= set(text(Path(mount.point) / "cgroup.controllers").split())
    mode = "hybrid" if has_v1 and has_v2 else "v1" if has_v1 else ""
    return mode, tuple(sorted(old | new)) if mode else ()


def capabilities(status: str) -> frozenset[str]:
    """Return the effective capabilities of a ``/proc/<pid>/status``."""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    bits = int(line.split()[1], 16)
    return frozenset(f"CAP_{name}" for number, name in enumerate(_CAPABILITIES) if bits >> number & 1)


def listeners(data_dir: Path) -> list[Listener]:
    """Return the listening sockets of our network namespace with their holders.

    Args:
        data_dir: k3s' data folder; programs below it belong to the cluster.
    """
    sockets = [socket for name in ("tcp", "tcp6", "udp", "udp6") for socket in _sockets(name)]
    holders = _holders({inode for *_, inode in sockets if inode})
    found = {_listener(socket, holders.get(socket[3], 0), data_dir) for socket in sockets}
    return sorted(found, key=lambda one: (one.protocol, one.port, one.address, one.pid))


def _sockets(name: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield (protocol, address, port, inode) of a table below /proc/net."""
    protocol = name[:3]
    wanted = _TCP_LISTEN if protocol == "tcp" else _UDP_UNCONNECTED
    for line in text(PROC / "net" / name).splitlines()[1:]:
        fields = line.split()
        if fields[3] == wanted:
            address, _, port = fields[1].partition(":")
            yield protocol, _address(address), int(port, 16), int(fields[9])


def _address(digits: str) -> str:
    """Turn the kernel's hexadecimal address (32-bit words in host order) into text."""
    raw = bytes.fromhex(digits)
    words = (int.from_bytes(raw[at : at + 4], "big").to_bytes(4, "little") for at in range(0, len(raw), 4))
    return str(ipaddress.ip_address(b"".join(words)))


def _holders(inodes: set[int]) -> dict[int, int]:
    """Return the pid that holds each socket; what we may not look into is left out."""
    found: dict[int, int] = {}
    for pid in processes():
        try:
            handles = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - many, and only names are needed
        except OSError:
            continue
        for handle in handles:
            inode = _socket_inode(f"/proc/{pid}/fd/{handle}")
            if inode in inodes:
                found.setdefault(inode, pid)
    return found


def _socket_inode(path: str) -> int:
    try:
        target = os.readlink(path)  # noqa: PTH115
    except OSError:
        return 0
    return int(target[8:-1]) if target.startswith("socket:[") else 0


def processes() -> list[int]:
    """Return the ids of all processes, in order."""
    return sorted(int(entry.name) for entry in os.scandir(PROC) if entry.name.isdigit())


def command(pid: int) -> list[str]:
    """Return the arguments of a process; a kernel thread has none."""
    return text(PROC / str(pid) / "cmdline").rstrip("\0").split("\0")


def _listener(socket: tuple[str, str, int, int], pid: int, data_dir: Path) -> Listener:
    protocol, address, port, _ = socket
    name = text(PROC / str(pid) / "comm").strip() if pid else ""
    return Listener(protocol, address, port, pid, name, pid > 0 and belongs_to_cluster(pid, data_dir))


def belongs_to_cluster(pid: int, data_dir: Path) -> bool:
    """Whether a process is k3s, a program that k3s unpacked, or runs in a pod."""
    if "kubepods" in text(PROC / str(pid) / "cgroup"):
        return True
    try:
        program = (PROC / str(pid) / "exe").readlink()
    except OSError:
        program = Path()
    return data_dir in program.parents or "k3s" in (Path(arg).name for arg in command(pid)[:2])
