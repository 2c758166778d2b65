"""Who may reach the pods of a policy, and whom they may reach: the policy as three columns."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from installer.domain.policy.engine import Engine
from installer.domain.policy.entry import CIDR, FQDNs, Policy, PortRule
from installer.domain.policy.impact import group
from installer.domain.policy.model import Decision, Direction, Peer, Traffic, Verdict, address, entity
from installer.domain.policy.patterns import plain_name

ENTITIES = ("world", "host", "remote-node", "kube-apiserver", "ingress")
_OTHER = ("TCP", 7)
"""A port that policies hardly name: it stands for all that are not named."""
_PLACEHOLDER = "203.0.113.1"
_PORTS = 12
_SUBJECTS = 4


@dataclass(frozen=True, slots=True)
class Reach:
    """What one peer may do.

    Attributes:
        name: group of pods, entity, address or DNS name.
        word: ``allow``, ``some`` (on the ports named), ``deny`` or ``unknown``.
        ports: those that are open, such as ``80/TCP``; empty with ``allow`` for all.
        note: what else counts, such as ``L7 rules judge each request``.
    """

    name: str
    word: str
    ports: tuple[str, ...] = ()
    note: str = ""

    @property
    def is_open(self) -> bool:
        """Whether anything gets through."""
        return self.word in ("allow", "some")


@dataclass(slots=True)
class Effect:
    """A policy among all others.

    Attributes:
        subjects: selected groups of pods, with the number of pods of each.
        isolated: whether they are in default deny, by direction; None: not known.
        sources: who may reach them, open ones first.
        dests: whom they may reach, open ones first.
    """

    subjects: dict[str, int] = field(default_factory=dict)
    isolated: dict[Direction, bool | None] = field(default_factory=dict)
    sources: list[Reach] = field(default_factory=list)
    dests: list[Reach] = field(default_factory=list)


def effect(engine: Engine, policies: Sequence[Policy], peers: Iterable[Peer]) -> Effect:
    """Work out what some policies bring about, together with all others of the engine.

    Args:
        engine: over all policies, these included.
        policies: those whose pods are looked at.
        peers: the pods of the cluster.
    """
    groups: dict[str, Peer] = {}
    counts: dict[str, int] = {}
    chosen: dict[str, Peer] = {}
    for peer in peers:
        name = group(peer)
        groups.setdefault(name, peer)
        if any(rule.subject.matches(peer) for policy in policies for rule in policy.rules):
            chosen.setdefault(name, peer)
            counts[name] = counts.get(name, 0) + 1
    if any(rule.subject.node for policy in policies for rule in policy.rules):
        chosen["the nodes"] = entity("host")
        counts["the nodes"] = 1
    found = Effect(counts)
    subjects = list(chosen.values())[:_SUBJECTS]
    if subjects:
        found.isolated = {one: engine.isolated(subjects[0], one) for one in Direction}
        named = {**groups, **{name: entity(name) for name in ENTITIES}}
        ports = _ports(policies)
        found.sources = _reaches(
            engine, Direction.INGRESS, subjects, {**named, **_outside(policies, engine, Direction.INGRESS)}, ports
        )
        found.dests = _reaches(
            engine, Direction.EGRESS, subjects, {**named, **_outside(policies, engine, Direction.EGRESS)}, ports
        )
    return found


def _ports(policies: Sequence[Policy]) -> list[tuple[str, int]]:
    rules = [
        rule for policy in policies for spec in policy.rules for entry in spec.entries for rule in entry.ports or ()
    ]
    found = {(protocol, rule.first) for rule in rules if _names_ports(rule) for protocol in _protocols(rule)}
    return [*sorted(found, key=lambda port: (port[1], port[0]))[:_PORTS], _OTHER]


def _names_ports(rule: PortRule) -> bool:
    return not rule.name and rule.last - rule.first < 65535


def _protocols(rule: PortRule) -> tuple[str, ...]:
    return ("TCP", "UDP") if rule.protocol == "ANY" else (rule.protocol,)


def _outside(policies: Sequence[Policy], engine: Engine, direction: Direction) -> Mapping[str, Peer]:
    """Return a peer for each network and DNS name that rules of a direction speak of."""
    found: dict[str, Peer] = {}
    dual = engine.settings.dual_stack
    entries = [entry for policy in policies for rule in policy.rules for entry in rule.entries]
    for entry in entries:
        for peer in (entry.peers or ()) if entry.direction is direction else ():
            if isinstance(peer, CIDR):
                first = ipaddress.ip_network(str(peer.network), strict=False).network_address
                found[str(peer.network)] = address(str(first), frozenset(), dual_stack=dual)
            elif isinstance(peer, FQDNs):
                for rule in peer.rules:
                    name = rule.exact or rule.pattern
                    found[name] = address(
                        _PLACEHOLDER, frozenset((plain_name(name.replace("*", "any")),)), dual_stack=dual
                    )
    return found


def _reaches(
    engine: Engine,
    direction: Direction,
    subjects: Sequence[Peer],
    peers: Mapping[str, Peer],
    ports: Sequence[tuple[str, int]],
) -> list[Reach]:
    own = {one.labels for one in subjects}
    found = [
        _reach(engine, direction, subjects, (name, peer), ports)
        for name, peer in peers.items()
        if len(subjects) > 1 or peer.labels not in own
    ]
    rank = {"allow": 0, "some": 1, "unknown": 2, "deny": 3}
    return sorted(found, key=lambda one: (rank[one.word], one.name))


def _reach(
    engine: Engine,
    direction: Direction,
    subjects: Sequence[Peer],
    peer: tuple[str, Peer],
    ports: Sequence[tuple[str, int]],
) -> Reach:
    allowed: list[str] = []
    missing: dict[str, None] = {}
    other_side = l7 = False
    for protocol, port in ports:
        for subject in subjects:
            ends = (peer[1], subject) if direction is Direction.INGRESS else (subject, peer[1])
            verdict = engine.verdict(Traffic(*ends, port, protocol))
            if verdict.decision is Decision.ALLOW:
                allowed.append("*" if (protocol, port) == _OTHER else f"{port}/{protocol}")
                l7 = l7 or _is_redirected(verdict)
                break
            if verdict.decision is Decision.UNKNOWN:
                missing |= dict.fromkeys(_missing(verdict))
            other_side = other_side or _denied_there(verdict, direction)
    note = "L7 rules judge each request" if l7 else ""
    if "*" in allowed:
        whole = len(allowed) == len(ports)
        return Reach(peer[0], "allow" if whole else "some", () if whole else tuple(allowed), note)
    if allowed:
        return Reach(peer[0], "some", tuple(allowed), note)
    if missing:
        return Reach(peer[0], "unknown", (), "; ".join(missing))
    side = "their egress denies it" if direction is Direction.INGRESS else "their ingress denies it"
    return Reach(peer[0], "deny", (), side if other_side else "")


def _missing(verdict: Verdict) -> tuple[str, ...]:
    sides = [side for side in (verdict.egress, verdict.ingress) if side is not None]
    return tuple(what for side in sides for what in side.missing) or ("it depends on what is not known here",)


def _is_redirected(verdict: Verdict) -> bool:
    return any(side.redirected for side in (verdict.egress, verdict.ingress) if side is not None)


def _denied_there(verdict: Verdict, direction: Direction) -> bool:
    """Whether only the peer's own side denies."""
    here, there = (
        (verdict.ingress, verdict.egress) if direction is Direction.INGRESS else (verdict.egress, verdict.ingress)
    )
    lets = here is None or here.decision is Decision.ALLOW
    return lets and there is not None and there.decision is Decision.DENY
