"""Resolve one name quickly: short, repeated UDP queries (the C library waits five seconds)."""

import os
import socket
import struct
from pathlib import Path

_TRIES, _WAIT = 8, 0.25


def resolve(name: str) -> str:
    """The first IPv4 address; raises OSError with a resolver's words."""
    name = name.rstrip(".")
    try:
        socket.inet_aton(name)
        return name
    except OSError:
        pass
    servers = [
        line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver")
    ]
    ident = int.from_bytes(os.urandom(2), "big")
    question = (
        b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    )
    query = struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + question
    for _ in range(_TRIES):
        for server in servers:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(_WAIT)
                try:
                    sock.connect((server, 53))
                    sock.send(query)
                    answer = sock.recv(4096)
                except OSError:
                    continue
            if answer[:2] == query[:2] and (found := _first_address(answer, len(query))):
                return found
    raise OSError(f"lookup {name} on {servers[0] if servers else '?'}:53: i/o timeout or no such host")


def _first_address(answer: bytes, offset: int) -> str:
    count = struct.unpack_from(">H", answer, 6)[0]
    for _ in range(count):
        offset = _skip_name(answer, offset)
        kind, _, _, length = struct.unpack_from(">HHIH", answer, offset)
        offset += 10
        if kind == 1 and length == 4:
            return socket.inet_ntoa(answer[offset : offset + 4])
        offset += length
    return ""


def _skip_name(answer: bytes, offset: int) -> int:
    while answer[offset]:
        if answer[offset] & 0xC0:
            return offset + 2
        offset += answer[offset] + 1
    return offset + 1
