"""NetworkPolicy as Cilium implements it, and ClusterNetworkPolicy, to the common form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from installer.domain.policy import labels as lb
from installer.domain.policy.compile_cilium import network_of
from installer.domain.policy.entry import (
    CIDR,
    Entry,
    FQDNs,
    Labelled,
    Nodes,
    PeerRule,
    Policy,
    PortRule,
    Rule,
    Subject,
    Tier,
)
from installer.domain.policy.l7 import NameRule
from installer.domain.policy.labels import Requirement, Selector, equals, selector
from installer.domain.policy.model import Direction, Origin, Settings

Raw = Mapping[str, Any]
_ACTIONS = {"Accept": "allow", "Allow": "allow", "Deny": "deny", "Pass": "pass"}


def compile_network_policy(raw: Raw, settings: Settings) -> Policy:
    """Read a ``networking.k8s.io/v1`` NetworkPolicy (R68, R69)."""
    metadata = raw.get("metadata") or {}
    origin = Origin("NetworkPolicy", str(metadata.get("namespace") or "default"), str(metadata.get("name") or ""))
    try:
        return Policy(origin, (_NetworkPolicy(origin, raw.get("spec") or {}, settings).rule(),))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Policy(origin, error=str(error) or type(error).__name__)


class _NetworkPolicy:
    def __init__(self, origin: Origin, spec: Raw, settings: Settings):
        self._origin = origin
        self._spec = spec
        self._settings = settings

    def rule(self) -> Rule:
        own = selector(self._spec.get("podSelector"), source="k8s")
        subject = own.with_requirement(equals("k8s", lb.NAMESPACE, self._origin.namespace))
        types = self._spec.get("policyTypes") or ()
        speaks: set[Direction] = set()
        entries: list[Entry] = []
        for direction, word in ((Direction.INGRESS, "from"), (Direction.EGRESS, "to")):
            items = self._spec.get(direction.value) or ()
            named = direction.value.capitalize() in types
            if items or named or (direction is Direction.INGRESS and not types):
                speaks.add(direction)  # quirk: egress rules isolate even where policyTypes leaves Egress out
            for index, item in enumerate(items):
                entries.append(self._entry(item or {}, direction, word, index))
        origin = self._at("spec")
        return Rule(Subject(subject), origin, tuple(entries), frozenset(speaks), frozenset(speaks))

    def _at(self, *path: str | int) -> Origin:
        return Origin(self._origin.kind, self._origin.namespace, self._origin.name, path)

    def _entry(self, item: Raw, direction: Direction, word: str, index: int) -> Entry:
        peers = tuple(self._peer(raw) for raw in item.get(word) or ()) or None
        ports = tuple(_port(raw) for raw in item.get("ports") or ()) or None
        return Entry(direction, "allow", peers, ports, None, self._at("spec", direction.value, index))

    def _peer(self, raw: Raw) -> PeerRule:
        if block := raw.get("ipBlock"):
            mode = self._settings.cidr_match_mode
            excepts = tuple(network_of(text) for text in block.get("except") or ())
            return CIDR(network_of(block["cidr"]), excepts, nodes="nodes" in mode, pods="pods" in mode)
        found = selector(raw.get("podSelector"), source="k8s")
        namespaces = raw.get("namespaceSelector")
        if namespaces is None:
            found = found.with_requirement(equals("k8s", lb.NAMESPACE, self._origin.namespace))
        else:
            found = _in_namespaces(found, namespaces)
        return Labelled(_local(found, self._settings))


def _in_namespaces(pods: Selector, namespaces: Raw) -> Selector:
    chosen = selector(namespaces, prefix=lb.NAMESPACE_LABELS, source="k8s").requirements
    return Selector((*pods.requirements, *chosen, Requirement("k8s", lb.NAMESPACE, "Exists")))


def _local(found: Selector, settings: Settings) -> Selector:
    if settings.peers_are_local and not found.mentions(lb.CLUSTER):
        return found.with_requirement(equals("k8s", lb.CLUSTER, settings.cluster))
    return found


def _port(raw: Raw) -> PortRule:
    protocol = str(raw.get("protocol") or "TCP").upper()
    port = raw.get("port")
    if port is None:
        return PortRule(protocol)
    if not str(port).isdigit():
        return PortRule(protocol, name=str(port).lower())
    first = int(port)
    return PortRule(protocol, first, max(first, int(raw.get("endPort") or 0)))


def compile_cluster_network_policy(raw: Raw, settings: Settings) -> Policy:
    """Read a ``policy.networking.k8s.io/v1alpha2`` ClusterNetworkPolicy (R70); it isolates nobody."""
    name = str((raw.get("metadata") or {}).get("name") or "")
    origin = Origin("ClusterNetworkPolicy", "", name)
    spec = raw.get("spec") or {}
    try:
        entries = tuple(_tiered_entries(spec, name, settings))
        tier = {"Admin": Tier.ADMIN, "Baseline": Tier.BASELINE}[str(spec.get("tier"))]
        subject = Subject(_subject(spec.get("subject") or {}))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Policy(origin, error=str(error) or type(error).__name__)
    where = Origin(origin.kind, "", name, ("spec",))
    return Policy(origin, (Rule(subject, where, entries, tier=tier, priority=int(spec.get("priority") or 0)),))


def _subject(raw: Raw) -> Selector:
    if raw.get("pods") is not None:
        return _pods(raw["pods"])
    return _in_namespaces(Selector(), raw["namespaces"] or {})


def _pods(raw: Raw) -> Selector:
    return _in_namespaces(selector(raw.get("podSelector"), source="k8s"), raw.get("namespaceSelector") or {})


def _tiered_entries(spec: Raw, name: str, settings: Settings) -> Iterable[Entry]:
    for direction, word in ((Direction.INGRESS, "from"), (Direction.EGRESS, "to")):
        for index, item in enumerate(spec.get(direction.value) or ()):
            origin = Origin("ClusterNetworkPolicy", "", name, ("spec", direction.value, index))
            peers = tuple(rule for raw in item.get(word) or () for rule in _tiered_peers(raw, settings))
            yield Entry(direction, _ACTIONS[str(item["action"])], peers, _tiered_ports(item), None, origin)


def _tiered_peers(raw: Raw, settings: Settings) -> Sequence[PeerRule]:
    if raw.get("namespaces") is not None:
        return (Labelled(_local(_in_namespaces(Selector(), raw["namespaces"]), settings)),)
    if raw.get("pods") is not None:
        return (Labelled(_local(_pods(raw["pods"]), settings)),)
    if raw.get("nodes") is not None:
        return (Nodes(selector(raw["nodes"], source=lb.ANY)),)
    if raw.get("networks") is not None:
        return tuple(CIDR(network_of(text)) for text in raw["networks"])
    if raw.get("domainNames") is not None:
        names = tuple(NameRule(pattern=str(text)) for text in raw["domainNames"])
        return (FQDNs(names),)
    return ()  # a kind of peer that this version does not know matches nobody


def _tiered_ports(item: Raw) -> tuple[PortRule, ...] | None:
    protocols = item.get("protocols")
    if not protocols:
        return None
    found: list[PortRule] = []
    for raw in protocols:
        if raw.get("destinationNamedPort"):
            found.append(PortRule("ANY", name=str(raw["destinationNamedPort"]).lower()))
        found += [
            _tiered_port(protocol.upper(), (raw[protocol] or {}).get("destinationPort") or {})
            for protocol in ("tcp", "udp", "sctp")
            if raw.get(protocol) is not None
        ]
    return tuple(found)


def _tiered_port(protocol: str, raw: Raw) -> PortRule:
    if raw.get("number") is not None:
        return PortRule(protocol, int(raw["number"]), int(raw["number"]))
    if span := raw.get("range"):
        return PortRule(protocol, int(span["start"]), int(span["end"]))
    return PortRule(protocol)
