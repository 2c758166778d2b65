"""Sends datagrams as fast as this machine can; run by the system's Python, in a namespace of a test.

    flood.py THREADS BATCHES TARGET PORT [SPREAD]

Each thread sends batches of 1024 datagrams of one byte from a socket of its own, until stdin ends, but ``BATCHES`` at
least: all to ``TARGET``:``PORT``, or with ``SPREAD`` to as many addresses of 127.0.0.0/8. It prints a line when it
begins, and how many were sent in how many seconds when it ends.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import threading
import time

BATCH = 1024
_HEADER = struct.Struct("=QIxxxxQQQQIxxxxIxxxx")  # struct mmsghdr of 64-bit Linux
_SEND = ctypes.CDLL(None, use_errno=True).sendmmsg


class Batch:
    """1024 datagrams that are ready to be sent."""

    def __init__(self, addresses: list[tuple[str, int]]) -> None:
        names = b"".join(
            struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
            for host, port in addresses
        )
        self._data = ctypes.create_string_buffer(b"x")
        self._vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(self._data), 1))
        self._names = ctypes.create_string_buffer(names)
        base, vector = ctypes.addressof(self._names), ctypes.addressof(self._vector)
        headers = (_HEADER.pack(base + 16 * number, 16, vector, 1, 0, 0, 0, 0) for number in range(len(addresses)))
        self._headers = ctypes.create_string_buffer(b"".join(headers))
        self._count = len(addresses)

    def send(self, descriptor: int) -> int:
        """Send them; return how many went."""
        return max(0, int(_SEND(descriptor, self._headers, self._count, 0)))


def batches(target: str, port: int, spread: int) -> list[Batch]:
    """Return the batches that are sent in turn."""
    if not spread:
        return [Batch([(target, port)] * BATCH)]
    hosts = [socket.inet_ntoa(struct.pack("!I", 0x7F010000 + number)) for number in range(spread)]
    return [Batch([(host, port) for host in hosts[start : start + BATCH]]) for start in range(0, spread, BATCH)]


def main() -> None:
    """Send."""
    threads, rounds, port = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
    found = batches(sys.argv[3], port, int(sys.argv[5]) if len(sys.argv) > 5 else 0)
    sent = [0] * threads
    done = threading.Event()

    def run(which: int) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            number = 0
            while number < rounds or not done.is_set():
                sent[which] += found[number % len(found)].send(sender.fileno())
                number += 1

    workers = [threading.Thread(target=run, args=(which,)) for which in range(threads)]
    print("ready", flush=True)
    began = time.monotonic()
    for worker in workers:
        worker.start()
    sys.stdin.read()
    done.set()
    for worker in workers:
        worker.join()
    print(sum(sent), time.monotonic() - began, flush=True)


main()
