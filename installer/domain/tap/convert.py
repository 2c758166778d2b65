"""The tap's rows as flows: the same shape as Hubble's, told by the emitter ``tap``."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from installer.domain.flows import names, times
from installer.domain.flows.flow import (
    DNS,
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    Answer,
    Emitter,
    Endpoint,
    EventType,
    FileInfo,
    Flow,
    Interface,
    Layer4,
    Layer7,
    LostEvent,
    TCPFlags,
)
from installer.domain.tap import dns
from installer.domain.tap.directory import Directory
from installer.domain.tap.samples import STATES, DnsMessage, Drop, Sample, TcpEvent, Where
from installer.domain.text import human_bytes

EMITTER = Emitter("tap")
TCP_EVENTS = 240
"""Number of the first event type of the tap; ``TCP_EVENTS + TcpEvent.what``."""
_EXTENSION = "type.googleapis.com/beeyard.tap.v1.Sample"
_DIRECTIONS = {1: "EGRESS", 2: "INGRESS"}
_DROP_EVENT, _TRACE_EVENT, _L7_EVENT = 1, 4, 129
_TO_ENDPOINT, _FROM_ENDPOINT = 0, 5
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_FLAG_FIELDS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
_LOSSES = {
    "shed": "TAP_NEW_FLOWS_TOO_FAST",
    "evicted": "TAP_FLOW_TABLE_FULL",
    "events": "TAP_EVENT_RING_FULL",
    "unread": "TAP_HEADERS_UNREADABLE",
}


class Converter:
    """Makes flows of rows.

    Args:
        directory: names the sides.
        node: name of this node.
        run: begins the ids of this run's flows.
    """

    def __init__(self, directory: Directory, node: str, run: str = "") -> None:
        self._directory = directory
        self._node = node
        self._run = run
        self._number = 0

    def sample(self, row: Sample) -> Answer:
        """Return what a flow grew by, as a flow."""
        out = row.direction == 1
        self._directory.learn(row.source if out else row.destination, row.space)
        source, destination = self._ends(row, row.group)
        who = f"{row.process}[{row.pid}]" if row.process else f"[{row.pid}]" if row.pid else ""
        size = f"{count(row.packets, 'packet')}, {human_bytes(row.bytes)}"
        return self._answer(
            Flow(
                time=times.from_ns(row.last),
                uuid=self._id(),
                emitter=EMITTER,
                verdict="FORWARDED",
                ip=_ip(row),
                l4=layer4(row, row.flags),
                source=source,
                destination=destination,
                type="L3_L4",
                node_name=self._node,
                reply=bool(row.reply),
                event_type=EventType(_TRACE_EVENT, _FROM_ENDPOINT if out else _TO_ENDPOINT),
                traffic_direction=_DIRECTIONS.get(row.direction, ""),
                trace_observation_point="FROM_ENDPOINT" if out else "TO_ENDPOINT",
                is_reply=bool(row.reply),
                cgroup_id=str(row.group) if row.group > 1 else "",
                summary="; ".join(filter(None, (_protocol_words(row, row.flags), size, who))),
                extensions=_extension(
                    packets=row.packets,
                    bytes=row.bytes,
                    payloadBytes=row.payload,
                    netns=row.space,
                    pid=row.pid,
                    process=row.process,
                    firstSeen=times.from_ns(row.first),
                ),
            ),
        )

    def drop(self, row: Drop) -> Answer:
        """Return packets dropped, as a flow."""
        source, destination = self._ends(row, 0, local=False)
        size = f"{count(row.packets, 'packet')}, {human_bytes(row.bytes)}"
        return self._answer(
            Flow(
                time=times.from_ns(row.last),
                uuid=self._id(),
                emitter=EMITTER,
                verdict="DROPPED",
                ip=_ip(row),
                l4=layer4(row, row.flags),
                source=source,
                destination=destination,
                type="L3_L4",
                node_name=self._node,
                event_type=EventType(_DROP_EVENT, 0),
                traffic_direction=_DIRECTIONS.get(row.direction, ""),
                file=FileInfo(row.place),
                drop_reason_desc=row.reason,
                interface=Interface(row.interface_index, row.interface) if row.interface_index else None,
                summary="; ".join(filter(None, (_protocol_words(row, row.flags), size, f"in {row.place}"))),
                extensions=_extension(packets=row.packets, bytes=row.bytes, netns=row.space),
            ),
        )

    def tcp(self, row: TcpEvent) -> Answer:
        """Return a step of a connection, as a flow."""
        source, destination = self._ends(row, 0)
        event = names.TAP_EVENT.get(TCP_EVENTS + row.what, "")
        words = [event.replace("-", " ").replace("tcp", "TCP", 1)]
        if row.lasted:
            words.append(f"after {duration_text(row.lasted)}")
        if row.reason:
            words.append(row.reason)
        elif row.what in (4, 5, 6) and row.state in STATES:
            words.append(f"state {STATES[row.state]}")
        if row.pid:
            words.append(f"{row.process}[{row.pid}]")
        return self._answer(
            Flow(
                time=times.from_ns(row.time),
                uuid=self._id(),
                emitter=EMITTER,
                verdict="TRACED",
                ip=_ip(row),
                l4=layer4(row, 0),
                source=source,
                destination=destination,
                type="L3_L4",
                node_name=self._node,
                event_type=EventType(TCP_EVENTS + row.what),
                traffic_direction="EGRESS" if row.what in (1, 2) else _DIRECTIONS.get(row.direction, ""),
                is_reply=False if row.what in (1, 2, 3) else None,
                summary="; ".join(words),
                extensions=_extension(
                    event=event,
                    durationNs=row.lasted,
                    netns=row.space,
                    pid=row.pid,
                    process=row.process,
                ),
            ),
        )

    def dns(self, row: DnsMessage) -> Answer | None:
        """Return a message of DNS as a flow; None for what is none."""
        message = dns.parse(bytes.fromhex(row.payload))
        if message is None:
            return None
        source, destination = self._ends(row, row.group)
        return self._answer(
            Flow(
                time=times.from_ns(row.time),
                uuid=self._id(),
                emitter=EMITTER,
                verdict="FORWARDED",
                ip=_ip(row),
                l4=layer4(row, 0),
                source=source,
                destination=destination,
                type="L7",
                node_name=self._node,
                l7=Layer7(
                    type="RESPONSE" if message.reply else "REQUEST",
                    dns=DNS(
                        query=message.name,
                        ips=message.ips,
                        ttl=message.ttl,
                        cnames=message.cnames,
                        observation_source="tap",
                        rcode=message.rcode,
                        qtypes=message.types,
                        rrtypes=message.record_types,
                    ),
                ),
                reply=message.reply,
                event_type=EventType(_L7_EVENT),
                traffic_direction=_DIRECTIONS.get(row.direction, ""),
                is_reply=message.reply,
                summary=_dns_words(message),
            ),
        )

    def losses(self, lost: dict[str, int], moment: int) -> list[Answer]:
        """Return an answer for every kind of loss."""
        when = times.from_ns(moment)
        return [
            Answer(
                lost_events=LostEvent(_LOSSES.get(kind, kind), str(number)),
                node_name=self._node,
                time=when,
            )
            for kind, number in lost.items()
        ]

    def _ends(self, row: Where, group: int, *, local: bool = True) -> tuple[Endpoint, Endpoint]:
        """Return both sides; the one that is in the row's namespace is known by it."""
        known, find = (row.space if local else 0), self._directory.endpoint
        out = row.direction != 2
        if row.destination.startswith("127.") or row.destination == "::1":
            return find(row.source, row.space, group), find(row.destination, row.space, group)
        if out:
            return find(row.source, known, group), find(row.destination)
        return find(row.source), find(row.destination, known, group)

    def _id(self) -> str:
        self._number += 1
        return f"{self._run}{self._number:012x}" if self._run else ""

    def _answer(self, flow: Flow) -> Answer:
        return Answer(flow=flow, node_name=self._node, time=flow.time)


