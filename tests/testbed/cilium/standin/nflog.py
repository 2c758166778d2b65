"""Reads packets that nft logged, from a raw netlink socket."""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

NETLINK_NETFILTER = 12
_RCVBUFFORCE = 33
_NFNL_ULOG, _MSG_PACKET, _MSG_CONFIG = 4, 0, 1
_CFG_CMD, _CFG_MODE, _CFG_TIMEOUT = 1, 2, 4
_CMD_BIND, _COPY_PACKET = 1, 2
_ATTR_PAYLOAD, _ATTR_PREFIX, _ATTR_IFIN, _ATTR_IFOUT = 9, 10, 4, 5
_PROTOCOLS = {1: "ICMPv4", 6: "TCP", 17: "UDP", 132: "SCTP"}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")


@dataclass(frozen=True)
class Packet:
    """What a flow needs of one packet."""

    tag: str
    source: str
    destination: str
    protocol: str
    source_port: int = 0
    destination_port: int = 0
    flags: tuple[str, ...] = ()
    icmp: tuple[int, int] = (0, 0)


class LostError(Exception):
    """The kernel's queue overflowed: packets were not reported."""


def open_group(group: int) -> socket.socket:
    """Bind a log group and ask for packet contents."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 8 << 20)
    sock.bind((0, 0))
    _configure(sock, group, _attr(_CFG_CMD, struct.pack("B", _CMD_BIND)))
    _configure(sock, group, _attr(_CFG_MODE, struct.pack(">IBB", 128, _COPY_PACKET, 0)))
    _configure(sock, group, _attr(_CFG_TIMEOUT, struct.pack(">I", 1)))
    return sock


def read(sock: socket.socket) -> list[Packet]:
    """Wait for packets; raises LostError on overflow."""
    try:
        data = sock.recv(1 << 17)
    except OSError as err:
        if err.errno == errno.ENOBUFS:
            raise LostError from err
        raise
    return list(parse(data))


def parse(data: bytes) -> Iterator[Packet]:
    """Packets of one datagram of netlink messages."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return
        if kind == (_NFNL_ULOG << 8 | _MSG_PACKET):
            attributes = _attributes(data[20:length])
            packet = decode(
                attributes.get(_ATTR_PREFIX, b"").rstrip(b"\0").decode(), attributes.get(_ATTR_PAYLOAD, b"")
            )
            if packet:
                yield packet
        data = data[_aligned(length) :]


def decode(tag: str, payload: bytes) -> Packet | None:
    """An IPv4 packet's addresses, ports and flags."""
    if len(payload) < 20 or payload[0] >> 4 != 4:
        return None
    source, destination = socket.inet_ntoa(payload[12:16]), socket.inet_ntoa(payload[16:20])
    protocol = _PROTOCOLS.get(payload[9], "")
    body = payload[(payload[0] & 15) * 4 :]
    if protocol == "ICMPv4" and len(body) >= 2:
        return Packet(tag, source, destination, protocol, icmp=(body[0], body[1]))
    if not protocol or len(body) < 4:
        return Packet(tag, source, destination, protocol)
    source_port, destination_port = struct.unpack_from(">HH", body)
    flags = (
        tuple(name for bit, name in enumerate(_FLAGS) if body[13] & 1 << bit)
        if protocol == "TCP" and len(body) >= 14
        else ()
    )
    return Packet(tag, source, destination, protocol, source_port, destination_port, flags)


def _configure(sock: socket.socket, group: int, attribute: bytes) -> None:
    body = struct.pack(">BBH", socket.AF_INET, 0, group) + attribute
    header = struct.pack("=IHHII", 16 + len(body), _NFNL_ULOG << 8 | _MSG_CONFIG, 5, 1, 0)
    sock.sendto(header + body, (0, 0))
    answer = sock.recv(4096)
    code = struct.unpack_from("=i", answer, 16)[0] if struct.unpack_from("=IH", answer)[1] == 2 else 0
    if code:
        raise OSError(-code, f"nflog group {group}: {errno.errorcode.get(-code, code)}")


def _attr(kind: int, value: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust(_aligned(4 + len(value)), b"\0")


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x7FFF] = data[4:length]
        data = data[_aligned(length) :]
    return found
