"""The service map: who talks to whom, on which ports, with what verdicts.

Nodes are namespaces, workloads or pods, and what is no pod under its own name (``world``, ``host``, a DNS name). An
edge goes from the client to the server; replies count for it (see ``sides``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from installer.domain.flows import sides
from installer.domain.flows.flow import Flow
from installer.domain.flows.grouping import OTHER
from installer.domain.flows.rates import REFUSED

LIMIT = 5_000
"""Edges kept apart."""

_DETAILS = 64

SERVICE = " (service)"
"""Ends the name of a node that is a Service: Hubble saw its address before it became that of a pod."""

OUTSIDE = "(outside)"
"""Group of the nodes that are in no namespace."""


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the map: its group (namespace or ``OUTSIDE``) and its name within it."""

    group: str
    name: str

    @property
    def title(self) -> str:
        """Name in full: ``namespace/name``, or the name alone outside of any."""
        if self.group in (OUTSIDE, self.name):
            return self.name
        return f"{self.group}/{self.name}"


@dataclass(slots=True)
class Edge:
    """What went from ``client`` to ``server``.

    Attributes:
        flows: events counted.
        verdicts: by verdict.
        ports: by ``80/TCP`` or protocol.
        reasons: drop reasons.
        l7: by what L7 records speak of (``HTTP GET``, ``HTTP 2xx``, ``DNS``).
        last: time of the latest flow, RFC 3339.
    """

    client: Node
    server: Node
    flows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    ports: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    l7: Counter[str] = field(default_factory=Counter)
    last: str = ""

    @property
    def refused(self) -> int:
        """Flows that were dropped or failed."""
        return sum(count for verdict, count in self.verdicts.items() if verdict in REFUSED)


def _namespace(side: sides.Side) -> Node:
    return Node(side.namespace, side.namespace) if side.namespace else Node(OUTSIDE, side.by_namespace)


def _workload(side: sides.Side) -> Node:
    return Node(side.namespace, side.workload) if side.namespace and side.workload else _no_pod(side)


def _pod(side: sides.Side) -> Node:
    return Node(side.namespace, side.endpoint.pod_name) if side.pod and side.endpoint else _no_pod(side)


def _no_pod(side: sides.Side) -> Node:
    service = side.service
    if service and service.namespace and service.name and not side.names:
        return Node(service.namespace, service.name + SERVICE)
    return Node(OUTSIDE, side.outside)


LEVELS: dict[str, Callable[[sides.Side], Node]] = {"namespace": _namespace, "workload": _workload, "pod": _pod}
"""What a node of the map is."""


class Graph:
    """Counts flows into edges.

    Args:
        level: name in ``LEVELS``.
        limit: edges kept apart; flows of further ones count for one edge between nodes named ``OTHER``.
    """

    def __init__(self, level: str = "workload", limit: int = LIMIT) -> None:
        self.level = level
        self.total = 0
        self._place = LEVELS[level]
        self._limit = limit
        self._edges: dict[tuple[Node, Node], Edge] = {}

    def __len__(self) -> int:
        return len(self._edges)

    def add(self, flow: Flow) -> None:
        """Count a flow."""
        edge = self._edge(*self.ends(flow))
        self.total += 1
        edge.flows += 1
        edge.verdicts[sides.verdict(flow)] += 1
        edge.last = max(edge.last, flow.time)
        _count(edge.ports, _port(flow))
        _count(edge.reasons, sides.reason(flow))
        _count(edge.l7, _l7(flow))

    def ends(self, flow: Flow) -> tuple[Node, Node]:
        """Return the client's and the server's node of a flow."""
        return self._place(sides.client(flow)), self._place(sides.server(flow))

    def edges(self) -> list[Edge]:
        """Return the edges: by group and name of the client, then refused and busy ones first."""
        return sorted(
            self._edges.values(),
            key=lambda edge: (_order(edge.client), -edge.refused, -edge.flows, _order(edge.server)),
        )

    def nodes(self) -> list[Node]:
        """Return the nodes by group and name, those outside of any group last."""
        return sorted({node for ends in self._edges for node in ends}, key=_order)

    def _edge(self, client: Node, server: Node) -> Edge:
        found = self._edges.get((client, server))
        if found is None:
            if len(self._edges) >= self._limit:
                client = server = Node(OUTSIDE, OTHER)
            found = self._edges.setdefault((client, server), Edge(client, server))
        return found


def _order(node: Node) -> tuple[bool, str, str]:
    return node.group == OUTSIDE, node.group, node.name


def _port(flow: Flow) -> str:
    port, protocol = sides.server_port(flow), sides.protocol(flow)
    return f"{port}/{protocol}" if port else protocol


def _l7(flow: Flow) -> str:
    l7 = flow.l7
    if l7 is None:
        return ""
    if l7.http:
        return f"HTTP {l7.http.code // 100}xx" if l7.http.code else f"HTTP {l7.http.method}".rstrip()
    return "DNS" if l7.dns else "Kafka" if l7.kafka else ""


def _count(counter: Counter[str], key: str) -> None:
    if key:
        counter[key if key in counter or len(counter) < _DETAILS else OTHER] += 1


def top(counter: Counter[str], count: int = 3) -> str:
    """Return the most frequent keys as text: ``80/TCP, 443/TCP, +2``."""
    ranked = sorted(counter, key=lambda key: (-counter[key], key))
    more = f", +{len(ranked) - count}" if len(ranked) > count else ""
    return ", ".join(ranked[:count]) + more


def verdict_text(edge: Edge) -> str:
    """Return the edge's verdicts, refused ones first: ``DROPPED 3, FORWARDED 20``."""
    ranked = sorted(edge.verdicts.items(), key=lambda item: (item[0] not in REFUSED, -item[1], item[0]))
    return ", ".join(f"{verdict} {count}" for verdict, count in ranked)
