"""The server's match rules, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.filter_match import BUILDERS, compile_filters
from installer.domain.flows.flow import (
    DNS,
    HTTP,
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    Endpoint,
    EventType,
    Flow,
    Header,
    Interface,
    IPTraceID,
    Kafka,
    Layer4,
    Layer7,
    Service,
    TCPFlags,
    TraceContext,
    TraceParent,
    Workload,
)
from installer.domain.flows.flow_filter import EventTypeFilter, Experimental, FilterSet, FlowFilter
from tests.support.flows import flows


def _passes(flow: Flow | None, *blacklist: FlowFilter, **fields: Any) -> bool:
    return compile_filters(FilterSet((FlowFilter(**fields),) if fields else (), blacklist))(flow)


def _http(**fields: Any) -> Flow:
    return Flow(l7=Layer7(http=HTTP(**fields)))


def _source(**fields: Any) -> Flow:
    return Flow(source=Endpoint(**fields))


POD = _source(namespace="shop", pod_name="web-1")
DROPPED = Flow(verdict="DROPPED", drop_reason_desc="POLICY_DENIED")
SYN_ACK = Flow(l4=Layer4(tcp=TCP(1000, 80, TCPFlags(syn=True, ack=True))))

RULES: list[tuple[Flow, dict[str, Any], bool]] = [
    # Names: prefix, namespace, defaults.
    (POD, {"source_pod": ("shop/web",)}, True),
    (POD, {"source_pod": ("shop/",)}, True),
    (POD, {"source_pod": ("/web",)}, True),
    (POD, {"source_pod": ("/",)}, True),
    (POD, {"source_pod": ("web",)}, False),
    (POD, {"source_pod": ("other/web", "shop/w")}, True),
    (POD, {"source_pod": ("sho/",)}, False),
    (POD, {"source_pod": ("other/", "shop/")}, True),
    (Flow(), {"source_pod": ("other/", "shop/")}, False),
    (POD, {"destination_pod": ("shop/web",)}, False),
    (_source(namespace="default", pod_name="web"), {"source_pod": ("web",)}, True),
    (_source(), {"source_pod": ("/",)}, False),
    (Flow(), {"source_pod": ("/",)}, False),
    (Flow(source_service=Service("api", "shop")), {"source_service": ("shop/a",)}, True),
    (Flow(destination_service=Service("api", "shop")), {"destination_service": ("api",)}, False),
    # Enums: name, number, absent.
    (Flow(verdict=2), {"verdict": ("DROPPED",)}, True),
    (Flow(), {"verdict": ("VERDICT_UNKNOWN",)}, True),
    (Flow(verdict=99), {"verdict": (99,)}, True),
    (DROPPED, {"drop_reason_desc": ("POLICY_DENIED",)}, True),
    (DROPPED, {"drop_reason_desc": (133,)}, True),
    (DROPPED, {"drop_reason_desc": ("NETFILTER_DROP",)}, False),
    (Flow(verdict="DROPPED", drop_reason_desc="NETFILTER_DROP"), {"drop_reason_desc": ("NETFILTER_DROP", 133)}, True),
    (Flow(drop_reason_desc="POLICY_DENIED"), {"drop_reason_desc": ("POLICY_DENIED",)}, False),
    (Flow(traffic_direction="EGRESS"), {"traffic_direction": ("INGRESS",)}, False),
    (Flow(ip=IP(ip_version="IPv6")), {"ip_version": ("IPv6",)}, True),
    (Flow(), {"ip_version": ("IP_NOT_USED",)}, True),
    # Event types.
    (Flow(event_type=EventType(4, 1)), {"event_type": (EventTypeFilter(4),)}, True),
    (Flow(event_type=EventType(4, 1)), {"event_type": (EventTypeFilter(4, True, 0),)}, False),
    (Flow(event_type=EventType(4, 1)), {"event_type": (EventTypeFilter(0, True, 1),)}, True),
    (Flow(event_type=EventType(4, 1)), {"event_type": (EventTypeFilter(0),)}, True),
    (Flow(), {"event_type": (EventTypeFilter(0),)}, False),
    # Addresses.
    (Flow(ip=IP(source="10.1.2.3")), {"source_ip": ("10.0.0.0/8",)}, True),
    (Flow(ip=IP(source="10.1.2.3")), {"source_ip": ("10.9.9.9/8",)}, True),
    (Flow(ip=IP(source="10.1.2.3")), {"source_ip": ("11.0.0.0/8", "10.1.2.3")}, True),
    (Flow(ip=IP(source="fd00::1")), {"source_ip": ("fd00:0::1",)}, False),
    (Flow(ip=IP(source="fd00::1")), {"source_ip": ("fd00::/16",)}, True),
    (Flow(ip=IP(source="10.1.2.3")), {"source_ip": ("::/0",)}, False),
    (Flow(ip=IP(source="::ffff:10.1.2.3")), {"source_ip": ("10.0.0.0/8",)}, False),
    (Flow(ip=IP(source="nonsense")), {"source_ip": ("0.0.0.0/0",)}, False),
    (Flow(ip=IP()), {"source_ip": ("0.0.0.0/0",)}, False),
    (Flow(ip=IP(source_xlated="1.2.3.4")), {"source_ip_xlated": ("1.2.3.4",)}, True),
    (Flow(ip=IP(encrypted=True)), {"encrypted": (True,)}, True),
    (Flow(), {"encrypted": (False,)}, True),
    # Ports and protocols.
    (SYN_ACK, {"source_port": ("1000",)}, True),
    (Flow(l4=Layer4(udp=UDP(53, 99))), {"destination_port": ("53", "99")}, True),
    (Flow(l4=Layer4(sctp=SCTP(0, 7))), {"source_port": ("0",)}, True),
    (Flow(l4=Layer4(icmpv4=ICMP(8))), {"source_port": ("0",)}, False),
    (Flow(l4=Layer4(icmpv6=ICMP(8))), {"protocol": ("ICMP",)}, True),
    (Flow(l4=Layer4(icmpv6=ICMP(8))), {"protocol": ("icmpv4",)}, False),
    (SYN_ACK, {"protocol": ("udp", "tcp")}, True),
    (Flow(l7=Layer7(dns=DNS("x"))), {"protocol": ("tcp", "dns")}, True),
    (Flow(l7=Layer7(kafka=Kafka())), {"protocol": ("http", "kafka")}, True),
    (SYN_ACK, {"protocol": ("http",)}, False),
    (SYN_ACK, {"tcp_flags": (TCPFlags(syn=True),)}, True),
    (SYN_ACK, {"tcp_flags": (TCPFlags(fin=True), TCPFlags(syn=True, ack=True))}, True),
    (SYN_ACK, {"tcp_flags": (TCPFlags(syn=True, fin=True),)}, False),
    (Flow(l4=Layer4(tcp=TCP(1, 2))), {"tcp_flags": (TCPFlags(),)}, False),
    # Replies.
    (Flow(is_reply=True), {"reply": (True,)}, True),
    (Flow(is_reply=False), {"reply": (True,)}, False),
    (Flow(), {"reply": (False,)}, False),
    (DROPPED, {"reply": (False,)}, True),
    (DROPPED, {"reply": (True,)}, False),
    # Identities, workloads, clusters.
    (_source(identity=2), {"source_identity": (1, 2)}, True),
    (Flow(), {"source_identity": (0,)}, False),
    (_source(workloads=(Workload("web", "Deployment"),)), {"source_workload": (Workload("web"),)}, True),
    (_source(workloads=(Workload("web", "Deployment"),)), {"source_workload": (Workload("", "DaemonSet"),)}, False),
    (_source(cluster_name="prod-1"), {"source_cluster_name": ("prod-*",)}, False),
    (_source(cluster_name="prod-1"), {"source_cluster_name": ("prod-1",)}, True),
    # Labels.
    (_source(labels=("k8s:app=web",)), {"source_label": ("app=web",)}, True),
    (_source(labels=("k8s:app=web",)), {"source_label": ("k8s:app in (api, web),!x",)}, True),
    (_source(labels=("k8s:app=web",)), {"source_label": ("cni:app",)}, False),
    (_source(labels=("reserved:world",)), {"source_label": ("reserved:world",)}, True),
    (_source(labels=("cidr:10.0.0.0/8",)), {"source_label": ("any:app",)}, False),
    (Flow(), {"source_label": ("!app",)}, True),
    (Flow(node_labels=("zone=a",)), {"node_labels": ("zone notin (b)",)}, True),
    # DNS names and nodes.
    (Flow(source_names=("www.example.org",)), {"source_fqdn": ("*.Example.org.",)}, True),
    (Flow(source_names=("www.example.org",)), {"source_fqdn": ("example.org",)}, False),
    (Flow(source_names=("www-example.org",)), {"source_fqdn": ("www.example.org",)}, False),
    (Flow(node_name="node-a"), {"node_name": ("node-*",)}, True),
    (Flow(node_name="node-a"), {"node_name": ("default/",)}, True),
    (Flow(node_name="east/node-a"), {"node_name": ("default/node-a",)}, False),
    (Flow(node_name="east/node-a"), {"node_name": ("e*/node-a",)}, True),
    (Flow(), {"node_name": ("*",)}, False),
    # L7.
    (_http(code=404), {"http_status_code": ("40+",)}, True),
    (_http(code=404), {"http_status_code": ("403", "5+")}, False),
    (_http(), {"http_status_code": ("4+",)}, False),
    (_http(method="GET"), {"http_method": ("get",)}, True),
    (_http(url="http://a/items/7?x=1"), {"http_path": (r"^/items/\d$",)}, True),
    (_http(url="http://a/a%20b"), {"http_path": ("^/a b$",)}, True),
    (_http(url="http://a/a%zz"), {"http_path": ("",)}, False),
    (_http(url="items"), {"http_path": ("items",)}, False),
    (_http(url="http://a/items?page=2"), {"http_url": ("page=2",)}, True),
    (_http(url=""), {"http_url": ("",)}, False),
    (_http(headers=(Header("A", "1"),)), {"http_header": (Header("a", "1"),)}, False),
    (_http(headers=(Header("A", "1"),)), {"http_header": (Header("A", "1"),)}, True),
    (Flow(l7=Layer7(dns=DNS("www.example.org."))), {"dns_query": (r"example\.org\.$",)}, True),
    (Flow(), {"dns_query": ("",)}, False),
    # The rest.
    (Flow(uuid="u"), {"uuid": ("v", "u")}, True),
    (Flow(interface=Interface(2, "eth0")), {"interface": (Interface(name="eth0"),)}, True),
    (Flow(interface=Interface(2, "eth0")), {"interface": (Interface(3, "eth0"),)}, False),
    (Flow(), {"interface": (Interface(),)}, False),
    (Flow(trace_context=TraceContext(TraceParent("t"))), {"trace_id": ("t",)}, True),
    (Flow(ip_trace_id=IPTraceID("7")), {"ip_trace_id": ("7",)}, True),
    (Flow(), {"ip_trace_id": (7,)}, False),
]


@pytest.mark.parametrize(("flow", "fields", "expected"), RULES)
def test_rule(flow: Flow, fields: dict[str, Any], expected: bool) -> None:
    assert _passes(flow, **fields) is expected
    assert _passes(flow, FlowFilter(**fields)) is not expected


def test_every_field_has_a_rule() -> None:
    assert {name for _flow, fields, _expected in RULES for name in fields} >= {
        name for name in BUILDERS if not name.startswith("destination")
    }
    assert set(BUILDERS) == set(FlowFilter.__struct_fields__) - {"experimental"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"source_pod": ("",)}, "invalid filter, name must not be empty"),
    ({"source_service": ("",)}, "invalid source service filter: invalid filter, name must not be empty"),
    ({"source_ip": ("1.2.3",)}, 'invalid IP address "1.2.3" in filter: ParseAddr("1.2.3"): IPv4 address too short'),
    (
        {"source_ip": ("1.2.3.4/33",)},
        '"1.2.3.4/33" in filter: netip.ParsePrefix("1.2.3.4/33"): prefix length out of range',
    ),
    ({"source_ip": ("1.2.3.4/x",)}, 'netip.ParsePrefix("1.2.3.4/x"): bad bits after slash: "x"'),
    (
        {"source_port": ("65536",)},
        'source port filter: invalid port "65536": strconv.ParseUint: parsing "65536": value out of range',
    ),
    ({"protocol": ("quic",)}, 'invalid protocol filter: unknown protocol: "quic"'),
    ({"source_fqdn": ("a!",)}, "'!': invalid rune in pattern"),
    ({"source_fqdn": ("",)}, "empty pattern"),
    ({"node_name": ("a/b/c",)}, "too many slashes in pattern"),
    ({"source_cluster_name": ("",)}, "invalid filter, name must not be empty"),
    ({"source_label": ("a in",)}, "invalid source label filter: unable to parse requirement: found '' expected: '('"),
    ({"node_labels": ("=",)}, "invalid node label filter: "),
    ({"http_status_code": ("6+",)}, 'invalid http status code filter: invalid status code prefix: "6+"'),
    ({"http_path": ("[",)}, "invalid http path filter: [: error parsing regexp: missing closing ]: `[`"),
    ({"http_url": ("a**",)}, "invalid http url filter: a**: error parsing regexp: invalid nested repetition operator"),
    ({"dns_query": ("(",)}, "invalid DNS query filter: failed to compile regexp: error parsing regexp: missing"),
    (
        {"http_url": ("a",), "event_type": (EventTypeFilter(1),)},
        "by http url requires the event type filter to only match 'l7' events",
    ),
]


@pytest.mark.parametrize(("fields", "what"), REFUSED)
def test_values_that_servers_refuse(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(FilterError) as caught:
        _passes(Flow(), **fields)
    assert what in caught.value.what
    assert caught.value.code in ("E-FILTER-004", "E-FILTER-005")


# Sets.


def test_an_empty_set_lets_everything_through() -> None:
    assert _passes(Flow())
    assert _passes(None)


def test_filters_are_alternatives_and_the_blacklist_wins() -> None:
    filters = FilterSet(
        (FlowFilter(verdict=("DROPPED",)), FlowFilter(verdict=("FORWARDED",), uuid=("u",))),
        (FlowFilter(uuid=("bad",)),),
    )
    matches = compile_filters(filters)
    assert matches(Flow(verdict="DROPPED"))
    assert matches(Flow(verdict="FORWARDED", uuid="u"))
    assert not matches(Flow(verdict="FORWARDED"))
    assert not matches(Flow(verdict="DROPPED", uuid="bad"))


def test_what_all_filters_ask_is_asked_once_and_still_asked() -> None:
    shared = ("DROPPED",)
    sides = (FlowFilter(source_pod=("a/",), verdict=shared), FlowFilter(destination_pod=("a/",), verdict=shared))
    matches = compile_filters(FilterSet(sides))
    assert matches(Flow(verdict="DROPPED", destination=Endpoint(namespace="a")))
    assert not matches(Flow(verdict="FORWARDED", destination=Endpoint(namespace="a")))
    assert not matches(Flow(verdict="DROPPED"))


def test_a_filter_without_fields_matches_all() -> None:
    assert compile_filters(FilterSet((FlowFilter(), FlowFilter(uuid=("u",)))))(Flow())
    assert not compile_filters(FilterSet((), (FlowFilter(),)))(Flow())


def test_many_filters_do_not_nest() -> None:
    filters = FilterSet(tuple(FlowFilter(uuid=(f"{index}",), verdict=("AUDIT",)) for index in range(5000)))
    assert compile_filters(filters)(Flow(uuid="4999", verdict="AUDIT"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"verdict": ("VERDICT_UNKNOWN",)}, False),
        ({"ip_version": ("IP_NOT_USED",)}, False),
        ({"uuid": ("",)}, False),
        ({"traffic_direction": ("TRAFFIC_DIRECTION_UNKNOWN",)}, False),
        ({"encrypted": (False,)}, True),
        ({"source_label": ("!app",)}, True),
        ({"event_type": (EventTypeFilter(0),)}, False),
    ],
)
def test_answers_without_a_flow(fields: dict[str, Any], expected: bool) -> None:
    assert _passes(None, **fields) is expected


def test_cel_is_for_servers() -> None:
    cel = FlowFilter(experimental=Experimental(("_flow.verdict == 2",)), verdict=("DROPPED",))
    with pytest.raises(FilterError) as caught:
        compile_filters(FilterSet((cel,)))
    assert caught.value.code == "E-FILTER-006"
    assert compile_filters(FilterSet((cel,)), cel_by_server=True)(DROPPED)
    assert not compile_filters(FilterSet((cel,)), cel_by_server=True)(Flow())
    assert compile_filters(FilterSet((), (cel,)), cel_by_server=True)(DROPPED)


@given(flows())
def test_a_list_of_filters_is_the_or_of_its_filters(flow: Flow) -> None:
    filters = (
        FlowFilter(source_pod=("shop/",), verdict=("DROPPED", "FORWARDED")),
        FlowFilter(destination_pod=("shop/",), verdict=("DROPPED", "FORWARDED")),
        FlowFilter(protocol=("dns",), reply=(True,)),
    )
    single = [compile_filters(FilterSet((item,)))(flow) for item in filters]
    assert compile_filters(FilterSet(filters))(flow) == any(single)
    assert compile_filters(FilterSet((), filters))(flow) == (not any(single))
