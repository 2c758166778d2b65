"""Links: names by index, up or down, size of packets, bridge, and the eBPF that is attached to them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installer.adapters.host.guard import rtnetlink as rt

UP = 0x1
PINS = Path("/sys/fs/bpf/cilium")
_PINNED = ("devices/*/links/*", "socketlb/links/cgroup/*")
_INFO = struct.Struct("=BxHiII")
_NAME, _MTU, _MASTER, _XDP = 3, 4, 10, 43
_XDP_FD, _XDP_ATTACHED = 1, 2
_QDISC = struct.Struct("=BxxxiIII")
_QDISC_KIND = 1


Deed = tuple[str, str]
"""What was put back, and an empty string or the kernel's refusal."""


@dataclass(frozen=True)
class Link:
    """One link.

    Attributes:
        index: its number; another one after it was made anew.
        up: whether it is switched on.
        mtu: bytes of a packet.
        master: name of the bridge or bond it belongs to.
        xdp: whether an XDP program is attached.
        clsact: whether it has the queueing discipline that eBPF is attached to.
    """

    index: int
    up: bool
    mtu: int
    master: str = ""
    xdp: bool = False
    clsact: bool = False


def read(netlink: rt.Netlink) -> dict[str, Link]:
    """Return all links by name."""
    found: dict[str, tuple[Link, int]] = {}
    acting = _clsact(netlink)
    for body in netlink.dump(rt.GET_LINK, _INFO.pack(0, 0, 0, 0, 0)):
        _, _, index, flags, _ = _INFO.unpack_from(body)
        known = dict(rt.attributes(body[16:]))
        if _NAME not in known:
            continue
        xdp = dict(rt.attributes(known.get(_XDP, b""))).get(_XDP_ATTACHED, b"\0")[0] != 0
        mtu = rt.u32(known[_MTU]) if _MTU in known else 0
        link = Link(index, bool(flags & UP), mtu, "", xdp, index in acting)
        found[rt.text(known[_NAME])] = (link, rt.u32(known[_MASTER]) if _MASTER in known else 0)
    names = {link.index: name for name, (link, _) in found.items()}
    return {
        name: Link(link.index, link.up, link.mtu, names.get(master, ""), link.xdp, link.clsact)
        for name, (link, master) in found.items()
    }


def pins() -> list[str]:
    """Return the pinned attachments of eBPF to links and to the host's sockets."""
    return sorted(str(path) for pattern in _PINNED for path in PINS.glob(pattern))


def load(data: dict[str, Any]) -> dict[str, Link]:
    """Read links from a snapshot."""
    return {name: Link(**link) for name, link in data.items()}


def put_back(netlink: rt.Netlink, before: dict[str, Link], pinned: list[str]) -> Iterator[Deed]:
    """Bring links to their state; those that are gone or new are left alone.

    Args:
        netlink: where to ask.
        before: links as they were.
        pinned: attachments as they were.
    """
    yield from _unpin(before, pinned)
    now = read(netlink)
    for name, was in before.items():
        link = now.get(name)
        if link is None:
            continue
        for what, body, kind in _changes(name, was, link, now):
            yield what, _try(netlink, kind, body)


def _changes(name: str, was: Link, link: Link, now: dict[str, Link]) -> Iterator[tuple[str, bytes, int]]:
    if link.xdp and not was.xdp:
        off = rt.attribute(_XDP_FD, struct.pack("=i", -1))
        yield f"link {name}: XDP program taken off", _body(link, 0, 0, rt.attribute(_XDP, off)), rt.SET_LINK
    if link.clsact and not was.clsact:
        body = _QDISC.pack(0, link.index, 0xFFFF0000, 0xFFFFFFF1, 0) + rt.attribute(_QDISC_KIND, b"clsact\0")
        yield f"link {name}: traffic programs taken off", body, rt.DELETE_QDISC
    if was.master != link.master and (not was.master or was.master in now):
        index = now[was.master].index if was.master else 0
        attribute = rt.attribute(_MASTER, struct.pack("=I", index))
        yield f"link {name}: master {was.master or 'none'}", _body(link, 0, 0, attribute), rt.SET_LINK
    if was.mtu != link.mtu:
        attribute = rt.attribute(_MTU, struct.pack("=I", was.mtu))
        yield f"link {name}: mtu {was.mtu}", _body(link, 0, 0, attribute), rt.SET_LINK
    if was.up != link.up:
        yield f"link {name}: {'up' if was.up else 'down'}", _body(link, UP if was.up else 0, UP, b""), rt.SET_LINK


def _body(link: Link, flags: int, change: int, rest: bytes) -> bytes:
    return _INFO.pack(0, 0, link.index, flags, change) + rest


def _try(netlink: rt.Netlink, kind: int, body: bytes) -> str:
    try:
        netlink.send(kind, body)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _unpin(before: dict[str, Link], pinned: list[str]) -> Iterator[tuple[str, str]]:
    """Detach what was attached since to links that were there, and to the host's sockets."""
    for path in map(Path, pins()):
        ours = path.is_relative_to(PINS / "devices")
        if str(path) in pinned or (ours and path.relative_to(PINS / "devices").parts[0] not in before):
            continue
        problem = ""
        try:
            path.unlink()
        except OSError as error:
            problem = error.strerror or str(error)
        yield f"eBPF program {path.name} taken off", problem


def _clsact(netlink: rt.Netlink) -> set[int]:
    found = set()
    with suppress(OSError):
        for body in netlink.dump(rt.GET_QDISC, _QDISC.pack(0, 0, 0, 0, 0)):
            index = _QDISC.unpack_from(body)[1]
            if dict(rt.attributes(body[20:])).get(_QDISC_KIND, b"").startswith(b"clsact"):
                found.add(index)
    return found
