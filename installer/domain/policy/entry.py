"""The one form that every policy of every kind is brought to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from enum import IntEnum

from installer.domain.policy.l7 import L7Rules, NameRule
from installer.domain.policy.labels import Selector
from installer.domain.policy.model import EXTENDED, Direction, Origin, Peer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Match = bool | None
"""True, False, or None: not known."""


class Tier(IntEnum):
    """Order in which policies are asked (R70)."""

    ADMIN = 0
    NORMAL = 1
    BASELINE = 2


@dataclass(frozen=True, slots=True)
class CIDR:
    """An address range with holes; it never means pods, nodes or services (R39).

    Attributes:
        network: the range.
        excepts: ranges cut out of it.
        nodes: also matches nodes (``policy-cidr-match-mode``).
        pods: also matches pods.
    """

    network: Network
    excepts: tuple[Network, ...] = ()
    nodes: bool = False
    pods: bool = False

    def matches(self, peer: Peer) -> Match:
        """Tell whether a peer is in it."""
        labels = peer.set
        node = self.nodes and (labels.reserved("remote-node") or labels.reserved("host"))
        if not (labels.is_world or node or (self.pods and peer.is_pod)):
            return False
        if not peer.ip:
            return None
        at = ipaddress.ip_address(peer.ip)
        return self._inside(at, self.network) and not any(self._inside(at, hole) for hole in self.excepts)

    @staticmethod
    def _inside(at: ipaddress.IPv4Address | ipaddress.IPv6Address, network: Network) -> bool:
        return at.version == network.version and at in network


@dataclass(frozen=True, slots=True)
class Labelled:
    """Peers by label selector."""

    selector: Selector

    def matches(self, peer: Peer) -> Match:
        """Tell whether a peer is selected."""
        return self.selector.matches(peer.set)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by node label.

    Attributes:
        selector: over node labels, keys without source.
        remote_only: never the local host (fromNodes and toNodes, R47).
    """

    selector: Selector
    remote_only: bool = False

    def matches(self, peer: Peer) -> Match:
        """Tell whether a peer is such a node."""
        labels = peer.set
        if not (labels.reserved("remote-node") or (labels.reserved("host") and not self.remote_only)):
            return False
        if not self.selector.requirements:
            return True
        if peer.node_labels is None:
            return None
        own = dict(peer.node_labels)
        return all(_node_meets(item.operator, item.values, own.get(item.key)) for item in self.selector.requirements)


def _node_meets(operator: str, values: frozenset[str], value: str | None) -> bool:
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    return (value in values) == (operator == "In")


@dataclass(frozen=True, slots=True)
class Entity:
    """A reserved entity by name (R35)."""

    name: str
    cluster: str = "default"

    def matches(self, peer: Peer) -> Match:
        """Tell whether a peer belongs to it."""
        labels = peer.set
        if self.name == "all":
            return True
        if self.name == "none":
            return False
        if self.name == "world":
            return labels.is_world
        if self.name in ("cluster", "cluster-mesh"):
            if any(labels.reserved(name) for name in _CLUSTER_ENTITIES):
                return True
            return peer.is_pod and (self.name == "cluster-mesh" or labels.cluster in ("", self.cluster))
        return labels.reserved(self.name)


_CLUSTER_ENTITIES = ("host", "remote-node", "init", "ingress", "health", "unmanaged", "kube-apiserver")


