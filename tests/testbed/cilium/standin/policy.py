"""CiliumNetworkPolicy and NetworkPolicy, in the forms that the stand-in knows, in one shape of rules. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .model import NS_LABEL, Endpoint, Object, View, mentions, selects

HttpRule = dict[str, str]


@dataclass(frozen=True)
class Port:
    """A destination port or range of a protocol; port 0 is all ports, protocol `any` all protocols."""

    protocol: str
    first: int
    last: int = 0


@dataclass(frozen=True)
class Peers:
    """Who the other side may be; the parts add up."""

    anyone: bool = False
    ips: tuple[str, ...] = ()
    world: bool = False
    host: bool = False
    cidrs: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Rule:
    """One allow or deny; no ports = every port; http = the requests that may pass."""

    peers: Peers
    ports: tuple[Port, ...] = ()
    deny: bool = False
    http: tuple[tuple[tuple[str, str], ...], ...] | None = None
    origin: str = ""


@dataclass
class Enforced:
    """The rules of one endpoint; a direction that is None is not enforced."""

    ingress: list[Rule] | None = None
    egress: list[Rule] | None = None


@dataclass
class _Section:
    """One direction of one policy."""

    direction: str
    rules: list[Rule] = field(default_factory=list)
    default_deny: bool = True


def compile_all(cilium: Iterable[Object], network: Iterable[Object], view: View) -> dict[str, Enforced]:
    """Endpoint address to what is enforced for it."""
    result: dict[str, Enforced] = {}
    cilium, network = list(cilium), list(network)
    for endpoint in view.endpoints:
        enforced = Enforced()
        for policy in cilium:
            for spec in [policy.get("spec"), *(policy.get("specs") or [])]:
                if spec:
                    _merge(enforced, _cilium_sections(policy, spec, endpoint, view))
        for policy in network:
            _merge(enforced, _network_sections(policy, endpoint, view))
        if enforced.ingress is not None or enforced.egress is not None:
            result[endpoint.ip] = enforced
    return result


def _merge(enforced: Enforced, sections: Iterable[_Section]) -> None:
    for section in sections:
        have: list[Rule] | None = getattr(enforced, section.direction)
        rules = [*(have or []), *section.rules]
        if have is None and not section.default_deny and rules:
            rules.append(Rule(Peers(anyone=True)))
        setattr(enforced, section.direction, rules or ([] if section.default_deny or have is not None else None))


def _cilium_sections(policy: Object, spec: Object, endpoint: Endpoint, view: View) -> Iterator[_Section]:
    selector, space = spec.get("endpointSelector"), policy["metadata"].get("namespace", "")
    if selector is None or (space and endpoint.namespace != space) or not selects(selector, endpoint.labels):
        return
    deny_by_default = spec.get("enableDefaultDeny") or {}
    for direction, side in (("ingress", "from"), ("egress", "to")):
        allows, denies = spec.get(direction) or [], spec.get(f"{direction}Deny") or []
        if not allows and not denies:
            continue
        section = _Section(direction, default_deny=deny_by_default.get(direction, True))
        for item, deny in [*((rule, False) for rule in allows), *((rule, True) for rule in denies)]:
            peers = _cilium_peers(item, side, space, view)
            section.rules += _with_ports(item, peers, deny, endpoint if direction == "ingress" else None, policy, view)
        yield section


def _cilium_peers(item: Object, side: str, space: str, view: View) -> Peers:
    keys = [key for key in item if key.startswith(side) and key != "toPorts" and item[key] is not None]
    if not keys:
        return Peers(anyone=True)
    ips = [e.ip for s in item.get(f"{side}Endpoints") or [] for e in view.endpoints if _peer_selected(s, e, space)]
    cidrs = [(cidr, ()) for cidr in item.get(f"{side}CIDR") or []]
    cidrs += [(c["cidr"], tuple(c.get("except") or ())) for c in item.get(f"{side}CIDRSet") or [] if c.get("cidr")]
    entities = set(item.get(f"{side}Entities") or [])
    if "cluster" in entities:
        ips += [endpoint.ip for endpoint in view.endpoints]
    if "kube-apiserver" in entities:
        ips += view.api_ips
    return Peers(
        anyone="all" in entities,
        ips=tuple(sorted(set(ips))),
        world="world" in entities,
        host=bool(entities & {"host", "remote-node", "cluster"}),
        cidrs=tuple((str(c), e) for c, e in cidrs),
    )


def _peer_selected(selector: Object, endpoint: Endpoint, space: str) -> bool:
    if space and endpoint.namespace != space and not mentions(selector, NS_LABEL):
        return False
    return selects(selector, endpoint.labels)


def _with_ports(
    item: Object, peers: Peers, deny: bool, subject: Endpoint | None, policy: Object, view: View
) -> Iterator[Rule]:
    origin = f"{policy['metadata'].get('namespace', '')}/{policy['metadata']['name']}"
    to_ports, icmps = item.get("toPorts") or [], item.get("icmps") or []
    if not to_ports and not icmps:
        yield Rule(peers, deny=deny, origin=origin)
    for icmp in icmps:
        types = [
            f["type"]
            for f in icmp.get("fields") or []
            if isinstance(f.get("type"), int) and f.get("family", "IPv4") == "IPv4"
        ]
        yield Rule(peers, tuple(Port("icmp", kind) for kind in types), deny, origin=origin)
    for entry in to_ports:
        http = (entry.get("rules") or {}).get("http")
        requests = None if http is None else tuple(_http(rule) for rule in http)
        specs = entry.get("ports") or [{"port": "0", "protocol": "ANY"}]
        for narrowed, ports in _resolve(specs, peers, subject, view):
            yield Rule(narrowed, ports, deny, requests, origin)


def _http(rule: Object) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(rule[key])) for key in ("method", "path", "host") if rule.get(key))


def _resolve(
    specs: list[Object], peers: Peers, subject: Endpoint | None, view: View
) -> Iterator[tuple[Peers, tuple[Port, ...]]]:
    """Ports by number; a port by name is that of the subject, or on egress that of each peer."""
    numbers: list[Port] = []
    for spec in specs:
        port, protocol = str(spec.get("port", "0")), str(spec.get("protocol") or "ANY").lower()
        if port.isdigit():
            numbers.append(Port(protocol, int(port), int(spec.get("endPort") or 0)))
        elif subject and port in subject.ports:
            numbers.append(Port(protocol, subject.ports[port]))
        elif subject is None:
            for endpoint in view.endpoints:
                if port in endpoint.ports and (peers.anyone or endpoint.ip in peers.ips):
                    yield Peers(ips=(endpoint.ip,)), (Port(protocol, endpoint.ports[port]),)
    if numbers:
        yield peers, tuple(numbers)


def _network_sections(policy: Object, endpoint: Endpoint, view: View) -> Iterator[_Section]:
    spec, space = policy["spec"], policy["metadata"]["namespace"]
    if endpoint.namespace != space or not selects(spec.get("podSelector") or {}, endpoint.pod_labels):
        return
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if "egress" in spec else ["Ingress"])
    for direction, side in (("ingress", "from"), ("egress", "to")):
        if direction.capitalize() not in types:
            continue
        section = _Section(direction)
        for rule in spec.get(direction) or []:
            peers = _network_peers(rule.get(side), space, view)
            ports = [{"protocol": "TCP", **port} for port in rule.get("ports") or []]
            item = {"toPorts": [{"ports": ports}]} if ports else {}
            section.rules += _with_ports(item, peers, False, endpoint if direction == "ingress" else None, policy, view)
        yield section


def _network_peers(peers: list[Object] | None, space: str, view: View) -> Peers:
    if not peers:
        return Peers(anyone=True)
    ips: set[str] = set()
    cidrs: list[tuple[str, tuple[str, ...]]] = []
    for peer in peers:
        if block := peer.get("ipBlock"):
            cidrs.append((block["cidr"], tuple(block.get("except") or ())))
            continue
        spaces = peer.get("namespaceSelector")
        for endpoint in view.endpoints:
            labels = {"kubernetes.io/metadata.name": endpoint.namespace, **view.namespaces.get(endpoint.namespace, {})}
            near = endpoint.namespace == space if spaces is None else selects(spaces, labels)
            if near and selects(peer.get("podSelector") or {}, endpoint.pod_labels):
                ips.add(endpoint.ip)
    return Peers(ips=tuple(sorted(ips)), cidrs=tuple(cidrs))


def covers(rule: Rule, peer_ip: str, port: int, protocol: str = "tcp") -> bool:
    """Whether an allow rule speaks of this peer address and destination port (addresses of pods and hosts only)."""
    if not (rule.peers.anyone or rule.peers.host or rule.peers.world or rule.peers.cidrs or peer_ip in rule.peers.ips):
        return False
    return not rule.ports or any(_port_covers(p, port, protocol) for p in rule.ports)


def _port_covers(entry: Port, port: int, protocol: str) -> bool:
    return entry.protocol in ("any", protocol) and (
        not entry.first or entry.first <= port <= max(entry.first, entry.last)
    )


def request_allowed(rules: Iterable[Rule], peer_ip: str, port: int, method: str, path: str, host: str) -> bool:
    """Whether the HTTP rules that cover the connection let a request pass; no such rule = it passes."""
    covering = [rule for rule in rules if not rule.deny and rule.http is not None and covers(rule, peer_ip, port)]
    return not covering or any(
        _matches(dict(http), method, path, host) for rule in covering for http in rule.http or ()
    )


def _matches(http: HttpRule, method: str, path: str, host: str) -> bool:
    actual = {"method": method, "path": path, "host": host}
    return all(re.fullmatch(pattern, actual[key]) for key, pattern in http.items())
