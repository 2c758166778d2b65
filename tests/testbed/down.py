"""Takes the testbed's cluster off this host: processes, mounts, links, tables, files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.testbed.shell import say

_K3S = Path("/usr/local/bin/k3s")
_MAGIC = b"BEEYK3S1"
_LONELY = "198.51.100.1/32"
_DATA = ("/var/lib/rancher/k3s",)
_MOUNTS = ("/run/k3s", "/var/lib/kubelet", "/var/lib/rancher", "/run/netns/cni-", "/run/cilium", "/var/run/cilium")
_STATE = (
    "/etc/rancher", "/var/lib/rancher", "/var/lib/kubelet", "/run/k3s", "/run/flannel", "/etc/cni/net.d",
    "/var/lib/cni", "/run/cilium", "/var/lib/cilium", "/var/lib/beeyard", "/run/beeyard", "/var/log/pods",
    "/var/log/containers", "/var/log/k3s.log", "/usr/libexec/kubernetes", "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s.service.env", "/etc/init.d/k3s", "/etc/conf.d/k3s",
    "/usr/local/bin/k3s-killall.sh", "/usr/local/bin/k3s-uninstall.sh",
)  # fmt: skip
_CNI_PLUGINS = ("ptp", "host-local", "portmap", "loopback", "bridge", "cilium-cni")
_LINKS = re.compile(r"^(cni0|flannel\.1|cilium_.*|lxc.*)$")
_TABLES = re.compile(r"^table (\w+) (cilium\w*)$")


def down(*, force: bool = False) -> int:
    """Stop the cluster and remove its state; refuse to touch a k3s that is not the stand-in unless forced."""
    if os.geteuid() != 0:
        say("down needs root")
        return 1
    if _K3S.exists() and not _is_stand_in(_K3S) and not force:
        say(f"{_K3S} is not the testbed's stand-in: leaving this host alone (--force removes it all the same)")
        return 1
    _stop_services()
    _stop_processes()
    _unmount()
    _clean_network()
    _remove_cgroups()
    _remove_files()
    return 0


def _is_stand_in(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - len(_MAGIC)))
        return stream.read() == _MAGIC


def _quiet(*argv: str) -> str:
    """Run a command if there is one of that name; its failure is not ours."""
    if not shutil.which(argv[0]):
        return ""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout


def _stop_services() -> None:
    if Path("/etc/systemd/system/k3s.service").exists():
        _quiet("systemctl", "disable", "--now", "k3s")
    if Path("/etc/init.d/k3s").exists():
        _quiet("rc-service", "k3s", "stop")
        _quiet("rc-update", "del", "k3s")


def _stop_processes() -> None:
    servers = [pid for pid in _pids() if _exe(pid) == str(_K3S)]
    supervisors = [pid for pid in _pids() if _supervises(pid)]
    _end([*supervisors, *servers], signal.SIGTERM, patience=20)
    _end([pid for pid in _pids() if _ours(pid)], signal.SIGKILL, patience=10)


def _end(pids: list[int], how: signal.Signals, *, patience: float) -> None:
    for pid in pids:
        _kill(pid, how)
    limit = time.monotonic() + patience
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > limit:
            for pid in pids:
                _kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)


def _kill(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def _alive(pid: int) -> bool:
    state = _read(f"/proc/{pid}/stat").rpartition(") ")[2][:1]
    return state not in ("", "Z", "X")


def _pids() -> list[int]:
    own = os.getpid()
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if path.name != str(own)]


def _exe(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _supervises(pid: int) -> bool:
    """Tell whether a process is beeyard's own supervisor of k3s, which would start it again."""
    words = _read(f"/proc/{pid}/cmdline").split("\0")
    return any(word.endswith("supervisor.py") for word in words) and any(word.endswith("/k3s") for word in words)


def _ours(pid: int) -> bool:
    """Tell whether a process is a program of the node or runs in one of its containers."""
    exe = _exe(pid)
    if exe == str(_K3S) or any(exe.startswith(f"{data}/data/") for data in _DATA):
        return True
    return "/kubepods" in _read(f"/proc/{pid}/cgroup")


def _unmount() -> None:
    points = [line.split()[4] for line in _read("/proc/self/mountinfo").splitlines()]
    for point in sorted(points, key=len, reverse=True):
        if point.startswith(_MOUNTS):
            _quiet("umount", "-l", point.replace("\\040", " "))
    for left in Path("/run/netns").glob("cni-*"):
        left.unlink(missing_ok=True)


def _clean_network() -> None:
    for line in _quiet("ip", "-o", "link").splitlines():
        name = line.split(": ")[1].partition("@")[0]
        if _LINKS.match(name):
            _quiet("ip", "link", "del", name)
    if _LONELY.removesuffix("/32") in _quiet("ip", "addr", "show", "dev", "lo"):
        _quiet("ip", "addr", "del", _LONELY, "dev", "lo")
    for line in _quiet("nft", "list", "tables").splitlines():
        if found := _TABLES.match(line.strip()):
            _quiet("nft", "delete", "table", found[1], found[2])
    for _ in _quiet("ip", "rule", "show", "priority", "9", "table", "2005").splitlines():
        _quiet("ip", "rule", "delete", "priority", "9", "lookup", "2005")
    _quiet("ip", "route", "flush", "table", "2005")
    rules = _quiet("iptables-save")
    if "KUBE-" in rules:
        kept = "".join(f"{line}\n" for line in rules.splitlines() if "KUBE-" not in line)
        subprocess.run(["iptables-restore"], input=kept, text=True, check=False)


def _remove_cgroups() -> None:
    for root in Path("/sys/fs/cgroup").glob("**/kubepods"):
        for folder, _, _ in os.walk(root, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _remove_files() -> None:
    _remove(Path(name) for name in _STATE)
    _remove(Path("/opt/cni/bin") / name for name in _CNI_PLUGINS)
    for name in ("kubectl", "ctr", "crictl"):
        link = _K3S.with_name(name)
        if link.is_symlink() and link.readlink().name == "k3s":
            link.unlink()
    _remove([_K3S])
    for left in ("/opt/cni/bin", "/opt/cni", "/etc/cni"):
        with suppress(OSError):
            Path(left).rmdir()


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.exists() or path.is_symlink():
            path.unlink()
