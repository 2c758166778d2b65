"""What is asked of the engine and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from installer.domain.policy.labels import (
    CLUSTER,
    NAMESPACE,
    NAMESPACE_LABELS,
    SERVICE_ACCOUNT,
    LabelSet,
    is_identity_label,
    label_set,
)

PROTOCOLS = ("TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6")
EXTENDED = ("VRRP", "IGMP", "GRE", "IPIP", "IPV6", "ESP", "AH")


class Direction(StrEnum):
    """Side of a connection that a rule speaks of, seen from its subject."""

    INGRESS = "ingress"
    EGRESS = "egress"


class Decision(StrEnum):
    """Answer of the engine. ``UNKNOWN``: what was given does not decide it."""

    ALLOW = "allow"
    DENY = "deny"
    L7_DENY = "l7-deny"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a cluster that change verdicts (R71).

    Attributes:
        version: Cilium's major and minor.
        enforcement: ``default``, ``always`` or ``never``.
        allow_localhost: ``auto``, ``always`` or ``policy``.
        l7_proxy: whether L7 rules can be enforced.
        host_firewall: whether host policies count.
        cidr_match_mode: of ``nodes`` and ``pods``: what else CIDR rules match.
        node_selector_labels: whether fromNodes and toNodes work.
        cluster: name of the local cluster.
        local_cluster_only: peers of other clusters need naming (R13); None: as the version has it.
        dual_stack: whether externals are told apart by family (R37).
    """

    version: tuple[int, int] = (1, 20)
    enforcement: str = "default"
    allow_localhost: str = "always"
    l7_proxy: bool = True
    host_firewall: bool = False
    cidr_match_mode: frozenset[str] = frozenset()
    node_selector_labels: bool = False
    cluster: str = "default"
    local_cluster_only: bool | None = None
    dual_stack: bool = False

    @property
    def peers_are_local(self) -> bool:
        """Whether a peer without a cluster label means the local cluster."""
        return self.version >= (1, 19) if self.local_cluster_only is None else self.local_cluster_only


@dataclass(frozen=True, slots=True)
class Peer:
    """One side of a connection.

    Attributes:
        labels: identity labels with their source, sorted.
        ip: address outside the cluster, empty for others or when not known.
        names: DNS names whose observed answers held ``ip``; None: not known.
        ports: named container ports ``(name, port, protocol)``, protocol empty for any; None: not known.
        node_labels: of a node; None: not known.
        name: for people, such as ``demo/frontend-7c8d``.
    """

    labels: tuple[str, ...]
    ip: str = ""
    names: frozenset[str] | None = None
    ports: tuple[tuple[str, int, str], ...] | None = None
    node_labels: tuple[tuple[str, str], ...] | None = None
    name: str = ""
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = (self.labels, self.ip, self.names, self.ports, self.node_labels, self.name)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash  # kept: peers are looked up for every flow

    @property
    def set(self) -> LabelSet:
        """The parsed labels."""
        return label_set(self.labels)

    @property
    def is_pod(self) -> bool:
        """Whether it is a pod that Cilium manages."""
        return bool(self.set.namespace)

    def __str__(self) -> str:
        if self.name:
            return self.name
        labels = self.set
        if labels.namespace:
            own = [f"{key}={value}" for key, value in labels.pairs() if not key.startswith("io.")]
            return f"{labels.namespace}/{','.join(own) or 'pod'}"
        if self.ip and labels.is_world:
            return f"{self.ip} ({', '.join(sorted(self.names))})" if self.names else self.ip
        reserved = [label.removeprefix("reserved:") for label in self.labels if label.startswith("reserved:")]
        return "+".join(reserved) or self.ip or "unknown"


def pod(
    namespace: str,
    labels: Mapping[str, str],
    *,
    namespace_labels: Mapping[str, str] | None = None,
    service_account: str = "default",
    cluster: str = "default",
    ports: tuple[tuple[str, int, str], ...] | None = None,
    name: str = "",
    ip: str = "",
) -> Peer:
    """Return a managed pod with the identity labels that Cilium would give it (R7)."""
    own = {key: value for key, value in labels.items() if is_identity_label(key)}
    own |= {NAMESPACE: namespace, CLUSTER: cluster, SERVICE_ACCOUNT: service_account}
    own |= {NAMESPACE_LABELS + key: value for key, value in (namespace_labels or {}).items()}
    found = tuple(sorted(f"k8s:{key}={value}" for key, value in own.items()))
    return Peer(found, ports=ports, name=name, ip=ip)


