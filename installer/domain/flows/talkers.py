"""Who talks most: flows counted by pod, workload, namespace, edge, port or reason."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from installer.domain.flows import sides
from installer.domain.flows.flow import Flow
from installer.domain.flows.grouping import ARROW, OTHER
from installer.domain.flows.rates import REFUSED

LIMIT = 20_000

Keys = Callable[[Flow], tuple[str, ...]]


def _ends(part: Callable[[sides.Side], str]) -> Keys:
    """Give both ends, and one only where they are the same."""

    def keys(flow: Flow) -> tuple[str, ...]:
        one, other = part(sides.source(flow)), part(sides.destination(flow))
        return (one,) if one == other else (one, other)

    return keys


def _edge(flow: Flow) -> tuple[str, ...]:
    return (f"{sides.client(flow).by_workload}{ARROW}{sides.server(flow).by_workload}",)


def _port(flow: Flow) -> tuple[str, ...]:
    port, protocol = sides.server_port(flow), sides.protocol(flow)
    return (f"{port}/{protocol}" if port else protocol or "no port",)


def _reason(flow: Flow) -> tuple[str, ...]:
    reason = sides.reason(flow)
    return (reason,) if reason else ()


KINDS: dict[str, Keys] = {
    "pod": _ends(lambda side: side.by_pod),
    "workload": _ends(lambda side: side.by_workload),
    "namespace": _ends(lambda side: side.by_namespace),
    "edge": _edge,
    "port": _port,
    "reason": _reason,
}
"""What can be counted. A flow counts once for each of its ends; ``reason`` counts dropped flows only."""


@dataclass(slots=True)
class Talker:
    """One line of the ranking."""

    name: str
    flows: int = 0
    drops: int = 0


@dataclass(slots=True)
class Talkers:
    """Counts for one kind, in bounded memory: names beyond ``limit`` are counted together.

    Attributes:
        kind: name in ``KINDS``.
        total: flows counted.
    """

    kind: str
    limit: int = LIMIT
    total: int = 0
    _talkers: dict[str, Talker] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._talkers)

    def add(self, flow: Flow) -> None:
        """Count a flow."""
        self.total += 1
        refused = flow.verdict in REFUSED
        for name in KINDS[self.kind](flow):
            talker = self._talker(name)
            talker.flows += 1
            talker.drops += refused

    def top(self, count: int) -> list[Talker]:
        """Return the ``count`` with most flows, equal ones by name."""
        return heapq.nsmallest(count, self._talkers.values(), key=lambda talker: (-talker.flows, talker.name))

    def _talker(self, name: str) -> Talker:
        found = self._talkers.get(name)
        if found is None:
            name = name if len(self._talkers) < self.limit else OTHER
            found = self._talkers.setdefault(name, Talker(name))
        return found
