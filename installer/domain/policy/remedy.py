"""The smallest policy changes that would let a denied connection through."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.entry import Entry, Policy, PortRule
from installer.domain.policy.impact import app_name
from installer.domain.policy.model import Decision, Direction, HTTPRequest, Knowledge, Origin, Peer, Traffic
from installer.domain.policy.suggest_rules import Evidence, Observed, Surroundings, draft_rules, path_template
from installer.domain.policy.world import is_refused, key_of

Raw = Mapping[str, Any]
Change = tuple[Raw | None, Raw]
"""An object as it is, None for a new one, and as it would be."""
CILIUM = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that helps.

    Attributes:
        title: what it does, one line.
        before: the object as it is; None for a new one.
        after: the object as it would be.
        opens: connections among the known peers that it would open beside the one wanted.
        rest: changes of further objects that belong to it: as they are, and as they would be.
    """

    title: str
    before: Raw | None
    after: Raw
    opens: int = 0
    rest: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        """``kind namespace/name`` of the object."""
        metadata = self.after["metadata"]
        namespace = metadata.get("namespace")
        return f"{self.after['kind']} {namespace}/{metadata['name']}" if namespace else str(metadata["name"])

    @property
    def addition(self) -> dict[str, Any]:
        """What it adds: the specification of a new policy, or by section the rules that were not there before."""
        after = self.after.get("spec") or {}
        if self.before is None:
            return dict(after)
        before = self.before.get("spec") or {}
        found = {}
        for section in ("ingress", "egress"):
            had = before.get(section) or []
            rules = [rule for rule in after.get(section) or [] if rule not in had]
            if rules:
                found[section] = rules
        return found


