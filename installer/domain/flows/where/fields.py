"""The names of the language: one table for parser, evaluation, push-down, completion and documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final

from installer.domain.flows.filter_fields import ports
from installer.domain.flows.filter_l7 import http
from installer.domain.flows.flow import DNS, Endpoint, Flow
from installer.domain.flows.label_selector import Labels, find_value
from installer.domain.flows.request_uri import uri_path

Get = Callable[[Flow], Any]
"""Returns the value in a flow, None where it has none; a tuple where it has several."""


@dataclass(frozen=True, slots=True)
class Field:
    """One name.

    Attributes:
        name: as written, canonical. Names that end with a dot take a key: ``label.app``.
        kind: how values are compared, a name of ``kinds.KINDS``.
        help: one line.
        example: an expression.
        gets: where the value is, one for each side that counts.
        wire: fields of the server's filter for the sides, empty: servers cannot filter by it.
        seen: what a ``Vocabulary`` calls the values; empty: the kind's own words.
        key: the part after the dot of names that take one.
        implies: protocols of which every flow with a value has one.
        many: ``gets`` return a tuple of values.
    """

    name: str
    kind: str
    help: str
    example: str
    gets: tuple[Get, ...] = ()
    wire: tuple[str, ...] = ()
    seen: str = ""
    key: str = ""
    implies: tuple[str, ...] = ()
    many: bool = False

    @property
    def joins(self) -> bool:
        """Commas belong to one value (``flags=syn,ack``)."""
        return self.kind in ("flags", "selector")


_MANY: Final = ("workload", "name")
_PORTED: Final = ("tcp", "udp", "sctp")


def _sided(
    name: str, kind: str, text: str, example: str, get: Callable[[str], Get], wire: str, seen: str
) -> list[Field]:
    """Make ``src.x``, ``dst.x`` and ``x`` for either."""
    wires = (f"source_{wire}", f"destination_{wire}") if wire else ()
    gets = (get("source"), get("destination"))
    implies, many = _PORTED if kind == "port" else (), name in _MANY
    sides = (("src.", f"source: {text}", 0), ("dst.", f"destination: {text}", 1))
    return [
        Field(name, kind, f"{text}, of either side", example, gets, wires, seen, implies=implies, many=many),
        *(
            Field(
                side + name,
                kind,
                help_,
                side + example,
                gets[i : i + 1],
                wires[i : i + 1],
                seen,
                implies=implies,
                many=many,
            )
            for side, help_, i in sides
        ),
    ]


def _of_endpoint(read: Callable[[Endpoint], Any]) -> Callable[[str], Get]:
    def make(side: str) -> Get:
        get = attrgetter(side)
        return lambda flow: None if (part := get(flow)) is None else read(part)

    return make


def _service(side: str) -> Get:
    get = attrgetter(f"{side}_service")
    return lambda flow: None if (part := get(flow)) is None or not part.name else (part.namespace, part.name)


def _address(side: str) -> Get:
    get = attrgetter(side)
    return lambda flow: None if flow.ip is None else get(flow.ip) or None


def _port(side: str) -> Get:
    index = 0 if side == "source" else 1
    return lambda flow: None if (pair := ports(flow)) is None else pair[index]


def _names(side: str) -> Get:
    return attrgetter(f"{side}_names")


def _labels(side: str) -> Get:
    get = attrgetter(side)
    return lambda flow: () if (part := get(flow)) is None else part.labels


def _dns(read: Callable[[DNS], Any]) -> Get:
    return lambda flow: None if flow.l7 is None or flow.l7.dns is None else read(flow.l7.dns)


def _url(flow: Flow) -> str | None:
    record = http(flow)
    return record.url or None if record is not None else None


def _path(flow: Flow) -> str | None:
    record = http(flow)
    return uri_path(record.url) if record is not None else None


def _status(flow: Flow) -> int | None:
    record = http(flow)
    return record.code or None if record is not None else None


def _latency(flow: Flow) -> int | None:
    return int(flow.l7.latency_ns or 0) or None if flow.l7 is not None else None


def _policies(flow: Flow) -> tuple[tuple[str, str], ...]:
    lists = (flow.egress_allowed_by, flow.ingress_allowed_by, flow.egress_denied_by, flow.ingress_denied_by)
    return tuple((policy.namespace, policy.name) for policies in lists for policy in policies)


def _flow(name: str) -> Get:
    get = attrgetter(name)
    return lambda flow: get(flow) or None


_ENDPOINT: Final = [
    *_sided(
        "ns", "text", "namespace", "ns=prod", _of_endpoint(lambda part: part.namespace or None), "pod", "namespace"
    ),
    *_sided(
        "pod",
        "object",
        "pod, by name or namespace/name",
        "pod=shop/web*",
        _of_endpoint(lambda part: (part.namespace, part.pod_name) if part.pod_name else None),
        "pod",
        "pod",
    ),
    *_sided(
        "svc",
        "object",
        "service of the address, by name or namespace/name",
        "svc=shop/api",
        _service,
        "service",
        "service",
    ),
    *_sided(
        "workload",
        "workload",
        "owner of the pod, by name or Kind/name",
        "workload=Deployment/web",
        _of_endpoint(lambda part: tuple((item.kind, item.name) for item in part.workloads)),
        "workload",
        "workload",
    ),
    *_sided("ip", "ip", "address or prefix", "ip=10.0.0.0/8", _address, "ip", "ip"),
    *_sided("port", "port", "port of TCP, UDP or SCTP", "port=443", _port, "port", "port"),
    *_sided("name", "fqdn", "DNS name of the address", "name=*.example.org", _names, "fqdn", "name"),
    *_sided(
        "identity",
        "identity",
        "security identity, number or reserved name",
        "identity=world",
        _of_endpoint(lambda part: part.identity),
        "identity",
        "identity",
    ),
    *_sided(
        "cluster",
        "text",
        "name of the cluster",
        "cluster=east",
        _of_endpoint(lambda part: part.cluster_name or None),
        "cluster_name",
        "cluster",
    ),
    *_sided(
        "label", "selector", "label selector as for kubectl", 'label="app in (web, api)"', _labels, "label", "label"
    ),
    *_sided("label.", "label", "value of a label; k8s:key for one source", "label.app=web", _labels, "label", "label"),
]

_RECORD: Final = [
    Field("verdict", "verdict", "what became of it", "verdict=dropped", (_flow("verdict"),), ("verdict",)),
    Field("reason", "reason", "why it was dropped: name or number", "reason=policy_denied", (), ("drop_reason_desc",)),
    Field(
        "type", "type", "type of the event, with its sub-type after a colon", "type=trace:to-proxy", (), ("event_type",)
    ),
    Field("direction", "direction", "direction as the policy sees it", "direction=egress", (), ("traffic_direction",)),
    Field("reply", "reply", "answer of a connection; unknown where nobody can tell", "reply=no", (), ("reply",)),
    Field("encrypted", "encrypted", "carried by WireGuard or IPsec", "encrypted=yes", (), ("encrypted",)),
    Field("protocol", "protocol", "protocol of layer 4 or 7", "protocol=dns", (), ("protocol",)),
    Field("flags", "flags", "TCP flags that are all set", "flags=syn,ack", (), ("tcp_flags",)),
    Field("ip.version", "version", "v4, v6 or none", "ip.version=v6", (), ("ip_version",)),
    Field(
        "snat.ip",
        "ip",
        "source address after masquerading",
        "snat.ip=192.0.2.1",
        (_address("source_xlated"),),
        ("source_ip_xlated",),
        "ip",
    ),
    Field(
        "node", "node", "node that saw it, [cluster/]name", "node=node-*", (_flow("node_name"),), ("node_name",), "node"
    ),
    Field(
        "node.label.",
        "label",
        "value of a label of the node",
        "node.label.zone=a",
        (attrgetter("node_labels"),),
        ("node_labels",),
    ),
    Field(
        "interface",
        "interface",
        "name of the network interface",
        "interface=eth0",
        (lambda flow: flow.interface.name or None if flow.interface else None,),
        ("interface",),
        "interface",
    ),
    Field(
        "policy",
        "object",
        "policy that allowed or denied, by name or namespace/name",
        "policy=shop/allow-web",
        (_policies,),
        seen="policy",
        many=True,
    ),
    Field("summary", "text", "the server's summary", "summary~RST", (_flow("summary"),)),
    Field("uuid", "text", "id of the flow", "uuid=00000000-0000-4000-8000-000000000003", (_flow("uuid"),), ("uuid",)),
    Field("time", "time", "time in UTC: date, date and time, or time of day", "time>=10:30", (_flow("time"),)),
    Field("time.hour", "number", "hour in UTC", "time.hour>=22", (lambda flow: _digits(flow.time, 11),)),
    Field("time.minute", "number", "minute", "time.minute<5", (lambda flow: _digits(flow.time, 14),)),
    Field(
        "trace.id",
        "text",
        "W3C trace id of an L7 request",
        "trace.id=4bf92f3577b34da6a3ce929d0e0e4736",
        (
            lambda flow: (
                flow.trace_context.parent.trace_id or None if flow.trace_context and flow.trace_context.parent else None
            ),
        ),
        ("trace_id",),
    ),
]

_L7: Final = [
    Field(
        "http.method",
        "method",
        "method of the request",
        "http.method=get",
        (lambda flow: record.method or None if (record := http(flow)) else None,),
        ("http_method",),
        implies=("http",),
    ),
    Field(
        "http.status",
        "status",
        "status of the response; 5+ for all of 5xx",
        "http.status>=400",
        (_status,),
        ("http_status_code",),
        implies=("http",),
    ),
    Field(
        "http.path", "path", "path of the URL", "http.path~^/api/", (_path,), ("http_path",), "path", implies=("http",)
    ),
    Field("http.url", "path", "the whole URL", "http.url~page=2", (_url,), ("http_url",), implies=("http",)),
    Field(
        "http.header.",
        "header",
        "value of a header, name as sent",
        "http.header.User-Agent=curl/8.5",
        wire=("http_header",),
        implies=("http",),
        many=True,
    ),
    Field(
        "dns.query",
        "query",
        "name that was asked for",
        "dns.query=*.example.org",
        (_dns(lambda dns: dns.query or None),),
        ("dns_query",),
        "query",
        implies=("dns",),
    ),
    Field(
        "dns.rcode",
        "rcode",
        "code of the answer",
        "dns.rcode=nxdomain",
        (_dns(lambda dns: dns.rcode),),
        implies=("dns",),
    ),
    Field("latency", "duration", "time to the response", "latency>50ms", (_latency,)),
]


def _digits(time: str, at: int) -> int | None:
    part = time[at : at + 2]
    return int(part) if len(part) == 2 and part.isascii() and part.isdigit() else None


FIELDS: Final[dict[str, Field]] = {field.name: field for field in (*_ENDPOINT, *_RECORD, *_L7)}
"""The table, by name."""

ALIASES: Final = {
    "namespace": "ns",
    "service": "svc",
    "dst.service": "dst.svc",
    "src.service": "src.svc",
    "src.namespace": "src.ns",
    "dst.namespace": "dst.ns",
    "drop_reason": "reason",
    "proto": "protocol",
    "dir": "direction",
    "tcp.flags": "flags",
    "fqdn": "name",
    "http.code": "http.status",
    "cidr": "ip",
}
"""Other spellings."""

ALONE: Final = frozenset({"reply", "encrypted"})
"""Fields that may stand without a value."""


def find_field(word: str) -> Field | None:
    """Return the field of a name, with its key where it takes one."""
    name = word.lower()
    if field := FIELDS.get(ALIASES.get(name, name)):
        return field if not field.name.endswith(".") else None
    for prefix in ("src.label.", "dst.label.", "node.label.", "http.header.", "label."):
        if name.startswith(prefix) and (key := word[len(prefix) :]):
            return _with_key(FIELDS[prefix], key)
    return None


def _with_key(field: Field, key: str) -> Field:
    gets = (_header(key),) if field.kind == "header" else tuple(_label(get, key) for get in field.gets)
    return replace(field, name=field.name + key, key=key, gets=gets)


def _header(key: str) -> Get:
    def get(flow: Flow) -> tuple[str, ...]:
        record = http(flow)
        return () if record is None else tuple(item.value for item in record.headers if item.key == key)

    return get


def split_key(key: str) -> tuple[str, str]:
    """Return source and key of a label's name."""
    source, colon, rest = key.partition(":")
    return (source, rest) if colon else ("any", key)


def _label(get: Get, key: str) -> Get:
    source, name = split_key(key)

    def read(flow: Flow) -> str | None:
        labels: Labels = get(flow)
        return find_value(labels, source, name)

    return read


def field_names() -> Iterator[str]:
    """Yield all names and other spellings."""
    yield from FIELDS
    yield from ALIASES
