"""Rows of the tap's process, in the order in which it writes them (``adapters/bpf/child/drain.py``).

Times are UNIX nanoseconds; ``space`` is the number of a network namespace, ``direction`` 1 for out and 2 for in, seen
from the socket. Ports of ICMP are its type and code.
"""

from __future__ import annotations

import msgspec


class Where(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who speaks to whom, and in which network namespace that was seen."""

    source: str
    destination: str
    source_port: int
    destination_port: int
    protocol: int
    family: int
    direction: int
    space: int


class Sample(Where, frozen=True, array_like=True, gc=False):
    """What a flow grew by in an interval; flags of TCP are those of all its segments so far."""

    group: int
    pid: int
    process: str
    flags: int
    reply: int
    packets: int
    bytes: int
    payload: int
    first: int
    last: int


class Drop(Where, frozen=True, array_like=True, gc=False):
    """Packets dropped for one reason at one place; ``place`` is a function of the kernel."""

    reason: str
    place: str
    interface_index: int
    interface: str
    flags: int
    packets: int
    bytes: int
    last: int


class TcpEvent(Where, frozen=True, array_like=True, gc=False):
    """A step in the life of a connection.

    ``what``: see ``flows.names.TAP_EVENT``, less 240; ``lasted``: nanoseconds of connecting, or of its life.
    """

    what: int
    state: int
    lasted: int
    pid: int
    process: str
    reason: str
    time: int


class DnsMessage(Where, frozen=True, array_like=True, gc=False):
    """A message of DNS over UDP, its first 512 bytes in hexadecimal digits."""

    group: int
    pid: int
    reply: int
    payload: str
    time: int


STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "NEW_SYN_RECV",
}
