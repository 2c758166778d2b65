"""Small Debian machines in namespaces, with a real systemd or a real OpenRC as process 1.

One root holds both, so that what is installed and what runs differ. It is made once by debootstrap and kept in the
cache; each machine works on an overlay of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from installer.adapters.host.files import LocalFiles
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.host.procfs import mounts
from installer.ports.host import CommandResult, FileState

PACKAGES = ("systemd", "openrc", "iproute2", "python3-minimal", "procps")
INITS = {
    "systemd": "/lib/systemd/systemd --system --unit=multi-user.target --log-target=journal",
    "openrc": "/sbin/openrc-init",
}
# Runs as process 1 of fresh namespaces: builds the machine's mounts, enters its root, becomes its init.
_BOOT = """
set -eu
root=$1 work=$2 name=$3; shift 3
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
hostname "$name"
ip link set lo up
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
exec env -i container=beeyard PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""
_UNSHARE = ("unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--propagation", "private")


def cache() -> Path:
    """Return the folder for what takes long to make."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("BEEYARD_CACHE") or home / "beeyard")


def debian_root() -> Path:
    """Return the root of a minimal Debian with systemd and OpenRC; made on the first call."""
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    root = cache() / "roots" / f"debian-{key}"
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            made = root.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            _debootstrap(made)
            made.rename(root)
    return root


def _debootstrap(root: Path) -> None:
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "bookworm")
    argv = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(root), *_mirror(suite)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"debootstrap failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def _mirror(suite: str) -> list[str]:
    """Return the mirror that this machine's apt uses for the suite; none for debootstrap's default."""
    argv = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line.split()[1] for line in listed if line.split()[:1] == [suite]][:1]


class Machine:
    """A running machine; implements what the adapters need of a host: processes and files inside of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._processes = LocalProcesses()
        self._files = LocalFiles()

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command inside."""
        inside = ["nsenter", "--target", str(self.pid), "--all", *argv]
        return await self._processes.run(inside, env=env, stdin=stdin, timeout=timeout, check=check, on_line=on_line)

    def inside(self, path: Path) -> Path:
        """Return a path by which a file inside is reached from outside."""
        return Path(f"/proc/{self.pid}/root") / path.relative_to("/")

    def read(self, path: Path) -> FileState | None:
        """Read a file inside."""
        return self._files.read(self.inside(path))

    def write(
        self, path: Path, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None, backup: bool = True
    ) -> Path | None:
        """Write a file inside."""
        return self._files.write(self.inside(path), data, mode=mode, owner=owner, backup=backup)

    def install(self, source: Path, path: Path, *, mode: int = 0o755) -> None:
        """Put a file in place inside."""
        self._files.install(source, self.inside(path), mode=mode)

    def remove(self, path: Path) -> None:
        """Remove a file inside."""
        self._files.remove(self.inside(path))


@contextmanager
def machine(kind: str, work: Path) -> Iterator[Machine]:
    """Boot a machine with an init of ``INITS``, and end it with all its processes."""
    group = _cgroup() / f"beeyard-test-{os.getpid()}-{kind}"
    group.mkdir()
    command = [
        *_UNSHARE,
        "sh",
        "-c",
        _BOOT,
        "boot",
        str(debian_root()),
        str(work),
        f"test-{kind}",
        *INITS[kind].split(),
    ]
    into_group = ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    with (work.parent / f"{kind}.log").open("w+") as log:
        starter = subprocess.Popen([*into_group, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            init = _init_of(starter)
            _await_boot(kind, init, starter, log.name)
            yield Machine(init)
        finally:
            _end(starter, group)


def _cgroup() -> Path:
    table = mounts(Path("/proc/self/mountinfo").read_text())
    return Path(next(mount.point for mount in table if mount.kind == "cgroup2"))


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _init_of(starter: subprocess.Popen[bytes]) -> int:
    while starter.poll() is None:
        if children := _children(starter.pid):
            return children[0]
        time.sleep(0.02)
    raise AssertionError(f"the machine did not start: {starter.returncode}")


def _await_boot(kind: str, init: int, starter: subprocess.Popen[bytes], log: str) -> None:
    """Wait until the init has reached its goal; the test's own time limit ends the wait."""
    asks = {
        "systemd": "systemctl is-system-running --wait 2>/dev/null | grep -E 'running|degraded'",
        "openrc": "grep -q default /run/openrc/softlevel && ! pgrep -x openrc",
    }
    wanted = Path(INITS[kind].split()[0]).name
    while starter.poll() is None:
        booted = Path(f"/proc/{init}/comm").read_text().strip() == wanted
        ask = ["nsenter", "--target", str(init), "--all", "sh", "-c", asks[kind]]
        if booted and subprocess.run(ask, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"the machine ended: {Path(log).read_text()[-2000:]}")


def _end(starter: subprocess.Popen[bytes], group: Path) -> None:
    """Kill process 1, with which the kernel kills all others, and remove the machine's cgroups."""
    if starter.poll() is None:
        for init in _children(starter.pid):
            os.kill(init, 9)
    starter.wait()
    for folder, _, _ in os.walk(group, topdown=False):
        _remove_cgroup(Path(folder))


def _remove_cgroup(group: Path) -> None:
    """Remove a cgroup, once its dying processes have left it."""
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
