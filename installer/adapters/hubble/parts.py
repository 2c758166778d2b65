"""Parts of a flow, from their bytes on the wire to the model's structs, remembered by their bytes.

The same endpoints, services and addresses come again and again: a part that was seen costs one look into a table, and
flows share one object for it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message

from installer.adapters.hubble._proto import flow_pb2, relay_pb2
from installer.domain.flows import flow as model

T = TypeVar("T")
REMEMBERED = 20_000
"""Parts of one kind that a table holds before it starts anew."""


class Table(dict[bytes, T], Generic[T]):
    """What was made of which bytes; makes what is missing."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[bytes], T]):
        super().__init__()
        self._make = make

    def __missing__(self, raw: bytes) -> T:
        """Make the part and remember it."""
        if len(self) >= REMEMBERED:
            self.clear()
        part = self[raw] = self._make(raw)
        return part


def fields_of(message: Message) -> dict[str, Any]:
    """Return a message in Hubble's JSON form; unknown enum values stay numbers."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def by_json(kind: type[Message], struct: type[T]) -> Callable[[bytes], T]:
    """Return a maker that goes by the JSON form: slow, for parts that come again or are rare."""

    def make(raw: bytes) -> T:
        return msgspec.convert(fields_of(kind.FromString(raw)), struct, strict=False)

    return make


class Names(dict[int, model.Enum]):
    """Names of an enum's values by number; 0 is the default, which is not told; an unknown number stands for itself."""

    def __init__(self, enum: Any):
        super().__init__({number: name for name, number in enum.items()} | {0: ""})

    def __missing__(self, number: int) -> int:
        """Return the number itself."""
        return number


IP_VERSIONS = Names(flow_pb2.IPVersion)
L7_TYPES = Names(flow_pb2.L7FlowType)
FLAG_NAMES = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS")
_flags: dict[tuple[bool, ...], model.TCPFlags] = {}


def ip(raw: bytes) -> model.IP:
    """Make addresses."""
    wire = flow_pb2.IP.FromString(raw)
    version = IP_VERSIONS[wire.ipVersion]
    return model.IP(wire.source, wire.source_xlated, wire.destination, version, wire.encrypted)


def layer4(raw: bytes) -> model.Layer4:
    """Make ports and flags; the rarer protocols go by JSON."""
    wire = flow_pb2.Layer4.FromString(raw)
    match wire.WhichOneof("protocol"):
        case "TCP":
            tcp = wire.TCP
            flags = _tcp_flags(tcp.flags) if tcp.HasField("flags") else None
            return model.Layer4(model.TCP(tcp.source_port, tcp.destination_port, flags))
        case "UDP":
            return model.Layer4(None, model.UDP(wire.UDP.source_port, wire.UDP.destination_port))
    return msgspec.convert(fields_of(wire), model.Layer4, strict=False)


def _tcp_flags(wire: flow_pb2.TCPFlags) -> model.TCPFlags:
    key = (wire.FIN, wire.SYN, wire.RST, wire.PSH, wire.ACK, wire.URG, wire.ECE, wire.CWR, wire.NS)
    found = _flags.get(key)
    if found is None:
        found = _flags[key] = model.TCPFlags(*key)
    return found


def layer7(raw: bytes) -> model.Layer7:
    """Make an L7 record; Kafka goes by JSON."""
    wire = flow_pb2.Layer7.FromString(raw)
    kind, latency = L7_TYPES[wire.type], str(wire.latency_ns) if wire.latency_ns else ""
    match wire.WhichOneof("record"):
        case "http":
            return model.Layer7(kind, latency, http=_http(wire.http))
        case "dns":
            return model.Layer7(kind, latency, _dns(wire.dns))
    return msgspec.convert(fields_of(wire), model.Layer7, strict=False)


def _http(wire: flow_pb2.HTTP) -> model.HTTP:
    headers = tuple(model.Header(header.key, header.value) for header in wire.headers)
    return model.HTTP(wire.code, wire.method, wire.url, wire.protocol, headers)


def _dns(wire: flow_pb2.DNS) -> model.DNS:
    return model.DNS(
        wire.query,
        tuple(wire.ips),
        wire.ttl,
        tuple(wire.cnames),
        wire.observation_source,
        wire.rcode,
        tuple(wire.qtypes),
        tuple(wire.rrtypes),
    )


def extension(raw: bytes) -> msgspec.Raw:
    """Keep an extension, of a type that only its maker knows, in base64."""
    wire = any_pb2.Any.FromString(raw)
    return msgspec.Raw(msgspec.json.encode({"@type": wire.type_url, "value": base64.b64encode(wire.value).decode()}))


endpoint = by_json(flow_pb2.Endpoint, model.Endpoint)
service = by_json(flow_pb2.Service, model.Service)
policy = by_json(flow_pb2.Policy, model.Policy)
ethernet = by_json(flow_pb2.Ethernet, model.Ethernet)
event_type = by_json(flow_pb2.CiliumEventType, model.EventType)
interface = by_json(flow_pb2.NetworkInterface, model.Interface)
trace_context = by_json(flow_pb2.TraceContext, model.TraceContext)
ip_trace_id = by_json(flow_pb2.IPTraceID, model.IPTraceID)
file_info = by_json(flow_pb2.FileInfo, model.FileInfo)
tunnel = by_json(flow_pb2.Tunnel, model.Tunnel)
emitter = by_json(flow_pb2.Emitter, model.Emitter)
aggregate = by_json(flow_pb2.Aggregate, model.Aggregate)
node_status = by_json(relay_pb2.NodeStatusEvent, model.NodeStatus)
lost_event = by_json(flow_pb2.LostEvent, model.LostEvent)
