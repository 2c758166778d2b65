"""The filter language by example: what it means, what it sends to servers, what it refuses and where."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.flows.filter_print import print_raw_filters
from installer.domain.flows.flow import (
    DNS,
    HTTP,
    IP,
    TCP,
    Endpoint,
    EventType,
    Flow,
    Header,
    Interface,
    Layer4,
    Layer7,
    Policy,
    Service,
    TCPFlags,
    Workload,
)
from installer.domain.flows.flow_filter import EventTypeFilter, FilterSet, FlowFilter
from installer.domain.flows.where import WhereError, compile_where
from installer.domain.flows.where.fields import ALIASES, FIELDS, find_field

WEB = Endpoint(
    id=1,
    identity=30001,
    cluster_name="default",
    namespace="shop",
    labels=("k8s:app=web", "k8s:tier=front"),
    pod_name="web-0",
    workloads=(Workload("web", "Deployment"),),
)
API = Endpoint(identity=2, namespace="prod", labels=("k8s:app=api", "reserved:world"), pod_name="api-1")
DENIED = Flow(
    time="2026-11-20T10:30:05.5Z",
    uuid="u-1",
    verdict="DROPPED",
    drop_reason_desc="POLICY_DENIED",
    event_type=EventType(1, 133),
    traffic_direction="EGRESS",
    node_name="node-a",
    node_labels=("zone=a",),
    interface=Interface(2, "eth0"),
    ip=IP(source="10.0.1.11", destination="fd00::22", ip_version="IPv4"),
    l4=Layer4(tcp=TCP(41000, 443, TCPFlags(syn=True))),
    source=WEB,
    destination=API,
    destination_names=("www.example.org",),
    destination_service=Service("api", "prod"),
    egress_denied_by=(Policy("deny-all", "shop"),),
    summary="TCP Flags: SYN",
)
ANSWER = Flow(
    verdict="FORWARDED",
    is_reply=True,
    event_type=EventType(129),
    l7=Layer7(
        "RESPONSE",
        "60000000",
        http=HTTP(404, "GET", "http://api.prod/items/7?page=2", "HTTP/1.1", (Header("User-Agent", "curl/8.5"),)),
    ),
)
QUERY = Flow(l7=Layer7("RESPONSE", dns=DNS("www.example.org.", rcode=3)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "verdict=dropped",
        "verdict = Dropped and dst.ns = prod and port > 42",
        "reason=policy_denied reason=133 reason='Policy denied'",
        "type=drop type=drop:133 type in (l7, drop)",
        "direction=egress and not direction=ingress",
        "reply=no && !encrypted",
        "protocol=tcp flags=syn protocol!=udp",
        "ns=shop and ns=prod and not src.ns=prod",
        "pod=web-0 or pod=nothing",
        "src.pod=shop/web* and src.pod!=web and pod=shop/*",
        "pod~'^shop/web-[0-9]$' pod!~xyz",
        "dst.svc=prod/api and svc=a*",
        "workload=web workload=Deployment/web workload=Deployment/ workload!=DaemonSet/web",
        "ip=10.0.0.0/8 and dst.ip=FD00:0::22 and ip in (1.1.1.1, fd00::/16) and src.ip=10.0.*",
        "dst.port=443 port in (1, 443) src.port>=41000 not port<443",
        "dst.name=*.example.org and name~example",
        "dst.identity=world identity=30001",
        "src.cluster=default",
        "label.app=web and dst.label.k8s:app=api and label.app!=x and src.label.tier=f*",
        "label='app in (web, x)' and dst.label=reserved:world",
        "node=node-* and node.label.zone=a and interface=eth0",
        "policy=deny-all policy=shop/deny* policy~deny",
        "summary~SYN and summary='TCP*'",
        "uuid=u-1 ip.version=v4",
        "time=10:30 time>10:29 time<=10:30 time>=2026-11-20 time<2026-11-20T10:30:06 time.hour=10 time.minute>29",
        "web example shop/ 'tcp flags' DROPPED 10.0 we*0",
        "--verdict DROPPED --from-pod shop/web",
        "hubble observe -f --last 10 --verdict DROPPED -o json --not --port 80",
        "port=443 and --ip 10.0.0.0/8",
    ],
)
def test_passes_the_denied_flow(text: str) -> None:
    where = compile_where(text)
    assert where.matches(DENIED)
    assert compile_where(where.text).matches(DENIED)
    assert not where.matches(Flow()) or not text


@pytest.mark.parametrize(
    "text",
    [
        "reply",
        "http.status=404 http.status=4+ http.status>=400 not http.status=5+",
        "http.method=get and http.path=/items/* and http.path~^/items/[0-9]+$ and http.url~page=2",
        "http.header.User-Agent=curl/8.5 and http.header.User-Agent~^curl",
        "latency>50ms latency<0.1s latency=60000us",
        "protocol=http type=l7 verdict!=dropped",
    ],
)
def test_passes_the_http_answer(text: str) -> None:
    assert compile_where(text).matches(ANSWER)
    assert not compile_where(text).matches(DENIED)


def test_dns() -> None:
    for text in ("dns.query=www.example.org", "dns.query=*.example.org.", "dns.rcode=nxdomain", "dns.query~^www"):
        assert compile_where(text).matches(QUERY)
    assert not compile_where("dns.query=example.org").matches(QUERY)


def test_what_a_flow_has_not_is_unequal_and_in_no_order() -> None:
    for text in ("port!=80", "not port=80", "not port>0", "not port<=0", "ns!=shop", "reply=unknown", "not latency<1s"):
        assert compile_where(text).matches(Flow())


def test_or_binds_less_than_and() -> None:
    where = compile_where("ns=nothing and ns=shop or verdict=dropped")
    assert where.matches(DENIED)
    assert not compile_where("ns=nothing and (ns=shop or verdict=dropped)").matches(DENIED)


def _pods(side: str, name: str, **fields: Any) -> FlowFilter:
    given: dict[str, Any] = {f"{side}_pod": (name,), **fields}
    return FlowFilter(**given)


TO_53 = {"destination_port": ("53",)}
PORT_53 = (FlowFilter(source_port=("53",)), FlowFilter(destination_port=("53",)))
DROPS = (FlowFilter(verdict=("DROPPED",)),)
L7 = (EventTypeFilter(129),)


@pytest.mark.parametrize(
    ("text", "filters", "exact"),
    [
        ("", FilterSet(), True),
        ("verdict=dropped,audit", FilterSet((FlowFilter(verdict=("DROPPED", "AUDIT")),)), True),
        ("src.pod=web*", FilterSet((_pods("source", "/web"),)), True),
        ("src.pod=web", FilterSet((_pods("source", "/web"),)), False),
        ("src.pod=w*b", FilterSet(), False),
        ("ns=a dst.port=53", FilterSet((_pods("source", "a/", **TO_53), _pods("destination", "a/", **TO_53))), True),
        ("src.port>1024", FilterSet((FlowFilter(protocol=("tcp", "udp", "sctp")),)), False),
        ("http.status>=400", FilterSet((FlowFilter(protocol=("http",)),)), False),
        ("not src.ns=a", FilterSet((), (_pods("source", "a/"),)), True),
        ("src.ns!=a and verdict=dropped", FilterSet(DROPS, (_pods("source", "a/"),)), True),
        ("not (src.ns=a and dst.port=53)", FilterSet((), (_pods("source", "a/", **TO_53),)), True),
        ("not (src.ns=a and web)", FilterSet(), False),
        ("not (src.ns=a or web)", FilterSet((), (_pods("source", "a/"),)), False),
        ("src.ns=a or web", FilterSet(), False),
        ("verdict=dropped and verdict in (dropped, audit)", FilterSet(DROPS), True),
        ("src.ns=a and src.ns=b", FilterSet((_pods("source", "a/"),)), False),
        ("type=drop and http.status=404", FilterSet((FlowFilter(http_status_code=("404",)),)), False),
        ("type=l7 http.status=404", FilterSet((FlowFilter(event_type=L7, http_status_code=("404",)),)), True),
        ("--not --port 53 and verdict=dropped", FilterSet(DROPS, PORT_53), True),
        ("http.path='/a.b*'", FilterSet((FlowFilter(http_path=(r"^\/a\.b(?s:.*)$",)),)), True),
    ],
)
def test_what_servers_are_asked(text: str, filters: FilterSet, exact: bool) -> None:
    where = compile_where(text)
    assert print_raw_filters(where.pushdown()) == print_raw_filters(filters)
    assert where.exact_on_server is exact


def test_no_more_filters_than_a_server_likes() -> None:
    where = compile_where(" and ".join(f"(ns=a{index} or pod=b{index})" for index in range(8)))
    assert len(where.pushdown().whitelist) <= 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("  verdict  ==  dropped  ", "verdict=dropped"),
        ("namespace=a && proto=tcp || !reply", "ns=a and protocol=tcp or not reply=yes"),
        ("port in (1,2)", "port in (1, 2)"),
        ("port not in (1,2)", "port not in (1, 2)"),
        ("ip in 10.0.0.0/8", "ip=10.0.0.0/8"),
        ("((a))", "a"),
        ("reason='policy denied'", 'reason="policy denied"'),
        ("hubble observe -n a --not --port=53", "--namespace a --not --port 53"),
        ("a b", "a and b"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert compile_where(text).text == canonical


@pytest.mark.parametrize(
    ("text", "code", "start", "end", "fix"),
    [
        ("verdit=dropped", "E-WHERE-002", 0, 6, "did you mean verdict?"),
        ("ns=a and prot=tcp", "E-WHERE-002", 9, 13, "did you mean proto?"),
        ("verdict=droped", "E-WHERE-003", 7, 14, "did you mean dropped?"),
        ("reason=policy_denid", "E-WHERE-003", 6, 19, "did you mean policy_denied?"),
        ("port=65536", "E-WHERE-003", 4, 10, "as in port=443"),
        ("latency>50", "E-WHERE-003", 7, 10, "a number and a unit: 50ms, 1.5s, 200us"),
        ("ns>a", "E-WHERE-004", 2, 4, "use one of = != ~ !~"),
        ("pod~(", "E-WHERE-003", 3, 5, ""),
        ("(ns=a", "E-WHERE-001", 0, 1, "add )"),
        ("ns=a)", "E-WHERE-001", 4, 5, ""),
        ("ns=a and", "E-WHERE-001", 8, 9, ""),
        ("ns=", "E-WHERE-001", 3, 4, 'write "" for an empty value'),
        ("'abc", "E-WHERE-001", 0, 1, "add '"),
        ("port in (1, 2", "E-WHERE-001", 8, 9, "separate values by commas and add )"),
        ("--verdct DROPPED", "E-WHERE-002", 0, 8, "did you mean verdict?"),
        ("--pod", "E-WHERE-001", 5, 6, ""),
        ("--verdict NOPE", "E-FILTER-001", 0, 14, ""),
        ("--cel-expression true", "E-FILTER-006", 0, 21, ""),
    ],
)
def test_refuses_at_the_place(text: str, code: str, start: int, end: int, fix: str) -> None:
    with pytest.raises(WhereError) as caught:
        compile_where(text)
    error = caught.value
    assert (error.code, error.start, error.end) == (code, start, end)
    assert fix in error.fix
    assert error.fix
    assert error.details == {"start": start, "end": end}


def test_every_field_has_a_working_example() -> None:
    for field in FIELDS.values():
        where = compile_where(field.example)
        assert where.matches(DENIED) in (True, False)
        assert field.help
    assert all(find_field(name) for name in ALIASES)


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("reason=NETFILTER_DROP", [True, False, False, False]),
        ("reason=netfilter-drop", [True, False, False, False]),
        ("reason in (netfilter_drop, policy_denied)", [True, True, True, False]),
        ("reason in (netfilter_drop, 133)", [True, True, True, False]),
        ("reason!=netfilter_drop", [False, True, True, True]),
    ],
)
def test_reasons_of_the_kernel(expression: str, matches: list[bool]) -> None:
    flows = [Flow(verdict="DROPPED", drop_reason_desc=reason) for reason in ("NETFILTER_DROP", 133, "POLICY_DENIED")]
    where = compile_where(expression)
    assert [where.matches(flow) for flow in (*flows, Flow(verdict="FORWARDED"))] == matches
    assert not where.pushdown().whitelist  # no server knows them
    assert not where.exact_on_server
