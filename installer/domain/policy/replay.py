"""Recorded flows as questions for the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from installer.domain.flows.flow import HTTP, Endpoint, Flow, Layer4
from installer.domain.policy.labels import CLUSTER, NAMESPACE
from installer.domain.policy.model import DNSQuery, HTTPRequest, Layer7, Peer, Traffic
from installer.domain.policy.patterns import plain_name

_NO_ENDPOINT = Endpoint()
_CACHE = 100_000


class Replay:
    """Turns flows into traffic; equal sides become one object.

    Args:
        names: DNS names by address, as observed elsewhere (DNS flows); used where a flow itself carries none.
        cluster: name of the local cluster.

    Attributes:
        cluster: the same.
    """

    def __init__(self, names: Mapping[str, frozenset[str]] | None = None, *, cluster: str = "default"):
        self.cluster = cluster
        self._names: dict[str, frozenset[str]] = dict(names or {})
        self._peers: dict[object, Peer] = {}

    def learn(self, flow: Flow) -> None:
        """Keep the addresses of a DNS answer for the flows to come."""
        dns = flow.l7.dns if flow.l7 is not None else None
        if dns is None or not dns.ips:
            return
        name = plain_name(dns.query)
        for ip in dns.ips:
            self._names[ip] = self._names.get(ip, frozenset()) | {name}

    def traffic(self, flow: Flow) -> Traffic | None:
        """Return what a flow asks, None where policy has no say: replies, sockets, what has no addresses or ports."""
        if flow.ip is None or flow.l4 is None or flow.type == "SOCK" or not _opens(flow):
            return None
        port = _port(flow.l4)
        if port is None:
            return None
        source = self._peer(flow.source or _NO_ENDPOINT, flow.ip.source, flow.source_names)
        dest = self._peer(flow.destination or _NO_ENDPOINT, flow.ip.destination, flow.destination_names)
        if source is None or dest is None:
            return None
        return Traffic(source, dest, port[1], port[0], _request(flow))

    def _peer(self, endpoint: Endpoint, ip: str, names: tuple[str, ...]) -> Peer | None:
        if not endpoint.labels and not endpoint.namespace:
            return None
        outside = not endpoint.namespace
        key = (endpoint.labels, ip, names) if outside else (endpoint.labels, endpoint.pod_name)
        found = self._peers.get(key)
        if found is None:
            if len(self._peers) >= _CACHE:
                self._peers.clear()
            found = self._peers[key] = self._make(endpoint, ip if outside else "", names)
        return found

    def _make(self, endpoint: Endpoint, ip: str, names: tuple[str, ...]) -> Peer:
        labels = tuple(sorted({*endpoint.labels, *self._implied(endpoint)}))
        world = any(label.startswith("reserved:world") for label in labels)
        name = f"{endpoint.namespace}/{endpoint.pod_name}" if endpoint.pod_name else ""
        known = frozenset(map(plain_name, names)) or self._names.get(ip)
        return Peer(labels, ip=ip, names=known if world else None, name=name)

    def _implied(self, endpoint: Endpoint) -> Iterable[str]:
        """Yield the labels that every pod's identity has, also where the flow's mask left them out."""
        if endpoint.namespace:
            yield f"k8s:{NAMESPACE}={endpoint.namespace}"
            if not any(label.startswith(f"k8s:{CLUSTER}=") for label in endpoint.labels):
                yield f"k8s:{CLUSTER}={endpoint.cluster_name or self.cluster}"


def _opens(flow: Flow) -> bool:
    """Whether a flow goes the way of the one who opened the connection."""
    if flow.is_reply is not None:
        return not flow.is_reply
    if flow.reply or (flow.l7 is not None and flow.l7.type == "RESPONSE"):
        return False
    tcp = flow.l4.tcp if flow.l4 is not None else None
    if tcp is not None and tcp.flags is not None:
        return tcp.flags.syn and not tcp.flags.ack
    return flow.verdict in ("DROPPED", "AUDIT", "ERROR") or flow.l7 is not None or tcp is None


def _port(l4: Layer4) -> tuple[str, int] | None:
    if l4.tcp is not None:
        return "TCP", l4.tcp.destination_port
    if l4.udp is not None:
        return "UDP", l4.udp.destination_port
    if l4.icmpv4 is not None:
        return "ICMPv4", l4.icmpv4.type
    if l4.icmpv6 is not None:
        return "ICMPv6", l4.icmpv6.type
    return ("SCTP", l4.sctp.destination_port) if l4.sctp is not None else None


def _request(flow: Flow) -> Layer7 | None:
    l7 = flow.l7
    if l7 is None:
        return None
    if l7.dns is not None:
        return DNSQuery(plain_name(l7.dns.query))
    return _http(l7.http) if l7.http is not None else None


def _http(http: HTTP) -> HTTPRequest:
    parts = urlsplit(http.url) if http.url.isascii() and "[" not in http.url else None
    if parts is None:
        return HTTPRequest(http.method, http.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = tuple(sorted((item.key.lower(), item.value) for item in http.headers))
    return HTTPRequest(http.method, path, parts.netloc, headers)
