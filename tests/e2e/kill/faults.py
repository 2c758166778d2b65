"""Faults of the world: each breaks something right now, and mends it before the next run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.kill import planted, processes
from tests.testbed.world_init import GATEWAY

CLOCK = {"clock-ahead": 172800.0, "clock-back": 172800.0}
"""Seconds by which the wall clock is ahead; for ``clock-back`` from the beginning until it is put right."""
FROZEN = 10.0
"""Seconds for which an API server says nothing."""
_DISK = "/run"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_KEPT = ("kill-matrix", "netns", "lock")
_MOUNTS = ("/run/k3s", "/var/lib/kubelet", "/var/lib/rancher/", "/run/netns/cni-", "/run/cilium", "/sys/fs/bpf")


@dataclass(slots=True)
class Site:
    """What a fault may need.

    Attributes:
        run: the install at work.
        mirror: the server that it takes files from, where there is one.
        start_mirror: starts it.
    """

    run: subprocess.Popen[str]
    mirror: subprocess.Popen[bytes] | None = None
    start_mirror: Callable[[], subprocess.Popen[bytes]] | None = None
    later: list[threading.Timer] = field(default_factory=list)


Action = Callable[[Site], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        says: what happens, for people.
        strike: breaks it; the install stands still meanwhile where its point is one of its changes.
        after: breaks it once the install has gone on.
        mend: puts it right.
    """

    says: str
    strike: Action = lambda _: None
    after: Action = lambda _: None
    mend: Action = lambda _: None


def _kill_run(site: Site) -> None:
    site.run.kill()


def _hang_up(site: Site) -> None:
    """The terminal is gone, as after a lost connection."""
    site.run.send_signal(signal.SIGHUP)


def _kill(find: Callable[[], list[int]]) -> Action:
    return lambda _: processes.kill(find())


def _child(*names: str) -> Action:
    def strike(_: Site) -> None:
        processes.wait(lambda: processes.named(*names), names[0])
        processes.kill(processes.named(*names))

    return strike


def _kill_helm(_: Site) -> None:
    processes.wait(processes.helm, "helm")
    processes.kill(processes.helm())


def _kill_run_beside_helm(site: Site) -> None:
    """The install dies, its helm lives on."""
    processes.wait(processes.helm, "helm")
    site.run.kill()


def _node_dies(_: Site) -> None:
    processes.wait(processes.server, "k3s")
    processes.kill([*processes.supervisor(), *processes.server()])


def _api_lost(_: Site) -> None:
    processes.kill(processes.supervisor(), signal.SIGSTOP)
    processes.kill(processes.server())


def _api_found(_: Site) -> None:
    processes.kill(processes.supervisor(), signal.SIGCONT)


def _freeze(site: Site) -> None:
    frozen = processes.named("kube-apiserver")
    processes.kill(frozen, signal.SIGSTOP)
    timer = threading.Timer(FROZEN, processes.kill, (frozen, signal.SIGCONT))
    timer.start()
    site.later.append(timer)


def _thaw(site: Site) -> None:
    for timer in site.later:
        timer.join()


def _fill_disk(site: Site) -> None:
    """Leave no space: everything that is written in a world lies in one file system in memory."""
    del site
    for _ in range(20):
        info = os.statvfs(_DISK)
        used = (info.f_blocks - info.f_bfree) * info.f_frsize
        command = ["mount", "-o", f"remount,size={used}", _DISK]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
    raise RuntimeError("the disk grows faster than it can be made full")


def _free_disk(_: Site) -> None:
    subprocess.run(["mount", "-o", "remount,size=100%", _DISK], check=True)


def _link_down(_: Site) -> None:
    subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)


def _link_up(_: Site) -> None:
    _raise_link()
    subprocess.run(["ip", "route", "replace", "198.18.1.0/24", "via", GATEWAY, "table", "100"], check=True)


def _raise_link() -> None:
    subprocess.run(["ip", "link", "set", "eth0", "up"], check=True)
    subprocess.run(["ip", "route", "replace", "default", "via", GATEWAY], check=True)


def _mirror_dies(site: Site) -> None:
    assert site.mirror is not None
    site.mirror.kill()
    site.mirror.wait()


def _mirror_lives(site: Site) -> None:
    assert site.start_mirror is not None
    site.mirror = site.start_mirror()


def _power_loss(_: Site) -> None:
    """Every process is gone at once; what only memory held is gone with it."""
    while left := processes.everything_but_us():
        processes.kill(left)
        time.sleep(0.01)


def _boot(site: Site) -> None:
    """Come up again: no mounts, links, rules or run-time files of before, another boot id."""
    del site
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted(points, key=len, reverse=True):
        if point.startswith(_MOUNTS):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)
    for left in [*Path("/run").iterdir(), *Path("/run/netns").glob("cni-*")]:
        if left.name not in _KEPT:
            _remove(left)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    for link in Path("/sys/class/net").iterdir():
        if link.name not in ("lo", "eth0"):
            subprocess.run(["ip", "link", "del", link.name], check=False, capture_output=True)
    subprocess.run(["ip", "rule", "del", "pref", "1000"], check=True)
    subprocess.run(["ip", "route", "flush", "table", "100"], check=True)
    _raise_link()
    for folder in Path("/sys/fs/cgroup").glob("**/kubepods"):
        for below, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):
                Path(below).rmdir()
    fresh = Path("/run/kill-matrix") / f"boot-{uuid.uuid4().hex}"
    fresh.write_text(f"{uuid.uuid4()}\n")
    subprocess.run(["mount", "--bind", str(fresh), str(_BOOT_ID)], check=True)
    planted.plant_rules()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


FAULTS = {
    "kill": Fault("SIGKILL", _kill_run),
    "killed-beside-helm": Fault("SIGKILL, helm lives on", after=_kill_run_beside_helm),
    "hangup": Fault("SIGHUP: the terminal is gone", _hang_up),
    "disk-full": Fault("disk full", _fill_disk, mend=_free_disk),
    "link-down": Fault("the network's link goes down", _link_down, mend=_link_up),
    "mirror-gone": Fault("the mirror ends", _mirror_dies, mend=_mirror_lives),
    "helm-killed": Fault("helm is killed", after=_kill_helm),
    "k3s-killed": Fault("k3s is killed and started again", _kill(processes.server)),
    "node-dead": Fault("k3s and its supervisor are killed", after=_node_dies),
    "api-gone": Fault("the API server is killed", _child("kube-apiserver")),
    "api-lost": Fault("k3s is killed and stays away", _api_lost, mend=_api_found),
    "api-frozen": Fault("the API server stands still for 10 s", _freeze, mend=_thaw),
    "oom-etcd": Fault("etcd is killed", after=_child("etcd")),
    "oom-kubelet": Fault("kubelet is killed", _child("kubelet")),
    "oom-containerd": Fault("containerd is killed", _child("containerd")),
    "oom-agent": Fault(
        "the Cilium agent is killed", _kill(lambda: processes.find(lambda line: "standin.agent" in line))
    ),
    "clock-ahead": Fault("the clock jumps two days ahead"),
    "clock-back": Fault("the clock is two days ahead, SIGKILL, it is put right"),
    "power-loss": Fault("power loss and reboot", _power_loss, mend=_boot),
}
