"""What was sent between two namespaces is what the tap counts."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec
import pytest

from installer.adapters.bpf.source import TapOptions
from installer.domain.flows.filter_flags import filters_from_flags, parse_arguments
from installer.domain.flows.flow import Flow
from installer.domain.flows.times import to_ns
from installer.ports.flows import FlowRequest
from tests.bpf.conftest import Lab, Seen, Tapping, run

pytestmark = pytest.mark.root

FLOWS = TapOptions(drops=False, tcp=False, dns=False, interval=0.2)
RECEIVE = """
import socket
server = socket.create_server(("{address}", 7000), family=socket.{family})
print("ready")
connection, _ = server.accept()
total = 0
while data := connection.recv(65536):
    total += len(data)
connection.sendall(str(total).encode())
connection.close()
"""
SEND = """
import socket
connection = socket.create_connection(("{address}", 7000))
connection.sendall(b"x" * {size})
connection.shutdown(socket.SHUT_WR)
assert connection.recv(100) == b"{size}"
"""
DATAGRAMS = """
import socket
sender = socket.socket(socket.{family}, socket.SOCK_DGRAM)
for _ in range({count}):
    sender.sendto(b"x" * {size}, ("{address}", {port}))
"""
LISTEN = """
import socket
listener = socket.socket(socket.{family}, socket.SOCK_DGRAM)
listener.bind(("{address}", 7001))
print("ready")
for _ in range({count}):
    listener.recv(2000)
"""
PING = """
import socket, struct
proto = socket.IPPROTO_ICMP if {family} == 4 else 58
link = socket.socket(socket.AF_INET if {family} == 4 else socket.AF_INET6, socket.SOCK_RAW, proto)
kind, answer = (8, 0) if {family} == 4 else (128, 129)
for number in range(3):
    message = struct.pack("!BBHHH", kind, 0, 0, 77, number) + bytes(48)
    total = sum(struct.unpack("!28H", message))
    total = (total >> 16) + (total & 0xFFFF)
    total = ~(total + (total >> 16)) & 0xFFFF
    link.sendto(message[:2] + struct.pack("!H", total) + message[4:], ("{address}", 0))
    while True:
        got = link.recv(200)
        if got[20 if {family} == 4 else 0] == answer:
            break
