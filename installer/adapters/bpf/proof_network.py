"""Trials of devices, routing and netfilter, in the scratch namespace."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from installer.adapters.bpf.netlink import NETFILTER, ROUTE, XFRM, Netlink, NetlinkError, attribute, text
from installer.adapters.bpf.proof_lab import Lab, MissingError, UntriedError, refused, said
from installer.domain.kernel.trials import Device, Extension

LOOPBACK = 1
"""Index of the loopback device of every network namespace."""

_NEW_LINK, _DEL_LINK, _NEW_RULE, _NEW_SA = 16, 17, 32, 0x10
_NEW_QDISC, _DEL_QDISC, _NEW_FILTER = 36, 37, 44
_NAME, _INFO, _KIND, _DATA = 3, 18, 1, 2
_ABSENT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT)
_SETS, _COMPATIBLE, _TABLES = 6, 11, 10
_NO_SUCH_SET_TYPE = 4098
_GET_INFO, _GET_MATCH, _GET_TARGET = 64, 66, 67
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def judged(*absent: int) -> Iterator[None]:
    """Turn the kernel's refusal into our verdict.

    Args:
        absent: further error numbers that mean that the feature is missing.
    """
    try:
        yield
    except OSError as error:
        words = error.words if isinstance(error, NetlinkError) else ""
        if error.errno in (*_ABSENT, *absent):
            raise MissingError(said(error, words)) from error
        if error.errno in (errno.EPERM, errno.EACCES):
            raise refused(error, words) from error
        raise UntriedError(said(error, words)) from error


_DEVICE_DATA = {
    "vxlan": attribute(25, b"\1") + attribute(15, struct.pack(">H", 8472)),  # metadata of each packet, port
    "geneve": attribute(6) + attribute(5, struct.pack(">H", 6081)),
}


def device(lab: Lab, trial: Device) -> None:
    """Create a device as Cilium does, and remove it."""
    lab.need_network()
    name = lab.device()
    with judged(), Netlink(ROUTE) as route:
        add_device(route, name, trial.kind)
        delete_device(route, name)


def add_device(route: Netlink, name: str, kind: str) -> None:
    """Create a device."""
    data = _DEVICE_DATA.get(kind)
    info = text(_KIND, kind) + (attribute(_DATA, data) if data else b"")
    route.create(_NEW_LINK, bytes(16) + text(_NAME, name) + attribute(_INFO, info))


def delete_device(route: Netlink, name: str) -> None:
    """Remove a device."""
    route.ask(_DEL_LINK, bytes(16) + text(_NAME, name))


def add_netkit(route: Netlink, lab: Lab) -> tuple[int, str]:
    """Create a pair of netkit devices; return index and name of the first."""
    name = lab.device()
    with judged():
        add_device(route, name, "netkit")
    return socket.if_nametoindex(name), name


def add_filter(program: int) -> None:
    """Add clsact and a program to the loopback device, as Cilium did before tcx, and remove both."""
    clsact = struct.pack("=BxxxiIII", 0, LOOPBACK, 0xFFFF0000, 0xFFFFFFF1, 0)
    ingress = struct.pack("=BxxxiIII", 0, LOOPBACK, 0, 0xFFFFFFF2, 1 << 16 | 0x0300)  # priority 1, any protocol
    options = attribute(6, struct.pack("=I", program)) + text(7, "proof") + attribute(8, struct.pack("=I", 1))
    with judged(errno.EINVAL), Netlink(ROUTE) as route:
        route.create(_NEW_QDISC, clsact + text(1, "clsact"))
        route.create(_NEW_FILTER, ingress + text(1, "bpf") + attribute(2, options))
        route.ask(_DEL_QDISC, clsact)


def fq(lab: Lab) -> None:
    """Put fq in the place of the loopback device's queue."""
    lab.need_network()
    with judged(), Netlink(ROUTE) as route:
        route.create(_NEW_QDISC, struct.pack("=BxxxiIII", 0, LOOPBACK, 0, 0xFFFFFFFF, 0) + text(1, "fq"))


def rule4(lab: Lab) -> None:
    """Add a rule as Cilium does for its proxy."""
    _rule(lab, socket.AF_INET)


def rule6(lab: Lab) -> None:
    """Add the same rule for IPv6."""
    _rule(lab, socket.AF_INET6)


def _rule(lab: Lab, family: int) -> None:
    lab.need_network()
    head = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 1, 0)
    wanted = ((6, 9), (10, 0x200), (16, 0xF00), (15, 2004))  # priority, mark, mask, table
    with judged(), Netlink(ROUTE) as route:
        route.create(_NEW_RULE, head + b"".join(attribute(kind, struct.pack("=I", one)) for kind, one in wanted))


def ipv6(lab: Lab) -> None:
    """Bind a socket of IPv6."""
    if lab.no_ipv6:
        raise MissingError(lab.no_ipv6)
    with judged(errno.EADDRNOTAVAIL), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
        made.bind(("::", 0))


