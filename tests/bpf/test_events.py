"""Lives of connections, retransmits, resets and messages of DNS."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from installer.adapters.bpf.source import TapOptions
from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from tests.bpf.conftest import Lab, Seen, Tapping
from tests.bpf.test_flows import RECEIVE, SEND

pytestmark = pytest.mark.root

TCP = TapOptions(flows=False, drops=False, dns=False, interval=0.2)
DNS = TapOptions(flows=False, drops=False, tcp=False, interval=0.2)
CONNECT = """
import socket
try:
    socket.create_connection(("{address}", {port}), timeout=5).close()
except OSError:
    pass
"""
RESET = """
import socket, struct
connection = socket.create_connection(("{address}", 7000))
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
connection.close()
"""
ANSWER = """
import socket
server = socket.socket(socket.{family}, socket.SOCK_DGRAM)
server.bind(("{address}", 53))
print("ready")
question, client = server.recvfrom(600)
record = bytes.fromhex("c00c0001000100000e10000401020304")
server.sendto(question[:2] + bytes.fromhex("81800001000100000000") + question[12:] + record, client)
"""
ASK = """
import socket
asker = socket.socket(socket.{family}, socket.SOCK_DGRAM)
question = b"\\x03www\\x07example\\x03com\\x00\\x00\\x01\\x00\\x01"
asker.sendto(bytes.fromhex("123401000001000000000000") + question, ("{address}", 53))
asker.recv(600)
"""


def events(seen: Seen, address: str) -> dict[str, list[Flow]]:
    """Return the events that an address takes part in, by name."""
    found: dict[str, list[Flow]] = {}
    for flow in seen.flows:
        if flow.ip is not None and address in (flow.ip.source, flow.ip.destination):
            found.setdefault(text.flow_type(flow), []).append(flow)
    return found


def fields(flow: Flow) -> dict[str, Any]:
    assert flow.extensions is not None
    found: dict[str, Any] = msgspec.json.decode(flow.extensions)
    return found


@pytest.mark.parametrize("family", [4, 6])
async def test_a_connection_is_told_from_both_sides(lab: Lab, tapping: Tapping, family: int) -> None:
    there, kind = lab.address("b", family), "AF_INET" if family == 4 else "AF_INET6"
    async with tapping(TCP) as seen:
        with lab.start("b", RECEIVE.format(address=there, family=kind)):
            lab.python("a", SEND.format(address=there, size=1000))
    told = events(seen, there)
    (connected,), (accepted,) = told["tcp-connect"], told["tcp-accept"]
    assert 0 < fields(connected)["durationNs"] < 5_000_000_000
    assert fields(connected)["process"] == "python3"
    for flow in (connected, accepted):
        assert flow.ip is not None
        assert flow.ip.source == lab.address("a", family)
        assert flow.source is not None
        assert flow.source.pod_name == lab.a
    assert (connected.traffic_direction, accepted.traffic_direction) == ("EGRESS", "INGRESS")
    assert len(told["tcp-close"]) == 2


async def test_a_refused_connection(lab: Lab, tapping: Tapping) -> None:
    there = lab.address("b")
    async with tapping(TCP) as seen:
        lab.python("a", CONNECT.format(address=there, port=7010))
    told = events(seen, there)
    (sent,), (received,) = told["tcp-reset-sent"], told["tcp-reset-received"]
    assert len(told["tcp-connect-failed"]) == 1
    for flow in (sent, received):
        assert flow.ip is not None
        assert flow.ip.source == there
        assert flow.l4 is not None
        assert flow.l4.tcp is not None
        assert flow.l4.tcp.source_port == 7010


async def test_an_aborted_connection(lab: Lab, tapping: Tapping) -> None:
    there = lab.address("b", 6)
    async with tapping(TCP) as seen:
        with lab.start("b", RECEIVE.format(address=there, family="AF_INET6")) as server:
            lab.python("a", RESET.format(address=there))
            server.wait(10)
    told = events(seen, there)
    assert [flow.ip.source for flow in told["tcp-reset-sent"] if flow.ip] == [lab.address("a", 6)]
    assert len(told["tcp-reset-received"]) == 1


async def test_retransmits_are_as_many_as_the_kernel_counts(lab: Lab, tapping: Tapping) -> None:
    there = lab.address("b")
    lab.drop("b", "tcp dport 7000 tcp flags & (syn | fin) == 0 numgen inc mod 6 == 3")
    async with tapping(TCP) as seen:
        with lab.start("b", RECEIVE.format(address=there, family="AF_INET")):
            lab.python("a", SEND.format(address=there, size=300_000))
            counted = lab.retransmits("a")
    told = events(seen, there)["tcp-retransmit"]
    assert 0 < len(told) <= counted
    assert {flow.ip.source for flow in told if flow.ip} == {lab.address("a")}


@pytest.mark.parametrize("family", [4, 6])
async def test_questions_and_answers_of_dns(lab: Lab, tapping: Tapping, family: int) -> None:
    there, kind = lab.address("b", family), "AF_INET" if family == 4 else "AF_INET6"
    async with tapping(DNS) as seen:
        with lab.start("b", ANSWER.format(address=there, family=kind)):
            lab.python("a", ASK.format(address=there, family=kind))
    told = events(seen, there)
    assert set(told) == {"dns-request tap", "dns-response tap"}
    asked, answered = told["dns-request tap"], told["dns-response tap"]
    assert {flow.traffic_direction for flow in asked} == {"EGRESS", "INGRESS"}
    assert {flow.l7.dns.query for flow in asked if flow.l7 and flow.l7.dns} == {"www.example.com."}
    dns = answered[0].l7.dns if answered[0].l7 else None
    assert dns is not None
    assert (dns.ips, dns.ttl, dns.rcode, dns.qtypes) == (("1.2.3.4",), 3600, 0, ("A",))
    assert answered[0].is_reply
