"""Rules that void, deny, repeat or contradict each other, across all policies (R27, R57, R60)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from installer.domain.policy.entry import Entry, Policy, Rule, Tier
from installer.domain.policy.lint.covers import is_wide, peers_cover, ports_cover, ports_meet, subject_covers
from installer.domain.policy.lint.scene import Scene, Told, rule_path, same_object, told

_PARSERS = ("http", "dns", "kafka")


def meetings(scene: Scene) -> Iterable[Told]:
    """Compare each rule of the documents with every rule that applies to the same pods."""
    for document, policy, rule in scene.rules():
        if rule.tier is not Tier.NORMAL:
            continue
        near = list(_neighbours(scene, policy, rule))
        for entry in rule.entries:
            if entry.peers == () or entry.ports == ():
                continue
            for code, text, fix in _first_of_each(entry, rule, near):
                yield told(document, code, text, entry.origin.path, fix)


def _neighbours(scene: Scene, policy: Policy, rule: Rule) -> Iterator[tuple[Rule, bool]]:
    """Yield the rules that share subjects with one, and whether they select all of its subjects."""
    namespace = policy.origin.namespace
    for other in scene.after.policies:
        if other.error or (namespace and other.origin.namespace not in ("", namespace)):
            continue
        for one in other.rules:
            if one.tier is not Tier.NORMAL or one.subject.node != rule.subject.node:
                continue
            whole = subject_covers(one.subject, rule.subject)
            if whole or any(one.subject.matches(pod.peer) for pod in scene.subjects(rule)):
                yield one, whole


def _first_of_each(entry: Entry, rule: Rule, near: Iterable[tuple[Rule, bool]]) -> Iterator[tuple[str, str, str]]:
    """Yield what is to be said of a rule, each kind once."""
    seen: set[str] = set()
    for other_rule, whole in near:
        for other in other_rule.entries:
            if other is entry or other.direction is not entry.direction or other.peers == () or other.ports == ():
                continue
            found = _meeting(entry, other, whole=whole, same_spec=other_rule.origin == rule.origin)
            if found is not None and found[0] not in seen:
                seen.add(found[0])
                yield found


def _meeting(entry: Entry, other: Entry, *, whole: bool, same_spec: bool) -> tuple[str, str, str] | None:
    if entry.action != "allow":
        return None
    covered = peers_cover(other.peers, entry.peers)
    within = whole and covered and ports_cover(other.ports, entry.ports)
    if other.action == "deny":
        text = f"{other.origin} denies all of it, so it allows nothing"
        return ("P-LINT-081", text, "Narrow the deny, or take this rule out.") if within else None
    if other.action != "allow":
        return None
    related = covered or peers_cover(entry.peers, other.peers)
    if entry.l7 is not None:
        return _on_requests(entry, other) if related and ports_meet(entry.ports, other.ports) else None
    if within and other.l7 is None and _comes_second(entry, other):
        wide = same_spec and is_wide(other.peers) and not is_wide(entry.peers)
        if wide:
            return (
                "P-LINT-084",
                f"{other.origin} lets all these peers in anyway",
                "Take the wide rule out, or this one.",
            )
        if rule_path(entry.origin.path) == rule_path(other.origin.path) and same_object(entry.origin, other.origin):
            return None
        return "P-LINT-082", f"{other.origin} covers it", "It can go."
    return None


def _on_requests(entry: Entry, other: Entry) -> tuple[str, str, str] | None:
    assert entry.l7 is not None
    if other.l7 is None:
        if other.authentication not in ("", "disabled"):
            return None
        text = f"{other.origin} lets everything of the same peers and port past its {entry.l7.kind} rules"
        return "P-LINT-080", text, "Give that rule the same L7 rules, or other peers or ports."
    kinds = (entry.l7.kind, other.l7.kind)
    if kinds[0] != kinds[1] and all(kind in _PARSERS for kind in kinds):
        text = f"{kinds[0]} here and {kinds[1]} in {other.origin} meet on one port; agents cannot build that"
        return "P-LINT-083", text, "Keep one kind of L7 rules for each peer and port."
    return None


def _comes_second(entry: Entry, other: Entry) -> bool:
    """Whether of two rules that say the same this is the one to tell of; a wider one always stays."""
    same = peers_cover(entry.peers, other.peers) and ports_cover(entry.ports, other.ports)
    return not same or str(other.origin) < str(entry.origin)


CHECKS = (meetings,)
