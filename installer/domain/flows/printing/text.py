"""The words of one flow, as hubble says them: names of both sides, type, verdict, summary.

All functions take what has the attributes of a ``Flow``. Texts are as they came: whoever shows them cleans them first
(``escape.clean``, ``domain.text.printable``), for they come from pods, DNS and HTTP requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from posixpath import normpath

from installer.domain.flows import names
from installer.domain.flows.drop_reasons import drop_text
from installer.domain.flows.flow import Endpoint, Flow, Layer7, Policy, Service

DROP, CAPTURE, TRACE, POLICY_VERDICT, TRACE_SOCK, L7 = 1, 3, 4, 5, 7, 129

_XLATE = {
    "SOCK_XLATE_POINT_PRE_DIRECTION_FWD": "pre-xlate-fwd",
    "SOCK_XLATE_POINT_POST_DIRECTION_FWD": "post-xlate-fwd",
    "SOCK_XLATE_POINT_PRE_DIRECTION_REV": "pre-xlate-rev",
    "SOCK_XLATE_POINT_POST_DIRECTION_REV": "post-xlate-rev",
}
_OF_POLICY = {
    "FORWARDED": "ALLOWED",
    "REDIRECTED": "ALLOWED",
    "DROPPED": "DENIED",
    "ERROR": "DENIED",
    "AUDIT": "AUDITED",
}


def ports(flow: Flow) -> tuple[int, int]:
    """Return source and destination port; 0 where there is none."""
    l4 = flow.l4
    if l4 is None:
        return 0, 0
    protocol = l4.tcp or l4.udp or l4.sctp
    return (0, 0) if protocol is None else (protocol.source_port, protocol.destination_port)


def protocol(flow: Flow) -> str:
    """Return ``TCP``, ``UDP``, ``SCTP``, ``ICMPv4``, ``ICMPv6``, ``VRRP`` or ``IGMP``; empty where there is none."""
    l4 = flow.l4
    if l4 is None:
        return ""
    for name in ("tcp", "udp", "sctp", "icmpv4", "icmpv6", "vrrp", "igmp"):
        if getattr(l4, name) is not None:
            return name.replace("icmp", "ICMP") if name.startswith("icmp") else name.upper()
    return ""


def bare_hosts(flow: Flow, *, translate: bool = True) -> tuple[str, str]:
    """Return source and destination without ports: pod, else service, else DNS names, else address, else MAC address.

    Args:
        flow: the flow.
        translate: False for addresses only.
    """
    ip = flow.ip
    if ip is None:
        ethernet = flow.ethernet
        return ("", "") if ethernet is None else (ethernet.source, ethernet.destination)
    if not translate:
        return ip.source, ip.destination
    left = _named(flow.source, flow.source_service, flow.source_names) or ip.source
    return left, _named(flow.destination, flow.destination_service, flow.destination_names) or ip.destination


def _named(endpoint: Endpoint | None, service: Service | None, dns_names: Sequence[str]) -> str:
    """Return pod, service or DNS names of a side. A service's namespace takes the place of the pod's."""
    if service is None:
        if endpoint is not None and endpoint.pod_name:
            return _path(endpoint.namespace, endpoint.pod_name)
    elif endpoint is not None and endpoint.pod_name:
        return _path(service.namespace, endpoint.pod_name)
    elif service.name:
        return _path(service.namespace, service.name)
    return ",".join(dns_names) if dns_names else ""


@lru_cache(maxsize=8192)
def _path(namespace: str, name: str) -> str:
    if "/" in name or "." in name[:1] or "/" in namespace or "." in namespace[:1]:
        return normpath("/".join(filter(None, (namespace, name))))
    return f"{namespace}/{name}" if namespace else name


def with_port(host: str, port: str) -> str:
    """Return ``host:port``, an IPv6 address in brackets; the host alone without a port."""
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host or "%" in host else f"{host}:{port}"


def hosts(flow: Flow, *, translate: bool = True) -> tuple[str, str]:
    """Return source and destination with their ports, as hubble prints them; MAC addresses of what is not IP.

    Args:
        flow: the flow.
        translate: False for addresses only.
    """
    left, right = bare_hosts(flow, translate=translate)
    l4 = flow.l4
    if l4 is None or flow.ip is None:
        return left, right
    protocol = l4.tcp or l4.udp or l4.sctp
    if protocol is None:
        return left, right
    source, destination = protocol.source_port, protocol.destination_port
    return (
        with_port(left, str(source)) if source else left,
        with_port(right, str(destination)) if destination else right,
    )


@lru_cache(maxsize=8192)
def identity(number: int) -> str:
    """Return ``(ID:1234)``, or the name of a reserved identity such as ``(world)``."""
    name = names.RESERVED_IDENTITY.get(number)
    return f"({name})" if name else f"(ID:{number})"


def identities(flow: Flow) -> tuple[str, str]:
    """Return the identities of source and destination."""
    source, destination = flow.source, flow.destination
    return (
        identity(source.identity if source is not None else 0),
        identity(destination.identity if destination is not None else 0),
    )


def flow_type(flow: Flow) -> str:
    """Return the type: ``to-endpoint``, ``Policy denied``, ``policy-verdict:none EGRESS``, ``http-request`` ..."""
    if flow.l7 is not None:
        return _l7_type(flow.l7)
    event = flow.event_type
    if event is None:
        return "UNKNOWN"
    number = event.type
    if number == TRACE:
        sub_type = event.sub_type & 0xFF
        return names.TRACE_SUB_TYPE.get(sub_type) or str(sub_type)
    if number == DROP:
        kernel = flow.drop_reason_desc
        return drop_text(event.sub_type) if event.sub_type or not isinstance(kernel, str) else kernel
    if number == POLICY_VERDICT:
        match = names.POLICY_MATCH.get(flow.policy_match_type, "unknown")
        return f"policy-verdict:{match} {names.name_of(flow.traffic_direction, names.TRAFFIC_DIRECTION)}"
    if number == CAPTURE:
        return names.name_of(flow.debug_capture_point, names.CAPTURE_POINT)
    if number == TRACE_SOCK:
        point = names.name_of(flow.sock_xlate_point, names.SOCK_XLATE_POINT)
        return _XLATE.get(point, point)
    return names.TAP_EVENT.get(number, "UNKNOWN")


def _l7_type(l7: Layer7) -> str:
    kind = names.name_of(l7.type, names.L7_TYPE).lower()
    if l7.http is not None:
        return f"http-{kind}"
    if l7.dns is not None:
        return f"dns-{kind} {l7.dns.observation_source}"
    return f"kafka-{kind}" if l7.kafka is not None else f"l7-{kind}"


def verdict(flow: Flow, *, policy_names: bool = False) -> str:
    """Return the verdict's name; of a policy verdict ``ALLOWED``, ``DENIED`` or ``AUDITED``.

    Args:
        flow: the flow.
        policy_names: add the policies that decided, where the flow names them.
    """
    name = names.name_of(flow.verdict, names.VERDICT)
    event = flow.event_type
    if event is None or event.type != POLICY_VERDICT:
        return name
    said = _OF_POLICY.get(name, name)
    return said + deciders(flow) if policy_names and said in ("ALLOWED", "DENIED") else said


def deciders(flow: Flow) -> str:
    """Return `` BY name (Kind), other (Kind)`` for the policies that decided; empty where the flow names none."""
    told = [f"{policy.name} ({policy.kind})" for policy in deciding_policies(flow) if policy.kind and policy.name]
    return " BY " + ", ".join(told) if told else ""


def deciding_policies(flow: Flow) -> tuple[Policy, ...]:
    """Return the policies that allowed or denied the flow in its direction."""
    denied = names.name_of(flow.verdict, names.VERDICT) in ("DROPPED", "ERROR")
    direction = names.name_of(flow.traffic_direction, names.TRAFFIC_DIRECTION)
    if direction == "EGRESS":
        return flow.egress_denied_by if denied else flow.egress_allowed_by
    if direction == "INGRESS":
        return flow.ingress_denied_by if denied else flow.ingress_allowed_by
    return ()


def auth(flow: Flow) -> str:
    """Return how both sides proved who they are; empty where they did not have to."""
    name = names.name_of(flow.auth_type, names.AUTH_TYPE)
    return "" if name == "DISABLED" else name


def summary(flow: Flow) -> str:
    """Return the server's summary, with the trace id of an IP option before and the authentication after it."""
    if flow.ip_trace_id is None and not flow.auth_type:
        return flow.summary
    proof = auth(flow)
    return trace_prefix(flow) + flow.summary + (f"; Auth: {proof}" if proof else "")


def trace_prefix(flow: Flow) -> str:
    """Return ``IP Trace ID: N; `` where the packet carries one."""
    trace = flow.ip_trace_id
    return f"IP Trace ID: {trace.trace_id}; " if trace is not None and trace.trace_id not in ("", "0", 0) else ""


def arrow(flow: Flow) -> str:
    """Return ``->``, ``<-`` for a reply (both sides then change places), ``<>`` where the direction is not known."""
    if flow.is_reply is None:
        return "<>"
    return "<-" if flow.is_reply else "->"
