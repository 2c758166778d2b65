"""Addresses as text."""

from __future__ import annotations

import socket
from functools import lru_cache

_MAPPED = bytes(10) + b"\xff\xff"


@lru_cache(maxsize=65536)
def address(raw: bytes) -> str:
    """Return an address of 16 bytes as text; IPv4 is mapped."""
    if raw.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    return socket.inet_ntop(socket.AF_INET6, raw)


def family_of(raw: bytes) -> int:
    """Return 4 or 6. Sockets for IPv6 speak IPv4 too, with mapped addresses."""
    return 4 if raw.startswith(_MAPPED) else 6
