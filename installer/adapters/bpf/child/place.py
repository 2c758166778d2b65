"""What the tap needs of the host, each with what to do where it is missing."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import NamedTuple

from installer.adapters.bpf.child.refusal import Refusal

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_PERFMON": 38, "CAP_BPF": 39}
_SYS_ADMIN = 21


class Headers(NamedTuple):
    """Kernel headers to compile with.

    Attributes:
        build: folder of the generated headers.
        source: folder of the others; the same where they are not apart.
        native: they are those of the running kernel, where bcc finds them by itself.
        release: what they belong to.
    """

    build: str
    source: str
    native: bool
    release: str


def check_rights(status: str) -> None:
    """Refuse without the capabilities that programs, perf events and attaching need.

    Args:
        status: content of ``/proc/self/status``.
    """
    effective = 0
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    if effective >> _SYS_ADMIN & 1:
        return
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        raise Refusal(
            "E-BPF-001",
            "The tap may not load programs into the kernel",
            f"This process lacks {', '.join(missing)}.",
            "Run it as root: sudo beeyard tap.",
        )


def check_lockdown(path: Path) -> None:
    """Refuse where the kernel forbids programs to read its memory."""
    try:
        text = path.read_text()
    except OSError:
        return
    if "[confidentiality]" in text:
        raise Refusal(
            "E-BPF-002",
            "The kernel is locked down: programs may not read its memory",
            f"{path} says confidentiality.",
            "Boot with lockdown=integrity (or without Secure Boot's confidentiality mode) to use the tap.",
        )


def raise_memlock() -> None:
    """Allow locked memory without limit: kernels before 5.11 count maps against it."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))


def find_btf(path: Path) -> bytes:
    """Return the kernel's BTF."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Refusal(
            "E-BPF-005",
            "The kernel does not describe its structures",
            f"{path}: {problem.strerror}.",
            "Use a kernel built with CONFIG_DEBUG_INFO_BTF=y; those of the distributions are since 2021.",
        ) from problem


def find_cgroup(mounts: str) -> str:
    """Return where cgroup2 is mounted.

    Args:
        mounts: content of ``/proc/self/mounts``.
    """
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) > 2 and parts[2] == "cgroup2":
            return parts[1].replace("\\040", " ")
    raise Refusal(
        "E-BPF-006",
        "There is no unified control group hierarchy (cgroup2)",
        "The tap sees the traffic of sockets at its root; /proc/self/mounts names none.",
        "Mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified.",
    )


def find_headers(release: str, modules: Path, sources: Path, chosen: str | None) -> Headers:
    """Return the headers to compile with: those chosen, the running kernel's, its own copy, else the nearest installed.

    Args:
        release: of the running kernel.
        modules: ``/lib/modules``.
        sources: ``/usr/src``.
        chosen: content of ``BCC_KERNEL_SOURCE``; bcc uses it by itself.
    """
    if chosen:
        return Headers(chosen, chosen, True, chosen)
    own = _apart(modules / release)
    if own is not None:
        return Headers(own[0], own[1], True, release)
    if Path("/sys/kernel/kheaders.tar.xz").exists():
        return Headers("", "", True, release)
    nearest = _nearest(release, _installed(modules, sources))
    if nearest is not None:
        return nearest
    raise Refusal(
        "E-BPF-004",
        "There are no kernel headers to compile with",
        f"Looked for {modules}/{release}/build, /sys/kernel/kheaders.tar.xz, and those of other kernels in {sources}.",
        "Install them: apt-get install linux-headers-$(uname -r), or any linux-headers package (dnf: kernel-devel).",
    )


def _apart(folder: Path) -> tuple[str, str] | None:
    """Return build and source folder of a kernel, where both are whole."""
    build, source = folder / "build", folder / "source"
    if (source / "include/linux/kconfig.h").exists() and (build / "include/generated/autoconf.h").exists():
        return str(build), str(source)
    if (build / "include/linux/kconfig.h").exists() and (build / "include/generated/autoconf.h").exists():
        return str(build), str(build)
    return None


def _installed(modules: Path, sources: Path) -> list[Headers]:
    found = []
    for folder in sorted(modules.glob("*")):
        pair = _apart(folder)
        if pair is not None:
            found.append(Headers(os.path.realpath(pair[0]), os.path.realpath(pair[1]), False, folder.name))
    for build in sorted(sources.glob("*")):
        if (build / "include/generated/autoconf.h").exists() and (build / "include/linux/kconfig.h").exists():
            found.append(Headers(str(build), str(build), False, build.name))  # noqa: PERF401 - reads better
    return found


def _nearest(release: str, found: list[Headers]) -> Headers | None:
    wanted = _version(release)
    return min(found, key=lambda one: _distance(_version(one.release), wanted), default=None)


def _version(text: str) -> tuple[int, int]:
    digits = [int(part) for part in "".join(sign if sign.isdigit() else " " for sign in text).split()]
    return ([*digits, 0, 0])[0], ([*digits, 0, 0])[1]


def _distance(one: tuple[int, int], other: tuple[int, int]) -> int:
    return abs((one[0] - other[0]) * 100 + one[1] - other[1])
