"""Where features are tried: network and mount namespaces of our own, which end with this process."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_PRIVATE = 0x40000 | 0x4000
_ROOMS = ("/tmp", "/mnt", "/run", "/var/tmp")  # noqa: S108 - only mount points, in a namespace of our own
_NET_ADMIN, _SYS_ADMIN = 12, 21
_ROOT_FIX = "run it as root: sudo beeyard preflight --kernel"

_libc = ctypes.CDLL(None, use_errno=True)


class MissingError(Exception):
    """The kernel does not have the feature; the text is its own words."""


class UntriedError(Exception):
    """The feature could not be tried.

    Attributes:
        fix: what to do so that it can be.
    """

    def __init__(self, why: str, fix: str = ""):
        super().__init__(why)
        self.fix = fix


def said(error: OSError, words: str = "") -> str:
    """Return an error number by its name, its meaning, and what the kernel says."""
    known = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN"}
    name = known.get(error.errno or 0, str(error.errno))
    return f"{name}: {error.strerror}" + (f" ({words})" if words else "")


@dataclass(slots=True)
class Lab:
    """The scratch namespaces.

    Attributes:
        no_network: why there is no network namespace, None where there is one.
        no_mounts: why nothing can be mounted, None where it can.
        room: folder below which may be mounted.
        no_ipv6: why IPv6 is off on the host, empty where it is on.
        devices: how many devices were made; gives them names.
    """

    no_network: UntriedError | None = None
    no_mounts: UntriedError | None = None
    room: Path = Path("/")
    no_ipv6: str = ""
    devices: int = field(default=0)

    def need_network(self) -> None:
        """Refuse to try where that would touch the host's network.

        Raises:
            UntriedError: there is no namespace of our own.
        """
        if self.no_network:
            raise self.no_network

    @contextmanager
    def mounted(self, kind: str) -> Iterator[Path]:
        """Mount a file system that goes away with it.

        Raises:
            UntriedError: nothing can be mounted here.
            OSError: the kernel refuses this file system.
        """
        if self.no_mounts:
            raise self.no_mounts
        place = self.room / kind
        place.mkdir(exist_ok=True)
        _mount(kind, place, kind)
        try:
            yield place
        finally:
            _libc.umount2(str(place).encode(), 2)

    @contextmanager
    def cgroup(self) -> Iterator[int]:
        """Make a cgroup without processes; give its file descriptor.

        Raises:
            UntriedError: it cannot be made.
        """
        with self.mounted("cgroup2") as root:
            remove_cgroups(root)
            place = root / f"{CGROUP}{os.getpid()}"
            try:
                place.mkdir()
            except OSError as error:
                raise refused(error, "no cgroup can be made") from error
            fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)
                place.rmdir()

    def device(self) -> str:
        """Return a name for a new device."""
        self.devices += 1
        return f"by{self.devices}"


CGROUP = "beeyard-proof-"
"""How names of our cgroups begin; a process id follows."""


def remove_cgroups(root: Path) -> None:
    """Remove what a killed proof left: empty cgroups of processes that are gone."""
    for left in root.glob(f"{CGROUP}*"):
        if not Path("/proc", left.name.removeprefix(CGROUP)).exists():
            with contextlib.suppress(OSError):
                left.rmdir()


def enter() -> Lab:
    """Move this process into namespaces of its own and return what can be done there."""
    with contextlib.suppress(OSError, ValueError):  # kernels before 5.11 count maps as locked memory
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    lab = Lab(no_ipv6=_no_ipv6())
    try:
        _unshare(_CLONE_NEWNET)
    except OSError as error:
        lab.no_network = refused(error, "no network namespace can be made")
    try:
        _unshare(_CLONE_NEWNS)
        _mount("none", Path("/"), "", _PRIVATE)
        lab.room = next((path for path in map(Path, _ROOMS) if path.is_dir()), Path("/var"))
        _mount("tmpfs", lab.room, "tmpfs")
    except OSError as error:
        lab.no_mounts = refused(error, "nothing can be mounted")
    return lab


def _no_ipv6() -> str:
    try:
        disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").read_text().strip()
    except OSError:
        return ""
    return "net.ipv6.conf.all.disable_ipv6=1 on the host" if disabled == "1" else ""


def _unshare(what: int) -> None:
    if _libc.unshare(what):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, place: Path, kind: str, flags: int = 0) -> None:
    if _libc.mount(source.encode(), str(place).encode(), kind.encode(), flags, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def refused(error: OSError, words: str = "") -> UntriedError:
    """Return why the kernel refused something that is no answer to a trial: mostly, which right is missing.

    Args:
        error: what the kernel said.
        words: what it was about.
    """
    what = said(error, words)
    if error.errno not in (errno.EPERM, errno.EACCES):
        return UntriedError(what)
    if os.geteuid() != 0 and not has(_SYS_ADMIN):
        return UntriedError(f"root is needed ({what})", _ROOT_FIX)
    lacking = [name for name, bit in (("CAP_NET_ADMIN", _NET_ADMIN), ("CAP_SYS_ADMIN", _SYS_ADMIN)) if not has(bit)]
    if lacking:
        return UntriedError(
            f"root lacks {' and '.join(lacking)} ({what})", "run it on the host itself, or in a privileged container"
        )
    if lockdown := _lockdown():
        return UntriedError(f"the kernel is locked down: {lockdown} ({what})", "boot without lockdown=confidentiality")
    return UntriedError(
        f"something forbids it, such as a filter of system calls of a container ({what})",
        "run it on the host itself, or in a privileged container",
    )


def has(capability: int) -> bool:
    """Whether this process has a capability."""
    return bool(_powers() >> capability & 1)


def _powers() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _lockdown() -> str:
    try:
        text = Path("/sys/kernel/security/lockdown").read_text()
    except OSError:
        return ""
    mode = text.partition("[")[2].partition("]")[0]
    return "" if mode == "none" else mode
