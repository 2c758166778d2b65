"""Programs that are attached on this host, told and taken off by bpf(2) alone: bpftool is rarely installed.

Programs are looked for where they hang (devices of this network namespace, control groups below one folder), so that
those of other namespaces and of containers are never met.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from installer.adapters.bpf.syscall import BpfError, call, exchange, opened

_DETACH, _PROG_FD, _INFO, _QUERY, _LINK_FD, _LINK_NEXT, _LINK_DETACH = 9, 13, 15, 16, 30, 31, 34
_MOST: Final = 64
_CGROUP_LINK: Final = 3
_XDP_LINK: Final = 6
DEVICE_HOOKS: Final = {46: "tcx ingress", 47: "tcx egress", 54: "netkit primary", 55: "netkit peer"}
CGROUP_HOOKS: Final = {
    0: "ingress", 1: "egress", 2: "sock_create", 3: "sock_ops", 6: "device", 8: "bind4", 9: "bind6", 10: "connect4",
    11: "connect6", 12: "post_bind4", 13: "post_bind6", 14: "sendmsg4", 15: "sendmsg6", 18: "sysctl", 19: "recvmsg4",
    20: "recvmsg6", 21: "getsockopt", 22: "setsockopt", 29: "getpeername4", 30: "getpeername6", 31: "getsockname4",
    32: "getsockname6", 34: "sock_release",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attachment:
    """A program at a hook.

    Attributes:
        hook: such as ``tcx ingress`` or ``cgroup connect4``.
        place: the device or the control group.
        program: the program's name (the kernel keeps 15 characters).
        program_id: its number.
        link_id: number of the link that holds it, 0 where it hangs there without one.
        number: the kernel's number of the hook.
    """

    hook: str
    place: str
    program: str
    program_id: int
    link_id: int
    number: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link.

    Attributes:
        id: its number.
        kind: its type, as the kernel numbers them.
        program_id: the program that it holds.
        target: control group's id, or index of the device.
        hook: the kernel's number of the hook, for control groups.
    """

    id: int
    kind: int
    program_id: int
    target: int
    hook: int


def links() -> list[Link]:
    """Return all links to control groups, and those of XDP."""
    found: list[Link] = []
    last = 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("=III", last, 0, 0), 12)
        try:
            last = _next(attributes)
        except BpfError:
            return found
        with suppress(BpfError), opened(call(_LINK_FD, struct.pack("=III", last, 0, 0))) as fd:
            kind, number, program, rest = struct.unpack_from("=IIIxxxx16s", _info(fd, 64))
            if kind == _CGROUP_LINK:
                target, hook = struct.unpack_from("=QI", rest)
                found.append(Link(number, kind, program, target, hook))
            elif kind == _XDP_LINK:
                found.append(Link(number, kind, program, struct.unpack_from("=I", rest)[0], 0))


def _next(attributes: ctypes.Array[ctypes.c_char]) -> int:
    return int(struct.unpack_from("=I", _inout(_LINK_NEXT, attributes), 4)[0])


def _inout(command: int, attributes: ctypes.Array[ctypes.c_char]) -> bytes:
    """Make a call whose attributes the kernel also writes to, and return them."""
    exchange(command, attributes)
    return attributes.raw


def _info(fd: int, size: int) -> bytes:
    info = ctypes.create_string_buffer(size)
    call(_INFO, struct.pack("=IIQ", fd, size, ctypes.addressof(info)))
    return info.raw


def program_name(number: int) -> str:
    """Return the name of a program, empty where it is gone."""
    with suppress(BpfError), opened(call(_PROG_FD, struct.pack("=III", number, 0, 0))) as fd:
        return _info(fd, 128)[64:80].partition(b"\0")[0].decode(errors="replace")
    return ""


def query(target: int, hook: int) -> list[tuple[int, int]]:
    """Return (program, link) numbers at a hook; the link is 0 where the kernel does not tell.

    Args:
        target: file descriptor of a control group, or index of a device.
        hook: the kernel's number of the hook.
    """
    programs, held = (ctypes.c_uint32 * _MOST)(), (ctypes.c_uint32 * _MOST)()
    places = (ctypes.addressof(programs), _MOST, 0, 0, ctypes.addressof(held) if hook in DEVICE_HOOKS else 0, 0, 0)
    attributes = ctypes.create_string_buffer(struct.pack("=IIIIQIIQQQQ", target, hook, 0, 0, *places))
    try:
        raw = _inout(_QUERY, attributes)
    except BpfError as error:
        if error.errno in (errno.EINVAL, errno.ENODEV, errno.ENOENT, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS):
            return []
        raise
    count = min(_MOST, int(struct.unpack_from("=I", raw, 24)[0]))
    return [(programs[index], held[index]) for index in range(count)]


def on_device(name: str, index: int) -> Iterator[Attachment]:
    """Yield what hangs at a device by tcx or netkit."""
    for number, hook in DEVICE_HOOKS.items():
        for program, link in query(index, number):
            yield Attachment(hook, name, program_name(program), program, link, number)


def on_cgroups(root: Path) -> Iterator[Attachment]:
    """Yield what hangs at control groups of a hierarchy."""
    held = {(one.target, one.hook, one.program_id): one.id for one in links() if one.kind == _CGROUP_LINK}
    for folder, _, _ in os.walk(root):
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            identity = os.fstat(fd).st_ino
            for number, hook in CGROUP_HOOKS.items():
                for program, _ in query(fd, number):
                    link = held.get((identity, number, program), 0)
                    yield Attachment(f"cgroup {hook}", folder, program_name(program), program, link, number)
        finally:
            os.close(fd)


def xdp_link(index: int, program: int) -> int:
    """Return the link that holds a program at a device's XDP hook, 0 where there is none."""
    found = (one.id for one in links() if one.kind == _XDP_LINK and (one.target, one.program_id) == (index, program))
    return next(found, 0)


def take_off(attachment: Attachment) -> None:
    """Detach a program from a control group, or the link that holds it.

    Raises:
        BpfError: the kernel refused.
    """
    if attachment.link_id:
        with opened(call(_LINK_FD, struct.pack("=III", attachment.link_id, 0, 0))) as link:
            call(_LINK_DETACH, struct.pack("=I", link))
        return
    with opened(call(_PROG_FD, struct.pack("=III", attachment.program_id, 0, 0))) as program:
        if not attachment.hook.startswith("cgroup"):
            call(_DETACH, struct.pack("=IIII", int(attachment.place), program, attachment.number, 0))
            return
        target = os.open(attachment.place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            call(_DETACH, struct.pack("=IIII", target, program, attachment.number, 0))
        finally:
            os.close(target)


def detach_link(number: int) -> None:
    """Detach a link.

    Raises:
        BpfError: the kernel refused.
    """
    with opened(call(_LINK_FD, struct.pack("=III", number, 0, 0))) as link:
        call(_LINK_DETACH, struct.pack("=I", link))