def transparent(lab: Lab) -> None:
    """Let a socket take connections for any address."""
    lab.need_network()
    with judged(errno.ENOPROTOOPT), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.IPPROTO_IP, 19, 1)


def hash_socket(lab: Lab) -> None:
    """Bind a socket to a hash of the kernel."""
    del lab
    with judged(), socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as made:
        made.bind(("hash", "sha1"))


def ipset(lab: Lab) -> None:
    """Create a set of addresses and destroy it; the kernel names an unknown type by a number of its own."""
    lab.need_network()
    head = struct.pack("=BBH", socket.AF_INET, 0, 0)
    name = attribute(1, b"\6") + text(2, "beeyard_proof")
    kind = text(3, "hash:ip") + attribute(4, b"\0") + attribute(5, bytes([socket.AF_INET]))
    with judged(errno.EINVAL, _NO_SUCH_SET_TYPE), Netlink(NETFILTER) as netfilter:
        netfilter.create(_SETS << 8 | 2, head + name + kind + attribute(7, nested=True))
        netfilter.ask(_SETS << 8 | 3, head + name)


def iptables(lab: Lab) -> None:
    """Look whether iptables has anything to work with: nf_tables or the old tables."""
    lab.need_network()
    _either(_nf_tables, _old_table)


def _nf_tables() -> None:
    with Netlink(NETFILTER) as netfilter:
        netfilter.list(_TABLES << 8 | 1, struct.pack("=BBH", socket.AF_INET, 0, 0))
        # iptables of today also needs the layer that translates the old extensions.
        _ask_compatible(netfilter, "match", "comment", 0)


def _old_table() -> None:
    _ask_old(_GET_INFO, b"mangle".ljust(84, b"\0"))


def extension(lab: Lab, trial: Extension) -> None:
    """Ask both interfaces for an extension; iptables works through either."""
    lab.need_network()

    def new() -> None:
        with Netlink(NETFILTER) as netfilter:
            _ask_compatible(netfilter, trial.kind, trial.name, trial.revision)

    def old() -> None:
        number = {"match": _GET_MATCH, "target": _GET_TARGET}[trial.kind]
        _ask_old(number, trial.name.encode().ljust(29, b"\0") + bytes([trial.revision]))

    _either(new, old)


def _ask_compatible(netfilter: Netlink, kind: str, name: str, revision: int) -> None:
    which = {"match": 0, "target": 1}[kind]
    numbers = attribute(2, struct.pack(">I", revision)) + attribute(3, struct.pack(">I", which))
    try:
        netfilter.ask(_COMPATIBLE << 8, struct.pack("=BBH", socket.AF_INET, 0, 0) + text(1, name) + numbers)
    except NetlinkError as error:
        if error.errno != errno.EPROTONOSUPPORT:  # that: it is there, in another revision
            raise


def _ask_old(number: int, question: bytes) -> None:
    """Ask the old interface, which takes the question in the place of the answer."""
    buffer = ctypes.create_string_buffer(question, len(question))
    size = ctypes.c_uint32(len(question))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as made:
        if _libc.getsockopt(made.fileno(), socket.IPPROTO_IP, number, buffer, ctypes.byref(size)):
            failed = ctypes.get_errno()
            if failed != errno.EPROTONOSUPPORT:
                raise OSError(failed, os.strerror(failed))


def _either(new: Callable[[], None], old: Callable[[], None]) -> None:
    """Try nf_tables, then the old interface; one that works is enough."""
    try:
        new()
    except OSError as first:
        try:
            old()
        except OSError as second:
            if errno.EPERM in (first.errno, second.errno):
                raise refused(second) from second
            told = f"nf_tables: {said(first)}; old interface: {said(second)}"
            raise MissingError(told) from second


_AES_GCM = b"rfc4106(gcm(aes))"


def esp(lab: Lab) -> None:
    """Add a state as Cilium does for IPsec: tunnel mode, AES-GCM with a key of 128 bits."""
    lab.need_network()
    here, there = socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")
    selector = bytes(56)
    identity = there.ljust(16, b"\0") + struct.pack(">I", 0x100) + bytes([socket.IPPROTO_ESP, 0, 0, 0])
    limits = struct.pack("=QQQQ", *[2**64 - 1] * 4) + bytes(32) + bytes(32)
    tail = struct.pack("=IIHBBBxxx", 0, 1, socket.AF_INET, 1, 0, 0)  # sequence, id, family, tunnel, window, flags
    state = selector + identity + here.ljust(16, b"\0") + limits + bytes(12) + tail
    key = bytes(range(20))
    aead = _AES_GCM.ljust(64, b"\0") + struct.pack("=II", len(key) * 8, 128) + key
    with judged(), Netlink(XFRM) as xfrm:
        xfrm.create(_NEW_SA, state.ljust(224, b"\0") + attribute(18, aead))
