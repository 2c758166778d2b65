"""What a change would cut that people need to see and mend it: the API server, DNS, probes, Hubble, the nodes, beeyard.

Only what works before the change and does not after it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.engine import Engine
from installer.domain.policy.explain import sentence
from installer.domain.policy.impact import group
from installer.domain.policy.labels import SERVICE_ACCOUNT
from installer.domain.policy.model import Decision, Origin, Peer, Traffic, Verdict, address, entity
from installer.domain.policy.resolvers import resolvers
from installer.domain.policy.world import Pod, World, with_changes

Raw = Mapping[str, Any]
API_PORTS = (6443, 443)
AGENT_PORT = 4244
"""Where agents serve Hubble to Relay."""
RELAY_PORT = 4245
_SYSTEM = ("kube-system", "cilium", "cilium-secrets", "kube-public")
_DENIED = (Decision.DENY, Decision.L7_DENY)
NODE_PORTS: tuple[tuple[int, str, str, str], ...] = (
    (6443, "TCP", "remote-node", "the API server"),
    (10250, "TCP", "remote-node", "kubelet"),
    (2379, "TCP", "remote-node", "etcd"),
    (4240, "TCP", "remote-node", "Cilium's health checks"),
    (8472, "UDP", "remote-node", "the tunnel between nodes"),
    (AGENT_PORT, "TCP", "remote-node", "Hubble's agents"),
    (22, "TCP", "world", "SSH"),
    (6443, "TCP", "world", "the API server from outside"),
)
"""What a node must let in: port, protocol, from whom, and what it is (R67)."""


@dataclass(frozen=True, slots=True)
class Danger:
    """One thing that a change would cut.

    Attributes:
        code: stable code: ``P-LOCK-001`` API server, 002 DNS, 003 probes, 004 Hubble, 005 beeyard, 006 a node's ports.
        text: one sentence that names who loses what.
        why: the rule that decides, as a sentence.
        origins: rules that decide.
        count: how many pods, or ports of nodes, are concerned.
    """

    code: str
    text: str
    why: str
    origins: tuple[Origin, ...]
    count: int


def dangers(world: World, changed: Iterable[Raw], removed: Iterable[Raw] = ()) -> list[Danger]:
    """Return what a change of policies would cut that keeps a cluster in hand.

    Args:
        world: the cluster as it is.
        changed: objects that are new or changed.
        removed: objects that go.
    """
    after = world.engine(with_changes(world.objects, changed, removed))
    return list(_Guard(world, world.engine(), after).dangers())


class _Guard:
    def __init__(self, world: World, before: Engine, after: Engine):
        self._world = world
        self._before = before
        self._after = after
        self._pods = list({pod.peer.labels: pod for pod in world.pods if not pod.finished}.values())

    def dangers(self) -> Iterator[Danger]:
        yield from self._api()
        yield from self._dns()
        yield from self._probes()
        yield from self._hubble()
        yield from self._beeyard()
        yield from self._nodes()

    def _cut(self, traffic: Traffic) -> Verdict | None:
        """Return the verdict after the change where it cuts what worked."""
        after = self._after.verdict(traffic)
        if after.decision in _DENIED and self._before.verdict(traffic).decision not in _DENIED:
            return after
        return None

    def _api(self) -> Iterator[Danger]:
        """Pods that talk to the API server, as their service account or namespace tells."""
        callers = [pod for pod in self._pods if _calls_the_api(pod)]
        yield from self._lost("P-LOCK-001", callers, "cannot reach the API server any more", self._to_api)

    def _to_api(self, pod: Pod) -> list[Traffic]:
        """The API server on a node, under the ports that it may have; one that works is enough."""
        return [Traffic(pod.peer, entity("kube-apiserver"), port) for port in API_PORTS]

    def _dns(self) -> Iterator[Danger]:
        asked = resolvers(self._world)
        if asked:
            yield from self._lost(
                "P-LOCK-002",
                self._pods,
                "cannot resolve names any more",
                lambda pod: [Traffic(pod.peer, peer, port, "UDP") for peer, port in asked],
            )

    def _probes(self) -> Iterator[Danger]:
        node = entity("host")
        cut: dict[tuple[str, ...], list[Traffic]] = {}
        for pod in self._pods:
            asked = [Traffic(node, pod.peer, port) for port, _ in pod.probes]
            cut[pod.peer.labels] = [one for one in asked if self._cut(one)][:1]
        pods = [pod for pod in self._pods if cut[pod.peer.labels]]
        text = "cannot be probed any more, so the kubelet restarts them"
        yield from self._lost("P-LOCK-003", pods, text, lambda pod: cut[pod.peer.labels])

    def _hubble(self) -> Iterator[Danger]:
        relays = [pod for pod in self._pods if _is(pod, "hubble-relay")]
        for where in ("host", "remote-node"):
            target = entity(where)
            text = f"cannot reach the agents on {'its own node' if where == 'host' else 'other nodes'}: flows stop"
            yield from self._lost(
                "P-LOCK-004",
                relays,
                text,
                lambda pod, to=target: [Traffic(pod.peer, to, AGENT_PORT)],
            )
        for ui in (pod for pod in self._pods if _is(pod, "hubble-ui")):
            for relay in relays[:1]:
                traffic = Traffic(ui.peer, relay.peer, RELAY_PORT)
                if self._cut(traffic):
                    yield self._danger("P-LOCK-004", f"{group(ui.peer)} cannot reach Hubble Relay any more", traffic, 1)

    def _beeyard(self) -> Iterator[Danger]:
        own = [pod for pod in self._pods if _is(pod, "beeyard")]
        yield from self._lost("P-LOCK-005", own, "(beeyard itself) cannot reach the API server any more", self._to_api)

    def _nodes(self) -> Iterator[Danger]:
        for labels in self._node_labels():
            yield from self._node(entity("host", node_labels=labels))

    def _node_labels(self) -> list[tuple[tuple[str, str], ...]]:
        """Return labels of nodes as the policies for nodes ask for them; no one tells the labels of real ones here."""
        found = [
            tuple(sorted((one.key, min(one.values, default="")) for one in rule.subject.selector.requirements))
            for policy in self._after.policies
            for rule in policy.rules
            if rule.subject.node
        ]
        return list(dict.fromkeys(found))

    def _node(self, node: Peer) -> Iterator[Danger]:
        for port, protocol, who, what in NODE_PORTS:
            source = entity(who) if who != "world" else _outside(self._world)
            traffic = Traffic(source, node, port, protocol)
            if self._cut(traffic):
                text = f"nodes would not let {who} in on port {port}/{protocol} any more: {what}"
                yield self._danger("P-LOCK-006", text, traffic, 1)
        for port in API_PORTS[:1]:
            traffic = Traffic(node, entity("kube-apiserver"), port)
            if self._cut(traffic):
                yield self._danger(
                    "P-LOCK-006", "nodes cannot reach the API server any more: they become NotReady", traffic, 1
                )

    def _lost(self, code: str, pods: Sequence[Pod], what: str, asks: Any) -> Iterator[Danger]:
        """Yield one danger for the pods that lose every one of some connections, by the rules that decide."""
        by_rules: dict[tuple[Origin, ...], list[tuple[Pod, Traffic]]] = {}
        for pod in pods:
            wanted: list[Traffic] = asks(pod)
            worked = [one for one in wanted if self._before.verdict(one).decision not in _DENIED]
            if worked and all(self._after.verdict(one).decision in _DENIED for one in wanted):
                side = self._after.verdict(worked[0]).deciding
                by_rules.setdefault(side.origins if side else (), []).append((pod, worked[0]))
        for found in by_rules.values():
            names = list(dict.fromkeys(group(pod.peer) for pod, _ in found))
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield self._danger(code, f"{', '.join(names[:3])}{more} {what}", found[0][1], len(found))

    def _danger(self, code: str, text: str, traffic: Traffic, count: int) -> Danger:
        verdict = self._after.verdict(traffic)
        side = verdict.deciding
        return Danger(code, text, sentence(traffic, verdict), side.origins if side else (), count)


def _calls_the_api(pod: Pod) -> bool:
    """Whether a pod most likely talks to the API server: one of the system's, or one with an account of its own."""
    accounts = pod.peer.set.values("k8s", SERVICE_ACCOUNT)
    return pod.namespace in _SYSTEM or pod.namespace.endswith("-system") or any(name != "default" for name in accounts)


def _is(pod: Pod, app: str) -> bool:
    labels = pod.peer.set
    return any(app in labels.values("k8s", key) for key in ("k8s-app", "app.kubernetes.io/name", "app"))


def _outside(world: World) -> Peer:
    return address("203.0.113.1", frozenset(), dual_stack=world.settings.dual_stack)