@dataclass(frozen=True, slots=True)
class FQDNs:
    """Addresses that a DNS answer held for one of the names (R45, R46)."""

    rules: tuple[NameRule, ...]

    def matches(self, peer: Peer) -> Match:
        """Tell whether a peer's address was learned for such a name."""
        if not peer.set.is_world:
            return False
        if peer.names is None:
            return None
        return any(rule.matches(name) for rule in self.rules for name in peer.names)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Peers that only the cluster or a cloud can tell; pods and nodes are never among them.

    Attributes:
        what: what would have to be known.
        anyone: whether even that is not sure (Services not looked at).
    """

    what: str
    anyone: bool = False

    def matches(self, peer: Peer) -> Match:
        """Tell that it is not known."""
        return None if self.anyone or peer.set.is_world else False


PeerRule = CIDR | Labelled | Nodes | Entity | FQDNs | Unresolved


@dataclass(frozen=True, slots=True)
class PortRule:
    """Ports of one protocol.

    Attributes:
        protocol: as in ``Traffic``, or ``ANY`` for TCP, UDP and SCTP.
        first: first port (ICMP: the type); 0 with ``last`` 65535 for all.
        last: last port.
        name: named port, resolved on the destination (R51).
    """

    protocol: str
    first: int = 0
    last: int = 65535
    name: str = ""

    def matches(self, protocol: str, port: int, dest: Peer) -> Match:
        """Tell whether a destination port is meant."""
        if self.protocol == "ANY":
            if protocol not in ("TCP", "UDP", "SCTP"):
                return False
        elif self.protocol != protocol:
            return False
        if not self.name:
            return protocol in EXTENDED or self.first <= port <= self.last
        if dest.ports is None:
            return None if dest.is_pod else False
        return any(
            name.lower() == self.name and number == port and of in ("", protocol) for name, number, of in dest.ports
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule in the common form.

    Attributes:
        direction: of the subject's traffic.
        action: ``allow``, ``deny`` or ``pass``.
        peers: alternatives; None: anyone; empty: nobody.
        ports: alternatives; None: every port and protocol; empty: none.
        l7: what requests have to meet; None: nothing.
        authentication: ``""``, ``disabled``, ``required`` or ``test-always-fail``.
        origin: where it stands.
    """

    direction: Direction
    action: str
    peers: tuple[PeerRule, ...] | None
    ports: tuple[PortRule, ...] | None
    l7: L7Rules | None
    origin: Origin
    authentication: str = ""

    def matches_port(self, protocol: str, port: int, dest: Peer) -> Match:
        """Tell whether it speaks of a port."""
        if self.ports is None:
            return True
        maybe: Match = False
        for rule in self.ports:
            hit = rule.matches(protocol, port, dest)
            if hit:
                return True
            maybe = None if hit is None else maybe
        return maybe

    def matches_peer(self, peer: Peer) -> Match:
        """Tell whether it speaks of a peer."""
        return True if self.peers is None else any_peer(self.peers, peer)


def any_peer(peers: tuple[PeerRule, ...], peer: Peer) -> Match:
    """Tell whether a peer is one of several alternatives."""
    maybe: Match = False
    for rule in peers:
        hit = rule.matches(peer)
        if hit:
            return True
        maybe = None if hit is None else maybe
    return maybe


@dataclass(frozen=True, slots=True)
class Requires:
    """Conditions on the labels of all peers that rules for the same subject name by label (R33).

    Attributes:
        direction: of the rules meant.
        action: of the rules meant.
        selector: what peers have to meet beside.
    """

    direction: Direction
    action: str
    selector: Selector


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a policy applies to.

    Attributes:
        selector: over identity labels, or over node labels with ``node``.
        node: the host of nodes instead of pods.
    """

    selector: Selector
    node: bool = False

    def matches(self, peer: Peer) -> Match:
        """Tell whether a peer is selected."""
        if self.node:
            return Nodes(self.selector).matches(peer) if peer.set.reserved("host") else False
        return not peer.set.reserved("host") and self.selector.matches(peer.set)


@dataclass(frozen=True, slots=True)
class Rule:
    """One spec of a policy: a subject with its entries.

    Attributes:
        subject: whom it applies to.
        tier: when it is asked.
        priority: lower first, only in the outer tiers.
        requires: what it asks of peers of every rule for its subjects.
        entries: in the object's order.
        default_deny: directions in which it isolates its subjects (R16, R17).
        speaks: directions in which it has a section, isolating or not.
        origin: where the spec stands.
    """

    subject: Subject
    origin: Origin
    entries: tuple[Entry, ...] = ()
    default_deny: frozenset[Direction] = frozenset()
    speaks: frozenset[Direction] = frozenset()
    tier: Tier = Tier.NORMAL
    priority: int = 0
    requires: tuple[Requires, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One object.

    Attributes:
        origin: its name; path empty.
        rules: its specs.
        error: why agents ignore it as a whole, empty when they do not.
    """

    origin: Origin
    rules: tuple[Rule, ...] = ()
    error: str = field(default="")
