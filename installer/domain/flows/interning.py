"""Equal parts of flows kept once: endpoints, addresses, names, flags.

Tables are bounded: a full one starts anew, which costs some sharing and never correctness, because parts are never
changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from installer.domain.flows.flow import HTTP, TCP, Endpoint, Enum, Flow, Layer4, Layer7
from installer.domain.flows.row import RARE, Row, has_rare

_ALL_PORTS = 1 << 16


class Interning:
    """Turns flows into rows that share their equal parts.

    Args:
        limit: values kept in each table.
        on_endpoint: called with every endpoint not in the table yet (again, when the table had to start anew).
    """

    def __init__(self, limit: int = 20_000, on_endpoint: Callable[[Endpoint], None] = lambda _: None) -> None:
        self._limit = limit
        self._on_endpoint = on_endpoint
        self._parts: dict[Any, Any] = {}
        self._texts: dict[Enum, Enum] = {}
        self._ports: dict[int, int] = {}
        self._endpoints: dict[Endpoint, Endpoint] = {}
        self._recent: dict[tuple[int, int, str], Endpoint] = {}
        self._node_labels: dict[str, tuple[str, ...]] = {}

    def trim(self) -> None:
        """Empty the tables that are full; to be called now and then, such as once a batch."""
        tables: tuple[dict[Any, Any], ...] = (
            self._parts,
            self._texts,
            self._endpoints,
            self._recent,
            self._node_labels,
        )
        for table in tables:
            if len(table) > self._limit:
                table.clear()
        if len(self._ports) > _ALL_PORTS:
            self._ports.clear()

    def row(self, flow: Flow) -> Flow:
        """Return what to keep: a ``Row`` of shared parts, or a ``Flow`` of them where rare fields are set."""
        kept = self._slim(flow)
        if not has_rare(flow):
            return cast(Flow, kept)
        rare = {name: self._rare_part(name, getattr(flow, name)) for name in RARE}
        return Flow(**{name: getattr(kept, name) for name in kept.__struct_fields__}, **rare)

    def _slim(self, flow: Flow) -> Row:
        text, part = self._texts.setdefault, self._parts.setdefault
        return Row(
            flow.time,
            flow.uuid,
            text(flow.verdict, flow.verdict),
            flow.drop_reason,
            part(flow.ethernet, flow.ethernet),
            part(flow.ip, flow.ip),
            self._layer4(flow.l4) if flow.l4 else None,
            self._endpoint(flow.source) if flow.source else None,
            self._endpoint(flow.destination) if flow.destination else None,
            text(flow.type, flow.type),
            self._text(flow.node_name),
            self._labels(flow.node_name, flow.node_labels) if flow.node_labels else (),
            part(flow.destination_names, flow.destination_names) if flow.destination_names else (),
            self._layer7(flow.l7) if flow.l7 else None,
            flow.reply,
            part(flow.event_type, flow.event_type),
            part(flow.destination_service, flow.destination_service) if flow.destination_service else None,
            text(flow.traffic_direction, flow.traffic_direction),
            flow.policy_match_type,
            text(flow.trace_observation_point, flow.trace_observation_point),
            text(flow.trace_reason, flow.trace_reason),
            text(flow.drop_reason_desc, flow.drop_reason_desc),
            flow.is_reply,
            part(flow.interface, flow.interface) if flow.interface else None,
            text(flow.sock_xlate_point, flow.sock_xlate_point),
            flow.socket_cookie,
            text(flow.cgroup_id, flow.cgroup_id),
            self._text(flow.summary),
        )

    def _text(self, text: str) -> str:
        return cast(str, self._texts.setdefault(text, text))

    def _endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Compare with the last one of the same pod before the whole is hashed, which costs five times as much."""
        key = (endpoint.id, endpoint.identity, endpoint.pod_name)
        found = self._recent.get(key)
        if found is not None and found == endpoint:
            return found
        known = len(self._endpoints)
        found = self._recent[key] = self._endpoints.setdefault(endpoint, endpoint)
        if len(self._endpoints) != known:
            self._on_endpoint(endpoint)
        return found

    def _labels(self, node: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        found = self._node_labels.get(node)
        if found == labels:
            return found
        self._node_labels[node] = labels
        return labels

    def _layer4(self, l4: Layer4) -> Layer4:
        part, port = self._parts.setdefault, self._ports.setdefault
        if l4.tcp:
            tcp = l4.tcp
            source, destination = tcp.source_port, tcp.destination_port
            flags = part(tcp.flags, tcp.flags)
            return Layer4(TCP(port(source, source), port(destination, destination), flags))
        return cast(Layer4, part(l4, l4))

    def _layer7(self, l7: Layer7) -> Layer7:
        kind = self._texts.setdefault(l7.type, l7.type)
        if l7.dns:
            return Layer7(type=kind, latency_ns=l7.latency_ns, dns=self._parts.setdefault(l7.dns, l7.dns))
        if l7.http:
            return Layer7(type=kind, latency_ns=l7.latency_ns, http=self._http(l7.http))
        return l7

    def _http(self, http: HTTP) -> HTTP:
        part, text = self._parts.setdefault, self._text
        headers = tuple([part(header, header) for header in http.headers])
        return HTTP(http.code, text(http.method), text(http.url), text(http.protocol), headers)

    def _rare_part(self, name: str, value: Any) -> Any:
        return value if name == "extensions" else self._parts.setdefault(value, value)
