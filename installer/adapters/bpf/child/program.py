"""Compiles, loads and attaches the programs. Everything hangs on descriptors of this process: nothing outlives it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, NamedTuple

from installer.adapters.bpf.child import kernel, place
from installer.adapters.bpf.child.btf import Btf
from installer.adapters.bpf.child.refusal import Refusal
from installer.adapters.bpf.child.tracepoints import Tracepoint, find_tracepoint

_OFFSETS = {
    "OFF_SKB_HEAD": "sk_buff.head",
    "OFF_SKB_NETWORK_HEADER": "sk_buff.network_header",
    "OFF_SKB_DEV": "sk_buff.dev",
    "OFF_SKB_LEN": "sk_buff.len",
    "OFF_SKB_SOCK": "sk_buff.sk",
    "OFF_SKB_IIF": "sk_buff.skb_iif",
    "OFF_DEV_NET": "net_device.nd_net.net",
    "OFF_DEV_IFINDEX": "net_device.ifindex",
    "OFF_DEV_NAME": "net_device.name",
    "OFF_SOCK_NET": "sock.__sk_common.skc_net.net",
    "OFF_NET_INUM": "net.ns.inum",
}
_HELPERS = {
    "TAP_NETNS_COOKIE": (122, False),
    "TAP_PID": (14, False),
    "TAP_COMM": (16, True),
}
_TCP = {
    "sock/inet_sock_set_state": (
        "tap_state",
        "STATE",
        {"oldstate": "OLD", "newstate": "NEW"},
    ),
    "tcp/tcp_retransmit_skb": ("tap_retransmit", "RETRANSMIT", {}),
    "tcp/tcp_send_reset": ("tap_reset_sent", "SENT", {}),
    "tcp/tcp_receive_reset": ("tap_reset_received", "RECEIVED", {}),
}
_DROPS: dict[str, tuple[str, str, dict[str, str]]] = {"skb/kfree_skb": ("tap_dropped", "KFREE", {})}


class Wish(NamedTuple):
    """What is to be watched, and with how much room."""

    sources: str
    flows: bool = True
    drops: bool = True
    tcp: bool = True
    dns: bool = True
    table: int = 65536
    new_flows: int = 50000
    ring_pages: int = 256
    btf: str = "/sys/kernel/btf/vmlinux"
    lockdown: str = "/sys/kernel/security/lockdown"
    modules: str = "/lib/modules"
    headers: str = "/usr/src"


class Loaded(NamedTuple):
    """The programs at work.

    Attributes:
        bpf: bcc's object with the maps.
        reasons: words for the reasons of drops.
        reset_reasons: words for the reasons of resets.
        held: descriptors that hold what is attached.
        notes: consequences of what is missing.
        headers: whose headers it was compiled with.
    """

    bpf: Any
    reasons: dict[int, str]
    reset_reasons: dict[int, str]
    held: list[int]
    notes: list[str]
    headers: str


def load(wish: Wish) -> Loaded:
    """Check the host, compile and attach.

    Raises:
        Refusal: ``E-BPF-001`` to ``-010``.
    """
    place.check_rights(Path("/proc/self/status").read_text())
    place.check_lockdown(Path(wish.lockdown))
    place.raise_memlock()
    bcc = _bcc()
    offsets = _offsets(wish)
    headers = place.find_headers(
        platform.release(), Path(wish.modules), Path(wish.headers), os.environ.get("BCC_KERNEL_SOURCE")
    )
    cgroup = place.find_cgroup(Path("/proc/self/mounts").read_text()) if wish.flows else ""
    mounts = _private_mounts(headers)
    try:
        return _load(wish, bcc, offsets, headers, cgroup)
    finally:
        if mounts is not None:
            mounts.leave()


def _bcc() -> Any:
    try:
        import bcc
    except (ImportError, OSError) as problem:
        raise Refusal(
            "E-BPF-003",
            "bcc is not there",
            f"{platform.python_implementation()} {platform.python_version()} cannot import it: {problem}.",
            "Install it: apt-get install python3-bpfcc (dnf, zypper: python3-bcc). The bcc on PyPI is something else.",
        ) from problem
    return bcc


def _offsets(wish: Wish) -> dict[str, int]:
    blob = place.find_btf(Path(wish.btf))
    try:
        btf = Btf(blob, ("sk_buff", "net_device", "sock", "net"))
        return {name: btf.offset(path) for name, path in _OFFSETS.items()}
    except (ValueError, KeyError, IndexError) as problem:
        raise Refusal(
            "E-BPF-005",
            "The kernel's description of its structures cannot be used",
            f"{wish.btf}: {problem}.",
            "Report this with the kernel's version; beeyard observe works without the tap.",
        ) from problem


def _private_mounts(headers: place.Headers) -> kernel.PrivateMounts | None:
    """Mount what is missing where only we see it: tracefs, and the place where compiling looks for headers."""
    traced = Path("/sys/kernel/tracing/events").exists()
    if traced and headers.native:
        return None
    mounts = kernel.PrivateMounts()
    if not traced:
        mounts.mount("tracefs", "/sys/kernel/tracing")
    if not headers.native:
        mounts.mount("tmpfs", "/lib/modules")
        folder = Path("/lib/modules") / platform.release()
        folder.mkdir()
        (folder / "build").symlink_to(headers.build)
        (folder / "source").symlink_to(headers.source)
    return mounts


def _load(wish: Wish, bcc: Any, offsets: dict[str, int], headers: place.Headers, cgroup: str) -> Loaded:
    notes = [] if headers.native else [_foreign(headers)]
    points, flags = _tracepoints(wish, notes)
    flags += [f"-D{name}={value}" for name, value in offsets.items()]
    flags += [
        f"-D{name}"
        for name, (helper, stack) in _HELPERS.items()
        if kernel.takes_helper(kernel.CGROUP_SKB, helper, stack=stack)
    ]
    flags += [
        f"-DTAP_FLOWS={wish.table}",
        f"-DTAP_NEW_FLOWS={wish.new_flows}",
        f"-DTAP_DROPS={max(1024, wish.table // 4)}",
        f"-DTAP_CONNECTIONS={max(1024, wish.table // 4)}",
        f"-DTAP_RING_PAGES={wish.ring_pages}",
    ]
    flags += [f"-DTAP_WITH_{name}" for name, on in (("TCP", wish.tcp), ("DNS", wish.dns and wish.flows)) if on]
    bpf = _compiled(bcc, _text(wish), [*flags, "-Wno-macro-redefined", "-Wno-duplicate-decl-specifier"])
    held = _attached(bcc, bpf, points, cgroup)
    kfree, reset = points.get("skb/kfree_skb"), points.get("tcp/tcp_send_reset")
    return Loaded(bpf, kfree[1].words if kfree else {}, reset[1].words if reset else {}, held, notes, headers.release)


def _foreign(headers: place.Headers) -> str:
    return (
        f"compiled with the headers of {headers.release}, for those of {platform.release()} are not installed: "
        "all offsets come from the running kernel, so nothing that is shown depends on them"
    )


def _tracepoints(wish: Wish, notes: list[str]) -> tuple[dict[str, tuple[str, Tracepoint]], list[str]]:
    """Return function and tracepoint by name, and the offsets of their fields as flags."""
    points: dict[str, tuple[str, Tracepoint]] = {}
    flags: list[str] = []
    for name, (function, prefix, names) in [
        *(_DROPS.items() if wish.drops else ()),
        *(_TCP.items() if wish.tcp else ()),
    ]:
        point = find_tracepoint(Path("/sys/kernel/tracing"), name)
        if point is None:
            notes.append(f"this kernel has no tracepoint {name}: what it tells is missing")
            continue
        points[name] = function, point
        for field, (offset, _) in point.fields.items():
            flags.append(f"-DOFF_{prefix}_{names.get(field, field.upper())}={offset}")
        if name == "skb/kfree_skb" and "reason" not in point.fields:
            notes.append("this kernel (before 5.17) tells no reasons of drops")
        if name == "tcp/tcp_send_reset" and point.fields["saddr"][1] > 4:
            flags.append("-DTAP_RESET_SOCKADDR")
    return points, flags


def _text(wish: Wish) -> str:
    parts = ["tap.h"] + [
        name for name, on in (("flows.c", wish.flows), ("drops.c", wish.drops), ("tcp.c", wish.tcp)) if on
    ]
    folder = Path(wish.sources)
    text = "\n".join((folder / part).read_text() for part in parts)
    return text.replace('#include "tap.h"', "")


def _compiled(bcc: Any, text: str, flags: list[str]) -> Any:
    try:
        return bcc.BPF(text=text, cflags=flags)
    except Exception as problem:  # bcc raises this very class
        raise Refusal(
            "E-BPF-007",
            "The programs cannot be compiled",
            str(problem) or "See what the compiler says.",
            "Install the headers of the running kernel (linux-headers-$(uname -r)) and bcc of the same distribution.",
        ) from problem


def _attached(bcc: Any, bpf: Any, points: dict[str, tuple[str, Tracepoint]], cgroup: str) -> list[int]:
    held: list[int] = []
    try:
        for function, point in points.values():
            program = bpf.load_func(function, bcc.BPF.TRACEPOINT)
            held.append(kernel.attach_tracepoint(program.fd, point.id))
        if cgroup:
            held += _at_cgroup(bcc, bpf, cgroup)
    except Refusal:
        raise
    except Exception as problem:  # bcc raises this very class
        raise Refusal(
            "E-BPF-008",
            "The kernel does not take the programs",
            f"{problem}.",
            "See why with beeyard preflight --kernel; kernels from 5.10 on are meant to work.",
        ) from problem
    return held


def _at_cgroup(bcc: Any, bpf: Any, cgroup: str) -> list[int]:
    root = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    held = []
    try:
        for function, kind in (("tap_egress", kernel.CGROUP_EGRESS), ("tap_ingress", kernel.CGROUP_INGRESS)):
            program = bpf.load_func(function, bcc.BPF.CGROUP_SKB)
            held.append(kernel.attach_cgroup(program.fd, root, kind))
    except OSError as problem:
        raise Refusal(
            "E-BPF-009",
            f"No program can be attached to the control groups of {cgroup}",
            f"{problem.strerror}: links need kernel 5.7, and a program that allows no others may be there already.",
            f"See what is attached: bpftool cgroup show {cgroup}.",
        ) from problem
    finally:
        os.close(root)
    return held
