"""Rules of a suggested policy: peers, ports and requests brought together into few readable items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.choose_labels import Choice, choose_labels
from installer.domain.policy.impact import app_name
from installer.domain.policy.labels import CLUSTER, NAMESPACE
from installer.domain.policy.model import Direction, DNSQuery, HTTPRequest, Peer, Settings, Traffic
from installer.domain.policy.resolvers import USUAL, answers_dns

_API_PORTS = (443, 6443)
_ENTITIES = ("host", "remote-node", "kube-apiserver", "ingress", "health", "init", "unmanaged")
_MAX_PORTS = 40
_NUMBER = re.compile(r"\d+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONG_HEX = re.compile(r"[0-9a-fA-F]{16,}")
_MANY_PATHS = 12


@dataclass(slots=True)
class Evidence:
    """What a rule rests on: flows seen, and when first and last (RFC 3339)."""

    count: int = 0
    first: str = ""
    last: str = ""

    def add(self, time: str) -> None:
        """Count a flow."""
        self.join(Evidence(1, time, time))

    def join(self, other: Evidence) -> None:
        """Take in another's."""
        self.count += other.count
        self.first = min(self.first, other.first) if self.first else other.first
        self.last = max(self.last, other.last)


@dataclass(frozen=True, slots=True)
class Observed:
    """A peer with what went on."""

    peer: Peer
    traffic: Traffic
    evidence: Evidence
    with_l7: bool = False

    @property
    def port(self) -> tuple[str, int]:
        """Protocol and port."""
        return self.traffic.protocol, self.traffic.port

    @property
    def is_icmp(self) -> bool:
        """Whether it is an ICMP message."""
        return self.traffic.protocol.startswith("ICMP")


class Surroundings:
    """The pods among which selectors have to tell apart.

    Args:
        pods: all known pods.
        settings: of the cluster.
    """

    def __init__(self, pods: Sequence[Peer], settings: Settings):
        self._pods = list({peer.labels: peer for peer in pods}.values())
        self.settings = settings
        self.notes: list[str] = []
        self._chosen: dict[tuple[str, ...], Choice] = {}

    @property
    def resolver(self) -> Peer:
        """Who answers DNS, as seen or as usual."""
        return next((peer for peer in self._pods if answers_dns(peer)), USUAL)

    def choose(self, wanted: Sequence[Peer]) -> Choice:
        """Choose labels for pods of one namespace."""
        mine = {peer.labels for peer in wanted}
        namespace = wanted[0].set.namespace
        others = [peer.set for peer in self._pods if peer.set.namespace == namespace and peer.labels not in mine]
        return choose_labels([peer.set for peer in wanted], others)

    def selector_of(self, peer: Peer) -> Choice:
        """Choose labels for one peer; pods of the same workload share them."""
        found = self._chosen.get(peer.labels)
        if found is None:
            namespace, name = peer.set.namespace, app_name(peer.set)
            alike = [one for one in self._pods if one.set.namespace == namespace and app_name(one.set) == name and name]
            found = self._chosen[peer.labels] = self.choose([peer, *alike])
            if not found.labels:
                self.notes.append(f"{peer} has no stable label; the rule names its whole namespace")
        return found


def draft_rules(
    direction: Direction, namespace: str, observed: Sequence[Observed], surroundings: Surroundings
) -> list[tuple[dict[str, Any], Evidence]]:
    """Write the rules of one direction.

    Args:
        direction: of the rules.
        namespace: of the policy.
        observed: what the subjects did or met.
        surroundings: pods to tell apart.

    Returns:
        Rules with what they rest on, in a steady order.
    """
    word = "from" if direction is Direction.INGRESS else "to"
    by_peer: dict[tuple[str, str], tuple[Any, list[Observed]]] = {}
    for one in observed:
        local = surroundings.settings.allow_localhost != "policy"
        if direction is Direction.INGRESS and local and one.peer.set.reserved("host"):
            continue  # a node always reaches its own pods
        for kind, key, value in _peer_items(one, word, namespace, surroundings):
            by_peer.setdefault((kind, key), (value, []))[1].append(one)
    queries = _queries(observed) if any(kind == "toFQDNs" for kind, _ in by_peer) else ()
    merged: dict[tuple[str, str], tuple[dict[str, Any], list[Any], Evidence]] = {}
    for (kind, _), (value, seen) in sorted(by_peer.items(), key=lambda item: item[0]):
        for layer4, part in _layer4(seen, queries):
            slot = merged.setdefault((kind, repr(layer4)), (layer4, [], Evidence()))
            slot[1].append(value)
            for one in part:
                slot[2].join(one.evidence)
    found = [({kind: _unique(values), **layer4}, evidence) for (kind, _), (layer4, values, evidence) in merged.items()]
    if queries and not any(_is_dns(one) for one in observed):
        found.append((_companion(namespace, queries, surroundings), Evidence()))
    return found


def _is_dns(one: Observed) -> bool:
    return one.traffic.port == 53 and not one.is_icmp


