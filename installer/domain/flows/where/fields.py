"""The names of the language: one table for parser, evaluation, push-down, completion and documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from installer.domain.flows.filter_l7 import http
from installer.domain.flows.where import reads
from installer.domain.flows.where.reads import Get


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


_ENDPOINT: Final = [
    *_sided(
        "ns", "text", "namespace", "ns=prod", reads.of_endpoint(lambda part: part.namespace or None), "pod", "namespace"
    ),
    *_sided(
        "pod",
        "object",
        "pod, by name or namespace/name",
        "pod=shop/web*",
        reads.of_endpoint(lambda part: (part.namespace, part.pod_name) if part.pod_name else None),
        "pod",
        "pod",
    ),
    *_sided(
        "svc",
        "object",
        "service of the address, by name or namespace/name",
        "svc=shop/api",
        reads.service,
        "service",
        "service",
    ),
    *_sided(
        "workload",
        "workload",
        "owner of the pod, by name or Kind/name",
        "workload=Deployment/web",
        reads.of_endpoint(lambda part: tuple((item.kind, item.name) for item in part.workloads)),
        "workload",
        "workload",
    ),
    *_sided("ip", "ip", "address or prefix", "ip=10.0.0.0/8", reads.address, "ip", "ip"),
    *_sided("port", "port", "port of TCP, UDP or SCTP", "port=443", reads.port, "port", "port"),
    *_sided("name", "fqdn", "DNS name of the address", "name=*.example.org", reads.dns_names, "fqdn", "name"),
    *_sided(
        "identity",
        "identity",
        "security identity, number or reserved name",
        "identity=world",
        reads.of_endpoint(lambda part: part.identity),
        "identity",
        "identity",
    ),
    *_sided(
        "cluster",
        "text",
        "name of the cluster",
        "cluster=east",
        reads.of_endpoint(lambda part: part.cluster_name or None),
        "cluster_name",
        "cluster",
    ),
    *_sided(
        "label",
        "selector",
        "label selector as for kubectl",
        'label="app in (web, api)"',
        reads.labels,
        "label",
        "label",
    ),
    *_sided(
        "label.", "label", "value of a label; k8s:key for one source", "label.app=web", reads.labels, "label", "label"
    ),
]

_RECORD: Final = [
    Field("verdict", "verdict", "what became of it", "verdict=dropped", (reads.attribute("verdict"),), ("verdict",)),
    Field(
        "reason",
        "reason",
        "why it was dropped: Hubble's name or number, or the kernel's name",
        "reason=policy_denied",
        (reads.drop_reason,),
        ("drop_reason_desc",),
    ),
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
        (reads.address("source_xlated"),),
        ("source_ip_xlated",),
        "ip",
    ),
    Field(
        "node",
        "node",
        "node that saw it, [cluster/]name",
        "node=node-*",
        (reads.attribute("node_name"),),
        ("node_name",),
        "node",
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
        (reads.policies,),
        seen="policy",
        many=True,
    ),
    Field("summary", "text", "the server's summary", "summary~RST", (reads.attribute("summary"),)),
    Field(
        "uuid",
        "text",
        "id of the flow",
        "uuid=00000000-0000-4000-8000-000000000003",
        (reads.attribute("uuid"),),
        ("uuid",),
    ),
    Field(
        "time", "time", "time in UTC: date, date and time, or time of day", "time>=10:30", (reads.attribute("time"),)
    ),
    Field("time.hour", "number", "hour in UTC", "time.hour>=22", (lambda flow: reads.digits(flow.time, 11),)),
    Field("time.minute", "number", "minute", "time.minute<5", (lambda flow: reads.digits(flow.time, 14),)),
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
        (reads.status,),
        ("http_status_code",),
        implies=("http",),
    ),
    Field(
        "http.path",
        "path",
        "path of the URL",
        "http.path~^/api/",
        (reads.path,),
        ("http_path",),
        "path",
        implies=("http",),
    ),
    Field("http.url", "path", "the whole URL", "http.url~page=2", (reads.url,), ("http_url",), implies=("http",)),
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
        (reads.of_dns(lambda dns: dns.query or None),),
        ("dns_query",),
        "query",
        implies=("dns",),
    ),
    Field(
        "dns.rcode",
        "rcode",
        "code of the answer",
        "dns.rcode=nxdomain",
        (reads.of_dns(lambda dns: dns.rcode),),
        implies=("dns",),
    ),
    Field("latency", "duration", "time to the response", "latency>50ms", (reads.latency,)),
]


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
    gets = (reads.header(key),) if field.kind == "header" else tuple(reads.label(get, key) for get in field.gets)
    return replace(field, name=field.name + key, key=key, gets=gets)


def field_names() -> Iterator[str]:
    """Yield all names and other spellings."""
    yield from FIELDS
    yield from ALIASES
