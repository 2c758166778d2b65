"""The first process of a world: makes its files and network, runs the command, buries the dead."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed import world_groups
from tests.testbed.shell import BuildError

NEW_ROOT = Path("/mnt")
"""Where the world's root is put together: any folder will do, its own mount hides it."""
_IN_MEMORY = ("run", "var/lib/rancher", "var/lib/kubelet", "var/lib/containerd", "var/log")
"""Folders that begin empty, and may carry an overlay of their own."""
_SYSTEM = ("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security")
ADDRESS, GATEWAY = "203.0.113.2", "203.0.113.1"
_DIE_WITH_PARENT = 1
_NEW_MOUNTS, _NEW_TIME = 0x00020000, 0x00000080
_NEW_REST = 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
"""Control groups, host name, IPC, processes, network."""


@dataclass(slots=True)
class Plan:
    """A world to be.

    Attributes:
        name: its name, and its host's.
        command: what runs in it.
        cut_off: loopback only.
        shared: folders that are the host's own.
        later: seconds by which its monotonic clock is further.
    """

    name: str
    command: tuple[str, ...]
    cut_off: bool = False
    shared: list[Path] = field(default_factory=list)
    later: int = 0


def unshare(*, with_time: bool) -> None:
    """Let the next process that is forked be the first of new namespaces; all but that of mounts."""
    _unshare(_NEW_REST | (_NEW_TIME if with_time else 0))


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise BuildError(f"no namespaces for a world: {os.strerror(ctypes.get_errno())}")


def begin(plan: Plan, tell: int) -> int:
    """Be the world's first process; write a byte to `tell` when it is made; return the command's exit code."""
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        folder = Path.cwd()
        _unshare(_NEW_MOUNTS)
        _files(plan)
        world_groups.leave_root()
        _network(plan)
        os.chdir(folder if folder.is_dir() else "/")
    except (OSError, BuildError, subprocess.CalledProcessError):
        traceback.print_exc()
        return 125
    os.write(tell, b"1")
    os.close(tell)
    return _live(plan.command)


def _do(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def _files(plan: Plan) -> None:
    cgroups = world_groups.hierarchies()
    _do("mount", "--make-rprivate", "/")
    _do("mount", "-t", "tmpfs", "-o", "mode=755,size=100%", "world", str(NEW_ROOT))
    root, upper, work = (NEW_ROOT / part for part in ("root", "upper", "work"))
    memory = NEW_ROOT / "memory"
    for part in (root, upper, work, memory):
        part.mkdir()
    os.open(upper, os.O_RDONLY | os.O_DIRECTORY)  # kept: the one way to what was written over the host's files
    _do("mount", "-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "world", str(root))
    for name in _IN_MEMORY:
        source = memory / name
        source.mkdir(parents=True)
        (root / name).mkdir(parents=True, exist_ok=True)
        _do("mount", "--bind", str(source), str(root / name))
    for path in plan.shared:
        inside = root / str(path).lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        _do("mount", "--bind", str(path), str(inside))
    _kernel_files(root, cgroups)
    socket.sethostname(plan.name)
    (root / "etc/hostname").write_text(f"{plan.name}\n")
    (root / "run/lock").mkdir()
    _enter(root)
    # The host's folders get nothing of what is mounted below them here.
    _do("mount", "--make-rshared", "/")


def _kernel_files(root: Path, cgroups: list[world_groups.Hierarchy]) -> None:
    _do("mount", "-t", "proc", "proc", str(root / "proc"))
    _do("mount", "-t", "sysfs", "sysfs", str(root / "sys"))
    _do("mount", "--rbind", "/dev", str(root / "dev"))
    _do("mount", "-t", "tmpfs", "tmpfs", str(root / "dev/shm"))
    for path in _SYSTEM:
        if os.path.ismount(path):
            _do("mount", "--bind", path, str(root / path.lstrip("/")))
    if not any(item.mount == Path("/sys/fs/cgroup") for item in cgroups):
        _do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root / "sys/fs/cgroup"))
    for item in cgroups:
        place = root / str(item.mount).lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        options = ["-o", item.options] if item.options else []
        _do("mount", "-t", item.kind, *options, item.kind, str(place))


def _enter(root: Path) -> None:
    """Make `root` the root of everything in this namespace, and let go of the old one."""
    os.chdir(root)
    _do("pivot_root", ".", "mnt")
    os.chroot(".")
    os.chdir("/")
    _do("umount", "-l", "/mnt")


def _network(plan: Plan) -> None:
    _do("ip", "link", "set", "lo", "up")
    if plan.cut_off:
        return
    _do("ip", "netns", "add", "outside")
    _do("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    _do("ip", "-n", "outside", "link", "set", "lo", "up")
    for where, address in (([], ADDRESS), (["-n", "outside"], GATEWAY)):
        _do("ip", *where, "address", "add", f"{address}/24", "dev", "eth0")
        _do("ip", *where, "link", "set", "eth0", "up")
    _do("ip", "route", "add", "default", "via", GATEWAY)


def _live(command: tuple[str, ...]) -> int:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: _pass_on(child, got))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status) % 256


def _pass_on(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
