"""Everything that one flow tells: its fields in groups, then the record as it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from rich.text import Text

from installer.domain.flows import jsonpb, sides
from installer.domain.flows.flow import Answer, Endpoint, Flow, Policy
from installer.domain.flows.printing import text
from installer.domain.flows.where.syntax import value_text
from installer.domain.text import one_line
from installer.tui.flows.text_lines import PaneLine

LABEL = 14


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a label, a value, and the filter that finds flows that are alike in it."""

    label: str
    value: str
    clause: str = ""


def detail(answer: Answer, partner: Answer | None = None) -> list[PaneLine]:
    """Return the lines for an answer; ``partner``: the other record of the same denial."""
    flow = answer.flow or Flow()
    lines = list(_lines("", _head(flow)))
    lines += _lines("SOURCE", _side(flow, "src"))
    lines += _lines("DESTINATION", _side(flow, "dst"))
    lines += _lines("PROTOCOL", [*_layer4(flow), *_layer7(flow)])
    lines += _lines("POLICIES", _policies(flow))
    lines += _lines("PATH", _path(flow))
    if partner is not None and partner.flow is not None:
        lines += _lines("SAME DENIAL, OTHER RECORD", _head(partner.flow) + _policies(partner.flow))
    return lines + list(_raw("RECORD", answer)) + (list(_raw("OTHER RECORD", partner)) if partner else [])


def _lines(title: str, fields: list[Field]) -> Iterator[PaneLine]:
    shown = [field for field in fields if field.value]
    if title and shown:
        yield PaneLine(Text(title, style="bold"))
    for field in shown:
        label = Text(f"{field.label:<{LABEL}}", style="dim")
        yield PaneLine(label.append(one_line(field.value), style="not dim"), field.clause)


def _raw(title: str, answer: Answer) -> Iterator[PaneLine]:
    yield PaneLine(Text(title, style="bold"))
    pretty = msgspec.json.format(jsonpb.encode(answer), indent=2).decode(errors="replace")
    for line in pretty.splitlines():
        yield PaneLine(Text(one_line(line)))


def _head(flow: Flow) -> list[Field]:
    reason = sides.reason(flow)
    number = f" ({flow.drop_reason})" if flow.drop_reason else ""
    direction = str(flow.traffic_direction)
    return [
        Field("Verdict", sides.verdict(flow), f"verdict={sides.verdict(flow).lower()}"),
        Field(
            "Reason",
            reason + number if reason else "",
            f"reason={value_text(reason)}" if flow.verdict == "DROPPED" else "",
        ),
        Field("Event", text.flow_type(flow)),
        Field("Summary", text.summary(flow)),
        Field("Time", flow.time),
        Field("Node", flow.node_name, f"node={value_text(flow.node_name)}"),
        Field("Direction", direction, f"direction={direction.lower()}"),
        Field("Reply", "" if flow.is_reply is None else "yes" if flow.is_reply else "no"),
    ]


def _side(flow: Flow, name: str) -> list[Field]:
    side = sides.source(flow) if name == "src" else sides.destination(flow)
    endpoint = side.endpoint or Endpoint()
    port = text.ports(flow)[0 if name == "src" else 1]
    ethernet = flow.ethernet
    mac = (ethernet.source if name == "src" else ethernet.destination) if ethernet else ""
    service = side.service
    return [
        Field("Pod", side.pod, f"{name}.pod={value_text(side.pod)}"),
        *(
            Field("Workload", f"{work.kind} {work.name}".strip(), f"{name}.workload={value_text(work.name)}")
            for work in endpoint.workloads
        ),
        Field("Namespace", endpoint.namespace, f"{name}.ns={value_text(endpoint.namespace)}"),
        Field("Cluster", endpoint.cluster_name),
        Field("Service", f"{service.namespace}/{service.name}" if service and service.name else ""),
        Field("DNS names", ", ".join(side.names)),
        Field("Identity", _identity(endpoint), f"{name}.identity={endpoint.identity}"),
        Field("Endpoint", str(endpoint.id) if endpoint.id else ""),
        Field("Address", side.ip, f"{name}.ip={value_text(side.ip)}"),
        Field("Translated", flow.ip.source_xlated if flow.ip and name == "src" else ""),
        Field("Port", str(port) if port else "", f"{name}.port={port}"),
        Field("MAC", mac),
        *(Field("Label", label, f"{name}.label={value_text(label)}") for label in endpoint.labels),
    ]


