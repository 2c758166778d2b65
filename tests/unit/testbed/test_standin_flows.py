"""The stand-in's flow log: netlink messages in, Hubble flows out, filters and queries over them."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from tests.testbed.cilium.standin import filters, nflog, observer, wire
from tests.testbed.cilium.standin.flows import Maker, Ring
from tests.testbed.cilium.standin.l7proxy import Exchange, Proxy
from tests.testbed.cilium.standin.model import View, endpoint_of


def tcp_packet(source: str, destination: str, ports: tuple[int, int], flags: int) -> bytes:
    head = (
        struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + socket.inet_aton(source) + socket.inet_aton(destination)
    )
    return head + struct.pack(">HHIIBBHHH", *ports, 0, 0, 0x50, flags, 0, 0, 0)


def netlink(tag: str, payload: bytes) -> bytes:
    def attribute(kind: int, value: bytes) -> bytes:
        return (struct.pack("=HH", 4 + len(value), kind) + value).ljust((7 + len(value)) & ~3, b"\0")

    body = struct.pack(">BBH", 2, 0, 77) + attribute(10, tag.encode() + b"\0") + attribute(9, payload)
    return struct.pack("=IHHII", 16 + len(body), 4 << 8, 0, 0, 0) + body


def test_logged_packets_are_decoded() -> None:
    data = netlink("deny:i:133", tcp_packet("10.42.0.2", "10.42.0.3", (4000, 80), 0x02)) + netlink("x", b"short")
    found = list(nflog.parse(data))
    assert found == [nflog.Packet("deny:i:133", "10.42.0.2", "10.42.0.3", "TCP", 4000, 80, ("SYN",))]


@pytest.fixture
def maker() -> Maker:
    pods = [
        {
            "metadata": {"name": name, "namespace": "demo", "uid": name, "labels": {"app": name}},
            "spec": {},
            "status": {"podIP": ip},
        }
        for name, ip in (("web", "10.42.0.2"), ("db", "10.42.0.3"))
    ]
    made = Maker("node-a", "default", Ring())
    made.update(View(tuple(e for pod in pods if (e := endpoint_of(pod, {}))), ("192.0.2.2",)), ())
    return made


def drop(maker: Maker) -> list[Any]:
    maker.packet(nflog.Packet("deny:i:133", "10.42.0.2", "10.42.0.3", "TCP", 4000, 80, ("SYN",)))
    return [item.flow for item in maker.ring.snapshot()[0]]


def test_a_denied_packet_is_a_verdict_and_a_drop(maker: Maker) -> None:
    flows = drop(maker)
    assert [flow.event_type.type for flow in flows] == [wire.EVENT_VERDICT, wire.EVENT_DROP]
    for flow in flows:
        assert (flow.verdict, flow.drop_reason_desc, flow.Summary) == (2, 133, "TCP Flags: SYN")
        assert (flow.source.pod_name, flow.destination.pod_name) == ("web", "db")
        assert not flow.HasField("is_reply")


def test_http_exchange_is_request_and_response(maker: Maker) -> None:
    request = Exchange(("10.42.0.2", 4000), ("10.42.0.3", 80), "POST", "http://db/x", "HTTP/1.1", (), allowed=False)
    maker.exchange(request)
    maker.exchange(Exchange(**{**request.__dict__, "code": 403, "latency_ns": 2_500_000}))
    first, second = (item.flow for item in maker.ring.snapshot()[0])
    assert (first.verdict, first.l7.http.method, first.is_reply.value) == (2, "POST", False)
    assert (second.verdict, second.l7.http.code, second.source.pod_name) == (1, 403, "db")
    assert second.Summary == "HTTP/1.1 403 2ms (POST http://db/x)"


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({"source_pod": ["demo/we"]}, True),
        ({"source_pod": ["web"]}, False),
        ({"destination_pod": ["demo/"]}, True),
        ({"verdict": [1]}, False),
        ({"verdict": [1, 2], "source_ip": ["10.42.0.0/24"]}, True),
        ({"source_label": ["app=web"]}, True),
        ({"source_label": ["k8s:app in (a, web),!gone"]}, True),
        ({"destination_port": ["80"], "protocol": ["tcp"]}, True),
        ({"drop_reason_desc": [133]}, True),
        ({"node_name": ["node-*"]}, True),
        ({"reply": [True]}, False),
    ],
)
def test_filters(maker: Maker, wanted: dict[str, Any], matches: bool) -> None:
    assert filters.matches(drop(maker)[1], wire.new("FlowFilter", **wanted)) == matches


def test_a_nonsensical_filter_is_refused() -> None:
    with pytest.raises(filters.UnsupportedError):
        filters.validate([wire.new("FlowFilter", source_ip=["nonsense"])])


def test_queries_by_number_since_and_first(maker: Maker) -> None:
    for _ in range(3):
        drop(maker)
    items = maker.ring.snapshot()[0]
    assert observer.select(wire.new("GetFlowsRequest", number=2), items) == items[-2:]
    assert observer.select(wire.new("GetFlowsRequest", number=2, first=True), items) == items[:2]
    assert observer.select(wire.new("GetFlowsRequest", number=2, since=items[1].time), items) == items[1:3]
    assert observer.select(wire.new("GetFlowsRequest", follow=True), items) == []


def test_field_mask_keeps_only_what_it_names(maker: Maker) -> None:
    drop(maker)
    request = wire.new("GetFlowsRequest")
    request.field_mask.paths.extend(["verdict", "source.pod_name"])
    flow = observer.masked(request, maker.ring.snapshot()[0][0]).flow
    assert (flow.verdict, flow.source.pod_name, flow.source.namespace, flow.Summary) == (2, "web", "", "")


async def ask(proxy: Proxy, method: str) -> bytes:
    listener = await proxy.serve(0, transparent=False)
    port = listener.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read(-1)
    writer.close()
    listener.close()
    return answer


async def test_the_proxy_refuses_as_envoy_does() -> None:
    seen: list[Exchange] = []
    answer = await ask(Proxy(lambda *_: False, seen.append), "POST")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"server: envoy" in head
    assert body == b"Access denied\r\n"
    assert [(item.method, item.code) for item in seen] == [("POST", 0), ("POST", 403)]
