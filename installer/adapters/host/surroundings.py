"""What else on this host has a say in its network, its name and its clock."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from installer.adapters.host import procfs
from installer.domain.errors import BeeyardError
from installer.domain.preflight.surroundings import Clock, Identity, Managers, Resolver, Setting
from installer.ports.host import Processes

_SYSCTL_FOLDERS: Final = (
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/run/sysctl.d",
    "/etc/sysctl.d",
)
_NETWORKD_FOLDERS: Final = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
_KEEPERS: Final = ("chronyd", "systemd-timesyn", "ntpd", "openntpd", "ptp4l", "phc2sys", "VBoxService", "vmtoolsd")
_CLOUD_SETUP: Final = ("nm-cloud-setup.service", "nm-cloud-setup.timer")
_CILIUM_TRACES: Final = (
    "/etc/cni/net.d/05-cilium.conflist",
    "/opt/cni/bin/cilium-cni",
    "/sys/fs/bpf/cilium",
    "/sys/fs/bpf/tc/globals",
    "/run/cilium/cilium.sock",
    "/etc/sysctl.d/99-zzz-override_cilium.conf",
)
_CILIUM_LINKS: Final = ("cilium_host", "cilium_net", "cilium_vxlan", "cilium_geneve", "cilium_wg0")
_UNSYNCHRONISED: Final = 0x40
"""STA_UNSYNC of adjtimex(2)."""


class _Timex(ctypes.Structure):
    """The head of the kernel's ``struct timex``."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def clock() -> Clock:
    """Ask the kernel whether a time service keeps the clock."""
    names = {procfs.text(procfs.PROC / str(pid) / "comm").strip() for pid in procfs.processes()}
    keeper = next((name for name in _KEEPERS if name in names), "")
    record = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(record))
    except (OSError, AttributeError):
        return Clock(None, keeper)
    return Clock(None if state < 0 else not record.status & _UNSYNCHRONISED, keeper)


def rp_filter() -> dict[str, int]:
    """Return the reverse path filter of every link."""
    found = {}
    for entry in sorted((procfs.PROC / "sys/net/ipv4/conf").glob("*/rp_filter")):
        text = procfs.text(entry).strip()
        if text.isdigit():
            found[entry.parent.name] = int(text)
    return found


def sysctl_lines() -> tuple[Setting, ...]:
    """Return the lines about the reverse path filter, in the order of reading; ``/etc/sysctl.conf`` comes last."""
    chosen: dict[str, Path] = {}
    for folder in map(Path, _SYSCTL_FOLDERS):
        chosen |= {path.name: path for path in sorted(folder.glob("*.conf"))}
    paths = [chosen[name] for name in sorted(chosen)]
    conf = Path("/etc/sysctl.conf")
    read = {path.resolve() for path in paths}
    if shutil.which("sysctl") and procfs.exists(conf) and conf.resolve() not in read:
        paths.append(conf)
    return tuple(line for path in paths for line in _settings(path) if line.key.endswith("rp_filter"))


def _settings(path: Path) -> Iterator[Setting]:
    for line in procfs.text(path).splitlines():
        key, equals, value = line.strip().lstrip("-").partition("=")
        if equals and not line.lstrip().startswith(("#", ";")):
            yield Setting(str(path), key.strip().replace("/", "."), value.strip())


def resolvers() -> tuple[Resolver, ...]:
    """Return the resolv.conf files that k3s looks at."""
    paths = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
    return tuple(Resolver(path, _servers(Path(path))) for path in paths if procfs.exists(Path(path)))


def _servers(path: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"^\s*nameserver\s+(\S+)", procfs.text(path), re.MULTILINE))


def identity() -> Identity:
    """Return by what the host is told from others."""
    password = Path("/etc/rancher/node/password")
    return Identity(_machine_id(), _cloned(), str(password) if procfs.exists(password) else "")


def _machine_id() -> str:
    path = Path("/etc/machine-id")
    if not procfs.exists(path):
        return "missing"
    text = procfs.text(path).strip()
    if text in ("", "uninitialized"):
        return text or "empty"
    right = re.fullmatch(r"[0-9a-f]{32}", text) and len(set(text)) > 1
    return "set" if right else "malformed"


def _cloned() -> str:
    """Tell whether cloud-init saw another machine on this disk, and the machine id is still that one's."""
    data = Path("/var/lib/cloud/data")
    now, before = (procfs.text(data / name).strip() for name in ("instance-id", "previous-instance-id"))
    if not now or before in ("", now, "NO_PREVIOUS_INSTANCE_ID"):
        return ""
    try:
        older = Path("/etc/machine-id").stat().st_mtime < (data / "instance-id").stat().st_mtime
    except OSError:
        return ""
    return f"cloud-init knew this disk as {before}, now it is {now}; /etc/machine-id is from before" if older else ""


