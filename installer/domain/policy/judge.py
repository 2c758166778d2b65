"""One direction's answer from the rules that speak of the traffic (R16 to R34, R57)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from installer.domain.policy.entry import Entity, Entry, Match, Tier, Unresolved
from installer.domain.policy.model import Decision, Origin, Settings, Side, Traffic


class Candidate(NamedTuple):
    """An entry that speaks of the traffic, for sure (True) or perhaps (None)."""

    entry: Entry
    match: Match
    tier: Tier
    priority: int


@dataclass(frozen=True, slots=True)
class Isolation:
    """Posture of a subject in a direction.

    Attributes:
        on: whether what no rule allows is dropped; None: not known.
        origins: rules that isolate it.
        spoken: whether any rule selects it, isolating or not.
        unsure: rules of which it is not known whether they select it.
        disabled: policies do not apply to it at all.
    """

    on: Match
    origins: tuple[Origin, ...] = ()
    spoken: bool = False
    unsure: tuple[Origin, ...] = ()
    disabled: bool = False


def judge(
    candidates: Sequence[Candidate], isolation: Isolation, traffic: Traffic, settings: Settings, *, local_host: bool
) -> Side:
    """Judge one direction, tier by tier (R70).

    Args:
        candidates: entries whose peers and ports fit, or may fit.
        isolation: posture of the subject.
        traffic: what is asked.
        settings: of the cluster.
        local_host: the peer is the subject's own node, which is let in unless denied (R23).
    """
    if isolation.disabled:
        return Side(Decision.ALLOW, "not-enforced")
    answer = _ordered_tier([item for item in candidates if item.tier is Tier.ADMIN])
    if answer is not None:
        return answer
    normal = [item.entry for item in candidates if item.tier is Tier.NORMAL and item.match]
    perhaps = [item.entry for item in candidates if item.tier is Tier.NORMAL and item.match is None]
    answer = _normal_tier(normal, perhaps, traffic, settings, local_host=local_host, isolation=isolation)
    if answer is not None:
        return answer
    if isolation.spoken and isolation.on is False:  # rules that do not isolate end in an allow of all (R18)
        return Side(Decision.ALLOW, "default-deny-off")
    answer = _ordered_tier([item for item in candidates if item.tier is Tier.BASELINE])
    return answer or _by_posture(isolation)


def _ordered_tier(candidates: Sequence[Candidate]) -> Side | None:
    """Judge an outer tier: the first entry that fits decides, ``pass`` leaves it to the next tier."""
    for item in sorted(candidates, key=lambda one: one.priority):
        if item.match is None:
            return _unknown([item.entry])
        if item.entry.action == "pass":
            return None
        if item.entry.action == "deny":
            return Side(Decision.DENY, "deny-rule", (item.entry.origin,))
        return Side(Decision.ALLOW, "rule", (item.entry.origin,))
    return None


def _normal_tier(
    sure: Sequence[Entry],
    perhaps: Sequence[Entry],
    traffic: Traffic,
    settings: Settings,
    *,
    local_host: bool,
    isolation: Isolation,
) -> Side | None:
    denies = [entry for entry in sure if entry.action == "deny"]
    if denies:
        return Side(Decision.DENY, "deny-rule", _origins(denies))
    allowed = _allowed([entry for entry in sure if entry.action == "allow"], traffic, settings, isolation)
    if local_host and (isolation.on or allowed is not None):
        allowed = Side(Decision.ALLOW, "localhost", allowed.origins if allowed else isolation.origins)
    open_denies = [entry for entry in perhaps if entry.action == "deny"]
    if open_denies and (allowed is not None or isolation.on is not True):
        return _unknown(open_denies)
    open_allows = [entry for entry in perhaps if entry.action == "allow"]
    if open_allows and (allowed is None or allowed.decision is not Decision.ALLOW) and isolation.on is not False:
        return _unknown(open_allows)
    return allowed


def _allowed(entries: Sequence[Entry], traffic: Traffic, settings: Settings, isolation: Isolation) -> Side | None:
    """Judge the allows that fit: a plain one lets everything through, L7 ones ask for the request (R57)."""
    if not entries:
        return None
    guarded = _authenticated(entries)
    if guarded is not None:
        return guarded
    plain = [entry for entry in entries if entry.l7 is None]
    if plain:
        return Side(Decision.ALLOW, "rule", _origins(plain))
    if isolation.on is False and settings.version >= (1, 18):  # R19
        return Side(Decision.ALLOW, "default-deny-off", _origins(entries))
    return _by_requests(entries, traffic, settings)


def _authenticated(entries: Sequence[Entry]) -> Side | None:
    """Judge authentication: a mode counts where it is written, that of the more exact peers first (R65)."""
    told = [entry for entry in entries if entry.authentication]
    exact = [entry for entry in told if not _means_everyone(entry)] or told
    modes = {entry.authentication for entry in exact}
    if not modes or modes == {"disabled"}:
        return None
    if len(modes) > 1:
        return Side(Decision.UNKNOWN, "conflict", _origins(exact), ("two modes of authentication for the same peers",))
    if modes == {"test-always-fail"}:
        return Side(Decision.DENY, "authentication", _origins(exact))
    return Side(Decision.UNKNOWN, "missing", _origins(exact), ("whether mutual authentication succeeds",))


def _means_everyone(entry: Entry) -> bool:
    return entry.peers is None or any(isinstance(peer, Entity) and peer.name == "all" for peer in entry.peers)


def _by_requests(entries: Sequence[Entry], traffic: Traffic, settings: Settings) -> Side:
    origins = _origins(entries)
    kinds = {entry.l7.kind for entry in entries if entry.l7 is not None}
    if not settings.l7_proxy:
        return Side(Decision.UNKNOWN, "conflict", origins, ("L7 rules need the L7 proxy, which is off",))
    if len(kinds - {"sni", "listener"}) > 1:
        text = f"cannot merge conflicting L7 parsers ({'/'.join(sorted(kinds))})"
        return Side(Decision.UNKNOWN, "conflict", origins, (text,))
    if traffic.l7 is None:
        return Side(Decision.ALLOW, "l7-rule", origins, redirected=True)
    hits = [(entry, entry.l7.matches(traffic.l7)) for entry in entries if entry.l7 is not None]
    passed = [entry for entry, hit in hits if hit]
    if passed:
        return Side(Decision.ALLOW, "l7-rule", _origins(passed), redirected=True)
    unclear = [entry for entry, hit in hits if hit is None]
    if unclear:
        kind = unclear[0].l7.kind if unclear[0].l7 else ""
        return Side(Decision.UNKNOWN, "missing", _origins(unclear), (f"what the {kind} rule says of it",), True)
    return Side(Decision.L7_DENY, "l7-miss", origins, redirected=True)


def _by_posture(isolation: Isolation) -> Side:
    if isolation.on is None:
        return Side(Decision.UNKNOWN, "missing", isolation.unsure, ("labels of the node",))
    if isolation.on:
        return Side(Decision.DENY, "default-deny", isolation.origins)
    return Side(Decision.ALLOW, "no-policy")


def _unknown(entries: Sequence[Entry]) -> Side:
    missing: list[str] = []
    for entry in entries:
        named = [rule.what for rule in entry.peers or () if isinstance(rule, Unresolved)]
        missing += named or ["names, addresses, ports or node labels that its peers and ports depend on"]
    return Side(Decision.UNKNOWN, "missing", _origins(entries), tuple(dict.fromkeys(missing)))


def _origins(entries: Sequence[Entry]) -> tuple[Origin, ...]:
    return tuple(dict.fromkeys(entry.origin for entry in entries))
