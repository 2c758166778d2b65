"""Hypothesis strategies for flows: small worlds, so that filters hit about as often as they miss.

Names, addresses, ports and labels come from few values which the strategies for filters may draw from too
(``NAMESPACES``, ``PODS``, ``ADDRESSES`` ...). ``flows()`` gives well-formed flows, from an empty one to one with every
part; ``answers()`` gives whole responses, node status and lost events among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from installer.domain.flows.flow import (
    DNS,
    HTTP,
    ICMP,
    IGMP,
    IP,
    SCTP,
    TCP,
    UDP,
    VRRP,
    Answer,
    Endpoint,
    Ethernet,
    EventType,
    Flow,
    Header,
    Interface,
    IPTraceID,
    Kafka,
    Layer4,
    Layer7,
    LostEvent,
    NodeStatus,
    Policy,
    Service,
    TCPFlags,
    TraceContext,
    TraceParent,
    Workload,
)

NAMESPACES = ("", "default", "shop", "kube-system", "prod-eu")
PODS = ("", "web-6d9f-abcde", "web-0", "api-7c8d-fghij", "coredns-1", "web")
APPS = ("web", "api", "coredns")
CLUSTERS = ("", "default", "east")
NODES = ("node-a", "node-b", "east/node-a", "west/node-c", "")
LABELS = (
    "k8s:app=web",
    "k8s:app=api",
    "k8s:app=coredns",
    "k8s:tier=front",
    "k8s:io.kubernetes.pod.namespace=shop",
    "k8s:canary",
    "reserved:world",
    "reserved:host",
    "cidr:10.0.0.0/8",
    "app=web",
)
ADDRESSES = ("10.0.1.11", "10.0.2.22", "10.1.0.1", "192.0.2.7", "1.1.1.1", "fd00::11", "fd00::22", "2001:db8::1", "")
FQDNS = ("example.org", "www.example.org", "api.example.com", "a-b.test", "examples.org")
PORTS = (0, 25, 53, 80, 443, 1024, 8080, 41000, 65535)
IDENTITIES = (0, 1, 2, 3, 4, 7, 9, 30001, 30002, 16777217)
VERDICTS = (
    "",
    "FORWARDED",
    "DROPPED",
    "ERROR",
    "AUDIT",
    "REDIRECTED",
    "TRACED",
    "TRANSLATED",
    99,
)
REASONS = ((133, "POLICY_DENIED"), (181, "POLICY_DENY"), (189, "AUTH_REQUIRED"), (0, ""), (251, 251))
EVENTS = ((1, 133), (1, 181), (3, 4), (4, 0), (4, 1), (4, 3), (4, 4), (5, 0), (7, 2), (129, 0), (130, 0), (0, 0))
METHODS = ("GET", "POST", "PUT", "")
URLS = (
    "http://api.shop.svc/items?page=2",
    "http://api.shop.svc/items/7",
    "/healthz",
    "http://web/",
    "http://[broken",
    "http://web/%zz",
    "",
)
CODES = (0, 200, 204, 301, 403, 404, 500, 503)
HEADERS = (Header("User-Agent", "curl/8.5"), Header("X-Id", "7"), Header("user-agent", "curl/8.5"))
QUERIES = ("example.org.", "www.example.org.", "api.shop.svc.cluster.local.", "a-b.test", "")
TRACE_IDS = ("", "4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000001")
IP_TRACE_IDS = ("", "7", "18446744073709551615")
UUIDS = tuple(f"00000000-0000-4000-8000-{number:012d}" for number in range(6))
INTERFACES = (Interface(2, "eth0"), Interface(7, "lxc1234"), Interface(9, ""))
NODE_LABELS = ("zone=a", "zone=b", "kubernetes.io/arch=amd64", "spot")

_T = TypeVar("_T")


def _one(values: Sequence[_T]) -> st.SearchStrategy[_T]:
    return st.sampled_from(values)


def _maybe(strategy: st.SearchStrategy[_T]) -> st.SearchStrategy[_T | None]:
    return st.none() | strategy


def _few(values: Sequence[_T], most: int = 3) -> st.SearchStrategy[tuple[_T, ...]]:
    return st.lists(_one(values), max_size=most, unique=True).map(tuple)


def times() -> st.SearchStrategy[str]:
    """RFC 3339 times with nanoseconds, within one hour."""
    return st.builds(
        lambda second, nanos: f"2026-11-20T10:{second // 60:02d}:{second % 60:02d}.{nanos:09d}Z",
        st.integers(0, 3599),
        st.integers(0, 999_999_999),
    )


def tcp_flags() -> st.SearchStrategy[TCPFlags]:
    """Flags of a segment, often a usual combination."""
    usual = (TCPFlags(), TCPFlags(syn=True), TCPFlags(syn=True, ack=True), TCPFlags(ack=True), TCPFlags(rst=True))
    return _one(usual) | st.builds(TCPFlags, *[st.booleans()] * 9)


def layer4() -> st.SearchStrategy[Layer4]:
    """One protocol, or none of those we know."""
    port = _one(PORTS)
    return st.one_of(
        st.builds(lambda source, to, flags: Layer4(tcp=TCP(source, to, flags)), port, port, _maybe(tcp_flags())),
        st.builds(lambda source, to: Layer4(udp=UDP(source, to)), port, port),
        st.builds(lambda source, to: Layer4(sctp=SCTP(source, to)), port, port),
        _one(
            (
                Layer4(),
                Layer4(icmpv4=ICMP(8, 0)),
                Layer4(icmpv6=ICMP(128, 0)),
                Layer4(vrrp=VRRP(1, 2, 3)),
                Layer4(igmp=IGMP(22, "224.0.0.1")),
            )
        ),
    )


def addresses() -> st.SearchStrategy[IP]:
    """The IP part."""
    address = _one(ADDRESSES)
    return st.builds(
        IP,
        source=address,
        source_xlated=address,
        destination=address,
        ip_version=_one(("", "IPv4", "IPv6")),
        encrypted=st.booleans(),
    )


def endpoints() -> st.SearchStrategy[Endpoint]:
    """One side of a flow."""
    return st.builds(
        Endpoint,
        id=st.integers(0, 300),
        identity=_one(IDENTITIES),
        cluster_name=_one(CLUSTERS),
        namespace=_one(NAMESPACES),
        labels=_few(LABELS, 4),
        pod_name=_one(PODS),
        workloads=_few(tuple(Workload(name, kind) for name in APPS for kind in ("", "Deployment", "DaemonSet")), 2),
    )


def layer7() -> st.SearchStrategy[Layer7]:
    """An L7 record: HTTP, DNS, Kafka or none."""
    http = st.builds(HTTP, _one(CODES), _one(METHODS), _one(URLS), st.just("HTTP/1.1"), _few(HEADERS))
    dns = st.builds(
        DNS,
        query=_one(QUERIES),
        ips=_few(ADDRESSES),
        ttl=_one((0, 30, 4294967295)),
        rcode=_one((0, 3)),
        qtypes=_few(("A",)),
    )
    kafka = st.builds(Kafka, api_key=_one(("fetch", "produce")), topic=_one(("orders", "")))
    kind, latency = _one(("", "REQUEST", "RESPONSE", "SAMPLE")), _one(("", "1000", "4000000", "250000000", 7))
    return st.one_of(
        st.builds(Layer7, kind, latency, http=http),
        st.builds(Layer7, kind, latency, dns=dns),
        st.builds(Layer7, kind, latency, kafka=kafka),
        st.builds(Layer7, kind, latency),
    )


def policies() -> st.SearchStrategy[tuple[Policy, ...]]:
    """Policies of a verdict."""
    policy = st.builds(
        Policy,
        name=_one(("allow-web", "deny-all")),
        namespace=_one(NAMESPACES),
        revision=_one(("", "7")),
        kind=_one(("", "CiliumNetworkPolicy")),
    )
    return st.just(()) | st.lists(policy, max_size=2).map(tuple)


def flows() -> st.SearchStrategy[Flow]:
    """Flows with any part present or absent."""
    return st.builds(
        _flow,
        st.fixed_dictionaries(
            {},
            optional={
                "time": times(),
                "uuid": _one(UUIDS),
                "verdict": _one(VERDICTS),
                "ethernet": st.just(Ethernet("02:00:00:00:00:01", "02:00:00:00:00:02")),
                "ip": addresses(),
                "l4": layer4(),
                "l7": layer7(),
                "type": _one(("", "L3_L4", "L7", "SOCK")),
                "source": endpoints(),
                "destination": endpoints(),
                "node_name": _one(NODES),
                "node_labels": _few(NODE_LABELS),
                "source_names": _few(FQDNS, 2),
                "destination_names": _few(FQDNS, 2),
                "source_service": services(),
                "destination_service": services(),
                "traffic_direction": _one(("", "INGRESS", "EGRESS")),
                "policy_match_type": st.integers(0, 6),
                "is_reply": st.booleans(),
                "interface": _one(INTERFACES),
                "trace_context": _one(TRACE_IDS).map(lambda value: TraceContext(TraceParent(value))),
                "ip_trace_id": _one(IP_TRACE_IDS).map(lambda value: IPTraceID(value, 136)),
                "summary": _one(("TCP Flags: SYN", "UDP", "")),
                "egress_allowed_by": policies(),
                "ingress_denied_by": policies(),
            },
        ),
        _one(EVENTS),
        _one(REASONS),
    )


def services() -> st.SearchStrategy[Service]:
    """Service of an address."""
    return st.builds(Service, _one(("", *APPS)), _one(NAMESPACES))


def _flow(parts: dict[str, Any], event: tuple[int, int], reason: tuple[int, str | int]) -> Flow:
    if event != (0, 0):
        parts["event_type"] = EventType(*event)
    if event[0] == 1:
        parts["drop_reason"], parts["drop_reason_desc"] = reason
    return Flow(**parts)


def lost_events() -> st.SearchStrategy[LostEvent]:
    """Lost events, with and without CPU and times."""
    return st.builds(
        LostEvent,
        source=_one(("", "PERF_EVENT_RING_BUFFER", "OBSERVER_EVENTS_QUEUE", "HUBBLE_RING_BUFFER")),
        num_events_lost=_one(("", "1", "4095")),
        cpu=st.none() | st.integers(0, 127),
        first=st.just("") | times(),
        last=st.just("") | times(),
    )


def node_statuses() -> st.SearchStrategy[NodeStatus]:
    """What Relay tells of nodes."""
    return st.builds(
        NodeStatus,
        state_change=_one(("NODE_CONNECTED", "NODE_UNAVAILABLE", "NODE_ERROR")),
        node_names=_few(NODES[:4]),
        message=_one(("", "rpc error: code = Unavailable")),
    )


def answers() -> st.SearchStrategy[Answer]:
    """Whole responses; the outer time and node name are those of the flow."""
    return st.one_of(
        flows().map(lambda flow: Answer(flow=flow, node_name=flow.node_name, time=flow.time)),
        st.builds(
            lambda status, time: Answer(node_status=status, node_name="relay", time=time), node_statuses(), times()
        ),
        st.builds(lambda lost, time: Answer(lost_events=lost, node_name="node-a", time=time), lost_events(), times()),
    )
