"""The engine: policies in, verdicts out.

Rules are compiled once. Which rules select an identity, and which rules' peers it belongs to, is worked out once per
identity and kept as bits of integers, so that a new pair costs a few operations on those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from installer.domain.policy.compile_cilium import CiliumCompiler
from installer.domain.policy.compile_kubernetes import compile_cluster_network_policy, compile_network_policy
from installer.domain.policy.entry import Entry, Match, PeerRule, Policy, Requires, Rule, Tier
from installer.domain.policy.judge import Candidate, Isolation, judge
from installer.domain.policy.labels import Selector
from installer.domain.policy.model import Decision, Direction, Knowledge, Peer, Settings, Side, Traffic, Verdict
from installer.domain.policy.peer_index import PeerIndex

KINDS = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy", "ClusterNetworkPolicy")
_CACHE = 200_000


class _Indexed(NamedTuple):
    """An entry with the number of its peers in the index."""

    entry: Entry
    peers: int
    tier: Tier
    priority: int


@dataclass(frozen=True, slots=True)
class _Posture:
    """What applies to one subject in one direction."""

    entries: tuple[_Indexed, ...]
    isolation: Isolation
    selected: tuple[Rule, ...]


def compile_policies(
    objects: Iterable[Mapping[str, Any]], settings: Settings | None = None, knowledge: Knowledge | None = None
) -> list[Policy]:
    """Bring policy objects of every kind to the common form; objects of other kinds are left out.

    Args:
        objects: as the API returns them.
        settings: of the cluster; by default those of a new one.
        knowledge: Services and CIDR groups.
    """
    settings, knowledge = settings or Settings(), knowledge or Knowledge()
    cilium = CiliumCompiler(settings, knowledge)
    readers: dict[str, Callable[[Mapping[str, Any]], Policy]] = {
        "CiliumNetworkPolicy": cilium.compile,
        "CiliumClusterwideNetworkPolicy": cilium.compile,
        "NetworkPolicy": lambda raw: compile_network_policy(raw, settings),
        "ClusterNetworkPolicy": lambda raw: compile_cluster_network_policy(raw, settings),
    }
    return [readers[kind](raw) for raw in objects if (kind := str(raw.get("kind"))) in readers]


class Engine:
    """Judges connections under a set of policies.

    Args:
        policies: compiled; those with an error are ignored, as agents do.
        settings: of the cluster.
    """

    def __init__(self, policies: Sequence[Policy], settings: Settings | None = None):
        self.policies = tuple(policies)
        self.settings = settings or Settings()
        self._index = PeerIndex()
        self._rules = [self._number(rule) for policy in policies if not policy.error for rule in policy.rules]
        self._subjects = PeerIndex()
        self._by_subject: dict[int, list[int]] = {}
        for place, (rule, _) in enumerate(self._rules):
            self._by_subject.setdefault(self._subjects.add_subject(rule.subject), []).append(place)
        self._postures: dict[tuple[object, Direction], _Posture] = {}
        self._sides: dict[object, Side] = {}
        self._verdicts: dict[Traffic, Verdict] = {}

    def _number(self, rule: Rule) -> tuple[Rule, tuple[_Indexed, ...]]:
        entries = tuple(
            _Indexed(entry, self._index.add_peers(entry.peers), rule.tier, rule.priority) for entry in rule.entries
        )
        return rule, entries

    def verdict(self, traffic: Traffic) -> Verdict:
        """Judge a new connection, or a request on it."""
        found = self._verdicts.get(traffic)
        if found is None:
            if len(self._verdicts) >= _CACHE:
                self._verdicts.clear()
            found = self._verdicts[traffic] = self._decide(traffic)
        return found

    def _decide(self, traffic: Traffic) -> Verdict:
        source, dest = traffic.source, traffic.dest
        if source.name and source.name == dest.name and source.labels == dest.labels and source.is_pod:
            side = Side(Decision.ALLOW, "same-pod")  # hairpin traffic meets no policy (R25)
            return Verdict(Decision.ALLOW, side, side)
        egress = self.side(Direction.EGRESS, traffic) if self.has_policies(source) else None
        ingress = self.side(Direction.INGRESS, traffic) if self.has_policies(dest) else None
        return Verdict(_both(egress, ingress), egress, ingress)

    def has_policies(self, peer: Peer) -> bool:
        """Whether policies can apply to a peer: pods, Cilium's own endpoints, and nodes with the host firewall on."""
        labels = peer.set
        if labels.reserved("host"):
            return self.settings.host_firewall
        return bool(labels.namespace) or any(labels.reserved(name) for name in ("health", "ingress", "init"))

    def side(self, direction: Direction, traffic: Traffic) -> Side:
        """Judge one direction."""
        subject, peer = _ends(direction, traffic)
        key = (
            direction,
            self._subjects.key(subject),
            self._index.key(peer),
            traffic.protocol,
            traffic.port,
            traffic.l7,
            traffic.dest.ports,
        )
        found = self._sides.get(key)
        if found is None:
            if len(self._sides) >= _CACHE:
                self._sides.clear()
            found = self._sides[key] = self._judge(direction, traffic, subject, peer)
        return found

    def _judge(self, direction: Direction, traffic: Traffic, subject: Peer, peer: Peer) -> Side:
        if self.settings.enforcement == "never":
            return Side(Decision.ALLOW, "not-enforced")
        posture = self._posture(subject, direction)  # may number more peers, so it comes before the bits
        yes, maybe = self._index.bits(peer)
        candidates = [
            Candidate(item.entry, _and(peers, ports), item.tier, item.priority)
            for item in posture.entries
            if (peers := _bit(item.peers, yes, maybe)) is not False
            and (ports := item.entry.matches_port(traffic.protocol, traffic.port, traffic.dest)) is not False
        ]
        local = direction is Direction.INGRESS and self._is_local_host(subject, peer)
        if self.settings.enforcement == "always" and self.settings.version >= (1, 20):
            local = local and bool(posture.selected)  # 1.20 lets nodes in to pods with policies only (R23)
        return judge(candidates, posture.isolation, traffic, self.settings, local_host=local)

    def _is_local_host(self, subject: Peer, peer: Peer) -> bool:
        """Whether the rule for the local host applies (R23)."""
        allowed = self.settings.allow_localhost in ("auto", "always")
        return allowed and peer.set.reserved("host") and not subject.set.reserved("host")

    def selected(self, subject: Peer, direction: Direction) -> tuple[Rule, ...]:
        """Return the rules that speak of a subject in a direction."""
        return self._posture(subject, direction).selected

    def isolated(self, subject: Peer, direction: Direction) -> bool | None:
        """Whether a subject is in default deny in a direction; None: not known."""
        return self._posture(subject, direction).isolation.on

    def _posture(self, subject: Peer, direction: Direction) -> _Posture:
        key = (self._subjects.key(subject), direction)
        found = self._postures.get(key)
        if found is None:
            found = self._postures[key] = self._make_posture(subject, direction)
        return found

    def _make_posture(self, subject: Peer, direction: Direction) -> _Posture:
        yes, maybe = self._subjects.bits(subject)
        chosen: list[tuple[Match, Rule, tuple[_Indexed, ...]]] = []
        hits: dict[int, Match] = {
            place: True if yes >> number & 1 else None
            for number in _numbers(yes | maybe)
            for place in self._by_subject[number]
        }
        for place in sorted(hits):  # in the order of the policies
            rule, entries = self._rules[place]
            if direction in rule.speaks or any(item.entry.direction is direction for item in entries):
                chosen.append((hits[place], rule, entries))
        isolation = self._isolation(subject, direction, [(hit, rule) for hit, rule, _ in chosen])
        found = [item for _, _, entries in chosen for item in entries if item.entry.direction is direction]
        asked = [one for _, rule, _ in chosen for one in rule.requires if one.direction is direction]
        if asked:
            found = [self._asked(item, asked) for item in found]
        return _Posture(tuple(found), isolation, tuple(rule for _, rule, _ in chosen))

    def _asked(self, item: _Indexed, asked: Sequence[Requires]) -> _Indexed:
        """Return an entry with what other rules for the same subject ask of its peers (R33)."""
        selectors = tuple(one.selector for one in asked if one.action == item.entry.action)
        return item._replace(peers=self._index.add_peers(item.entry.peers, selectors))

    def _isolation(self, subject: Peer, direction: Direction, chosen: Sequence[tuple[Match, Rule]]) -> Isolation:
        labels = subject.set
        if self.settings.enforcement == "always" or labels.has_key("init"):  # source-blind in Cilium (R22)
            return Isolation(on=True)
        if labels.has_key("host") and not labels.reserved("host") and not self.settings.host_firewall:
            return Isolation(on=False, disabled=True)
        origins = tuple(rule.origin for hit, rule in chosen if hit and direction in rule.default_deny)
        unsure = tuple(rule.origin for hit, rule in chosen if hit is None)
        spoken = any(hit is not False and rule.tier is Tier.NORMAL for hit, rule in chosen)
        on: Match = True if origins else None if unsure else False
        return Isolation(on=on, origins=origins, spoken=spoken, unsure=unsure)


def _ends(direction: Direction, traffic: Traffic) -> tuple[Peer, Peer]:
    if direction is Direction.EGRESS:
        return traffic.source, traffic.dest
    return traffic.dest, traffic.source


def _numbers(bits: int) -> Iterator[int]:
    """Yield the places of the bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _bit(number: int, yes: int, maybe: int) -> Match:
    if yes >> number & 1:
        return True
    return None if maybe >> number & 1 else False


def _and(left: Match, right: Match) -> Match:
    return None if left is None or right is None else left and right


_WORST = (Decision.DENY, Decision.UNKNOWN, Decision.L7_DENY)


def _both(*sides: Side | None) -> Decision:
    """Join the sides: a drop on either decides, then what is not known, then a refusal by the proxy."""
    found = {side.decision for side in sides if side is not None}
    return next((decision for decision in _WORST if decision in found), Decision.ALLOW)


__all__ = ["KINDS", "Engine", "PeerRule", "Selector", "compile_policies"]
