"""What a change would cut of what keeps a cluster, and its users, alive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.engine import Engine
from installer.domain.policy.explain import sentence
from installer.domain.policy.findings import Finding, Level
from installer.domain.policy.model import Decision, Peer, Traffic, entity
from installer.domain.policy.world import Pod, World

_SHOWN = 5
_NODE_PORTS = (
    ("world", 22, "TCP", "SSH to the node"),
    ("world", 6443, "TCP", "the Kubernetes API from outside"),
    ("remote-node", 6443, "TCP", "the Kubernetes API from other nodes"),
    ("remote-node", 10250, "TCP", "the kubelet (logs, exec, metrics)"),
    ("remote-node", 4240, "TCP", "Cilium's health checks between nodes"),
    ("remote-node", 8472, "UDP", "the VXLAN tunnel between nodes"),
    ("remote-node", 2379, "TCP", "etcd"),
    ("remote-node", 4244, "TCP", "Hubble's agents"),
)


@dataclass(frozen=True, slots=True)
class Need:
    """Traffic that something depends on.

    Attributes:
        code: of the finding when it is cut.
        what: for people.
        traffic: the connection.
        who: who needs it.
    """

    code: str
    what: str
    traffic: Traffic
    who: str


def lockouts(world: World, objects: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return what is allowed now and would be cut.

    Args:
        world: the cluster as it is.
        objects: all its policies as they would be.
    """
    before, after = world.engine(), world.engine(objects)
    cut: dict[tuple[str, str], list[tuple[Need, str]]] = {}
    for need in needs(world):
        if _is_cut(before, after, need.traffic):
            why = sentence(need.traffic, after.verdict(need.traffic))
            cut.setdefault((need.code, need.what), []).append((need, why))
    return [_finding(code, what, found) for (code, what), found in sorted(cut.items())]


def _is_cut(before: Engine, after: Engine, traffic: Traffic) -> bool:
    if after.verdict(traffic).decision is not Decision.DENY:
        return False
    return before.verdict(traffic).decision is not Decision.DENY


def _finding(code: str, what: str, found: Sequence[tuple[Need, str]]) -> Finding:
    names = list(dict.fromkeys(need.who for need, _ in found))
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return Finding(
        Level.WARNING,
        code,
        f"this would cut {what} for {shown}: {found[0][1]}",
        fix="Allow it in the same change, or be sure that it is meant.",
    )


def needs(world: World) -> Iterable[Need]:
    """Yield the traffic that a working cluster has, as far as its pods show it."""
    living = [pod for pod in world.pods if not pod.finished]
    resolvers = [pod.peer for pod in living if _is_resolver(pod)]
    api, host, remote = entity("kube-apiserver"), entity("host"), entity("remote-node")
    for pod in living:
        who = f"{pod.namespace}/{pod.name}"
        for resolver in resolvers[:1]:
            if pod.peer.labels != resolver.labels:
                yield Need("P-LOCK-001", "DNS", Traffic(pod.peer, resolver, 53, "UDP"), who)
        for port, kind in pod.probes:
            yield Need("P-LOCK-002", f"kubelet probes ({kind})", Traffic(host, pod.peer, port), who)
        if _uses_api(pod):
            yield Need("P-LOCK-003", "the Kubernetes API", Traffic(pod.peer, api, 6443), who)
        if _is_relay(pod):
            for node in (host, remote):
                yield Need("P-LOCK-004", "Hubble (Relay to the agents)", Traffic(pod.peer, node, 4244), who)
            yield Need("P-LOCK-004", "Hubble (port-forward to Relay)", Traffic(host, pod.peer, 4245), who)
    if world.settings.host_firewall:
        yield from _node_needs(host)


def _node_needs(host: Peer) -> Iterable[Need]:
    for name, port, protocol, what in _NODE_PORTS:
        yield Need("P-LOCK-005", what, Traffic(entity(name), host, port, protocol), "the nodes")
    yield Need("P-LOCK-005", "the node's own way out", Traffic(host, entity("world"), 443), "the nodes")


def _is_resolver(pod: Pod) -> bool:
    return "kube-dns" in pod.peer.set.values("k8s", "k8s-app")


def _is_relay(pod: Pod) -> bool:
    return "hubble-relay" in (
        *pod.peer.set.values("k8s", "k8s-app"),
        *pod.peer.set.values("k8s", "app.kubernetes.io/name"),
    )


def _uses_api(pod: Pod) -> bool:
    """Whether a pod is one of those that talk to the API: the cluster's own, and those with an account of their own."""
    accounts = pod.peer.set.values("k8s", "io.cilium.k8s.policy.serviceaccount")
    return pod.namespace == "kube-system" or any(account != "default" for account in accounts)
