"""CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy to the common form."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from installer.domain.policy import labels as lb
from installer.domain.policy.compile_ports import icmp_rules, port_rules
from installer.domain.policy.entry import (
    CIDR,
    Entity,
    Entry,
    FQDNs,
    Labelled,
    Network,
    Nodes,
    PeerRule,
    Policy,
    PortRule,
    Requires,
    Rule,
    Subject,
    Unresolved,
)
from installer.domain.policy.l7 import L7Rules, l7_rules, name_rules
from installer.domain.policy.labels import Requirement, Selector, equals, selector
from installer.domain.policy.model import Direction, Knowledge, KubeService, Origin, Settings

Raw = Mapping[str, Any]
_SECTIONS = (
    ("ingress", Direction.INGRESS, "allow"),
    ("ingressDeny", Direction.INGRESS, "deny"),
    ("egress", Direction.EGRESS, "allow"),
    ("egressDeny", Direction.EGRESS, "deny"),
)


class CiliumCompiler:
    """Reads objects of both Cilium kinds.

    Args:
        settings: of the cluster.
        knowledge: Services and CIDR groups.
    """

    def __init__(self, settings: Settings, knowledge: Knowledge):
        self._settings = settings
        self._knowledge = knowledge

    def compile(self, raw: Raw) -> Policy:
        """Read one object; what cannot be read makes it one with an error, as agents do."""
        metadata = raw.get("metadata") or {}
        kind = str(raw.get("kind"))
        clusterwide = kind == "CiliumClusterwideNetworkPolicy"
        namespace = "" if clusterwide else str(metadata.get("namespace") or "default")
        origin = Origin(kind, namespace, str(metadata.get("name") or ""))
        try:
            rules = tuple(_Spec(self, origin, path, spec).rule() for path, spec in _specs(raw))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return Policy(origin, error=str(error) or type(error).__name__)
        return Policy(origin, rules)

    @property
    def settings(self) -> Settings:
        """Settings of the cluster."""
        return self._settings

    @property
    def knowledge(self) -> Knowledge:
        """Services and CIDR groups."""
        return self._knowledge


def _specs(raw: Raw) -> Iterable[tuple[tuple[str | int, ...], Raw]]:
    if raw.get("spec"):
        yield ("spec",), raw["spec"]
    for index, spec in enumerate(raw.get("specs") or ()):
        yield ("specs", index), spec


class _Spec:
    """One spec on its way to a rule."""

    def __init__(self, compiler: CiliumCompiler, origin: Origin, path: tuple[str | int, ...], spec: Raw):
        self._settings = compiler.settings
        self._knowledge = compiler.knowledge
        self._origin = origin
        self._path = path
        self._spec = spec
        self._subject_is_init = False

    def rule(self) -> Rule:
        subject = self._subject()
        entries: list[Entry] = []
        speaks: set[Direction] = set()
        requires: list[Requires] = []
        for section, direction, action in _SECTIONS:
            for index, item in enumerate(self._spec.get(section) or ()):
                speaks.add(direction)
                requires += self._requires(item or {}, direction, action)
                path = (*self._path, section, index)
                entries += self._entries(item or {}, direction, action, path)
        wanted = self._spec.get("enableDefaultDeny") or {}
        posture = frozenset(one for one in speaks if wanted.get(one.value, True) is not False)
        at = self._at(self._path)
        return Rule(subject, at, tuple(entries), posture, frozenset(speaks), requires=tuple(requires))

    def _requires(self, item: Raw, direction: Direction, action: str) -> Iterable[Requires]:
        if self._settings.version < (1, 19):
            word = "from" if direction is Direction.INGRESS else "to"
            for raw in item.get(f"{word}Requires") or ():
                yield Requires(direction, action, selector(raw))

    def _at(self, path: tuple[str | int, ...]) -> Origin:
        return Origin(self._origin.kind, self._origin.namespace, self._origin.name, path)

    def _subject(self) -> Subject:
        if self._spec.get("nodeSelector") is not None:
            return Subject(selector(self._spec["nodeSelector"], source=lb.ANY), node=True)
        if self._spec.get("endpointSelector") is None:
            raise ValueError("rule must have one of EndpointSelector or NodeSelector")
        own = selector(self._spec["endpointSelector"])
        self._subject_is_init = own.mentions_source("reserved") and own.mentions_prefix("init")
        if self._origin.namespace:  # R1: the policy's own namespace is forced in
            own = own.without("k8s", lb.NAMESPACE).with_requirement(equals("k8s", lb.NAMESPACE, self._origin.namespace))
        return Subject(own)

    def _entries(self, item: Raw, direction: Direction, action: str, path: tuple[str | int, ...]) -> list[Entry]:
        word = "from" if direction is Direction.INGRESS else "to"
        peers, open_if_empty = self._peers(item, word)
        layer4 = list(self._layer4(item, action))
        if peers is None and not layer4:
            return []  # an empty rule only isolates (R30)
        if peers == () and open_if_empty and layer4:
            peers = None  # quirk: an empty toFQDNs, toGroups or toServices with ports is anyone (R31)
        auth = str((item.get("authentication") or {}).get("mode") or "")
        if not layer4:
            layer4 = [(None, None, ())]
        return [Entry(direction, action, peers, ports, l7, self._at(path + at), auth) for ports, l7, at in layer4]

    def _layer4(
        self, item: Raw, action: str
    ) -> Iterable[tuple[tuple[PortRule, ...] | None, L7Rules | None, tuple[str | int, ...]]]:
        for index, port_rule in enumerate(item.get("toPorts") or ()):
            ports = port_rules(port_rule or {})
            l7 = None if action == "deny" else self._l7(port_rule or {})
            yield ports, l7, ("toPorts", index)
        if item.get("icmps"):
            found = tuple(rule for raw in item["icmps"] for rule in icmp_rules(raw or {}))
            yield found, None, ("icmps",)

    def _l7(self, port_rule: Raw) -> L7Rules | None:
        version = self._settings.version
        return l7_rules(port_rule, cascade=version >= (1, 19), kafka=version < (1, 20))

    def _peers(self, item: Raw, word: str) -> tuple[tuple[PeerRule, ...] | None, bool]:
        """Return the peers of an item, None for anyone, and whether an empty list opens ports to anyone."""
        readers = (
            ("Endpoints", self._endpoints, False),
            ("CIDR", self._cidrs, False),
            ("CIDRSet", self._cidr_sets, False),
            ("Entities", self._entities, False),
            ("Nodes", self._nodes, False),
            ("Groups", self._groups, True),
            ("Services", self._services, True),
            ("FQDNs", self._fqdns, True),
        )
        found: tuple[PeerRule, ...] | None = None
        opens = False
        for name, read, quirk in readers:
            value = item.get(word + name)
            if value is not None:
                found = (found or ()) + tuple(read(value))
                opens = opens or quirk
        return found, opens

    def _peer_selector(self, raw: Raw | None) -> Selector:
        """Read a peer selector with what Cilium adds to it (R10, R11, R13)."""
        own = selector(raw)
        if own.mentions_source("reserved"):
            return own
        result = own
        if not (own.mentions(lb.NAMESPACE) or own.mentions_prefix(lb.NAMESPACE_LABELS)):
            if self._origin.namespace:
                result = result.with_requirement(equals("k8s", lb.NAMESPACE, self._origin.namespace))
            elif not self._subject_is_init:
                result = result.with_requirement(Requirement("k8s", lb.NAMESPACE, "Exists"))
        if self._settings.peers_are_local and not own.mentions(lb.CLUSTER) and not self._subject_is_init:
            result = result.with_requirement(equals("k8s", lb.CLUSTER, self._settings.cluster))
        return result

    def _endpoints(self, value: Sequence[Raw]) -> Iterable[PeerRule]:
        return (Labelled(self._peer_selector(raw)) for raw in value)

    def _entities(self, value: Sequence[str]) -> Iterable[PeerRule]:
        return (Entity(str(name), self._settings.cluster) for name in value)

    def _cidr(self, network: Network, excepts: tuple[Network, ...] = ()) -> CIDR:
        mode = self._settings.cidr_match_mode
        return CIDR(network, excepts, nodes="nodes" in mode, pods="pods" in mode)

    def _cidrs(self, value: Sequence[str]) -> Iterable[PeerRule]:
        return (self._cidr(network_of(text)) for text in value)

    def _cidr_sets(self, value: Sequence[Raw]) -> Iterable[PeerRule]:
        for raw in value:
            excepts = tuple(network_of(text) for text in raw.get("except") or ())
            if raw.get("cidr"):
                yield self._cidr(network_of(str(raw["cidr"])), excepts)
            else:
                yield from self._cidr_group(raw, excepts)

    def _cidr_group(self, raw: Raw, excepts: tuple[Network, ...]) -> Iterable[PeerRule]:
        groups = self._knowledge.cidr_groups
        if groups is None:
            yield Unresolved(f"CIDR group {raw.get('cidrGroupRef') or 'by labels'}")
            return
        reference, wanted = raw.get("cidrGroupRef"), raw.get("cidrGroupSelector")
        for name, (networks, own) in groups.items():
            labels = lb.LabelSet(f"any:{key}={value}" for key, value in own.items())
            if name == reference or (wanted is not None and selector(wanted, source=lb.ANY).matches(labels)):
                yield from (self._cidr(network_of(text), excepts) for text in networks)

    def _nodes(self, value: Sequence[Raw]) -> Iterable[PeerRule]:
        if not self._settings.node_selector_labels:
            raise ValueError(
                'FromNodes/ToNodes rules can only be applied when the "enable-node-selector-labels" flag is set'
            )
        return (Nodes(selector(raw, source=lb.ANY), remote_only=True) for raw in value)

    def _groups(self, value: Sequence[Raw]) -> Iterable[PeerRule]:
        return (Unresolved("addresses of a cloud's security group") for _ in value)

    def _fqdns(self, value: Sequence[Raw]) -> Iterable[PeerRule]:
        return (FQDNs((rule,)) for rule in name_rules(value, cascade=self._settings.version >= (1, 19)))

    def _services(self, value: Sequence[Raw]) -> Iterable[PeerRule]:
        known = self._knowledge.services
        for raw in value:
            if known is None:
                yield Unresolved("Services of the cluster", anyone=True)
                continue
            for service in known:
                if _is_meant(service, raw):
                    yield from self._backends(service)

    def _backends(self, service: KubeService) -> Iterable[PeerRule]:
        if service.selector:
            own = [equals("k8s", key, value) for key, value in service.selector.items()]
            yield Labelled(Selector((*own, equals("k8s", lb.NAMESPACE, service.namespace))))
        for text in service.addresses:
            yield self._cidr(network_of(text))


def _is_meant(service: KubeService, raw: Raw) -> bool:
    named, chosen = raw.get("k8sService"), raw.get("k8sServiceSelector")
    wanted = named or chosen or {}
    if wanted.get("namespace") not in (None, "", service.namespace):
        return False
    if named:
        return bool(named.get("serviceName") == service.name)
    labels = lb.LabelSet(f"any:{key}={value}" for key, value in service.labels.items())
    return bool(chosen) and selector(wanted.get("selector"), source=lb.ANY).matches(labels)


def network_of(text: str) -> Network:
    """Read a CIDR; host bits are masked away, a bare address is one of its own.

    Raises:
        ValueError: it is none.
    """
    return ipaddress.ip_network(str(text), strict=False)