def layer4(row: Where, flags: int) -> Layer4 | None:
    """Return the ports, or type and code, of a row."""
    source, destination = row.source_port, row.destination_port
    match row.protocol:
        case 6:
            return Layer4(tcp=TCP(source, destination, tcp_flags(flags) if flags else None))
        case 17:
            return Layer4(udp=UDP(source, destination))
        case 132:
            return Layer4(sctp=SCTP(source, destination))
        case 1:
            return Layer4(icmpv4=ICMP(source, destination))
        case 58:
            return Layer4(icmpv6=ICMP(source, destination))
    return None


def tcp_flags(bits: int) -> TCPFlags:
    """Return the flags of a byte of a TCP header."""
    return TCPFlags(**{name: bool(bits >> bit & 1) for bit, name in enumerate(_FLAG_FIELDS)})


def duration_text(nanos: int) -> str:
    """Return a duration for people: ``148 us``, ``3.2 ms``, ``12.0 s``."""
    if nanos < 1_000_000:
        return f"{nanos / 1000:.0f} us"
    return f"{nanos / 1_000_000:.1f} ms" if nanos < 1_000_000_000 else f"{nanos / 1_000_000_000:.1f} s"


def count(number: int, word: str) -> str:
    """Return ``1 packet``, ``2 packets``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _ip(row: Where) -> IP:
    return IP(source=row.source, destination=row.destination, ip_version="IPv4" if row.family == 4 else "IPv6")


def _extension(**fields: object) -> msgspec.Raw:
    kept = {name: value for name, value in fields.items() if value not in (0, "")}
    return msgspec.Raw(msgspec.json.encode({"@type": _EXTENSION, **kept}))


def _protocol_words(row: Where, flags: int) -> str:
    if row.protocol == 6:
        names = [name for bit, name in enumerate(_FLAGS) if flags >> bit & 1]
        return f"TCP Flags: {', '.join(names)}" if names else "TCP"
    if row.protocol in (1, 58):
        return f"ICMPv{4 if row.protocol == 1 else 6} type {row.source_port} code {row.destination_port}"
    return {17: "UDP", 132: "SCTP"}.get(row.protocol, f"IP protocol {row.protocol}")


def _dns_words(message: dns.Message) -> str:
    kinds = ",".join(message.types)
    if not message.reply:
        return f"DNS Query {message.name} {kinds}"
    found: Sequence[str] = message.ips or message.cnames
    code = dns.RCODES.get(message.rcode, str(message.rcode))
    return f"DNS Answer {message.name} {kinds}: {', '.join(found) if found else code} (TTL {message.ttl})"
