"""Whether one rule's peers, ports or subject hold all of another's, judged by their form alone."""

from __future__ import annotations

from collections.abc import Sequence

from installer.domain.policy import labels as lb
from installer.domain.policy.entry import CIDR, Entity, FQDNs, Labelled, PeerRule, PortRule, Subject
from installer.domain.policy.labels import Selector

Peers = tuple[PeerRule, ...] | None
Ports = tuple[PortRule, ...] | None
_L4 = ("TCP", "UDP", "SCTP")


def peers_cover(outer: Peers, inner: Peers) -> bool:
    """Whether everyone in ``inner`` is surely in ``outer``; nobody is in an empty list."""
    if outer is None:
        return True
    if not outer or not inner:
        return inner == ()
    return all(any(_covers(big, small) for big in outer) for small in inner)


def _covers(big: PeerRule, small: PeerRule) -> bool:
    if big == small:
        return True
    if isinstance(big, Entity):
        return _entity_covers(big, small)
    if isinstance(big, Labelled) and isinstance(small, Labelled):
        return selector_covers(big.selector, small.selector)
    if isinstance(big, CIDR) and isinstance(small, CIDR):
        same = big.network.version == small.network.version and (big.nodes, big.pods) == (small.nodes, small.pods)
        return same and not big.excepts and small.network.subnet_of(big.network)  # type: ignore[arg-type]  # versions are equal
    return False


def _entity_covers(big: Entity, small: PeerRule) -> bool:
    if big.name == "all":
        return True
    if big.name == "world":
        return isinstance(small, FQDNs) or (isinstance(small, CIDR) and not small.nodes and not small.pods)
    if big.name in ("cluster", "cluster-mesh") and isinstance(small, Labelled):
        wanted = small.selector.requirements
        local = any(one.key == lb.CLUSTER and one.values == {big.cluster} for one in wanted if one.operator == "In")
        inside = any(one.key == lb.NAMESPACE and one.operator in ("In", "Exists") for one in wanted)
        return inside and (local or big.name == "cluster-mesh")
    return False


def selector_covers(outer: Selector, inner: Selector) -> bool:
    """Whether every label set that meets ``inner`` meets ``outer``."""
    return set(outer.requirements) <= set(inner.requirements)


def subject_covers(outer: Subject, inner: Subject) -> bool:
    """Whether everyone that ``inner`` selects is selected by ``outer``."""
    return outer.node == inner.node and selector_covers(outer.selector, inner.selector)


def ports_cover(outer: Ports, inner: Ports) -> bool:
    """Whether every port of ``inner`` is in ``outer``."""
    if outer is None:
        return True
    return inner is not None and all(any(_port_covers(big, small) for big in outer) for small in inner)


def _port_covers(big: PortRule, small: PortRule) -> bool:
    if big == small:
        return True
    if big.name or small.name:
        return False
    same = big.protocol == small.protocol or (big.protocol == "ANY" and small.protocol in _L4)
    return same and big.first <= small.first and small.last <= big.last


def ports_meet(one: Ports, other: Ports) -> bool:
    """Whether some port is surely in both."""
    if one is None or other is None:
        return one != () and other != ()
    return any(_port_meets(left, right) for left in one for right in other)


def _port_meets(left: PortRule, right: PortRule) -> bool:
    protocols = ({*_L4} if one.protocol == "ANY" else {one.protocol} for one in (left, right))
    first, second = protocols
    if not first & second:
        return False
    if left.name or right.name:
        return left.name == right.name
    return left.first <= right.last and right.first <= left.last


def is_wide(peers: Peers) -> bool:
    """Whether peers are whole namespaces, the cluster, or everyone."""
    return peers is None or any(_is_wide(peer) for peer in peers)


def _is_wide(peer: PeerRule) -> bool:
    if isinstance(peer, Entity):
        return peer.name in ("all", "cluster", "cluster-mesh")
    if not isinstance(peer, Labelled):
        return False
    keys: Sequence[str] = [one.key for one in peer.selector.requirements]
    return all(key in (lb.NAMESPACE, lb.CLUSTER) for key in keys)
