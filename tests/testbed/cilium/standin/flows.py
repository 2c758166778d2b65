"""Turns logged packets and HTTP exchanges into Hubble flows, and keeps the last ones in a ring."""

import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from . import wire
from .l7proxy import Exchange
from .model import HOST, KUBE_APISERVER, WORLD, Endpoint, View
from .nflog import Packet
from .wire import Direction, Kind, Verdict

RING_SIZE = 4095


class Ring:
    """The last flows, with a running number each, and a way to wait for more."""

    def __init__(self, size: int = RING_SIZE) -> None:
        self.size, self.seen, self.started = size, 0, time.time()
        self._items: deque[tuple[int, Any]] = deque(maxlen=size)
        self._more = threading.Condition()

    def put(self, response: Any) -> None:
        """Append a GetFlowsResponse."""
        with self._more:
            self.seen += 1
            self._items.append((self.seen, response))
            self._more.notify_all()

    def snapshot(self) -> tuple[list[Any], int]:
        """What is there, oldest first, and the number of the newest."""
        with self._more:
            return [item for _, item in self._items], self.seen

    def follow(self, after: int, alive: Callable[[], bool]) -> Iterator[Any]:
        """Items numbered above `after`, waiting for new ones while `alive`."""
        while alive():
            with self._more:
                if self.seen <= after:
                    self._more.wait(1.0)
                fresh = self._after(after)
            for number, item in reversed(fresh):
                after = number
                yield item

    def _after(self, number: int) -> list[tuple[int, Any]]:
        """Newest first; only the tail of the ring is looked at."""
        return list(itertools.takewhile(lambda item: item[0] > number, reversed(self._items)))