class Remedies:
    """Finds changes under a set of policies.

    Args:
        objects: the policies as applied.
        engine: over the same objects.
        peers: what else is known in the cluster, to count what a change opens.
        knowledge: Services and CIDR groups.
    """

    def __init__(
        self, objects: Sequence[Raw], engine: Engine, peers: Sequence[Peer] = (), knowledge: Knowledge | None = None
    ):
        self._objects = list(objects)
        self._engine = engine
        self._peers = list({peer.labels: peer for peer in peers}.values())
        self._knowledge = knowledge or Knowledge()
        self._compiled = {id(item): self._compile(item) for item in self._objects}

    def _compile(self, item: Raw) -> list[Policy]:
        """Return an object in the common form; nothing where agents refuse it."""
        settings = self._engine.settings
        return [] if is_refused(item, settings) else compile_policies([item], settings, self._knowledge)

    def find(self, traffic: Traffic) -> list[Remedy]:
        """Return the changes that let a connection through, the one that opens least first; none when it is allowed.

        A connection that both sides deny needs both mended: then each remedy is for one side and says so.
        """
        verdict = self._engine.verdict(traffic)
        denied = [
            direction
            for direction, side in ((Direction.EGRESS, verdict.egress), (Direction.INGRESS, verdict.ingress))
            if side is not None and side.decision in (Decision.DENY, Decision.L7_DENY)
        ]
        found = [remedy for direction in denied for remedy in self._of_side(direction, traffic)]
        unique = {repr((remedy.after, remedy.rest)): remedy for remedy in found}
        return sorted(unique.values(), key=lambda remedy: (remedy.opens, remedy.before is None, _size(remedy)))

    def _of_side(self, direction: Direction, traffic: Traffic) -> Iterable[Remedy]:
        side = self._engine.side(direction, traffic)
        if side.reason == "deny-rule":
            candidates = self._without_denies(direction, traffic, side.origins)
        else:
            candidates = ((title, [(before, after)]) for title, before, after in self._wider(direction, traffic))
        for title, changes in candidates:
            trial = self._with(changes)
            if trial.side(direction, traffic).decision is Decision.ALLOW:
                (before, after), *rest = changes
                yield Remedy(f"{direction}: {title}", before, after, self._opened(trial, traffic, changes), tuple(rest))

    def _with(self, changes: Sequence[Change]) -> Engine:
        replaced = {id(before) for before, _ in changes}
        kept = [one for item, found in self._compiled.items() if item not in replaced for one in found]
        changed = [one for _, after in changes for one in self._compile(after)]
        return Engine([*kept, *changed], self._engine.settings)

    def _opened(self, trial: Engine, wanted: Traffic, changes: Sequence[Change]) -> int:
        """Count what becomes allowed beside the connection wanted, on its port."""
        names = {key_of(after) for _, after in changes}
        touched = {peer.labels for peer in self._peers if self._is_touched(trial, peer, names)}
        count = 0
        for source, dest in product(self._peers, self._peers):
            same = (source.labels, dest.labels) == (wanted.source.labels, wanted.dest.labels)
            if same or not (source.labels in touched or dest.labels in touched):
                continue
            other = Traffic(source, dest, wanted.port, wanted.protocol, wanted.l7)
            if trial.verdict(other).decision is Decision.ALLOW:
                count += self._engine.verdict(other).decision is not Decision.ALLOW
        return count

    def _is_touched(self, trial: Engine, peer: Peer, names: set[tuple[str, str, str]]) -> bool:
        """Whether a changed object selects a peer, or did."""
        return any(
            (rule.origin.kind, rule.origin.namespace, rule.origin.name) in names
            for engine in (self._engine, trial)
            for direction in Direction
            for rule in engine.selected(peer, direction)
        )

    def _without_denies(
        self, direction: Direction, traffic: Traffic, origins: Sequence[Origin]
    ) -> Iterable[tuple[str, list[Change]]]:
        """Take the denying rules out of every policy that has some: only the peer or port where that is enough."""
        names = ", ".join(dict.fromkeys(f"{origin.kind} {origin.object_name}" for origin in origins))
        for narrow in (True, False):
            changes = self._less_denied(traffic, origins, narrow=narrow)
            if not changes:
                continue
            what = "the peer or port" if narrow else "the rule"
            title = f"take {what} out of {names} that denies it"
            if self._with(changes).side(direction, traffic).decision is not Decision.ALLOW:
                changes = self._allowed_too(direction, traffic, changes)
                title += ", and add a rule that allows it"
            yield title, changes

    def _less_denied(self, traffic: Traffic, origins: Sequence[Origin], *, narrow: bool) -> list[Change]:
        """Return the policies without their denies; empty where an object is not known or nothing can be narrowed."""
        changed: dict[int, tuple[Raw, dict[str, Any]]] = {}
        by_rule: dict[tuple[str, str, str, tuple[str | int, ...]], list[Origin]] = {}
        for origin in origins:
            path = origin.path[: _rule_length(origin.path)]
            by_rule.setdefault((origin.kind, origin.namespace, origin.name, path), []).append(origin)
        narrowed = False
        for (_, _, _, path), found in sorted(by_rule.items(), key=lambda one: _order(one[0][3]), reverse=True):
            before = self._object(found[0])
            if before is None:
                return []
            after = changed.setdefault(id(before), (before, copy.deepcopy(dict(before))))[1]
            if narrow and self._narrow(after, path, found, traffic):
                narrowed = True
            else:
                _remove(after, path)
        return list(changed.values()) if narrowed or not narrow else []

    def _narrow(
        self, after: dict[str, Any], path: tuple[str | int, ...], origins: Sequence[Origin], traffic: Traffic
    ) -> bool:
        """Take only the peers that fit out of a deny, or only the ports; False where nothing would be left."""
        direction = Direction.INGRESS if "ingress" in str(path[-2]) else Direction.EGRESS
        entries = [one for one in self._entries(direction, traffic) if one.origin in origins]
        item = _at(after, path)
        if not entries or not isinstance(item, dict):
            return False
        lists = [value for key, value in item.items() if key.startswith(("from", "to")) and key != "toPorts"]
        if len(lists) == 1 and _less_peers(lists[0], entries[0], _ends(direction, traffic)[1]):
            return True
        ported = [one for one in entries if one.origin.path[-2:-1] == ("toPorts",) and one.ports]
        return len(ported) == len(entries) and all(
            _less_ports(_at(after, one.origin.path), one.ports or (), traffic) for one in ported
        )

    def _entries(self, direction: Direction, traffic: Traffic) -> Iterable[Entry]:
        for rule in self._engine.selected(_ends(direction, traffic)[0], direction):
            yield from rule.entries

    def _allowed_too(self, direction: Direction, traffic: Traffic, changes: Sequence[Change]) -> list[Change]:
        """Add an allow to the first changed policy that can hold one, or a policy of its own."""
        subject, peer = _ends(direction, traffic)
        rules = self._rules(direction, subject, peer, traffic)
        found = list(changes)
        for index, (before, after) in enumerate(changes):
            if after.get("kind") in CILIUM and "spec" in after:
                found[index] = (before, self._one_more_rule(after, Origin("", "", "", ("spec",)), direction, rules)[2])
                return found
        return [*found, (None, self._new(direction, subject, rules))] if subject.is_pod else found

    def _wider(self, direction: Direction, traffic: Traffic) -> Iterable[tuple[str, Raw | None, Raw]]:
        subject, peer = _ends(direction, traffic)
        rules = self._rules(direction, subject, peer, traffic)
        for rule in self._engine.selected(subject, direction):
            before = self._object(rule.origin)
            if before is None or rule.origin.kind not in CILIUM:
                continue
            for entry in rule.entries:
                if entry.direction is direction and entry.action == "allow" and entry.matches_peer(peer):
                    yield from self._wider_port(before, entry.origin, traffic)
            if rules:
                yield self._one_more_rule(before, rule.origin, direction, rules)
        if rules and subject.is_pod:
            yield "write a new policy", None, self._new(direction, subject, rules)

    def _wider_port(self, before: Raw, origin: Origin, traffic: Traffic) -> Iterable[tuple[str, Raw, Raw]]:
        """Add the port, or the request, to a rule that names the peer already."""
        path = origin.path[: _rule_length(origin.path)]
        after = copy.deepcopy(dict(before))
        item = _at(after, path)
        ports = item.get("toPorts") if isinstance(item, dict) else None
        if not ports:
            return
        request = traffic.l7
        if isinstance(request, HTTPRequest) and len(origin.path) > len(path):
            rule = _at(after, origin.path)
            if (rule.get("rules") or {}).get("http"):
                rule["rules"]["http"].append({"method": request.method, "path": path_template(request.path)})
                yield f"admit {request.method} {request.path} in {origin.kind} {origin.object_name}", before, after
                return
        plain = [one for one in ports if not one.get("rules")]
        port = {"port": str(traffic.port), "protocol": traffic.protocol}
        if traffic.protocol.startswith("ICMP"):
            return
        if plain:
            plain[0].setdefault("ports", []).append(port)
        else:
            ports.append({"ports": [port]})
        yield f"add port {traffic.port}/{traffic.protocol} to {origin.kind} {origin.object_name}", before, after

    def _one_more_rule(
        self, before: Raw, origin: Origin, direction: Direction, rules: Sequence[Raw]
    ) -> tuple[str, Raw, Raw]:
        after = copy.deepcopy(dict(before))
        spec = _at(after, origin.path)
        spec[direction.value] = [*(spec.get(direction.value) or []), *rules]
        return f"add a rule to {origin.kind} {origin.object_name}", before, after

    def _rules(self, direction: Direction, subject: Peer, peer: Peer, traffic: Traffic) -> list[dict[str, Any]]:
        surroundings = Surroundings([*self._peers, subject, peer], self._engine.settings)
        observed = [Observed(peer, traffic, Evidence(), with_l7=traffic.l7 is not None)]
        return [rule for rule, _ in draft_rules(direction, subject.set.namespace, observed, surroundings)]

    def _new(self, direction: Direction, subject: Peer, rules: Sequence[Raw]) -> Raw:
        surroundings = Surroundings([*self._peers, subject], self._engine.settings)
        choice = surroundings.choose([subject])
        name = app_name(subject.set) or "pods"
        taken = {str((item.get("metadata") or {}).get("name")) for item in self._objects}
        base = f"allow-{direction.value}-{name}"[:60].strip("-.")
        while base in taken:
            base += "-x"
        return {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": base, "namespace": subject.set.namespace},
            "spec": {
                "endpointSelector": {"matchLabels": dict(choice.labels)} if choice.labels else {},
                direction.value: list(rules),
            },
        }

    def _object(self, origin: Origin) -> Raw | None:
        for item in self._objects:
            metadata = item.get("metadata") or {}
            namespace = metadata.get("namespace") or ("" if "Cluster" in str(item.get("kind")) else "default")
            if (item.get("kind"), namespace, metadata.get("name")) == (origin.kind, origin.namespace, origin.name):
                return item
        return None


