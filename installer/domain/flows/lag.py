"""How late flows come, and how far back a node can still tell: what a conclusion such as "no drops" rests on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SAMPLES = 256

_STALE_S = 2.0


@dataclass(frozen=True, slots=True)
class NodeLag:
    """One node.

    Attributes:
        node: its name.
        median: seconds from a flow's time to its arrival here; below 0 when the node's clock is ahead.
        p95: the same for the slowest of twenty.
        last: when a flow last arrived, UNIX time in seconds.
        flows: flows that came from it.
    """

    node: str
    median: float
    p95: float
    last: float
    flows: int


@dataclass(slots=True)
class _Samples:
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    last: float = 0.0
    flows: int = 0


class Lag:
    """Lag per node, from the last few hundred samples of each."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Samples] = {}

    def add(self, node: str, flow_time: float, arrival: float, flows: int = 1) -> None:
        """Take a sample: a flow's own time and its arrival (UNIX seconds), standing for ``flows`` of that node."""
        samples = self._nodes.setdefault(node, _Samples())
        samples.lags.append(arrival - flow_time)
        samples.last = max(samples.last, arrival)
        samples.flows += flows

    def nodes(self) -> list[NodeLag]:
        """Return the nodes by name."""
        return [self._node(name, samples) for name, samples in sorted(self._nodes.items())]

    def worst(self) -> NodeLag | None:
        """Return the node with the largest median."""
        return max(self.nodes(), key=lambda node: node.median, default=None)

    def _node(self, name: str, samples: _Samples) -> NodeLag:
        ranked = sorted(samples.lags)
        return NodeLag(name, _quantile(ranked, 0.5), _quantile(ranked, 0.95), samples.last, samples.flows)


def _quantile(ranked: list[float], part: float) -> float:
    return ranked[min(len(ranked) - 1, int(len(ranked) * part))]


def horizon(ring_size: int, flows_per_second: float) -> float | None:
    """Return how many seconds a node's ring of ``ring_size`` flows reaches back; None if nothing flows."""
    return ring_size / flows_per_second if flows_per_second > 0 else None


def lag_text(seconds: float) -> str:
    """Return a lag for people: ``12 ms``, ``1.4 s``, ``7 min``; clocks that differ give ``clock +3.0 s``."""
    if seconds < -_STALE_S:
        return f"clock {-seconds:+.1f} s"
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:,.0f} min"