class Maker:
    """Builds flows with names from the current view."""

    def __init__(self, node: str, cluster: str, ring: Ring) -> None:
        self.node, self.cluster, self.ring = node, cluster, ring
        self.view, self.node_labels = View(()), tuple[str, ...]()
        self._by_ip: dict[str, Endpoint] = {}

    def update(self, view: View, node_labels: tuple[str, ...]) -> None:
        """Use a new view; addresses of pods that just left keep their names."""
        gone = dict(list(self._by_ip.items())[-500:])
        self.view, self.node_labels = view, node_labels
        self._by_ip = gone | {endpoint.ip: endpoint for endpoint in view.endpoints}

    def packet(self, packet: Packet) -> None:
        """Record the flows of one logged packet."""
        what, _, rest = packet.tag.partition(":")
        direction = Direction.EGRESS if rest.startswith("e") else Direction.INGRESS
        if what == "deny":
            reason = int(rest.partition(":")[2])
            self._l3(packet, Verdict.DROPPED, (wire.EVENT_VERDICT, 0), direction, reason=reason)
            self._l3(packet, Verdict.DROPPED, (wire.EVENT_DROP, reason), direction, reason=reason)
        elif what in ("allow", "proxy"):
            verdict = Verdict.REDIRECTED if what == "proxy" else Verdict.FORWARDED
            self._l3(packet, verdict, (wire.EVENT_VERDICT, 0), direction, is_reply=False, policy_match_type=2)
        else:
            inward = packet.destination in self._by_ip
            point, sub = wire.TO_ENDPOINT if inward else wire.TO_STACK
            direction = Direction.INGRESS if inward else Direction.EGRESS
            more = {"trace_observation_point": point, "trace_reason": 3 if what == "reply" else 1}
            self._l3(packet, Verdict.FORWARDED, (wire.EVENT_TRACE, sub), direction, is_reply=what == "reply", **more)

    def exchange(self, exchange: Exchange) -> None:
        """Record an HTTP request or answer."""
        answer = bool(exchange.code)
        source, destination = (exchange.server, exchange.client) if answer else (exchange.client, exchange.server)
        headers = [wire.new("HTTPHeader", key=key, value=value) for key, value in exchange.headers]
        http = wire.new(
            "HTTP",
            code=exchange.code,
            method=exchange.method,
            url=exchange.url,
            protocol=exchange.protocol,
            headers=headers,
        )
        milliseconds = exchange.latency_ns // 1_000_000
        summary = f"{exchange.protocol} {exchange.method} {exchange.url}"
        if answer:
            summary = f"{exchange.protocol} {exchange.code} {milliseconds}ms ({exchange.method} {exchange.url})"
        flow = self._flow(
            (source[0], destination[0]),
            verdict=Verdict.FORWARDED if exchange.allowed or answer else Verdict.DROPPED,
            Type=Kind.L7,
            l4=wire.new("Layer4", TCP=wire.new("TCP", source_port=source[1], destination_port=destination[1])),
            l7=wire.new(
                "Layer7", type=Kind.RESPONSE if answer else Kind.REQUEST, latency_ns=exchange.latency_ns, http=http
            ),
            event_type=wire.new("CiliumEventType", type=wire.EVENT_L7),
            traffic_direction=Direction.INGRESS,
            Summary=summary,
        )
        flow.is_reply.value = flow.reply = answer
        self._put(flow)

    def lost(self, count: int) -> None:
        """Record that the kernel dropped reports."""
        event = wire.new("LostEvent", source=1, num_events_lost=count)
        event.first.GetCurrentTime()
        event.last.GetCurrentTime()
        response = wire.new("GetFlowsResponse", lost_events=event, node_name=self.node)
        response.time.GetCurrentTime()
        self.ring.put(response)

    def _l3(
        self,
        packet: Packet,
        verdict: int,
        event: tuple[int, int],
        direction: int,
        reason: int = 0,
        is_reply: bool | None = None,
        **more: Any,
    ) -> None:
        layer4, summary = _layer4(packet)
        flow = self._flow(
            (packet.source, packet.destination),
            verdict=verdict,
            Type=Kind.L3_L4,
            l4=layer4,
            event_type=wire.new("CiliumEventType", type=event[0], sub_type=event[1]),
            traffic_direction=direction,
            drop_reason=reason,
            drop_reason_desc=reason,
            Summary=summary,
            **more,
        )
        if is_reply is not None:
            flow.is_reply.value = flow.reply = is_reply
        self._put(flow)

    def _flow(self, addresses: tuple[str, str], **fields: Any) -> Any:
        flow = wire.new(
            "Flow",
            uuid=str(uuid.uuid4()),
            node_name=self.node,
            node_labels=self.node_labels,
            IP=wire.new("IP", source=addresses[0], destination=addresses[1], ipVersion=1),
            source=self._endpoint(addresses[0]),
            destination=self._endpoint(addresses[1]),
            **fields,
        )
        flow.time.GetCurrentTime()
        return flow

    def _put(self, flow: Any) -> None:
        self.ring.put(wire.new("GetFlowsResponse", flow=flow, node_name=self.node, time=flow.time))

    def _endpoint(self, ip: str) -> Any:
        if endpoint := self._by_ip.get(ip):
            name, kind = endpoint.workload
            return wire.new(
                "Endpoint",
                ID=endpoint.id,
                identity=endpoint.identity,
                namespace=endpoint.namespace,
                labels=endpoint.label_list,
                pod_name=endpoint.name,
                workloads=[wire.new("Workload", name=name, kind=kind)],
                cluster_name=self.cluster,
            )
        if ip in self.view.host_ips or ip.startswith("127."):
            extra = ["reserved:kube-apiserver"] if ip in self.view.api_ips else []
            return wire.new("Endpoint", identity=HOST, labels=["reserved:host", *extra])
        if ip in self.view.api_ips:
            return wire.new(
                "Endpoint", identity=KUBE_APISERVER, labels=["reserved:kube-apiserver", "reserved:remote-node"]
            )
        return wire.new("Endpoint", identity=WORLD, labels=["reserved:world"])


def _layer4(packet: Packet) -> tuple[Any, str]:
    ports = {"source_port": packet.source_port, "destination_port": packet.destination_port}
    if packet.protocol == "TCP":
        flags = wire.new("TCPFlags", **dict.fromkeys(packet.flags, True))
        order = [name for name in ("SYN", "ACK", "RST", "FIN", "PSH", "URG", "ECE", "CWR") if name in packet.flags]
        return wire.new("Layer4", TCP=wire.new("TCP", flags=flags, **ports)), f"TCP Flags: {', '.join(order)}"
    if packet.protocol in ("UDP", "SCTP"):
        return wire.new("Layer4", **{packet.protocol: wire.new(packet.protocol, **ports)}), packet.protocol
    if packet.protocol == "ICMPv4":
        kind, code = packet.icmp
        name = {8: "EchoRequest", 0: "EchoReply"}.get(kind, f"{kind}({code})")
        return wire.new("Layer4", ICMPv4=wire.new("ICMPv4", type=kind, code=code)), f"ICMPv4 {name}"
    return None, "IPv4"
