"""Policies in sentences: what each rule says, one line a rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.domain.policy.entry import (
    CIDR,
    Entity,
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
    Unresolved,
)
from installer.domain.policy.l7 import HTTPRule, L7Rules, NameRule
from installer.domain.policy.labels import (
    CLUSTER,
    NAMESPACE,
    NAMESPACE_LABELS,
    SERVICE_ACCOUNT,
    Requirement,
    Selector,
)
from installer.domain.policy.model import Direction, Origin

_ENTITY_WORDS = {
    "all": "anyone",
    "world": "anything outside the cluster",
    "host": "the own node",
    "remote-node": "other nodes",
    "kube-apiserver": "the Kubernetes API",
    "ingress": "Cilium's ingress",
    "health": "Cilium's health checks",
    "init": "pods that are starting",
    "unmanaged": "pods that Cilium does not manage",
    "cluster": "everything in the cluster",
    "cluster-mesh": "everything in all connected clusters",
    "none": "nobody",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement on a policy, with the place it is about."""

    text: str
    origin: Origin


def describe(policy: Policy) -> list[Sentence]:
    """Return what a policy says: whom it selects, whether it isolates them, then each rule."""
    if policy.error:
        return [Sentence(f"Agents ignore this policy: {policy.error}.", policy.origin)]
    return [sentence for rule in policy.rules for sentence in _rule(rule, policy.origin)]


def _rule(rule: Rule, origin: Origin) -> Iterable[Sentence]:
    subject = subject_words(rule.subject, origin)
    yield Sentence(f"It applies to {subject}.", rule.origin)
    if rule.tier is not Tier.NORMAL:
        yield Sentence(f"It is asked in tier {rule.tier.name.title()} at priority {rule.priority}.", rule.origin)
    for direction in Direction:
        if direction in rule.default_deny:
            yield Sentence(f"It isolates them for {direction}: what no policy allows is dropped.", rule.origin)
        elif direction in rule.speaks and rule.tier is Tier.NORMAL:
            yield Sentence(f"It does not isolate them for {direction}.", rule.origin)
    for asked in rule.requires:
        who = "From" if asked.direction is Direction.INGRESS else "To"
        text = f"{who}: peers that any rule names by label must also have {_requirements(asked.selector.requirements)}."
        yield Sentence(text, rule.origin)
    for entry in rule.entries:
        yield Sentence(entry_words(entry, origin.namespace), entry.origin)


def subject_words(subject: Subject, origin: Origin) -> str:
    """Return whom a rule selects."""
    if subject.node:
        labels = _requirements(subject.selector.requirements)
        return f"nodes with {labels}" if labels else "every node"
    return selector_words(subject.selector, origin.namespace)


def entry_words(entry: Entry, namespace: str) -> str:
    """Return one rule as a sentence; ``namespace`` is the policy's own, left out where it goes without saying."""
    verb = {"allow": "may", "deny": "must not", "pass": "is left to later policies to"}[entry.action]
    peers = peers_words(entry.peers, namespace)
    ports = ports_words(entry.ports)
    if entry.direction is Direction.INGRESS:
        text = f"From: {peers} {verb} connect{ports}"
    else:
        text = f"To: they {verb} connect to {peers}{ports}"
    if entry.l7 is not None:
        text += f", {l7_words(entry.l7)}"
    if entry.authentication not in ("", "disabled"):
        text += ", with mutual authentication"
    return f"{text}."


def peers_words(peers: tuple[PeerRule, ...] | None, namespace: str) -> str:
    """Return who is meant."""
    if peers is None:
        return "anyone"
    if not peers:
        return "nobody (the list is empty)"
    names = tuple(rule for peer in peers if isinstance(peer, FQDNs) for rule in peer.rules)
    others = [_peer(peer, namespace) for peer in peers if not isinstance(peer, FQDNs)]
    return _joined(others + ([f"the addresses of {_names(names)}"] if names else []))


