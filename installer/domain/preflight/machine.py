"""Checks of the machine: user, processor, kernel, memory, disks, mounts, limits."""

# All checks have one signature.
# ruff: noqa: ARG001
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from installer.domain.preflight.facts import Filesystem, HostFacts
from installer.domain.preflight.findings import GIB, Finding, Level, Wanted

ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
MIN_KERNEL: Final = (5, 10)
MIN_RHEL_KERNEL: Final = (4, 18)
CGROUP2_ONLY: Final = (1, 35)
MIN_MEMORY: Final = 2 * GIB
MIN_INODES: Final = 20_000
MIN_INOTIFY_INSTANCES: Final = 512
MIN_INOTIFY_WATCHES: Final = 65536
EARLIEST: Final = 1_767_225_600.0
"""2026-01-01: a clock before the first release of this program is wrong."""
_RHEL: Final = {"rhel", "centos", "rocky", "almalinux", "ol"}
_BIN_DIRS: Final = ("/usr/local/bin", "/opt/bin")
_NEEDED_CAPABILITIES: Final = ("CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE", "CAP_MKNOD")
_USEFUL_CAPABILITIES: Final = ("CAP_SYS_RESOURCE", "CAP_IPC_LOCK", "CAP_SYS_CHROOT", "CAP_BPF", "CAP_PERFMON")