"""


LARGEST_SEGMENT = 65536


def socket_family(family: int) -> str:
    return "AF_INET" if family == 4 else "AF_INET6"


def counted(flow: Flow) -> dict[str, Any]:
    assert flow.extensions is not None
    fields: dict[str, Any] = msgspec.json.decode(flow.extensions)
    return fields


def total(flows: list[Flow], name: str) -> int:
    return sum(counted(flow).get(name, 0) for flow in flows)


def between(seen: Seen, source: str, destination: str, direction: str) -> list[Flow]:
    return [
        flow
        for flow in seen.flows
        if flow.ip is not None
        and (flow.l4 is None or flow.l4.icmpv6 is None or flow.l4.icmpv6.type in (128, 129))
        and (flow.ip.source, flow.ip.destination, flow.traffic_direction) == (source, destination, direction)
    ]


async def test_streams_are_counted_to_the_byte(lab: Lab, tapping: Tapping) -> None:
    size = 3_000_000
    async with tapping(FLOWS) as seen:
        for family in (4, 6):
            there = lab.address("b", family)
            with lab.start("b", RECEIVE.format(address=there, family=socket_family(family))) as server:
                lab.python("a", SEND.format(address=there, size=size))
                assert server.wait(10) == 0
    again = lab.retransmits("a") * LARGEST_SEGMENT  # what a busy machine sends again counts again
    for family in (4, 6):
        here, there = lab.address("a", family), lab.address("b", family)
        for direction in ("EGRESS", "INGRESS"):
            _check_stream(between(seen, here, there, direction), size, again, 40 if family == 4 else 60)
        back = between(seen, there, here, "EGRESS")
        assert total(back, "payloadBytes") == len(str(size))
        assert {flow.is_reply for flow in back} == {True}


def _check_stream(flows: list[Flow], size: int, again: int, headers: int) -> None:
    assert size <= total(flows, "payloadBytes") <= size + again
    assert total(flows, "bytes") >= size + total(flows, "packets") * headers
    assert {(flow.is_reply, flow.verdict) for flow in flows} == {(False, "FORWARDED")}
    tcp = flows[-1].l4.tcp if flows[-1].l4 else None
    assert tcp is not None
    assert tcp.destination_port == 7000
    assert tcp.flags is not None
    assert tcp.flags.syn
    assert tcp.flags.fin


async def test_datagrams_are_counted_to_the_byte(lab: Lab, tapping: Tapping) -> None:
    count, size = 7, 100
    began = time.time_ns()
    async with tapping(FLOWS) as seen:
        for family in (4, 6):
            there, kind = lab.address("b", family), socket_family(family)
            with lab.start("b", LISTEN.format(family=kind, address=there, count=count)) as server:
                lab.python("a", DATAGRAMS.format(family=kind, count=count, size=size, address=there, port=7001))
                assert server.wait(10) == 0
    for family, header in ((4, 28), (6, 48)):
        for direction in ("EGRESS", "INGRESS"):
            flows = between(seen, lab.address("a", family), lab.address("b", family), direction)
            assert total(flows, "packets") == count
            assert total(flows, "bytes") == count * (size + header)
            assert total(flows, "payloadBytes") == count * size
    tick = 10_000_000  # times of flows are exact to a tick of the kernel, 10 ms at most
    assert all(began - tick <= to_ns(flow.time) <= time.time_ns() for flow in seen.flows)


async def test_echoes_are_counted_to_the_byte(lab: Lab, tapping: Tapping) -> None:
    async with tapping(FLOWS) as seen:
        for family in (4, 6):
            lab.python("a", PING.format(family=family, address=lab.address("b", family)))
    for family, kind, answer, header in ((4, 8, 0, 20), (6, 128, 129, 40)):
        here, there = lab.address("a", family), lab.address("b", family)
        asked = of_type(between(seen, here, there, "EGRESS"), kind)
        answered = of_type(between(seen, there, here, "INGRESS"), answer)
        size = 3 * (header + 8 + 48)
        assert (total(asked, "packets"), total(asked, "bytes")) == (3, size)
        assert (total(answered, "packets"), total(answered, "bytes")) == (3, size)
        assert {flow.is_reply for flow in asked} == {False}
        assert {flow.is_reply for flow in answered} == {True}


def _has_counted(here: str, there: str, packets: int, seen: Seen) -> bool:
    return total(between(seen, here, there, "EGRESS"), "packets") == packets


def of_type(flows: list[Flow], number: int) -> list[Flow]:
    """Return the messages of ICMP of a type."""
    found = []
    for flow in flows:
        icmp = flow.l4 and (flow.l4.icmpv4 or flow.l4.icmpv6)
        if icmp and icmp.type == number:
            found.append(flow)
    return found


async def test_both_sides_have_the_names_of_their_namespaces(lab: Lab, tapping: Tapping) -> None:
    here, there = lab.address("a"), lab.address("b")
    async with tapping(FLOWS) as seen:
        lab.python("a", DATAGRAMS.format(family="AF_INET", count=1, size=1, address=there, port=9))
        await seen.until(lambda told: bool(between(told, here, there, "EGRESS")))
    (flow,) = between(seen, here, there, "EGRESS")
    assert flow.source is not None
    assert flow.destination is not None
    assert (flow.source.namespace, flow.source.pod_name) == ("netns", lab.a)
    assert (flow.destination.namespace, flow.destination.pod_name) == ("netns", lab.b)
    assert counted(flow)["process"] == "python3"


async def test_filters_of_observe_are_the_taps(lab: Lab, tapping: Tapping) -> None:
    there = lab.address("b")
    flags, _ = parse_arguments(["--to-ip", there, "--protocol", "udp", "--to-port", "10"])
    async with tapping(FLOWS, FlowRequest(filters_from_flags(flags))) as seen:
        for port in (9, 11, 10):
            lab.python("a", DATAGRAMS.format(family="AF_INET", count=1, size=1, address=there, port=port))
        await seen.until(lambda told: bool(told.flows))
    ports = {flow.l4.udp.destination_port for flow in seen.flows if flow.l4 and flow.l4.udp}
    assert ports == {10}


async def test_what_goes_on_is_told_every_interval(lab: Lab, tapping: Tapping) -> None:
    here, there = lab.address("a"), lab.address("b")
    async with tapping(FLOWS) as seen:
        for number in range(1, 4):
            lab.python(
                "a",
                "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 4000)); "
                f"s.sendto(b'x', ('{there}', 9))",
            )
            await seen.until(partial(_has_counted, here, there, number))
    assert [counted(flow)["packets"] for flow in between(seen, here, there, "EGRESS")] == [1, 1, 1]


async def test_two_taps_see_the_same(lab: Lab, tapping: Tapping) -> None:
    here, there = lab.address("a"), lab.address("b")
    async with tapping(FLOWS) as one, tapping(FLOWS) as other:
        lab.python("a", DATAGRAMS.format(family="AF_INET", count=5, size=10, address=there, port=9))
        for seen in (one, other):
            await seen.until(partial(_has_counted, lab.address("a"), there, 5))
    for seen in (one, other):
        assert total(between(seen, here, there, "EGRESS"), "packets") == 5


async def test_a_namespace_that_vanishes_harms_nobody(lab: Lab, tapping: Tapping) -> None:
    here, there = lab.address("a"), lab.address("b")
    async with tapping(FLOWS) as seen:
        lab.python("a", DATAGRAMS.format(family="AF_INET", count=2, size=10, address=there, port=9))
        lab.inside("b", "ip", "link", "del", "cable")
        await seen.until(lambda told: bool(between(told, here, there, "EGRESS")))
        run("ip", "netns", "del", lab.b)
        lab.python("a", DATAGRAMS.format(family="AF_INET", count=3, size=10, address="127.0.0.1", port=9))
        await seen.until(
            lambda told: any(
                flow.source is not None and flow.source.pod_name == lab.a
                for flow in between(told, "127.0.0.1", "127.0.0.1", "EGRESS")
            )
        )
    assert total(between(seen, here, there, "EGRESS"), "packets") == 2
