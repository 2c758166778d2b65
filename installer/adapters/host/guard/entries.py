"""Addresses, routes, rules and neighbours: each is the kernel's message, compared without what changes by itself.

A message is kept whole, so that every attribute comes back; one that is missing is sent as it is, one too many is sent
back as a deletion. Interfaces are named in a snapshot, because a link that was made anew has another number.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from installer.adapters.host.guard import rtnetlink as rt
from installer.adapters.host.guard.links import Deed

FAMILIES = (socket.AF_INET, socket.AF_INET6)
_LOCAL, _MAIN = 255, 254
_NEXTHOP = struct.Struct("=HBBi")


@dataclass(frozen=True)
class Entry:
    """One object of the kernel.

    Attributes:
        head: fixed part of its message, without what changes by itself.
        parts: attributes, in the order of their kinds.
        links: names of its interfaces, in the order in which they occur.
        dynamic: somebody else keeps it up to date (DHCP, router advertisements): one too many is left alone.
    """

    head: bytes
    parts: tuple[tuple[int, bytes], ...]
    links: tuple[str, ...] = ()
    dynamic: bool = False

    def get(self, kind: int) -> bytes | None:
        """Return an attribute."""
        return next((value for known, value in self.parts if known == kind), None)

    def to_list(self) -> list[Any]:
        """Return the JSON form."""
        return [self.head.hex(), [[kind, value.hex()] for kind, value in self.parts], list(self.links), self.dynamic]

    @classmethod
    def of_list(cls, data: list[Any]) -> Entry:
        """Read the JSON form."""
        head, parts, links, dynamic = data
        return cls(
            bytes.fromhex(head), tuple((kind, bytes.fromhex(value)) for kind, value in parts), tuple(links), dynamic
        )


@dataclass(frozen=True)
class Kind:
    """One sort of objects.

    Attributes:
        name: for people.
        new: message that makes one; the next number deletes one, the one after lists them.
        size: bytes of the fixed part.
        read: makes an entry of a message, None for one that is not kept.
        tell: describes an entry.
        stays: whether one that was not there before is left alone; asked with the names of the links of before.
        order: sorts what is added.
        added: flags of the message that adds.
    """

    name: str
    new: int
    size: int
    read: Callable[[bytes, Names], Entry | None]
    tell: Callable[[Entry], str]
    stays: Callable[[Entry, frozenset[str]], bool]
    order: Callable[[Entry], Any] = lambda _: 0
    added: int = rt.CREATE | rt.EXCL

    def all(self, netlink: rt.Netlink, names: Names) -> list[Entry]:
        """Return what is there, in the kernel's order."""
        found = []
        for family in FAMILIES:
            try:
                bodies = netlink.dump(self.new + 2, bytes([family]) + bytes(self.size - 1))
            except OSError:  # a family that this kernel does not have
                continue
            found += [entry for body in bodies if body[0] == family and (entry := self.read(body, names)) is not None]
        return found

    def put_back(self, netlink: rt.Netlink, before: list[Entry], known: frozenset[str]) -> Iterator[Deed]:
        """Delete what is too many, add what is missing.

        Args:
            netlink: where to ask.
            before: what was there.
            known: names of the links of before.
        """
        names = Names(netlink)
        now = self.all(netlink, names)
        extra, missing = Counter(now) - Counter(before), Counter(before) - Counter(now)
        for entry in extra.elements():
            if not self.stays(entry, known):
                yield f"{self.name} {self.tell(entry)}: removed", self._send(netlink, self.new + 1, entry, names, 0)
        for entry in sorted((one for one in before if missing[one] > 0), key=self.order):
            gone = [name for name in entry.links if name not in names.numbers]
            what = f"{self.name} {self.tell(entry)}: put back"
            yield what, f"link {gone[0]} is gone" if gone else self._send(netlink, self.new, entry, names, self.added)

    def _send(self, netlink: rt.Netlink, message: int, entry: Entry, names: Names, flags: int) -> str:
        try:
            netlink.send(message, names.numbered(self, entry), flags)
        except FileExistsError:
            return ""
        except OSError as error:
            return error.strerror or str(error)
        return ""


