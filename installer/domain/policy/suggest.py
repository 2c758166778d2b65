"""Least-privilege policies drawn from observed flows, and proven by the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.flows.flow import Answer, Flow
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.impact import app_name, group
from installer.domain.policy.model import Decision, Direction, Peer, Settings, Traffic
from installer.domain.policy.replay import Replay
from installer.domain.policy.suggest_rules import Evidence, Observed, Surroundings, draft_rules

_EPHEMERAL = 32768
_FEW = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What a suggestion is to cover.

    Attributes:
        directions: sides to write.
        namespaces: of the subjects; empty for all that were seen.
        workloads: names of subjects as ``group`` gives them; empty for all.
        include_denied: treat denied flows as wanted.
        l7: write HTTP rules where requests were seen.
    """

    directions: frozenset[Direction] = frozenset(Direction)
    namespaces: frozenset[str] = frozenset()
    workloads: frozenset[str] = frozenset()
    include_denied: bool = False
    l7: bool = False


@dataclass(slots=True)
class Draft:
    """One suggested policy.

    Attributes:
        policy: the object.
        subject: group that it is for.
        evidence: what each rule rests on, by section and number of the rule.
    """

    policy: dict[str, Any]
    subject: str
    evidence: dict[tuple[str, int], Evidence] = field(default_factory=dict)


@dataclass(slots=True)
class Suggestion:
    """Drafts with their proof.

    Attributes:
        drafts: one per workload.
        allowed: connections that were seen and that the drafts allow.
        refused: connections that were seen and that they would not; a defect, empty otherwise.
        opened_unseen: pairs of identity and port that they open and that were never seen.
        notes: what was left out, and why.
        flows: flows looked at.
        first: time of the oldest flow.
        last: time of the newest flow.
        lost: events that Hubble lost meanwhile.
    """

    drafts: list[Draft] = field(default_factory=list)
    allowed: int = 0
    refused: list[Traffic] = field(default_factory=list)
    opened_unseen: int = 0
    notes: list[str] = field(default_factory=list)
    flows: int = 0
    first: str = ""
    last: str = ""
    lost: int = 0


def suggest(
    answers: Iterable[Answer], wish: Wish | None = None, *, live: Sequence[Peer] = (), settings: Settings | None = None
) -> Suggestion:
    """Draw policies from flows.

    Args:
        answers: what Hubble told.
        wish: what to cover.
        live: pods of the cluster beside those that flows show; selectors are chosen against them too.
        settings: of the cluster.
    """
    wish, settings = wish or Wish(), settings or Settings()
    collector = _Collector(wish, settings.cluster)
    for answer in answers:
        collector.add(answer)
    collector.drop_ephemeral()
    result = collector.result
    surroundings = Surroundings([*live, *collector.pods], settings)
    for (namespace, name), subjects in sorted(collector.subjects.items()):
        draft = _draft(namespace, name, list(subjects), collector, surroundings)
        if draft is not None:
            result.drafts.append(draft)
    _prove(result, collector, settings)
    result.notes += surroundings.notes
    return result