ENTITY_LABELS: Mapping[str, tuple[str, ...]] = {
    "host": ("reserved:host",),
    "remote-node": ("reserved:remote-node",),
    "world": ("reserved:world",),
    "health": ("reserved:health",),
    "init": ("reserved:init",),
    "ingress": ("reserved:ingress",),
    "unmanaged": ("reserved:unmanaged",),
    "kube-apiserver": ("reserved:kube-apiserver", "reserved:remote-node"),
}
"""Labels of the reserved identities; the API server is one on a node (R36)."""


def entity(name: str, *, node_labels: tuple[tuple[str, str], ...] | None = None) -> Peer:
    """Return a reserved identity; ``KeyError`` for a name that is none."""
    return Peer(ENTITY_LABELS[name], node_labels=node_labels, name=name)


def address(ip: str, names: frozenset[str] | None = None, *, dual_stack: bool = False) -> Peer:
    """Return an address outside the cluster; names are lower case without the last dot."""
    label = "world" if not dual_stack else "world-ipv6" if ":" in ip else "world-ipv4"
    return Peer((f"reserved:{label}",), ip=ip, names=names)


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """An HTTP request: ``path`` with its query string, header names in lower case."""

    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DNSQuery:
    """A DNS question."""

    name: str


@dataclass(frozen=True, slots=True)
class ServerName:
    """Name in a TLS handshake."""

    name: str


Layer7 = HTTPRequest | DNSQuery | ServerName


@dataclass(frozen=True, slots=True)
class Traffic:
    """A new connection (replies are never judged, R26).

    Attributes:
        source: who opens it.
        dest: whom it reaches, after service translation.
        port: destination port; ICMP: the type.
        protocol: TCP, UDP, SCTP, ICMPv4, ICMPv6 or one of ``EXTENDED``.
        l7: the request, None: only the connection is asked for.
    """

    source: Peer
    dest: Peer
    port: int
    protocol: str = "TCP"
    l7: Layer7 | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a rule stands.

    Attributes:
        kind: such as ``CiliumNetworkPolicy``.
        namespace: empty for clusterwide objects.
        name: object's name.
        path: path to the rule in the object, such as ``("spec", "ingress", 0)``.
    """

    kind: str
    namespace: str
    name: str
    path: tuple[str | int, ...] = ()

    @property
    def object_name(self) -> str:
        """``namespace/name`` or ``name``."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return f"{self.kind} {self.object_name} {path.removeprefix('.')}".rstrip()


@dataclass(frozen=True, slots=True)
class Side:
    """Answer for one direction.

    Attributes:
        decision: the answer.
        reason: stable word for why: ``no-policy``, ``rule``, ``default-deny``, ``deny-rule``, ``l7-rule``, ``l7-miss``,
            ``localhost``, ``not-enforced``, ``default-deny-off``, ``same-pod``, ``missing``, ``conflict``.
        origins: rules that decided.
        missing: what would have to be known, where the answer is unknown.
        redirected: traffic goes through the proxy, and requests are judged one by one.
    """

    decision: Decision
    reason: str
    origins: tuple[Origin, ...] = ()
    missing: tuple[str, ...] = ()
    redirected: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Answer for a connection: both sides must agree (R26).

    Attributes:
        decision: the answer.
        egress: side of the source, None when it has no policies (outside the cluster).
        ingress: side of the destination, None when it has none.
    """

    decision: Decision
    egress: Side | None = None
    ingress: Side | None = None

    @property
    def deciding(self) -> Side | None:
        """The side that made the answer what it is."""
        sides = [side for side in (self.egress, self.ingress) if side is not None and side.decision == self.decision]
        return next((side for side in sides if side.origins), sides[0] if sides else None)

    @property
    def direction(self) -> Direction | None:
        """Direction of the deciding side."""
        side = self.deciding
        if side is None:
            return None
        return Direction.EGRESS if side is self.egress else Direction.INGRESS


@dataclass(frozen=True, slots=True)
class KubeService:
    """A Service, for toServices (R44).

    Attributes:
        namespace: its namespace.
        name: its name.
        labels: its labels.
        selector: pod labels it selects, empty when it has none.
        addresses: backend addresses of a Service without selector.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the cluster beside the policies; None means that it was not looked at.

    Attributes:
        services: all Services.
        cidr_groups: CIDRs and labels of each CiliumCIDRGroup, by name.
    """

    services: tuple[KubeService, ...] | None = None
    cidr_groups: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] | None = None
