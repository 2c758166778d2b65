"""Hubble's messages, made at run time from a table of field numbers.

The stand-in does not use beeyard's own generated stubs on purpose: a wrong number there must show as a failing test,
not be shared by both ends. Enumerations are plain integers on the wire, so they are integers here. The message and
package names never travel; the method names do.
"""

import re
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped,unused-ignore]
    descriptor_pb2,
    descriptor_pool,
    field_mask_pb2,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)

CONTRACT = """
GetFlowsRequest: 1 number u64; 3 follow bool; 5 blacklist FlowFilter*; 6 whitelist FlowFilter*; 7 since Timestamp; 8
  until Timestamp; 9 first bool; 10 field_mask FieldMask
GetFlowsResponse: 1~ flow Flow; 2~ node_status NodeStatusEvent; 3~ lost_events LostEvent; 1000 node_name str; 1001
  time Timestamp
Flow: 1 time Timestamp; 2 verdict i32; 3 drop_reason u32; 4 ethernet Ethernet; 5 IP IP; 6 l4 Layer4; 8 source
  Endpoint; 9 destination Endpoint; 10 Type i32; 11 node_name str; 13 source_names str*; 14 destination_names str*;
  15 l7 Layer7; 16 reply bool; 19 event_type CiliumEventType; 20 source_service Service; 21 destination_service
  Service; 22 traffic_direction i32; 23 policy_match_type u32; 24 trace_observation_point i32; 25 drop_reason_desc
  i32; 26 is_reply BoolValue; 27 debug_capture_point i32; 28 interface NetworkInterface; 29 proxy_port u32; 31
  sock_xlate_point i32; 32 socket_cookie u64; 33 cgroup_id u64; 34 uuid str; 35 auth_type i32; 36 trace_reason i32;
  37 node_labels str*; 21001 egress_allowed_by Policy*; 21002 ingress_allowed_by Policy*; 21004 egress_denied_by
  Policy*; 21005 ingress_denied_by Policy*; 21006 policy_log str*; 100000 Summary str
Endpoint: 1 ID u32; 2 identity u32; 3 namespace str; 4 labels str*; 5 pod_name str; 6 workloads Workload*; 7
  cluster_name str
Workload: 1 name str; 2 kind str
IP: 1 source str; 2 destination str; 3 ipVersion i32; 4 encrypted bool; 5 source_xlated str
Ethernet: 1 source str; 2 destination str
Layer4: 1~ TCP TCP; 2~ UDP UDP; 3~ ICMPv4 ICMPv4; 4~ ICMPv6 ICMPv6; 5~ SCTP SCTP
TCP: 1 source_port u32; 2 destination_port u32; 3 flags TCPFlags
TCPFlags: 1 FIN bool; 2 SYN bool; 3 RST bool; 4 PSH bool; 5 ACK bool; 6 URG bool; 7 ECE bool; 8 CWR bool; 9 NS bool
UDP: 1 source_port u32; 2 destination_port u32
SCTP: 1 source_port u32; 2 destination_port u32
ICMPv4: 1 type u32; 2 code u32
ICMPv6: 1 type u32; 2 code u32
Layer7: 1 type i32; 2 latency_ns u64; 100~ dns DNS; 101~ http HTTP
HTTP: 1 code u32; 2 method str; 3 url str; 4 protocol str; 5 headers HTTPHeader*
HTTPHeader: 1 key str; 2 value str
DNS: 1 query str; 2 ips str*; 3 ttl u32; 4 cnames str*; 5 observation_source str; 6 rcode u32; 7 qtypes str*; 8
  rrtypes str*
Service: 1 name str; 2 namespace str
Policy: 1 name str; 2 namespace str; 3 labels str*; 4 revision u64; 5 kind str
CiliumEventType: 1 type i32; 2 sub_type i32
EventTypeFilter: 1 type i32; 2 match_sub_type bool; 3 sub_type i32
NetworkInterface: 1 index u32; 2 name str
LostEvent: 1 source i32; 2 num_events_lost u64; 3 cpu Int32Value; 4 first Timestamp; 5 last Timestamp
FlowFilter: 1 source_ip str*; 2 source_pod str*; 3 destination_ip str*; 4 destination_pod str*; 5 verdict i32*; 6
  event_type EventTypeFilter*; 7 source_fqdn str*; 8 destination_fqdn str*; 9 http_status_code str*; 10 source_label
  str*; 11 destination_label str*; 12 protocol str*; 13 source_port str*; 14 destination_port str*; 15 reply bool*;
  16 source_service str*; 17 destination_service str*; 18 dns_query str*; 19 source_identity u32*; 20
  destination_identity u32*; 21 http_method str*; 22 http_path str*; 23 tcp_flags TCPFlags*; 24 node_name str*; 25
  ip_version i32*; 26 source_workload Workload*; 27 destination_workload Workload*; 28 trace_id str*; 29 uuid str*;
  30 traffic_direction i32*; 31 http_url str*; 32 http_header HTTPHeader*; 33 drop_reason_desc i32*; 34
  source_ip_xlated str*; 35 interface NetworkInterface*; 36 node_labels str*; 37 source_cluster_name str*; 38
  destination_cluster_name str*; 39 ip_trace_id u64*; 40 encrypted bool*
NodeStatusEvent: 1 state_change i32; 2 node_names str*; 3 message str
ServerStatusResponse: 1 num_flows u64; 2 max_flows u64; 3 seen_flows u64; 4 uptime_ns u64; 5 num_connected_nodes
  UInt32Value; 6 num_unavailable_nodes UInt32Value; 7 unavailable_nodes str*; 8 version str; 9 flows_rate double
GetNodesResponse: 1 nodes Node*
Node: 1 name str; 2 version str; 3 address str; 4 state i32; 5 tls TLS; 6 uptime_ns u64; 7 num_flows u64; 8
  max_flows u64; 9 seen_flows u64
TLS: 1 enabled bool; 2 server_name str
GetNamespacesResponse: 1 namespaces Namespace*
Namespace: 1 cluster str; 2 namespace str
ChangeNotification: 1 name str; 2 address str; 3 type i32; 4 tls PeerTLS
PeerTLS: 1 server_name str
Empty:
"""
SCALARS = {"str": 9, "u32": 13, "u64": 4, "i32": 5, "i64": 3, "bool": 8, "double": 1}
KNOWN = {
    "Timestamp": timestamp_pb2,
    "FieldMask": field_mask_pb2,
    "BoolValue": wrappers_pb2,
    "UInt32Value": wrappers_pb2,
    "Int32Value": wrappers_pb2,
}
_FIELD = re.compile(r"(\d+)(~?)\s+(\w+)\s+(\w+)(\*?)")
_MESSAGE_TYPE, _OPTIONAL, _REPEATED = 11, 1, 3


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="standin.proto", package="standin", syntax="proto3")
    file.dependency.extend(sorted({module.DESCRIPTOR.name for module in KNOWN.values()}))
    for entry in re.split(r"\n(?=\w)", CONTRACT.strip()):
        name, _, body = entry.partition(":")
        message = file.message_type.add(name=name)
        for number, one, field, kind, many in _FIELD.findall(body):
            _add_field(message, int(number), bool(one), field, kind, bool(many))
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    pool_file = pool.FindFileByName("standin.proto")
    return {name: message_factory.GetMessageClass(d) for name, d in pool_file.message_types_by_name.items()}