def _peer(peer: PeerRule, namespace: str) -> str:
    if isinstance(peer, Labelled):
        return selector_words(peer.selector, namespace)
    if isinstance(peer, Entity):
        return _ENTITY_WORDS.get(peer.name, peer.name)
    if isinstance(peer, CIDR):
        holes = f" except {_joined([str(hole) for hole in peer.excepts])}" if peer.excepts else ""
        return f"{peer.network}{holes}"
    if isinstance(peer, Nodes):
        labels = _requirements(peer.selector.requirements)
        return f"{'other ' if peer.remote_only else ''}nodes{f' with {labels}' if labels else ''}"
    return peer.what if isinstance(peer, Unresolved) else str(peer)


def selector_words(selector: Selector, namespace: str) -> str:
    """Return which pods a selector means."""
    reserved = [one for one in selector.requirements if one.source == "reserved"]
    if reserved:
        return _joined([_ENTITY_WORDS.get(one.key, str(one)) for one in reserved])
    own: list[Requirement] = []
    places: list[str] = []
    account = ""
    for one in selector.requirements:
        if one.key == NAMESPACE:
            places.append(_namespaces(one, namespace))
        elif one.key.startswith(NAMESPACE_LABELS):
            bare = Requirement("any", one.key.removeprefix(NAMESPACE_LABELS), one.operator, one.values)
            places.append(f"namespaces with {bare}")
        elif one.key == SERVICE_ACCOUNT and one.operator == "In":
            account = f" of service account {_joined(sorted(one.values))}"
        elif one.key == CLUSTER:
            continue
        else:
            own.append(one)
    pods = f"pods{account} with {_requirements(own)}" if own else f"every pod{account}"
    if len(places) > 1:
        places = [place for place in places if place != "any namespace"]
    where = _joined(places, last=" and ")
    return f"{pods} in {where}" if where else pods


def _namespaces(one: Requirement, namespace: str) -> str:
    if one.operator == "Exists":
        return "any namespace"
    if one.operator == "In" and one.values == {namespace}:
        return f"{namespace}"
    return f"{'namespaces other than ' if one.operator == 'NotIn' else ''}{_joined(sorted(one.values))}"


def _requirements(requirements: Sequence[Requirement]) -> str:
    return _joined([str(one).removeprefix("k8s:") for one in requirements], last=" and ")


def ports_words(ports: tuple[PortRule, ...] | None) -> str:
    """Return the ports, with a word in front; nothing for all of them."""
    if ports is None:
        return ""
    if not ports:
        return " on no port at all"
    icmp = [port for port in ports if port.protocol.startswith("ICMP")]
    others = [port for port in ports if not port.protocol.startswith("ICMP")]
    parts = []
    if others:
        parts.append(f" on {_joined([_port(port) for port in others])}")
    if icmp:
        parts.append(f" by {_joined([f'{port.protocol} type {port.first}' for port in icmp])}")
    return " or".join(parts)


def _port(port: PortRule) -> str:
    protocol = "" if port.protocol == "ANY" else f"/{port.protocol}"
    if port.name:
        return f"port {port.name}{protocol}"
    if (port.first, port.last) == (0, 65535):
        return f"every{protocol.replace('/', ' ')} port"
    span = f"{port.first}" if port.first == port.last else f"{port.first}-{port.last}"
    return f"port{'s' if '-' in span else ''} {span}{protocol}"


def l7_words(rules: L7Rules) -> str:
    """Return what requests have to meet."""
    if rules.kind == "http":
        return f"only requests {_joined([_http(rule) for rule in rules.http])}"
    if rules.kind == "dns":
        return f"only asking for {_names(rules.names)}" if rules.names else "asking for nothing"
    if rules.kind == "sni":
        return f"only with server name {_names(rules.names)}"
    return f"through the {rules.kind} of Envoy" if rules.kind == "listener" else f"judged by the {rules.kind} parser"


def _http(rule: HTTPRule) -> str:
    method, path, host = rule.written
    parts = [method or "of any method"]
    if path:
        parts.append(path)
    if host:
        parts.append(f"to host {host}")
    parts += [f"with header {name}{f': {value}' if value is not None else ''}" for name, value in rule.headers]
    return " ".join(parts)


def _names(rules: Sequence[NameRule]) -> str:
    return _joined([rule.pattern or rule.exact or "nothing" for rule in rules])


def _joined(parts: Sequence[str], last: str = " or ") -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])}{last}{parts[-1]}"
