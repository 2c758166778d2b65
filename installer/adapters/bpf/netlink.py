"""Just enough netlink to make devices, rules and sets, with the kernel's own words when it refuses."""

from __future__ import annotations

import os
import socket
import struct
from types import TracebackType

ROUTE, NETFILTER, XFRM = 0, 12, 6
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_REQUEST, _ACK, _DUMP, _CREATE, _EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_CAPPED, _TLVS = 0x100, 0x200


class NetlinkError(OSError):
    """The kernel refused a request.

    Attributes:
        words: what the kernel says about it, may be empty.
    """

    def __init__(self, number: int, words: str = ""):
        super().__init__(number, os.strerror(number))
        self.words = words


def attribute(kind: int, data: bytes = b"", *, nested: bool = False) -> bytes:
    """Return an attribute, padded."""
    head = struct.pack("=HH", 4 + len(data), kind | (_NESTED if nested else 0))
    return head + data + bytes(-len(data) % 4)


def text(kind: int, value: str) -> bytes:
    """Return an attribute that holds a string."""
    return attribute(kind, value.encode() + b"\0")


class Netlink:
    """A netlink socket of the namespace it is opened in."""

    def __init__(self, family: int):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._socket.settimeout(2.0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def create(self, kind: int, body: bytes) -> None:
        """Send a request that makes something new.

        Raises:
            NetlinkError: refused.
        """
        self._ask(kind, _REQUEST | _ACK | _CREATE | _EXCL, body)

    def ask(self, kind: int, body: bytes) -> None:
        """Send a request and wait until it is done.

        Raises:
            NetlinkError: refused.
        """
        self._ask(kind, _REQUEST | _ACK, body)

    def list(self, kind: int, body: bytes) -> None:
        """Ask for a list; only whether the kernel answers is of interest.

        Raises:
            NetlinkError: refused.
        """
        self._ask(kind, _REQUEST | _DUMP, body)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        head = struct.pack("=IHHII", 16 + len(body), kind, flags, self._sequence, 0)
        self._socket.send(head + body)
        while not self._is_done(self._socket.recv(1 << 16)):
            pass

    def _is_done(self, data: bytes) -> bool:
        while len(data) >= 16:
            size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data)
            if sequence == self._sequence and kind == _DONE:
                return True
            if sequence == self._sequence and kind == _ERROR:
                number = -struct.unpack_from("=i", data, 16)[0]
                if number:
                    raise NetlinkError(number, _words(data[:size], flags))
                return True
            data = data[(size + 3) & ~3 :]
        return False


def _words(message: bytes, flags: int) -> str:
    """Return what the kernel says in an error, empty for nothing."""
    if not flags & _TLVS:
        return ""
    inner = struct.unpack_from("=I", message, 20)[0]
    place = 20 + (16 if flags & _CAPPED else (inner + 3) & ~3)
    while place + 4 <= len(message):
        size, kind = struct.unpack_from("=HH", message, place)
        if kind == 1:
            return message[place + 4 : place + size].rstrip(b"\0").decode(errors="replace")
        place += (max(size, 4) + 3) & ~3
    return ""
