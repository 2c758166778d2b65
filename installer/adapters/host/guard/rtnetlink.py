"""Links, addresses, routes, rules and neighbours in the kernel's own messages: read, and sent back as they came."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

ROUTE, SOCK_DIAG = 0, 4
NEW_LINK, GET_LINK, SET_LINK = 16, 18, 19
NEW_ADDRESS, DELETE_ADDRESS, GET_ADDRESS = 20, 21, 22
NEW_ROUTE, DELETE_ROUTE, GET_ROUTE = 24, 25, 26
NEW_NEIGHBOUR, DELETE_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30
NEW_RULE, DELETE_RULE, GET_RULE = 32, 33, 34
DELETE_QDISC, GET_QDISC = 37, 38
REQUEST, ACK, EXCL, REPLACE, CREATE, DUMP = 0x1, 0x4, 0x200, 0x100, 0x400, 0x300

_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_MULTI, _INTERRUPTED = 0x2, 0x10
_TYPE = 0x3FFF


class ChangedMeanwhileError(OSError):
    """The list changed while it was read."""


class Netlink:
    """A netlink socket of the network namespace it is opened in.

    Args:
        family: protocol, such as ``ROUTE``.
    """

    def __init__(self, family: int = ROUTE):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.settimeout(10.0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return the bodies of all messages of a list; read anew when it changed meanwhile.

        Raises:
            OSError: the kernel refused.
        """
        for _ in range(10):
            try:
                return list(self._ask(kind, REQUEST | DUMP, body))
            except ChangedMeanwhileError:
                continue
        return list(self._ask(kind, REQUEST | DUMP, body, strict=False))

    def get(self, kind: int, body: bytes) -> bytes | None:
        """Return the one answer to a question.

        Raises:
            OSError: the kernel refused.
        """
        return next(iter(list(self._ask(kind, REQUEST | ACK, body))), None)

    def send(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Ask for a change and wait until it is made.

        Raises:
            OSError: the kernel refused.
        """
        for _ in self._ask(kind, REQUEST | ACK | flags, body):
            pass

    def _ask(self, kind: int, flags: int, body: bytes, *, strict: bool = True) -> Iterator[bytes]:
        self._sequence += 1
        self._socket.send(_HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body)
        interrupted = False
        while True:
            data = self._socket.recv(1 << 20)
            while len(data) >= 16:
                size, answer, flagged, sequence, _ = _HEADER.unpack_from(data)
                message, data = data[16:size], data[(size + 3) & ~3 :]
                if sequence != self._sequence:
                    continue
                interrupted |= bool(flagged & _INTERRUPTED)
                if answer == _ERROR:
                    number = -struct.unpack_from("=i", message)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                if answer in (_ERROR, _DONE):
                    if interrupted and strict:
                        raise ChangedMeanwhileError
                    return
                yield message


def attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Split a run of attributes into kind and value."""
    found = []
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found.append((kind & _TYPE, data[4:size]))
        data = data[(size + 3) & ~3 :]
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def u32(value: bytes) -> int:
    """Read a number of four bytes."""
    return int(struct.unpack("=I", value)[0])


def text(value: bytes) -> str:
    """Read a string that ends with a zero."""
    return value.rstrip(b"\0").decode(errors="replace")
