"""Every way to lose a packet is provoked, and the tap names it."""

from __future__ import annotations

import msgspec
import pytest

from installer.adapters.bpf.source import TapOptions
from installer.domain.flows.explain import explain
from installer.domain.flows.flow import Flow
from tests.bpf.conftest import Lab, Seen, Tapping, run

pytestmark = pytest.mark.root

DROPS = TapOptions(flows=False, tcp=False, dns=False, interval=0.2)
SEND = """
import socket
for address, port in {targets}:
    sender = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range({count}):
        try:
            sender.sendto(b"x" * 10, (address, port))
        except ConnectionRefusedError:
            pass
"""
WRONG_CHECKSUMS = """
import socket, struct
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
ends = socket.inet_aton("{source}") + socket.inet_aton("{destination}")
for protocol, message in (
    (17, struct.pack("!HHHH", 4000, 7001, 18, 0x1234) + b"x" * 10),
    (6, struct.pack("!HHIIBBHHH", 4000, 7002, 1, 0, 5 << 4, 2, 1000, 0x1234, 0)),
):
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 1, 0, 64, protocol, 0) + ends
    raw.sendto(header + message, ("{destination}", 0))
"""
LISTEN_TCP = "import socket; s = socket.create_server(('{address}', 7002)); print('ready'); s.accept()"


def dropped(seen: Seen, destination: str, port: int) -> list[Flow]:
    """Return what was dropped on the way to an address and port."""
    found = []
    for flow in seen.flows:
        l4 = flow.l4 and (flow.l4.udp or flow.l4.tcp)
        if flow.ip is not None and flow.ip.destination == destination and l4 and l4.destination_port == port:
            found.append(flow)
    return found


def packets(flows: list[Flow]) -> int:
    return sum(msgspec.json.decode(flow.extensions)["packets"] for flow in flows if flow.extensions is not None)


async def all_dropped(seen: Seen, targets: list[tuple[str, int]], count: int) -> None:
    """Wait until as many packets to each target are told: the first wait for the neighbour's address."""
    await seen.until(lambda told: all(packets(dropped(told, *target)) >= count for target in targets))


def reasons(flows: list[Flow]) -> set[object]:
    assert {flow.verdict for flow in flows} <= {"DROPPED"}
    return {flow.drop_reason_desc for flow in flows}


async def test_a_port_without_a_socket(lab: Lab, tapping: Tapping) -> None:
    targets = [(lab.address("b", family), 7009) for family in (4, 6)]
    async with tapping(DROPS) as seen:
        lab.python("a", SEND.format(targets=targets, count=3))
        await all_dropped(seen, targets, 1)
    for address, port in targets:
        flows = dropped(seen, address, port)
        assert reasons(flows) == {"NO_SOCKET"}
        assert packets(flows) >= 1
        assert flows[0].source is not None
        assert flows[0].source.pod_name == lab.a
        assert flows[0].interface is not None
        assert flows[0].interface.name == "cable"
        assert explain(flows[0])[0] == "why: nobody listens on this port (NO_SOCKET)"


async def test_a_rule_of_netfilter(lab: Lab, tapping: Tapping) -> None:
    lab.drop("b", "udp dport 7003")
    targets = [(lab.address("b", family), 7003) for family in (4, 6)]
    async with tapping(DROPS) as seen:
        lab.python("a", SEND.format(targets=targets, count=5))
        await all_dropped(seen, targets, 5)
    for address, port in targets:
        flows = dropped(seen, address, port)
        assert reasons(flows) == {"NETFILTER_DROP"}
        assert packets(flows) == 5
        assert {flow.traffic_direction for flow in flows} == {"INGRESS"}


async def test_no_route(lab: Lab, tapping: Tapping) -> None:
    lab.inside("b", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    run("ip", "-n", lab.a, "route", "add", "203.0.113.0/24", "via", lab.address("b"))
    run("ip", "-n", lab.a, "route", "add", "2001:db8::/64", "via", lab.address("b", 6))
    targets = [("203.0.113.7", 7004), ("2001:db8::7", 7004)]
    async with tapping(DROPS) as seen:
        lab.python("a", SEND.format(targets=targets, count=2))
        await all_dropped(seen, targets, 2)
    for address, port in targets:
        assert reasons(dropped(seen, address, port)) == {"IP_INNOROUTES"}


async def test_wrong_checksums(lab: Lab, tapping: Tapping) -> None:
    with lab.start("b", LISTEN_TCP.format(address=lab.address("b"))) as server:
        async with tapping(DROPS) as seen:
            lab.python("a", WRONG_CHECKSUMS.format(source=lab.address("a"), destination=lab.address("b")))
            await all_dropped(seen, [(lab.address("b"), 7001), (lab.address("b"), 7002)], 1)
        server.terminate()
    assert reasons(dropped(seen, lab.address("b"), 7001)) == {"UDP_CSUM"}
    assert reasons(dropped(seen, lab.address("b"), 7002)) == {"TCP_CSUM"}


@pytest.mark.parametrize(("hook", "side", "reason"), [("ingress", "b", "TC_INGRESS"), ("egress", "a", "TC_EGRESS")])
async def test_a_program_at_an_interface(lab: Lab, tapping: Tapping, hook: str, side: str, reason: str) -> None:
    namespace = getattr(lab, side)
    run("tc", "-n", namespace, "qdisc", "add", "dev", "cable", "clsact")
    drop_ipv4 = "4,40 0 0 12,21 0 1 2048,6 0 0 2,6 0 0 0"
    program = ("bpf", "da", "bytecode", drop_ipv4)
    async with tapping(DROPS) as seen:
        lab.inside("a", "ip", "neigh", "replace", lab.address("b"), "lladdr", _mac(lab, "b"), "dev", "cable")
        run("tc", "-n", namespace, "filter", "add", "dev", "cable", hook, *program)
        lab.python("a", SEND.format(targets=[(lab.address("b"), 7005)], count=4))
        await all_dropped(seen, [(lab.address("b"), 7005)], 4)
    flows = dropped(seen, lab.address("b"), 7005)
    assert reasons(flows) == {reason}
    assert packets(flows) == 4


async def test_what_is_no_loss_is_told_only_when_asked_for(lab: Lab, tapping: Tapping) -> None:
    code = (
        "import socket; at = ('127.0.0.1', 7006); s = socket.create_server(at); c = socket.create_connection(at);"
        "d, _ = s.accept(); d.close(); c.close(); s.close()"
    )
    everything = TapOptions(flows=False, tcp=False, dns=False, interval=0.2, routine=True)
    async with tapping(DROPS) as seen, tapping(everything) as all_seen:
        lab.python("a", code)
    assert "QUEUE_PURGE" not in {flow.drop_reason_desc for flow in seen.flows}
    assert "QUEUE_PURGE" in {flow.drop_reason_desc for flow in all_seen.flows}


def _mac(lab: Lab, side: str) -> str:
    return lab.inside(side, "cat", "/sys/class/net/cable/address").strip()