def _less_peers(raw: list[Any], entry: Entry, peer: Peer) -> bool:
    """Take a peer out of a rule's list; False where the list does not tell it or nothing would be left."""
    if not entry.peers or len(raw) != len(entry.peers):
        return False
    left = [one for one, rule in zip(raw, entry.peers, strict=True) if rule.matches(peer) is False]
    if left:
        raw[:] = left
    return bool(left)


def _less_ports(raw: dict[str, Any], rules: Sequence[PortRule], traffic: Traffic) -> bool:
    """Take a port out of an item of toPorts; False where nothing would be left."""
    hits = [rule.matches(traffic.protocol, traffic.port, traffic.dest) for rule in rules]
    left = [one for one, hit in zip(raw["ports"], hits, strict=True) if hit is False]
    if left:
        raw["ports"][:] = left
    return bool(left)


def _size(remedy: Remedy) -> int:
    """Return how much changes, roughly."""
    changes = ((remedy.before, remedy.after), *remedy.rest)
    return sum(abs(len(repr(after)) - len(repr(before))) for before, after in changes)


def _ends(direction: Direction, traffic: Traffic) -> tuple[Peer, Peer]:
    if direction is Direction.EGRESS:
        return traffic.source, traffic.dest
    return traffic.dest, traffic.source


def _rule_length(path: Sequence[str | int]) -> int:
    """Return how much of a path leads to the rule: up to the index after its section."""
    for index, part in enumerate(path):
        if part in ("ingress", "egress", "ingressDeny", "egressDeny"):
            return index + 2
    return len(path)


def _order(path: Sequence[str | int]) -> tuple[tuple[int, int, str], ...]:
    return tuple((isinstance(part, str), part if isinstance(part, int) else 0, str(part)) for part in path)


def _at(raw: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _remove(raw: Any, path: Sequence[str | int]) -> None:
    """Take a rule out; a section that isolates goes on isolating when nothing is left in it."""
    spec, section = _at(raw, path[:-2]), path[-2]
    del spec[section][path[-1]]
    if spec[section]:
        return
    allows = str(section).removesuffix("Deny")
    if raw.get("kind") in CILIUM and section != allows and not spec.get(allows):
        spec[section] = [{}]
    else:
        del spec[section]