def _identity(endpoint: Endpoint) -> str:
    if not endpoint.identity:
        return ""
    name = text.identity(endpoint.identity).strip("()")
    return str(endpoint.identity) if name.startswith("ID:") else f"{endpoint.identity} {name}"


def _layer4(flow: Flow) -> list[Field]:
    l4 = flow.l4
    flags = l4.tcp.flags if l4 and l4.tcp else None
    names = [name.upper() for name in flags.__struct_fields__ if getattr(flags, name)] if flags else []
    icmp = (l4.icmpv4 or l4.icmpv6) if l4 else None
    protocol = text.protocol(flow)
    return [
        Field("Protocol", protocol, f"protocol={protocol.lower()}"),
        Field("Flags", ", ".join(names)),
        Field("ICMP type", f"{icmp.type} code {icmp.code}" if icmp else ""),
        Field("IP version", str(flow.ip.ip_version) if flow.ip else ""),
        Field("Encrypted", "yes" if flow.ip and flow.ip.encrypted else ""),
    ]


def _layer7(flow: Flow) -> list[Field]:
    l7 = flow.l7
    if l7 is None:
        return []
    fields = [Field("L7 record", str(l7.type)), Field("Latency", _milliseconds(l7.latency_ns))]
    if l7.http:
        http = l7.http
        fields += [
            Field("Method", http.method),
            Field("URL", http.url),
            Field("Status", str(http.code) if http.code else ""),
            *(Field("Header", f"{header.key}: {header.value}") for header in http.headers),
        ]
    if l7.dns:
        dns = l7.dns
        fields += [
            Field("DNS query", dns.query),
            Field("Types", ", ".join(dns.qtypes)),
            Field("Answers", ", ".join((*dns.ips, *dns.cnames))),
            Field("Answer code", str(dns.rcode) if dns.rcode else ""),
            Field("TTL", f"{dns.ttl} s" if dns.ttl else ""),
        ]
    return fields


def _milliseconds(nanoseconds: str | int) -> str:
    number = str(nanoseconds)
    return f"{int(number) / 1e6:.3f} ms" if number.isascii() and number.isdigit() else number


def _policies(flow: Flow) -> list[Field]:
    lists = (
        ("Egress by", flow.egress_allowed_by),
        ("Ingress by", flow.ingress_allowed_by),
        ("Egress denied", flow.egress_denied_by),
        ("Ingr. denied", flow.ingress_denied_by),
    )
    return [
        *(Field(label, _policy(policy)) for label, policies in lists for policy in policies),
        *(Field("Log", entry) for entry in flow.policy_log),
    ]


def _policy(policy: Policy) -> str:
    name = f"{policy.namespace}/{policy.name}".lstrip("/")
    return " ".join(part for part in (policy.kind, name, f"rev {policy.revision}" if policy.revision else "") if part)


def _path(flow: Flow) -> list[Field]:
    interface = flow.interface
    return [
        Field("Observed at", str(flow.trace_observation_point)),
        Field("Because", str(flow.trace_reason)),
        Field("Socket", str(flow.sock_xlate_point)),
        Field("Interface", f"{interface.name} ({interface.index})".strip() if interface else ""),
        Field("Proxy port", str(flow.proxy_port) if flow.proxy_port else ""),
        Field("Authenticated", text.auth(flow)),
        Field("Trace id", _trace_id(flow)),
        Field("Source file", f"{flow.file.name}:{flow.file.line}" if flow.file else ""),
    ]


def _trace_id(flow: Flow) -> str:
    return flow.trace_context.parent.trace_id if flow.trace_context and flow.trace_context.parent else ""
