"""The smallest policy changes that would let a denied connection through."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.impact import app_name
from installer.domain.policy.model import Decision, Direction, HTTPRequest, Knowledge, Origin, Peer, Traffic
from installer.domain.policy.suggest_rules import Evidence, Observed, Surroundings, draft_rules, path_template

Raw = Mapping[str, Any]
CILIUM = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that helps.

    Attributes:
        title: what it does, one line.
        before: the object as it is; None for a new one.
        after: the object as it would be.
        opens: connections among the known peers that it would open beside the one wanted.
    """

    title: str
    before: Raw | None
    after: Raw
    opens: int = 0

    @property
    def name(self) -> str:
        """``kind namespace/name`` of the object."""
        metadata = self.after["metadata"]
        namespace = metadata.get("namespace")
        return f"{self.after['kind']} {namespace}/{metadata['name']}" if namespace else str(metadata["name"])


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
        self._peers = list(peers)
        self._knowledge = knowledge or Knowledge()

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
        unique = {repr(remedy.after): remedy for remedy in found}
        return sorted(unique.values(), key=lambda remedy: (remedy.opens, remedy.before is None, remedy.title))

    def _of_side(self, direction: Direction, traffic: Traffic) -> Iterable[Remedy]:
        side = self._engine.side(direction, traffic)
        candidates: Iterable[tuple[str, Raw | None, Raw]]
        if side.reason == "deny-rule":
            candidates = self._without_denies(direction, traffic, side.origins)
        else:
            candidates = self._wider(direction, traffic)
        for title, before, after in candidates:
            trial = self._with(before, after)
            if trial.side(direction, traffic).decision is Decision.ALLOW:
                yield Remedy(f"{direction}: {title}", before, after, self._opened(trial, traffic))

    def _with(self, before: Raw | None, after: Raw) -> Engine:
        kept = [item for item in self._objects if item is not before]
        settings = self._engine.settings
        return Engine(compile_policies([*kept, after], settings, self._knowledge), settings)

    def _opened(self, trial: Engine, wanted: Traffic) -> int:
        """Count what becomes allowed beside the connection wanted, on its port."""
        count = 0
        for source in self._peers:
            for dest in self._peers:
                other = Traffic(source, dest, wanted.port, wanted.protocol, wanted.l7)
                if (source.labels, dest.labels) == (wanted.source.labels, wanted.dest.labels):
                    continue
                if trial.verdict(other).decision is Decision.ALLOW:
                    count += self._engine.verdict(other).decision is not Decision.ALLOW
        return count

    def _without_denies(
        self, direction: Direction, traffic: Traffic, origins: Sequence[Origin]
    ) -> Iterable[tuple[str, Raw, Raw]]:
        if len({origin.object_name for origin in origins}) > 1:
            return  # several policies deny it: no single change helps
        for origin in origins[:1]:
            before = self._object(origin)
            if before is None:
                continue
            after: Raw = copy.deepcopy(dict(before))
            for path in sorted({one.path for one in origins}, key=_order, reverse=True):
                _remove(after, path[: _rule_length(path)])
            title = f"take the rule out of {origin.kind} {origin.object_name} that denies it"
            if self._with(before, after).side(direction, traffic).decision is not Decision.ALLOW:
                rules = self._rules(direction, *_ends(direction, traffic), traffic)
                after = self._one_more_rule(after, Origin("", "", "", _spec_of(origin.path)), direction, rules)[2]
                title += ", and add one that allows it"
            yield title, before, after

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


def _ends(direction: Direction, traffic: Traffic) -> tuple[Peer, Peer]:
    if direction is Direction.EGRESS:
        return traffic.source, traffic.dest
    return traffic.dest, traffic.source


def _spec_of(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return path[: _rule_length(path) - 2]


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
    """Take a rule out; a section that becomes empty goes too."""
    parent = _at(raw, path[:-1])
    del parent[path[-1]]
    if not parent:
        del _at(raw, path[:-2])[path[-2]]
