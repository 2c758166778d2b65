"""Who answers DNS questions in a cluster."""

from __future__ import annotations

from installer.domain.policy.model import Peer, entity, pod
from installer.domain.policy.world import World

_APPS = ("kube-dns", "node-local-dns", "coredns")
_KEYS = ("k8s-app", "app.kubernetes.io/name")
USUAL = pod(
    "kube-system",
    {"k8s-app": "kube-dns"},
    namespace_labels={"kubernetes.io/metadata.name": "kube-system"},
    service_account="coredns",
)
"""What answers in nearly every cluster."""


def resolvers(world: World | None) -> list[tuple[Peer, int]]:
    """Return the peers that pods ask, each with the port that policy sees (R52).

    Args:
        world: the cluster; without it, or where none is recognised, what is usual.
    """
    if world is None:
        return [(USUAL, 53)]
    found = {one.peer.labels: one.peer for one in world.pods if not one.finished and answers_dns(one.peer)}
    port = _target_port(world)
    result = [(peer, port) for peer in found.values()]
    if any(_name(raw) == "kube-dns-upstream" for raw in world.services):
        result.append((entity("host"), 53))  # NodeLocal DNSCache in the node's network
    if not result and not any(one.namespace == "kube-system" for one in world.pods):
        result.append((USUAL, port))
    return result


def answers_dns(peer: Peer) -> bool:
    """Whether a pod is one of those that answer DNS, by its labels."""
    return any(value in _APPS for key in _KEYS for value in peer.set.values("k8s", key))


def _name(raw: object) -> str:
    metadata = raw.get("metadata") if hasattr(raw, "get") else None
    return str((metadata or {}).get("name") or "")


def _target_port(world: World) -> int:
    for raw in world.services:
        if _name(raw) in ("kube-dns", "dns-default", "coredns", "rke2-coredns-rke2-coredns"):
            for port in (raw.get("spec") or {}).get("ports") or ():
                target = port.get("targetPort")
                if port.get("port") == 53 and str(target).isdigit():
                    return int(target)
    return 53
