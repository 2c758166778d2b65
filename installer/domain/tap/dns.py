"""Messages of DNS (RFC 1035): the question and the answers, as far as the bytes reach."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    64: "SVCB",
    65: "HTTPS",
}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_MOST_JUMPS, _MOST_RECORDS = 16, 64


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``names`` that were asked for, with their ``types``."""

    reply: bool
    rcode: int
    name: str
    types: tuple[str, ...]
    ips: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    ttl: int = 0
    record_types: tuple[str, ...] = ()


def parse(data: bytes) -> Message | None:
    """Read a message; None for what is none. A message that was cut gives what is whole."""
    if len(data) < 12:
        return None
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", data)
    if questions != 1 or flags >> 11 & 15:
        return None
    try:
        name, at = _name(data, 12)
        (kind,) = struct.unpack_from("!H", data, at)
    except (ValueError, struct.error):
        return None
    head = bool(flags >> 15), flags & 15, name, (TYPES.get(kind, str(kind)),)
    return Message(*head, *_answers(data, at + 4, min(answers, _MOST_RECORDS)))


def _answers(data: bytes, at: int, count: int) -> tuple[tuple[str, ...], tuple[str, ...], int, tuple[str, ...]]:
    ips: list[str] = []
    cnames: list[str] = []
    kinds: list[str] = []
    shortest = 0
    try:
        for _ in range(count):
            _, at = _name(data, at)
            kind, _, ttl, length = struct.unpack_from("!HHIH", data, at)
            at += 10
            raw = data[at : at + length]
            if kind in (1, 28) and len(raw) == (4 if kind == 1 else 16):
                ips.append(str(ipaddress.ip_address(raw)))
            elif kind == 5:
                cnames.append(_name(data, at)[0])
            kinds.append(TYPES.get(kind, str(kind)))
            shortest = min(shortest, ttl) if len(kinds) > 1 else ttl
            at += length
    except (ValueError, struct.error):
        pass  # the message was cut here
    return tuple(ips), tuple(cnames), shortest, tuple(kinds)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Return a name and where it ends.

    Raises:
        ValueError: it is cut, or its pointers go round.
    """
    parts: list[str] = []
    end, jumps = 0, 0
    while True:
        if at >= len(data):
            raise ValueError
        length = data[at]
        if length >= 0xC0:
            if at + 1 >= len(data) or jumps >= _MOST_JUMPS:
                raise ValueError
            end, jumps = end or at + 2, jumps + 1
            at = (length & 0x3F) << 8 | data[at + 1]
        elif length == 0:
            return ".".join(parts) + ".", end or at + 1
        else:
            label = data[at + 1 : at + 1 + length]
            if length > 63 or len(label) < length:
                raise ValueError
            parts.append(label.decode("ascii", "backslashreplace"))
            at += 1 + length