def check_user(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Only root can install a service and mount file systems."""
    if facts.uid != 0:
        yield Finding(
            "E-PRE-001",
            Level.ERROR,
            "user",
            "beeyard must run as root to install",
            f"effective user id {facts.uid}",
            "run it with sudo",
        )


def check_architecture(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Cilium's images exist for two architectures."""
    if facts.arch not in ARCHITECTURES:
        yield Finding(
            "E-PRE-002",
            Level.ERROR,
            "architecture",
            f"{facts.arch} is not supported: Cilium's images exist for amd64 and arm64 only",
            f"uname -m says {facts.arch}",
            "use a 64-bit x86 or ARM host (a 64-bit ARM board may need a 64-bit operating system)",
        )


def leading_version(release: str) -> tuple[int, int]:
    """Return major and minor that a version begins with; (0, 0) when it is not one."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def check_kernel(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Cilium needs Linux 5.10, or Red Hat's 4.18 which carries the backports."""
    version = leading_version(facts.kernel)
    red_hat = facts.os_id in _RHEL or "rhel" in facts.os_like
    if version < (MIN_RHEL_KERNEL if red_hat else MIN_KERNEL):
        yield Finding(
            "E-PRE-003",
            Level.WARNING if wanted.allow_unsupported else Level.ERROR,
            "kernel",
            "the kernel is too old for Cilium: 5.10 is needed (4.18 on RHEL 8.10 and its kin)",
            f"uname -r says {facts.kernel} on {facts.os_id} {facts.os_version}".rstrip(),
            "install a newer kernel and reboot",
        )
    if "wireguard" in wanted.features and version < (5, 6):
        yield Finding(
            "E-PRE-004",
            Level.ERROR,
            "kernel",
            "WireGuard encryption needs Linux 5.6",
            f"uname -r says {facts.kernel}",
            "install a newer kernel, or leave encryption off",
        )


def check_memory(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A server with Cilium on less than 2 GB dies of memory pressure."""
    # A machine sold with 2 GB shows up to a tenth less, taken by firmware and kernel.
    if 0 < facts.memory_bytes < MIN_MEMORY * 0.9:
        yield Finding(
            "E-PRE-005",
            Level.WARNING,
            "memory",
            "less than 2 GB of memory: the control plane and Cilium may be killed under load",
            f"{facts.memory_bytes / GIB:.1f} GiB in all",
            "give the host 2 GB or more",
        )


def check_swap(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Swap is allowed, but worth knowing."""
    if facts.swap_bytes > 0:
        yield Finding(
            "E-PRE-006",
            Level.INFO,
            "swap",
            "swap is on: k3s runs with it, but memory limits of pods become soft",
            f"{facts.swap_bytes / GIB:.1f} GiB of swap",
            "turn it off for predictable latency: swapoff -a, and remove it from /etc/fstab",
        )


def check_cgroup(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """The kubelet cannot start without the memory controller."""
    if "memory" not in facts.controllers:
        yield Finding(
            "E-PRE-007",
            Level.ERROR,
            "cgroup",
            "the kernel's memory cgroup is off, the kubelet refuses to start",
            f"cgroup {facts.cgroup or 'not mounted'}, controllers: {' '.join(facts.controllers) or 'none'}",
            "add `cgroup_memory=1 cgroup_enable=memory` to the kernel's command line "
            "(Raspberry Pi: /boot/firmware/cmdline.txt) and reboot",
        )
    elif facts.cgroup in ("v1", "hybrid") and not (0, 0) < leading_version(wanted.k3s_version[1:]) < CGROUP2_ONLY:
        known = wanted.k3s_version != "" and not wanted.allow_unsupported
        yield Finding(
            "E-PRE-008",
            Level.ERROR if known else Level.WARNING,
            "cgroup",
            "cgroup v1 is in use, with which the kubelet of Kubernetes 1.35 and later does not start by default",
            f"cgroup {facts.cgroup}, k3s {wanted.k3s_version or 'not chosen yet'}",
            "boot with systemd.unified_cgroup_hierarchy=1, or pin k3s 1.34, "
            "or set k3s' kubelet-arg fail-cgroupv1=false and use --allow-unsupported",
        )


def check_disk(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Images and the data store must fit."""
    found = facts.filesystem(wanted.data_dir)
    if found is None:
        return
    if found.free_bytes < wanted.disk_bytes:
        yield Finding(
            "E-PRE-009",
            Level.ERROR,
            found.path,
            f"not enough disk: {wanted.disk_bytes / GIB:.1f} GiB are needed",
            f"{found.free_bytes / GIB:.1f} GiB free of {found.total_bytes / GIB:.1f} GiB on {found.mount}",
            f"free space on {found.mount}, or choose another data folder",
        )
    if found.total_inodes and found.free_inodes < MIN_INODES:
        yield Finding(
            "E-PRE-010",
            Level.ERROR,
            found.path,
            f"not enough inodes: {MIN_INODES} are needed for unpacked images",
            f"{found.free_inodes} free of {found.total_inodes} on {found.mount}",
            f"delete small files on {found.mount}, or choose another data folder",
        )


def check_mount_options(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """We must be able to write, and containers to run programs from the data folder."""
    for found in facts.filesystems:
        if found.path in _BIN_DIRS and found.path != wanted.bin_dir:
            continue
        if "ro" in found.options and found.path == wanted.bin_dir:
            yield _read_only_programs(found, facts)
        elif "ro" in found.options:
            yield _mount_finding("E-PRE-011", found, "read-only", "mount -o remount,rw")
        elif "noexec" in found.options and found.path in (wanted.data_dir, wanted.bin_dir, "/opt/cni/bin"):
            yield _mount_finding("E-PRE-012", found, "noexec, programs there cannot run", "mount -o remount,exec")


def _read_only_programs(found: Filesystem, facts: HostFacts) -> Finding:
    """Systems with a fixed /usr keep a folder elsewhere."""
    finding = _mount_finding("E-PRE-011", found, "read-only", "mount -o remount,rw")
    other = facts.filesystem(_BIN_DIRS[1])
    if found.path == _BIN_DIRS[0] and other is not None and "ro" not in other.options:
        return replace(finding, fix=f"set k3s.binDir to {other.path}; or {finding.fix}", value=other.path)
    return finding


def _mount_finding(code: str, found: Filesystem, how: str, command: str) -> Finding:
    return Finding(
        code,
        Level.ERROR,
        found.path,
        f"the file system of {found.path} is mounted {how}",
        f"{found.mount} ({found.kind}): {','.join(found.options)}",
        f"{command} {found.mount}, and the same in /etc/fstab",
    )


def check_propagation(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Cilium mounts its BPF file system from a pod; that needs a shared root mount."""
    if not facts.root_shared:
        systemd = facts.service_manager == "systemd"
        yield Finding(
            "E-PRE-013",
            Level.WARNING if systemd else Level.INFO,
            "/",
            "the root mount is not shared, mounts made by Cilium would not be seen",
            "no `shared:` for / in /proc/self/mountinfo",
            "mount --make-rshared /" if systemd else "nothing: beeyard's service shares it at each start",
        )


def check_bpffs(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Cilium can mount the BPF file system itself."""
    if not facts.bpffs:
        yield Finding(
            "E-PRE-014",
            Level.INFO,
            "/sys/fs/bpf",
            "the BPF file system is not mounted; Cilium will mount it",
            "no bpf file system in /proc/self/mountinfo",
            "nothing",
        )


def check_inotify(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Kubelet, containerd and pods watch many files."""
    low = [
        f"fs.inotify.{name}={value}"
        for name, value, least in (
            ("max_user_instances", facts.inotify_instances, MIN_INOTIFY_INSTANCES),
            ("max_user_watches", facts.inotify_watches, MIN_INOTIFY_WATCHES),
        )
        if 0 < value < least
    ]
    if low:
        yield Finding(
            "E-PRE-015",
            Level.WARNING,
            "inotify",
            "low inotify limits: pods may fail with `too many open files`",
            ", ".join(low),
            "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288, "
            "and the same in /etc/sysctl.d/",
        )


def check_capabilities(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Root in a container may lack powers."""
    if facts.uid != 0 or "capabilities" in facts.unknown:
        return
    for names, code, level, what in (
        (
            _NEEDED_CAPABILITIES,
            "E-PRE-016",
            Level.ERROR,
            "root lacks capabilities that k3s and Cilium cannot do without",
        ),
        (
            _USEFUL_CAPABILITIES,
            "E-PRE-017",
            Level.WARNING,
            "root lacks capabilities; limits and OOM scores may not be set",
        ),
    ):
        missing = [name for name in names if name not in facts.capabilities]
        if missing:
            fix = "run on the host itself, or in a privileged container or virtual machine"
            yield Finding(code, level, "capabilities", what, f"missing: {', '.join(missing)}", fix)


def check_selinux(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """An enforcing SELinux needs k3s' policy."""
    if facts.selinux == "enforcing" and not facts.selinux_policy:
        yield Finding(
            "E-PRE-018",
            Level.WARNING,
            "selinux",
            "SELinux is enforcing and the policy k3s-selinux is missing: pods may be denied",
            "getenforce says Enforcing, no k3s module in the policy store",
            "install the package k3s-selinux (with container-selinux)",
        )


def check_wsl(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """WSL's kernel lacks parts that Cilium uses."""
    if facts.wsl:
        yield Finding(
            "E-PRE-019",
            Level.WARNING,
            "kernel",
            "this is the Windows Subsystem for Linux, whose kernel may lack features that Cilium uses",
            f"uname -r says {facts.kernel}, and /proc/version speaks of Microsoft",
            "use a kernel built with Cilium's options, or a virtual machine",
        )


def check_clock(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A clock in the past makes every certificate invalid."""
    if 0 < facts.time < EARLIEST:
        yield Finding(
            "E-PRE-020",
            Level.ERROR,
            "clock",
            "the clock is wrong: certificates would not be valid yet",
            f"UNIX time {facts.time:.0f}, before 2026",
            "set the clock (timedatectl set-ntp true, or chronyd -q)",
        )


def check_hostname(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """The host's name becomes the node's name."""
    name = facts.hostname.lower()
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name) or name.startswith("localhost"):
        yield Finding(
            "E-PRE-021",
            Level.WARNING,
            "hostname",
            "the host's name is no good name for a node",
            f"hostname is {facts.hostname!r}",
            "hostnamectl set-hostname NAME (letters, digits, - and .), or set k3s' node-name",
        )


def check_unknown(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """What could not be looked at is said, not passed over."""
    for fact, reason in sorted(facts.unknown.items()):
        yield Finding(
            "E-PRE-022", Level.WARNING, fact, f"{fact}: could not be checked", reason, "mend the reason and run again"
        )


CHECKS = (
    check_user,
    check_architecture,
    check_kernel,
    check_memory,
    check_swap,
    check_cgroup,
    check_disk,
    check_mount_options,
    check_propagation,
    check_bpffs,
    check_inotify,
    check_capabilities,
    check_selinux,
    check_wsl,
    check_clock,
    check_hostname,
    check_unknown,
)