class Names:
    """Links of now by number and by name."""

    def __init__(self, netlink: rt.Netlink):
        self.numbers: dict[str, int] = {}
        for body in netlink.dump(rt.GET_LINK, bytes(16)):
            index = struct.unpack_from("=i", body, 4)[0]
            name = dict(rt.attributes(body[16:])).get(3)
            if name is not None:
                self.numbers[rt.text(name)] = index
        self._names = {index: name for name, index in self.numbers.items()}

    def name(self, index: int) -> str:
        """Return the name of a link."""
        return self._names.get(index, f"if{index}")

    def numbered(self, kind: Kind, entry: Entry) -> bytes:
        """Return the message of an entry with the numbers of now."""
        head, links = bytearray(entry.head), list(entry.links)
        if kind.new in _INDEXED:
            struct.pack_into("=i", head, _INDEXED[kind.new], self.numbers[links.pop(0)])
        body = bytes(head)
        for number, value in entry.parts:
            if kind.new == rt.NEW_ROUTE and number in (_OIF, _IIF):
                value = struct.pack("=I", self.numbers[links.pop(0)])
            elif kind.new == rt.NEW_ROUTE and number == _MULTIPATH:
                value = _hops(value, lambda _: self.numbers[links.pop(0)])
            body += rt.attribute(number, value)
        return body


_INDEXED = {rt.NEW_ADDRESS: 4, rt.NEW_NEIGHBOUR: 4}
"""Where in the fixed part an interface's number is."""
_OIF, _IIF, _MULTIPATH, _TABLE, _GATEWAY, _PRIORITY, _NEXTHOP_ID = 4, 3, 9, 15, 5, 6, 30
_PASSING_ROUTE = (12, 23)
_ONLINK = 4
_CLONED = 0x200
_BY_KERNEL = 2
_LEARNT = (1, 9, 16)
"""Protocols of routes that others keep up to date: redirects, router advertisements, DHCP."""


def _hops(value: bytes, number: Callable[[int], int]) -> bytes:
    """Return next hops of a route with other interface numbers and without their state."""
    changed = b""
    while len(value) >= 8:
        size, flags, weight, index = _NEXTHOP.unpack_from(value)
        hop = _NEXTHOP.pack(size, flags & _ONLINK, weight, number(index)) + value[8:size]
        changed += hop + bytes(-len(hop) % 4)
        value = value[max((size + 3) & ~3, 8) :]
    return changed


def _route(body: bytes, names: Names) -> Entry | None:
    family, to, from_, tos, table, protocol, scope, kind, flags = struct.unpack_from("=8BI", body)
    if flags & _CLONED:
        return None
    found = sorted((number, value) for number, value in rt.attributes(body[12:]) if number not in _PASSING_ROUTE)
    if any(number == _NEXTHOP_ID for number, _ in found):  # the next hop is an object of its own
        found = [one for one in found if one[0] not in (_OIF, _GATEWAY, _MULTIPATH)]
    links: list[str] = []

    def named(index: int) -> int:
        links.append(names.name(index))
        return 0

    parts = []
    for number, value in found:
        if number in (_OIF, _IIF):
            named(rt.u32(value))
            parts.append((number, bytes(4)))
        elif number == _MULTIPATH:
            parts.append((number, _hops(value, named)))
        else:
            parts.append((number, value))
    head = struct.pack("=8BI", family, to, from_, tos, table, protocol, scope, kind, flags & _ONLINK)
    return Entry(head, tuple(parts), tuple(links), protocol in _LEARNT)


def _table(entry: Entry) -> int:
    value = entry.get(_TABLE)
    return rt.u32(value) if value else entry.head[4]


def _route_stays(entry: Entry, known: frozenset[str]) -> bool:
    """Leave alone what follows from an address or comes with a new link, and what somebody else keeps up to date."""
    new = bool(entry.links) and not any(name in known for name in entry.links)
    ours = new and entry.head[0] == socket.AF_INET6 and _ip(entry, 1).startswith("fe80::")
    follows = _table(entry) == _LOCAL and entry.head[5] == _BY_KERNEL
    return entry.dynamic or ours or follows