class _Collector:
    """Takes flows in and sorts them by subject."""

    def __init__(self, wish: Wish, cluster: str):
        self._wish = wish
        self._replay = Replay(cluster=cluster)
        self.result = Suggestion()
        self.seen: dict[Traffic, Evidence] = {}
        self.pods: dict[Peer, None] = {}
        self.subjects: dict[tuple[str, str], dict[Peer, None]] = {}

    def add(self, answer: Answer) -> None:
        if answer.lost_events is not None:
            self.result.lost += int(answer.lost_events.num_events_lost or 0)
        flow = answer.flow
        if flow is None:
            return
        self._count(flow)
        self._replay.learn(flow)
        traffic = self._replay.traffic(flow)
        if traffic is None:
            return
        for peer in (traffic.source, traffic.dest):
            if peer.is_pod:
                self.pods[peer] = None
        if self._is_wanted(flow):
            evidence = self.seen.get(traffic)
            if evidence is None:
                evidence = self.seen[traffic] = Evidence()
                self._subjects_of(traffic)
            evidence.add(flow.time)

    def _count(self, flow: Flow) -> None:
        result = self.result
        result.flows += 1
        result.first = min(result.first, flow.time) if result.first else flow.time
        result.last = max(result.last, flow.time)

    def _is_wanted(self, flow: Flow) -> bool:
        if flow.verdict in ("FORWARDED", "REDIRECTED", "AUDIT", "TRACED"):
            return True
        return self._wish.include_denied and flow.verdict == "DROPPED"

    def _subjects_of(self, traffic: Traffic) -> None:
        for direction, peer in ((Direction.EGRESS, traffic.source), (Direction.INGRESS, traffic.dest)):
            if peer.is_pod and direction in self._wish.directions and self._is_chosen(peer):
                self.subjects.setdefault((peer.set.namespace, subject_name(peer)), {})[peer] = None

    def _is_chosen(self, peer: Peer) -> bool:
        namespaces, workloads = self._wish.namespaces, self._wish.workloads
        return (not namespaces or peer.set.namespace in namespaces) and (not workloads or group(peer) in workloads)

    def drop_ephemeral(self) -> None:
        """Leave out high ports that were hardly used: most often they are replies of connections seen half."""
        dropped = [
            traffic
            for traffic, evidence in self.seen.items()
            if traffic.port >= _EPHEMERAL and not traffic.protocol.startswith("ICMP") and evidence.count < _FEW
        ]
        for traffic in dropped:
            del self.seen[traffic]
        if dropped:
            self.result.notes.append(
                f"{len(dropped)} connections to ports from {_EPHEMERAL} on, seen fewer than {_FEW} times, are left out"
            )

    def observed(self, subjects: Sequence[Peer], direction: Direction) -> list[Observed]:
        """Return what the subjects did or met in a direction."""
        if direction not in self._wish.directions:
            return []
        mine = set(subjects)
        found = []
        for traffic, evidence in self.seen.items():
            egress = direction is Direction.EGRESS
            subject, peer = (traffic.source, traffic.dest) if egress else (traffic.dest, traffic.source)
            if subject in mine:
                found.append(Observed(peer, traffic, evidence, with_l7=self._wish.l7))
        return found


def subject_name(peer: Peer) -> str:
    """Return what a workload is called: by its labels, else by its pod's name without the parts of its ReplicaSet."""
    return app_name(peer.set) or peer.name.rpartition("/")[2] or "pods"


def _draft(
    namespace: str, name: str, subjects: Sequence[Peer], collector: _Collector, surroundings: Surroundings
) -> Draft | None:
    choice = surroundings.choose(subjects)
    spec: dict[str, Any] = {"endpointSelector": {"matchLabels": dict(choice.labels)} if choice.labels else {}}
    draft = Draft({}, f"{namespace}/{name}")
    for direction in (Direction.INGRESS, Direction.EGRESS):
        rules = draft_rules(direction, namespace, collector.observed(subjects, direction), surroundings)
        if rules:
            spec[direction.value] = [rule for rule, _ in rules]
            for index, (_, evidence) in enumerate(rules):
                draft.evidence[direction.value, index] = evidence
    if len(spec) == 1:
        return None
    if not choice.exact:
        surroundings.notes.append(f"the selector of {namespace}/{name} also selects other pods of its namespace")
    draft.policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": f"{name}"[:63].strip("-."), "namespace": namespace},
        "spec": spec,
    }
    return draft


def _prove(result: Suggestion, collector: _Collector, settings: Settings) -> None:
    """Ask the engine: everything seen is allowed, and how much more is."""
    engine = Engine(compile_policies([draft.policy for draft in result.drafts], settings), settings)
    ports: dict[tuple[int, str], None] = {}
    for traffic in collector.seen:
        ports[traffic.port, traffic.protocol] = None
        if engine.verdict(traffic).decision in (Decision.DENY, Decision.L7_DENY):
            result.refused.append(traffic)
        else:
            result.allowed += 1
    seen = {(_identity(one.source), _identity(one.dest), one.port, one.protocol) for one in collector.seen}
    pods = list({_identity(peer): peer for peer in collector.pods}.values())[:200]
    for source in pods:
        for dest in pods:
            for port, protocol in ports:
                if (_identity(source), _identity(dest), port, protocol) in seen:
                    continue
                if _opens(engine, Traffic(source, dest, port, protocol)):
                    result.opened_unseen += 1


def _identity(peer: Peer) -> object:
    return peer.labels if peer.is_pod else (peer.labels, peer.ip)


def _opens(engine: Engine, traffic: Traffic) -> bool:
    """Whether a rule of the drafts lets it through; what nobody isolates is not the drafts' doing."""
    verdict = engine.verdict(traffic)
    sides = [side for side in (verdict.egress, verdict.ingress) if side is not None]
    return verdict.decision is Decision.ALLOW and any(side.reason in ("rule", "l7-rule") for side in sides)