def _companion(namespace: str, queries: Sequence[str], around: Surroundings) -> dict[str, Any]:
    """Return the rule for DNS without which names are never learned (R46), where no question was seen."""
    asked = around.resolver
    own = {f"k8s:{NAMESPACE}": asked.set.namespace} if asked.set.namespace != namespace else {}
    around.notes.append(f"nobody was seen asking DNS for {', '.join(queries)}; a rule for it is added, it is needed")
    rule = {
        "ports": [_port(("UDP", 53)), _port(("TCP", 53))],
        "rules": {"dns": [{"matchName": name} for name in queries]},
    }
    return {"toEndpoints": [{"matchLabels": {**own, **dict(around.selector_of(asked).labels)}}], "toPorts": [rule]}


def _unique(values: Iterable[Any]) -> list[Any]:
    return list({repr(value): value for value in values}.values())


def _peer_items(one: Observed, word: str, namespace: str, around: Surroundings) -> Iterable[tuple[str, str, Any]]:
    """Yield the kind of peer rule, a key to sort by, and its value."""
    peer = one.peer
    labels = peer.set
    if labels.namespace:
        chosen = dict(around.selector_of(peer).labels)
        own = {f"k8s:{NAMESPACE}": labels.namespace} if labels.namespace != namespace else {}
        if labels.cluster and labels.cluster != around.settings.cluster:
            own[f"k8s:{CLUSTER}"] = labels.cluster
        value = {"matchLabels": {**own, **chosen}} if own or chosen else {}
        yield f"{word}Endpoints", repr(sorted((own | chosen).items())), value
        return
    if labels.reserved("kube-apiserver") and one.traffic.port in _API_PORTS:
        yield f"{word}Entities", "kube-apiserver", "kube-apiserver"
        return
    for name in _ENTITIES:
        if labels.reserved(name):
            yield f"{word}Entities", name, name
            return
    if word == "to" and peer.names:
        for name in sorted(peer.names):
            yield "toFQDNs", name, {"matchName": name}
    elif peer.ip:
        yield f"{word}CIDR", peer.ip, f"{peer.ip}/{128 if ':' in peer.ip else 32}"
    else:
        yield f"{word}Entities", "world", "world"


def _queries(observed: Sequence[Observed]) -> tuple[str, ...]:
    names = {one.traffic.l7.name for one in observed if isinstance(one.traffic.l7, DNSQuery)}
    for one in observed:
        names |= one.peer.names or frozenset()
    return tuple(sorted(names))


def _layer4(seen: Sequence[Observed], queries: Sequence[str]) -> Iterable[tuple[dict[str, Any], list[Observed]]]:
    """Yield the L4 parts for one peer, each with what it rests on: DNS, other ports, ICMP types."""
    asked = [one for one in seen if _is_dns(one)]
    others = [one for one in seen if not _is_dns(one) and not one.is_icmp]
    echoes = [one for one in seen if one.is_icmp]
    if asked:
        rule: dict[str, Any] = {"ports": [_port(("UDP", 53)), _port(("TCP", 53))]}
        if queries:
            rule["rules"] = {"dns": [{"matchName": name} for name in queries]}
        yield {"toPorts": [rule]}, asked
    if others:
        yield {"toPorts": _port_rules(others)}, others
    if echoes:
        types = sorted({(one.traffic.protocol, one.traffic.port) for one in echoes})
        fields = [{"family": f"IPv{family[-1]}", "type": kind} for family, kind in types]
        yield {"icmps": [{"fields": fields}]}, echoes


def _port_rules(seen: Sequence[Observed]) -> list[dict[str, Any]]:
    """Return the port rules: plain ports together, those with HTTP rules each for itself."""
    http: list[dict[str, Any]] = []
    plain: list[tuple[str, int]] = []
    for port in sorted({one.port for one in seen}, key=lambda port: (port[1], port[0])):
        rules = _http_rules([one for one in seen if one.port == port])
        if rules:
            http.append({"ports": [_port(port)], "rules": {"http": rules}})
        else:
            plain.append(port)
    starts = range(0, len(plain), _MAX_PORTS)
    return [{"ports": [_port(port) for port in plain[at : at + _MAX_PORTS]]} for at in starts] + http


def _port(port: tuple[str, int]) -> dict[str, str]:
    return {"port": str(port[1]), "protocol": port[0]}


def _http_rules(seen: Sequence[Observed]) -> list[dict[str, str]]:
    """Return HTTP rules for requests, where they are wanted and every connection showed its requests."""
    if not seen or not seen[0].with_l7:
        return []
    requests = {one.traffic.l7 for one in seen if isinstance(one.traffic.l7, HTTPRequest)}
    rules = sorted({(request.method, path_template(request.path)) for request in requests})
    if len(rules) > _MANY_PATHS:
        return [{"method": method} for method in sorted({method for method, _ in rules})]
    return [{"method": method, "path": path} for method, path in rules]


def path_template(path: str) -> str:
    """Return an expression for a path: ids become patterns, a query string may be there or not."""
    bare, question, _ = path.partition("?")
    parts = [_segment(part) for part in bare.split("/")]
    return "/".join(parts) + (r"(\?.*)?" if question else "")


def _segment(part: str) -> str:
    if _NUMBER.fullmatch(part):
        return "[0-9]+"
    if _UUID.fullmatch(part) or _LONG_HEX.fullmatch(part):
        return "[0-9a-fA-F-]+"
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", part)