def _add_field(message: Any, number: int, one: bool, name: str, kind: str, many: bool) -> None:
    field = message.field.add(name=name, number=number, label=_REPEATED if many else _OPTIONAL)
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type = _MESSAGE_TYPE
        field.type_name = f".google.protobuf.{kind}" if kind in KNOWN else f".standin.{kind}"
    if one:
        if not message.oneof_decl:
            message.oneof_decl.add(name="one")
        field.oneof_index = 0


MESSAGES: dict[str, Any] = _build()


def new(name: str, /, **fields: Any) -> Any:
    """Make a message by name."""
    return MESSAGES[name](**fields)


def decoder(name: str) -> Any:
    """The bytes-to-message function of a message."""
    return MESSAGES[name].FromString


def encode(message: Any) -> bytes:
    """The wire bytes of a message."""
    return bytes(message.SerializeToString())


class Verdict:
    """Verdicts of a flow."""

    FORWARDED, DROPPED, REDIRECTED = 1, 2, 5


class Kind:
    """Flow.Type and L7 types."""

    L3_L4, L7 = 1, 2
    REQUEST, RESPONSE = 1, 2


class Direction:
    """Traffic direction."""

    INGRESS, EGRESS = 1, 2


VERDICTS = {1: "FORWARDED", 2: "DROPPED", 3: "ERROR", 4: "AUDIT", 5: "REDIRECTED", 6: "TRACED", 7: "TRANSLATED"}
DROP_REASONS = {133: "Policy denied", 158: "Service backend not found", 181: "Policy denied by denylist"}
EVENT_DROP, EVENT_TRACE, EVENT_VERDICT, EVENT_L7 = 1, 4, 5, 129
TO_ENDPOINT, TO_STACK, TO_PROXY, TO_HOST = (101, 0), (3, 3), (1, 1), (2, 2)
NODE_CONNECTED, NODE_UNAVAILABLE, NODE_ERROR = 1, 2, 4
PEER_ADDED, PEER_DELETED, PEER_UPDATED = 1, 2, 3
