"""One flow, in the shape of Hubble's wire contract (``flow.Flow`` and ``observer.GetFlowsResponse``, v1.19/1.20).

The structs are the JSON form of the protobuf messages: fields in the order in which Hubble prints them, enums as names
(a number where the name is unknown to us), 64-bit numbers as decimal strings, times as RFC 3339 in UTC. What is absent
has protobuf's default and is left out when printed. Field numbers: ``adapters/hubble/_proto``.

Structs are compared and shared by value and never changed after they were decoded: equal endpoints may be one object.
"""

from __future__ import annotations

import msgspec

Enum = str | int
"""Name of an enum's value, or its number where this version has no name for it."""


class Wire(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of all messages."""


class Ethernet(Wire, frozen=True):
    """MAC addresses."""

    source: str = ""
    destination: str = ""


class IP(Wire, frozen=True):
    """Addresses of a packet; ``ip_version`` is ``IPv4``, ``IPv6`` or ``IP_NOT_USED``."""

    source: str = ""
    source_xlated: str = ""
    destination: str = ""
    ip_version: Enum = msgspec.field(default="", name="ipVersion")
    encrypted: bool = False


class TCPFlags(Wire, frozen=True):
    """Flags of a TCP segment."""

    fin: bool = msgspec.field(default=False, name="FIN")
    syn: bool = msgspec.field(default=False, name="SYN")
    rst: bool = msgspec.field(default=False, name="RST")
    psh: bool = msgspec.field(default=False, name="PSH")
    ack: bool = msgspec.field(default=False, name="ACK")
    urg: bool = msgspec.field(default=False, name="URG")
    ece: bool = msgspec.field(default=False, name="ECE")
    cwr: bool = msgspec.field(default=False, name="CWR")
    ns: bool = msgspec.field(default=False, name="NS")


class TCP(Wire, frozen=True):
    """Ports and flags."""

    source_port: int = 0
    destination_port: int = 0
    flags: TCPFlags | None = None


class UDP(Wire, frozen=True):
    """Ports."""

    source_port: int = 0
    destination_port: int = 0


class SCTP(Wire, frozen=True):
    """Ports and chunk type (from 1.20)."""

    source_port: int = 0
    destination_port: int = 0
    chunk_type: Enum = ""


class ICMP(Wire, frozen=True):
    """Type and code of an ICMPv4 or ICMPv6 message."""

    type: int = 0
    code: int = 0


class VRRP(Wire, frozen=True):
    """Fields of a VRRP message."""

    type: int = 0
    vrid: int = 0
    priority: int = 0


class IGMP(Wire, frozen=True):
    """Fields of an IGMP message."""

    type: int = 0
    group_address: str = ""


class Layer4(Wire, frozen=True):
    """Exactly one of the protocols, or none."""

    tcp: TCP | None = msgspec.field(default=None, name="TCP")
    udp: UDP | None = msgspec.field(default=None, name="UDP")
    icmpv4: ICMP | None = msgspec.field(default=None, name="ICMPv4")
    icmpv6: ICMP | None = msgspec.field(default=None, name="ICMPv6")
    sctp: SCTP | None = msgspec.field(default=None, name="SCTP")
    vrrp: VRRP | None = msgspec.field(default=None, name="VRRP")
    igmp: IGMP | None = msgspec.field(default=None, name="IGMP")


class Workload(Wire, frozen=True):
    """Owner of a pod, such as ``Deployment`` ``web``."""

    name: str = ""
    kind: str = ""


class Endpoint(Wire, frozen=True):
    """One side of a flow. ``labels`` carry their source: ``k8s:app=web``, ``reserved:host``."""

    id: int = msgspec.field(default=0, name="ID")
    identity: int = 0
    cluster_name: str = ""
    namespace: str = ""
    labels: tuple[str, ...] = ()
    pod_name: str = ""
    workloads: tuple[Workload, ...] = ()


class Service(Wire, frozen=True):
    """Service that an address belongs to."""

    name: str = ""
    namespace: str = ""


class EventType(Wire, frozen=True):
    """Number of the event (1 drop, 3 capture, 4 trace, 5 policy verdict, 7 socket, 129 L7) and its sub-type."""

    type: int = 0
    sub_type: int = 0


class Interface(Wire, frozen=True):
    """Network interface."""

    index: int = 0
    name: str = ""


class DNS(Wire, frozen=True):
    """DNS query or answer; ``rcode`` by number, ``ttl`` in seconds."""

    query: str = ""
    ips: tuple[str, ...] = ()
    ttl: int = 0
    cnames: tuple[str, ...] = ()
    observation_source: str = ""
    rcode: int = 0
    qtypes: tuple[str, ...] = ()
    rrtypes: tuple[str, ...] = ()


class Header(Wire, frozen=True):
    """HTTP header."""

    key: str = ""
    value: str = ""


class HTTP(Wire, frozen=True):
    """HTTP request or response (``code`` is 0 in requests)."""

    code: int = 0
    method: str = ""
    url: str = ""
    protocol: str = ""
    headers: tuple[Header, ...] = ()


class Kafka(Wire, frozen=True):
    """Kafka record (deprecated upstream)."""

    error_code: int = 0
    api_version: int = 0
    api_key: str = ""
    correlation_id: int = 0
    topic: str = ""


class Layer7(Wire, frozen=True):
    """L7 record; ``type`` is REQUEST, RESPONSE or SAMPLE; ``latency_ns`` a decimal string."""

    type: Enum = ""
    latency_ns: str | int = ""
    dns: DNS | None = None
    http: HTTP | None = None
    kafka: Kafka | None = None


class Policy(Wire, frozen=True):
    """A policy that allowed or denied; ``revision`` is a decimal string."""

    name: str = ""
    namespace: str = ""
    labels: tuple[str, ...] = ()
    revision: str | int = ""
    kind: str = ""


class TraceParent(Wire, frozen=True):
    """W3C trace id."""

    trace_id: str = ""


class TraceContext(Wire, frozen=True):
    """Trace context of an L7 request."""

    parent: TraceParent | None = None


class IPTraceID(Wire, frozen=True):
    """Trace id carried in an IP option."""

    trace_id: str | int = ""
    ip_option_type: int = 0


class FileInfo(Wire, frozen=True):
    """Place in the datapath's source where a packet was dropped."""

    name: str = ""
    line: int = 0


class Tunnel(Wire, frozen=True):
    """Outer packet of an encapsulated flow."""

    protocol: Enum = ""
    ip: IP | None = msgspec.field(default=None, name="IP")
    l4: Layer4 | None = None
    vni: int = 0


class Emitter(Wire, frozen=True):
    """Program that told the flow."""

    name: str = ""
    version: str = ""


class Aggregate(Wire, frozen=True):
    """Flows that this one stands for."""

    ingress_flow_count: int = 0
    egress_flow_count: int = 0
    unknown_direction_flow_count: int = 0


class Flow(Wire, frozen=True):
    """One event at an observation point. ``is_reply`` None: not known (drops, sockets)."""

    time: str = ""
    uuid: str = ""
    emitter: Emitter | None = None
    verdict: Enum = ""
    drop_reason: int = 0
    auth_type: Enum = ""
    ethernet: Ethernet | None = None
    ip: IP | None = msgspec.field(default=None, name="IP")
    l4: Layer4 | None = None
    tunnel: Tunnel | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    type: Enum = msgspec.field(default="", name="Type")
    node_name: str = ""
    node_labels: tuple[str, ...] = ()
    source_names: tuple[str, ...] = ()
    destination_names: tuple[str, ...] = ()
    l7: Layer7 | None = None
    reply: bool = False
    event_type: EventType | None = None
    source_service: Service | None = None
    destination_service: Service | None = None
    traffic_direction: Enum = ""
    policy_match_type: int = 0
    trace_observation_point: Enum = ""
    trace_reason: Enum = ""
    file: FileInfo | None = None
    ip_trace_id: IPTraceID | None = None
    drop_reason_desc: Enum = ""
    is_reply: bool | None = None
    debug_capture_point: Enum = ""
    interface: Interface | None = None
    proxy_port: int = 0
    trace_context: TraceContext | None = None
    sock_xlate_point: Enum = ""
    socket_cookie: str | int = ""
    cgroup_id: str | int = ""
    summary: str = msgspec.field(default="", name="Summary")
    extensions: msgspec.Raw | None = None
    egress_allowed_by: tuple[Policy, ...] = ()
    ingress_allowed_by: tuple[Policy, ...] = ()
    egress_denied_by: tuple[Policy, ...] = ()
    ingress_denied_by: tuple[Policy, ...] = ()
    policy_log: tuple[str, ...] = ()
    aggregate: Aggregate | None = None


class NodeStatus(Wire, frozen=True):
    """Relay's word on nodes; ``state_change`` such as ``NODE_UNAVAILABLE``."""

    state_change: Enum = ""
    node_names: tuple[str, ...] = ()
    message: str = ""


class LostEvent(Wire, frozen=True):
    """Events that were lost before they could be told; ``num_events_lost`` is a decimal string."""

    source: Enum = ""
    num_events_lost: str | int = ""
    cpu: int | None = None
    first: str = ""
    last: str = ""


class Answer(Wire, frozen=True):
    """One ``GetFlowsResponse``: a flow, a node status or lost events."""

    flow: Flow | None = None
    node_status: NodeStatus | None = None
    lost_events: LostEvent | None = None
    node_name: str = ""
    time: str = ""