def ssh_client(environ: Mapping[str, str]) -> str:
    """Return the address of the other end of this session; sudo hides it, so parents are asked too."""
    pid = os.getpid()
    text = environ.get("SSH_CONNECTION", "")
    while not text and pid > 1:
        status = procfs.text(procfs.PROC / str(pid) / "stat").rpartition(")")[2].split()
        pid = int(status[1]) if len(status) > 1 else 0
        variables = procfs.text(procfs.PROC / str(pid) / "environ").split("\0")
        text = next((one.partition("=")[2] for one in variables if one.startswith("SSH_CONNECTION=")), "")
    return text.split()[0] if text.split() else ""


def kubeconfig_missing(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that ``KUBECONFIG`` names and that do not exist."""
    names = [name for name in environ.get("KUBECONFIG", "").split(":") if name]
    return tuple(name for name in names if not procfs.exists(Path(name)))


def cilium_left(links: tuple[str, ...]) -> tuple[str, ...]:
    """Return the traces of a Cilium."""
    own = [name for name in links if name in _CILIUM_LINKS or re.fullmatch(r"lxc(_health|[0-9a-f]{10,})", name)]
    return (*own, *(path for path in _CILIUM_TRACES if procfs.exists(Path(path))))


def rc_local() -> bool:
    """Whether OpenRC's service ``local`` starts at boot."""
    return procfs.exists(Path("/etc/runlevels/default/local"))


async def managers(processes: Processes) -> Managers:
    """Look at systemd-networkd, NetworkManager and its cloud setup."""
    names = {procfs.text(procfs.PROC / str(pid) / "comm").strip() for pid in procfs.processes()}
    networkd, manager = "systemd-network" in names, "NetworkManager" in names
    devices = await _out(processes, ["nmcli", "-t", "-f", "DEVICE,STATE", "device"]) if manager else ""
    config = (await _out(processes, ["NetworkManager", "--print-config"]) or _manager_files()) if manager else ""
    return Managers(
        networkd=networkd,
        networkd_keeps=_networkd_keeps(),
        network_manager=manager,
        grabbed=tuple(_grabbed(devices)),
        unmanaged=_unmanaged(config),
        cloud_setup=await _cloud_setup(processes),
    )


def _networkd_keeps() -> bool:
    """Whether networkd's configuration, drop-ins by name over the main file, leaves what is not its own."""
    main = next(
        (path for folder in reversed(_NETWORKD_FOLDERS) if procfs.exists(path := Path(folder, "networkd.conf"))), None
    )
    chosen: dict[str, Path] = {}
    for folder in _NETWORKD_FOLDERS:
        chosen |= {path.name: path for path in sorted(Path(folder, "networkd.conf.d").glob("*.conf"))}
    answers: dict[str, str] = {}
    for path in ([main] if main else []) + [chosen[name] for name in sorted(chosen)]:
        rows = re.findall(r"^\s*(ManageForeign\w+)\s*=\s*(\S+)", procfs.text(path), re.MULTILINE)
        answers |= {key: value.lower() for key, value in rows}
    wanted = ("ManageForeignRoutes", "ManageForeignRoutingPolicyRules")
    return all(answers.get(key) in ("no", "false", "off", "0") for key in wanted)


def _grabbed(devices: str) -> Iterator[str]:
    for line in devices.splitlines():
        name, _, state = line.rpartition(":")
        if re.match(r"cilium_|lxc", name) and state not in ("unmanaged", ""):
            yield name


def _manager_files() -> str:
    """Return NetworkManager's configuration where it does not print it itself (its program may be off our PATH)."""
    folders = ("/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/etc/NetworkManager/conf.d")
    paths = [Path("/etc/NetworkManager/NetworkManager.conf")]
    paths += [path for folder in folders for path in sorted(Path(folder).glob("*.conf"))]
    return "\n".join(map(procfs.text, paths))


def _unmanaged(config: str) -> tuple[str, ...]:
    rows = re.findall(r"^\s*unmanaged-devices\s*\+?=\s*(.+)$", config, re.MULTILINE)
    return tuple(part.strip() for row in rows for part in re.split(r"[;,]", row) if part.strip())


async def _cloud_setup(processes: Processes) -> bool:
    for unit in _CLOUD_SETUP:
        if (await _out(processes, ["systemctl", "is-enabled", unit])).strip().startswith("enabled"):
            return True
    return False


async def _out(processes: Processes, argv: list[str]) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    try:
        return (await processes.run(argv, env={"LC_ALL": "C"}, timeout=20.0, check=False)).out
    except BeeyardError:
        return ""


async def gather(processes: Processes, environ: Mapping[str, str], links: tuple[str, ...]) -> dict[str, Any]:
    """Return all of it as fields of ``HostFacts``."""
    return {
        "rp_filter": rp_filter(),
        "sysctl_lines": sysctl_lines(),
        "managers": await managers(processes),
        "identity": identity(),
        "clock": clock(),
        "resolvers": resolvers(),
        "ssh_client": ssh_client(environ),
        "kubeconfig_missing": kubeconfig_missing(environ),
        "cilium_left": cilium_left(links),
        "rc_local": rc_local(),
    }
