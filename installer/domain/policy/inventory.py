"""The policies of a cluster as a list for people, and the workloads that no policy isolates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from installer.domain.flows.flow import Flow
from installer.domain.flows.flow import Policy as FlowPolicy
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.entry import Policy
from installer.domain.policy.impact import group
from installer.domain.policy.merge import owners
from installer.domain.policy.model import Direction
from installer.domain.policy.sanitize import sanitize
from installer.domain.policy.world import Pod, World, key_of

Raw = Mapping[str, Any]
Key = tuple[str, str, str]
SHORT = {
    "CiliumNetworkPolicy": "cnp",
    "CiliumClusterwideNetworkPolicy": "ccnp",
    "NetworkPolicy": "netpol",
    "ClusterNetworkPolicy": "kcnp",
}
"""What kinds are called for short."""


@dataclass(frozen=True, slots=True)
class Item:
    """One policy.

    Attributes:
        key: kind, namespace and name.
        isolates: directions in which it isolates the pods it selects.
        pods: how many it selects.
        problem: why agents ignore it, empty when they do not.
        owners: who else writes it.
    """

    key: Key
    isolates: tuple[Direction, ...] = ()
    pods: int = 0
    problem: str = ""
    owners: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """What it does, in a few words."""
        if self.problem:
            return "ignored by agents"
        if not self.isolates:
            return "isolates nobody"
        return f"isolates {'+'.join(self.isolates)}"


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods of one workload that are open in some direction, or whose denials are only reported.

    Attributes:
        namespace: its namespace.
        name: group's name without the namespace.
        pods: how many.
        open: directions in which no policy isolates them.
        audit: directions in audit mode: what policies deny is reported and let through.
    """

    namespace: str
    name: str
    pods: int
    open: tuple[Direction, ...]
    audit: tuple[Direction, ...] = ()


class Inventory:
    """Describes policies; what did not change since the last time is not looked at again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Raw, int, Item]] = {}

    def items(self, world: World) -> list[Item]:
        """Return every policy, sorted by namespace, kind and name; clusterwide ones first."""
        cast = hash((world.pods, world.settings))
        known, self._known = self._known, {}
        for raw in world.objects:
            found = known.get(id(raw))
            fresh = found is not None and found[0] is raw and found[1] == cast
            self._known[id(raw)] = found if fresh and found else (raw, cast, _item(raw, world))
        return sorted((one for _, _, one in self._known.values()), key=lambda one: (one.key[1], one.key[0], one.key[2]))


def _item(raw: Raw, world: World) -> Item:
    key = key_of(raw)
    (policy,) = compile_policies([raw], world.settings, world.knowledge)
    problems = sanitize(raw, world.settings) if key[0].startswith("Cilium") else []
    problem = problems[0].text if problems else policy.error or refused(raw)
    isolates = {direction for rule in policy.rules for direction in rule.default_deny}
    return Item(
        key,
        tuple(one for one in Direction if one in isolates),
        selected(policy, world),
        problem,
        tuple(str(one) for one in owners(raw)),
    )


def selected(policy: Policy, world: World) -> int:
    """Return how many pods a policy selects."""
    return sum(any(rule.subject.matches(peer) for rule in policy.rules) for peer in world.peers)


def refused(raw: Raw) -> str:
    """Return why the cluster's agents refuse an object, by its own condition; empty when they do not."""
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Valid" and condition.get("status") == "False":
            return str(condition.get("message") or "agents refuse it")
    return ""


def unprotected(world: World, engine: Engine) -> list[Workload]:
    """Return workloads that are open or in audit mode in some direction, by namespace, the most open ones first."""
    pods: dict[str, list[Pod]] = {}
    for pod in world.pods:
        if not pod.finished:
            pods.setdefault(group(pod.peer), []).append(pod)
    found = []
    for name, members in pods.items():
        ways = tuple(one for one in Direction if engine.isolated(members[0].peer, one) is False)
        audited = {way for pod in members for way in pod.audit}
        audit = tuple(one for one in Direction if one in audited and one not in ways)
        if ways or audit:
            namespace, _, rest = name.partition("/")
            found.append(Workload(namespace, rest, len(members), ways, audit))
    return sorted(found, key=lambda one: (one.namespace, -len(one.open), one.name))


class Hits:
    """Counts flows by the policy that decided them, as Hubble tells it."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], dict[str, int]] = {}

    def add(self, flows: Iterable[Flow]) -> None:
        """Count more flows."""
        for flow in flows:
            lists = (flow.ingress_allowed_by, flow.egress_allowed_by, flow.ingress_denied_by, flow.egress_denied_by)
            for one in {
                (one.namespace, one.name, one.kind) for policies in lists for one in policies if _is_named(one)
            }:
                kinds = self._counts.setdefault(one[:2], {})
                kinds[one[2]] = kinds.get(one[2], 0) + 1

    def of(self, key: Key) -> int:
        """Return the hits of a policy; flows that do not tell a kind count for every kind of that name."""
        kinds = self._counts.get(key[1:], {})
        return kinds.get(key[0], 0) + kinds.get("", 0)


def _is_named(policy: FlowPolicy) -> bool:
    return bool(policy.name)
