"""Which observed connections a change of policies would cut, open or leave alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from installer.domain.flows.flow import Answer, Flow
from installer.domain.policy.engine import Engine
from installer.domain.policy.explain import sentence
from installer.domain.policy.labels import LabelSet
from installer.domain.policy.model import Decision, HTTPRequest, Peer, Traffic, Verdict
from installer.domain.policy.replay import Replay

_EXAMPLES = 3


@dataclass(slots=True)
class Edge:
    """Connections between two groups of peers that change in the same way.

    Attributes:
        source: who opens them, such as ``demo/frontend``.
        dest: whom they reach.
        port: such as ``80/TCP``, with the request where one was seen.
        before: verdict under the policies as they are.
        after: verdict under the changed policies.
        count: flows seen.
        why: sentence on the verdict after the change.
        last: time of the newest flow (RFC 3339).
        examples: uuids of some of them.
    """

    source: str
    dest: str
    port: str
    before: Decision
    after: Decision
    count: int = 0
    why: str = ""
    last: str = ""
    examples: list[str] = field(default_factory=list)

    @property
    def change(self) -> str:
        """``cut``, ``opened``, ``unknown`` or ``unchanged``."""
        if self.before == self.after:
            return "unchanged"
        if self.after is Decision.UNKNOWN:
            return "unknown"
        if self.after is Decision.ALLOW:
            return "opened"
        return "cut" if self.before in (Decision.ALLOW, Decision.UNKNOWN) else "changed"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "change": self.change,
            "source": self.source,
            "dest": self.dest,
            "port": self.port,
            "before": str(self.before),
            "after": str(self.after),
            "count": self.count,
            "why": self.why,
            "last": self.last,
            "examples": self.examples,
        }


@dataclass(slots=True)
class Impact:
    """Effect of a change on what was seen, with what bounds its worth.

    Attributes:
        edges: all edges; those that change come first, the most frequent ones first.
        flows: flows looked at.
        judged: flows that were new connections or requests.
        lost: events that Hubble lost in the time looked at.
        first: time of the oldest flow.
        last: time of the newest flow.
        disagreements: judged flows whose recorded verdict is not what the engine says of the policies as they are.
    """

    edges: list[Edge] = field(default_factory=list)
    flows: int = 0
    judged: int = 0
    lost: int = 0
    first: str = ""
    last: str = ""
    disagreements: int = 0

    def of(self, change: str) -> list[Edge]:
        """Return the edges with one kind of change."""
        return [edge for edge in self.edges if edge.change == change]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        kinds = ("cut", "opened", "unknown", "changed", "unchanged")
        return {
            "flows": self.flows,
            "judged": self.judged,
            "lost": self.lost,
            "first": self.first,
            "last": self.last,
            "disagreements": self.disagreements,
            **{kind: sum(edge.count for edge in self.of(kind)) for kind in kinds},
            "edges": [edge.to_dict() for edge in self.edges],
        }


@dataclass(slots=True)
class _Judged:
    edge: Edge
    before: Decision


class Assessor:
    """Judges flows under two sets of policies, one after the other as they come.

    Args:
        before: policies as they are.
        after: policies as they would be.
        replay: how flows are read; it may know DNS names already.
    """

    def __init__(self, before: Engine, after: Engine, replay: Replay | None = None):
        self._before = before
        self._after = after
        self._replay = replay or Replay()
        self._known: dict[Traffic, _Judged] = {}
        self._edges: dict[tuple[str, ...], Edge] = {}
        self._impact = Impact()

    def add(self, answers: Iterable[Answer]) -> None:
        """Judge more of what Hubble told."""
        for answer in answers:
            if answer.flow is not None:
                self._flow(answer.flow)
            elif answer.lost_events is not None:
                self._impact.lost += int(answer.lost_events.num_events_lost or 0)

    def result(self) -> Impact:
        """Return the effect on all that was judged so far."""
        order = {"cut": 0, "changed": 1, "opened": 2, "unknown": 3, "unchanged": 4}
        self._impact.edges = sorted(
            self._edges.values(), key=lambda edge: (order[edge.change], -edge.count, edge.source, edge.dest, edge.port)
        )
        return self._impact

    def _flow(self, flow: Flow) -> None:
        impact = self._impact
        impact.flows += 1
        impact.first = min(impact.first, flow.time) if impact.first else flow.time
        impact.last = max(impact.last, flow.time)
        self._replay.learn(flow)
        traffic = self._replay.traffic(flow)
        if traffic is None:
            return
        impact.judged += 1
        known = self._known.get(traffic)
        if known is None:
            known = self._known[traffic] = self._judge(traffic)
        if _contradicts(flow, known.before):
            impact.disagreements += 1
        edge = known.edge
        edge.count += 1
        edge.last = max(edge.last, flow.time)
        if len(edge.examples) < _EXAMPLES and flow.uuid:
            edge.examples.append(flow.uuid)

    def _judge(self, traffic: Traffic) -> _Judged:
        before, after = self._before.verdict(traffic), self._after.verdict(traffic)
        source, dest, port = group(traffic.source), group(traffic.dest), _port(traffic)
        key = (source, dest, port, before.decision, after.decision)
        edge = self._edges.get(key)
        if edge is None:
            edge = self._edges[key] = _edge(traffic, before, after, port)
        return _Judged(edge, before.decision)


def _edge(traffic: Traffic, before: Verdict, after: Verdict, port: str) -> Edge:
    why = sentence(traffic, after)
    return Edge(group(traffic.source), group(traffic.dest), port, before.decision, after.decision, why=why)


def group(peer: Peer) -> str:
    """Return the name of the group that a peer is shown under: its workload by labels, an entity, or an address."""
    labels = peer.set
    if not labels.namespace:
        return str(peer)
    return f"{labels.namespace}/{app_name(labels) or (peer.name.partition('/')[2] or 'pod')}"


_APP_KEYS = ("app.kubernetes.io/name", "app", "k8s-app", "name", "component", "run")


def app_name(labels: LabelSet) -> str:
    """Return what a pod is called by its labels, empty where none says it."""
    return next((value for key in _APP_KEYS for value in labels.values("k8s", key)), "")


def _port(traffic: Traffic) -> str:
    text = f"{traffic.port}/{traffic.protocol}"
    request = traffic.l7
    if request is None:
        return text
    if isinstance(request, HTTPRequest):
        return f"{text} {request.method} {request.path}"
    return f"{text} {request.name}"


def _contradicts(flow: Flow, decision: Decision) -> bool:
    """Whether a recorded verdict is another than the engine's; traces of denied packets do not exist."""
    if flow.verdict in ("FORWARDED", "REDIRECTED"):
        return decision is Decision.DENY
    denied = flow.drop_reason_desc in ("POLICY_DENIED", "POLICY_DENY")
    return flow.verdict == "DROPPED" and denied and decision is Decision.ALLOW
