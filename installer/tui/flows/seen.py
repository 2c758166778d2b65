"""Names seen in flows, for completion: bounded, most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from installer.domain.flows.flow import Endpoint, Flow
from installer.domain.flows.printing.text import ports
from installer.domain.flows.where import Completion, complete

MOST = 2_000
"""Values kept of each kind; the rarest go first."""


class Seen:
    """A vocabulary for ``complete``."""

    def __init__(self) -> None:
        self._kinds: dict[str, Counter[str]] = {}

    def values(self, kind: str) -> Sequence[str]:
        """Return what was seen of a kind."""
        return [value for value, _ in self._kinds.get(kind, Counter()).most_common()]

    def complete(self, text: str, cursor: int) -> Sequence[Completion]:
        """Return what may stand at the cursor."""
        return complete(text, cursor, self)

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Learn from an endpoint."""
        namespace = endpoint.namespace
        self._add("namespace", namespace)
        self._add("pod", f"{namespace}/{endpoint.pod_name}" if endpoint.pod_name else "")
        self._add("cluster", endpoint.cluster_name)
        self._add("identity", str(endpoint.identity) if endpoint.identity else "")
        for work in endpoint.workloads:
            self._add("workload", f"{work.kind}/{work.name}")
        for label in endpoint.labels:
            self._add("label", label)

    def add_flow(self, flow: Flow) -> None:
        """Learn what endpoints do not tell: one flow of a batch is enough."""
        for port in ports(flow):
            self._add("port", str(port) if 0 < port < 32_768 else "")
        self._add("node", flow.node_name)
        self._add("interface", flow.interface.name if flow.interface else "")
        for name in (*flow.source_names, *flow.destination_names):
            self._add("name", name)
        for service in (flow.source_service, flow.destination_service):
            self._add("service", f"{service.namespace}/{service.name}" if service and service.name else "")
        if flow.ip:
            self._add("ip", flow.ip.source)
            self._add("ip", flow.ip.destination)
        if flow.l7 and flow.l7.dns:
            self._add("query", flow.l7.dns.query)

    def _add(self, kind: str, value: str) -> None:
        if not value:
            return
        counter = self._kinds.setdefault(kind, Counter())
        counter[value] += 1
        if len(counter) > MOST:
            self._kinds[kind] = Counter(dict(counter.most_common(MOST * 3 // 4)))
