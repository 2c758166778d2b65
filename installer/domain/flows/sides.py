"""Who spoke to whom: the client's and the server's side of a flow, with names for people.

A reply is told from server to client; here it is turned round, so that both directions of a connection count for one
edge and one port. Where Hubble does not know (drops, sockets) the sender is taken for the client.
"""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.flows.flow import Endpoint, Flow, Service

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a connection; texts are empty where not known."""

    endpoint: Endpoint | None
    ip: str
    names: tuple[str, ...]
    service: Service | None

    @property
    def namespace(self) -> str:
        """Kubernetes namespace."""
        if self.endpoint and self.endpoint.namespace:
            return self.endpoint.namespace
        return self.service.namespace if self.service else ""

    @property
    def pod(self) -> str:
        """``namespace/pod``."""
        endpoint = self.endpoint
        return f"{endpoint.namespace}/{endpoint.pod_name}" if endpoint and endpoint.pod_name else ""

    @property
    def workload(self) -> str:
        """Name of the pod's owner without its namespace, or the pod's own name."""
        if self.endpoint is None:
            return ""
        return self.endpoint.workloads[0].name if self.endpoint.workloads else self.endpoint.pod_name

    @property
    def reserved(self) -> str:
        """Reserved identity such as ``world`` or ``host``."""
        if self.endpoint is None:
            return ""
        found = [label[9:] for label in self.endpoint.labels if label.startswith("reserved:")]
        return "kube-apiserver" if "kube-apiserver" in found else (found or [""])[0]

    @property
    def outside(self) -> str:
        """Name of an end that is no pod: DNS name, service, reserved identity, address."""
        if self.names:
            return self.names[0]
        if self.service and self.service.name:
            return f"{self.service.namespace}/{self.service.name}"
        return self.reserved or self.ip or UNKNOWN

    @property
    def by_workload(self) -> str:
        """``namespace/workload``, or the name of what is no pod."""
        return f"{self.namespace}/{self.workload}" if self.workload else self.outside

    @property
    def by_pod(self) -> str:
        """``namespace/pod``, or the name of what is no pod."""
        return self.pod or self.outside

    @property
    def by_namespace(self) -> str:
        """Namespace, or the name of what is in none."""
        return self.namespace or self.reserved or UNKNOWN


def source(flow: Flow) -> Side:
    """Return the sender."""
    return Side(flow.source, flow.ip.source if flow.ip else "", flow.source_names, flow.source_service)


def destination(flow: Flow) -> Side:
    """Return the receiver."""
    return Side(
        flow.destination, flow.ip.destination if flow.ip else "", flow.destination_names, flow.destination_service
    )


def client(flow: Flow) -> Side:
    """Return who opened the connection."""
    return destination(flow) if flow.is_reply else source(flow)


def server(flow: Flow) -> Side:
    """Return whom it was opened to."""
    return source(flow) if flow.is_reply else destination(flow)


def ports(flow: Flow) -> tuple[int, int]:
    """Return source and destination port, 0 where there is none."""
    if flow.l4 is None:
        return 0, 0
    l4 = flow.l4.tcp or flow.l4.udp or flow.l4.sctp
    return (l4.source_port, l4.destination_port) if l4 else (0, 0)


def server_port(flow: Flow) -> int:
    """Return the port that the connection was opened to, 0 if there is none."""
    return ports(flow)[0 if flow.is_reply else 1]


def protocol(flow: Flow) -> str:
    """Return the L4 protocol as Hubble writes it (``TCP``), empty if there is none."""
    l4 = flow.l4
    if l4 is None:
        return ""
    if l4.tcp:
        return "TCP"
    if l4.udp:
        return "UDP"
    others = {"ICMPv4": l4.icmpv4, "ICMPv6": l4.icmpv6, "SCTP": l4.sctp, "VRRP": l4.vrrp, "IGMP": l4.igmp}
    return next((name for name, part in others.items() if part), "")


def verdict(flow: Flow) -> str:
    """Return the verdict as a word."""
    return str(flow.verdict or "UNKNOWN").removeprefix("VERDICT_")


def reason(flow: Flow) -> str:
    """Return why it was dropped (``POLICY_DENIED``), empty if it was not."""
    if flow.drop_reason_desc or flow.drop_reason:
        return str(flow.drop_reason_desc or flow.drop_reason)
    return "DROP_REASON_UNKNOWN" if flow.verdict == "DROPPED" and flow.l7 is None else ""


def application(flow: Flow) -> str:
    """Return what the L7 record speaks of: ``GET 200``, ``DNS example.org``, empty if there is none."""
    l7 = flow.l7
    if l7 is None:
        return ""
    if l7.http:
        return f"HTTP {l7.http.method} {l7.http.code or ''}".rstrip()
    if l7.dns:
        return f"DNS {l7.dns.query}"
    return f"Kafka {l7.kafka.topic}" if l7.kafka else ""