def _tell_route(entry: Entry) -> str:
    dest = f"{_ip(entry, 1)}/{entry.head[1]}" if entry.get(1) else "default"
    via = f" via {_ip(entry, _GATEWAY)}" if entry.get(_GATEWAY) else ""
    dev = f" dev {' '.join(entry.links)}" if entry.links else ""
    table = _table(entry)
    named = {_LOCAL: "local", _MAIN: "main"}.get(table, str(table))
    return f"{dest}{via}{dev} table {named}"


def _ip(entry: Entry, kind: int) -> str:
    value = entry.get(kind) or b""
    try:
        return socket.inet_ntop(entry.head[0], value)
    except (ValueError, OSError):
        return value.hex()


_ADDRESS_FLAGS = 0x10 | 0x02 | 0x100 | 0x200
_PERMANENT_ADDRESS, _TEMPORARY = 0x80, 0x01


def _address(body: bytes, names: Names) -> Entry | None:
    family, prefix, flags, scope, index = struct.unpack_from("=4BI", body)
    found = dict(rt.attributes(body[8:]))
    wide = rt.u32(found[8]) if 8 in found else flags
    if family == socket.AF_INET6 and wide & _TEMPORARY:
        return None
    found[8] = struct.pack("=I", wide & _ADDRESS_FLAGS)
    found.pop(6, None)
    head = struct.pack("=4BI", family, prefix, 0, scope, 0)
    return Entry(head, tuple(sorted(found.items())), (names.name(index),), not wide & _PERMANENT_ADDRESS)


def _neighbour(body: bytes, names: Names) -> Entry | None:
    family, index, state, flags, kind = struct.unpack_from("=BxxxiHBB", body)
    if not state & 0x80:
        return None
    parts = sorted((number, value) for number, value in rt.attributes(body[12:]) if number in (1, 2))
    return Entry(struct.pack("=BxxxiHBB", family, 0, state, flags, kind), tuple(parts), (names.name(index),))


_RULE_PRIORITY = 6
_ACTIONS = {6: "blackhole", 7: "unreachable", 8: "prohibit"}


def _rule(body: bytes, names: Names) -> Entry | None:
    del names
    fixed = struct.unpack_from("=8BI", body)
    head = struct.pack("=8BI", *fixed[:8], fixed[8] & 0x2)
    # The kernel leaves priority 0 out of what it tells, and takes a missing one as a wish for any.
    parts = {_RULE_PRIORITY: bytes(4), **dict(rt.attributes(body[12:]))}
    return Entry(head, tuple(sorted(parts.items())))


def _tell_rule(entry: Entry) -> str:
    priority, mark, table = entry.get(_RULE_PRIORITY), entry.get(10), entry.get(_TABLE)
    family = "IPv6" if entry.head[0] == socket.AF_INET6 else "IPv4"
    marked = f" fwmark {rt.u32(mark):#x}" if mark else ""
    place = rt.u32(table) if table else entry.head[4]
    what = _ACTIONS.get(entry.head[7], f"lookup {place}")
    return f"{family} {rt.u32(priority) if priority else 0}{marked} {what}"


def _on_new_link(entry: Entry, known: frozenset[str]) -> bool:
    return entry.dynamic or entry.links[0] not in known


ADDRESSES = Kind(
    "address",
    rt.NEW_ADDRESS,
    8,
    _address,
    lambda entry: f"{_ip(entry, 2 if entry.get(2) else 1)}/{entry.head[1]} dev {entry.links[0]}",
    _on_new_link,
)
NEIGHBOURS = Kind(
    "neighbour",
    rt.NEW_NEIGHBOUR,
    12,
    _neighbour,
    lambda entry: f"{_ip(entry, 1)} dev {entry.links[0]}",
    _on_new_link,
    added=rt.CREATE | rt.REPLACE,
)
ROUTES = Kind(
    "route",
    rt.NEW_ROUTE,
    12,
    _route,
    _tell_route,
    _route_stays,
    # First what has no next hop: a gateway has to be reachable before a route leads over it.
    lambda entry: (entry.get(_GATEWAY) is not None or entry.get(_MULTIPATH) is not None, -entry.head[6]),
)
RULES = Kind("rule", rt.NEW_RULE, 12, _rule, _tell_rule, lambda *_: False)
ALL = (ADDRESSES, NEIGHBOURS, ROUTES, RULES)
