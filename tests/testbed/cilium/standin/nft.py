"""The datapath as one nft table: services, masquerade, policies, logging. Only `load` and `route_proxied` act."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field

from .model import Object, View
from .policy import Enforced, Peers, Port, Rule

TABLE = "cilium_testbed"
LOG_GROUP, PROXY_PORT, PROXY_MARK, ROUTE_TABLE = 77, 10099, 0x200, 2005
DENIED, DENYLISTED, NO_BACKEND = 133, 181, 158
Backend = tuple[str, int]


@dataclass
class Services:
    """Where service addresses lead; keys are (address or "", protocol, port), "" = any local address."""

    backends: dict[tuple[str, str, int], list[Backend]] = field(default_factory=dict)


@dataclass
class Options:
    """What the values of the chart ask of the datapath."""

    enforce: bool = True
    l7: bool = True
    drop_dns: bool = False


def services_of(services: Iterable[Object], endpoints: Iterable[Object], view: View) -> Services:
    """Cluster addresses, node ports and host ports with their ready backends."""
    result = Services()
    subsets = {(e["metadata"]["namespace"], e["metadata"]["name"]): e.get("subsets") or [] for e in endpoints}
    for service in services:
        spec, meta = service["spec"], service["metadata"]
        for port in spec.get("ports") or []:
            backends = _backends(subsets.get((meta["namespace"], meta["name"]), []), port)
            protocol = port.get("protocol", "TCP").lower()
            if spec.get("clusterIP") not in (None, "", "None") and ":" not in spec["clusterIP"]:
                result.backends[(spec["clusterIP"], protocol, port["port"])] = backends
            if port.get("nodePort"):
                result.backends[("", protocol, port["nodePort"])] = backends
    for endpoint in view.endpoints:
        for protocol, host_port, container_port in endpoint.host_ports:
            result.backends[("", protocol, host_port)] = [(endpoint.ip, container_port)]
    return result


def _backends(subsets: list[Object], port: Object) -> list[Backend]:
    found = []
    for subset in subsets:
        for target in subset.get("ports") or []:
            if target.get("name", "") == port.get("name", ""):
                found += [(address["ip"], target["port"]) for address in subset.get("addresses") or []]
    return sorted(set(found))


def render(view: View, services: Services, policies: dict[str, Enforced], options: Options) -> str:
    """The complete ruleset, in a form that replaces the old one in one transaction."""
    policies = policies if options.enforce else {}
    local = [*view.host_ips, "127.0.0.0/8"]
    cluster = [*view.host_ips, *([view.pod_cidr] if view.pod_cidr else [])]
    pods = [endpoint.ip for endpoint in view.endpoints]
    sets = [
        _set("pods", "ipv4_addr", pods),
        _set("hosts", "ipv4_addr", local, "flags interval; auto-merge;"),
        _set("cluster", "ipv4_addr", cluster, "flags interval; auto-merge;"),
        _set("self", "ipv4_addr . ipv4_addr", [f"{ip} . {ip}" for ip in pods]),
    ]
    chains = [*_service_chains(services), *_policy_chains(policies, options), *_fixed_chains(view, options)]
    head = f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"
    return head + "\n".join([*sets, *chains]) + "\n}\n"


def _set(name: str, kind: str, elements: Iterable[str], extra: str = "") -> str:
    items = ", ".join(sorted(set(elements)))
    return f"set {name} {{ type {kind}; {extra} {f'elements = {{ {items} }}' if items else ''} }}"


def _vmap(name: str, kind: str, elements: Iterable[str]) -> str:
    items = ", ".join(elements)
    return f"map {name} {{ type {kind} : verdict; {f'elements = {{ {items} }}' if items else ''} }}"


def _chain(name: str, lines: Iterable[str]) -> str:
    return f"chain {name} {{\n" + "".join(f"  {line}\n" for line in lines if line) + "}"


def _log(tag: str) -> str:
    return f'log prefix "{tag}" group {LOG_GROUP} snaplen 128'


def _service_chains(services: Services) -> list[str]:
    chains: list[str] = []
    cluster: list[str] = []
    node: list[str] = []
    empty: list[str] = []
    for index, ((address, protocol, port), backends) in enumerate(sorted(services.backends.items())):
        if backends:
            chains.append(_chain(f"svc_{index}", [_dnat(protocol, backends)]))
        target = cluster if address else node
        key = f"{address} . {protocol} . {port}" if address else f"{protocol} . {port}"
        if backends:
            target.append(f"{key} : goto svc_{index}")
        elif address:
            empty.append(key)
    triple = "ipv4_addr . inet_proto . inet_service"
    maps = [_vmap("services", triple, cluster), _vmap("node_ports", "inet_proto . inet_service", node)]
    return [*chains, *maps, _set("no_backend", triple, empty)]


def _dnat(protocol: str, backends: list[Backend]) -> str:
    if len(backends) == 1:
        return f"meta l4proto {protocol} dnat to {backends[0][0]}:{backends[0][1]}"
    choices = ", ".join(f"{i} : {ip} . {port}" for i, (ip, port) in enumerate(backends))
    return f"meta l4proto {protocol} dnat ip addr . port to numgen random mod {len(backends)} map {{ {choices} }}"


def _policy_chains(policies: dict[str, Enforced], options: Options) -> list[str]:
    chains, maps = [], []
    for direction in ("ingress", "egress"):
        elements = []
        for ip, enforced in sorted(policies.items()):
            rules: list[Rule] | None = getattr(enforced, direction)
            if rules is not None:
                name = f"{direction}_{ip.replace('.', '_')}"
                chains.append(_chain(name, _rule_lines(rules, direction, options)))
                elements.append(f"{ip} : jump {name}")
        maps.append(_vmap(direction, "ipv4_addr", elements))
    return [*chains, *maps]


def _rule_lines(rules: list[Rule], direction: str, options: Options) -> list[str]:
    """Denies first, then plain allows, then those that go through the proxy, then the default."""
    short = direction[0]
    lines = []
    for rule in sorted(rules, key=lambda r: (not r.deny, r.http is not None and options.l7)):
        verdict = f"{_log(f'allow:{short}')} return"
        if rule.deny:
            verdict = f"{_log(f'deny:{short}:{DENYLISTED}')} drop"
        elif rule.http is not None and options.l7:
            verdict = f"meta l4proto tcp meta mark set {PROXY_MARK} {_log(f'proxy:{short}')} return"
        for peers in _peer_matches(rule.peers, "ip saddr" if direction == "ingress" else "ip daddr"):
            lines += [" ".join(f"{peers} {ports} {verdict}".split()) for ports in _port_matches(rule.ports)]
    return [*lines, f"{_log(f'deny:{short}:{DENIED}')} drop"]


def _peer_matches(peers: Peers, address: str) -> list[str]:
    if peers.anyone:
        return [""]
    found = [f"{address} {{ {', '.join(peers.ips)} }}"] if peers.ips else []
    if peers.world:
        found.append(f"{address} != @cluster")
    if peers.host:
        found.append(f"{address} @hosts")
    for cidr, excepts in peers.cidrs:
        if ":" not in cidr:
            minus = f"{address} != {{ {', '.join(excepts)} }}" if excepts else ""
            found.append(f"{address} != @cluster {address} {cidr} {minus}")
    return found


def _port_matches(ports: tuple[Port, ...]) -> list[str]:
    found = []
    for port in ports:
        span = f"{port.first}-{port.last}" if port.last > port.first else str(port.first)
        if port.protocol == "icmp":
            found.append(f"icmp type {port.first}")
        elif not port.first:
            found.append("" if port.protocol == "any" else f"meta l4proto {port.protocol}")
        elif port.protocol == "any":
            found.append(f"meta l4proto {{ tcp, udp, sctp }} th dport {span}")
        else:
            found.append(f"{port.protocol} dport {span}")
    return found or [""]


def _fixed_chains(view: View, options: Options) -> list[str]:
    dns = "ip saddr @pods meta l4proto { tcp, udp } th dport 53"
    lookups = [
        "ip daddr . meta l4proto . th dport vmap @services",
        "ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto . th dport vmap @node_ports",
    ]
    masquerade = f"ip saddr {view.pod_cidr} ip daddr != @cluster masquerade" if view.pod_cidr else ""
    refuse = [f"ip daddr . meta l4proto . th dport @no_backend {_log(f'deny:e:{NO_BACKEND}')} reject"]
    return [
        _chain("nat_prerouting", ["type nat hook prerouting priority dstnat; policy accept;", *lookups]),
        _chain("nat_output", ["type nat hook output priority -100; policy accept;", *lookups]),
        _chain(
            "nat_postrouting",
            [
                "type nat hook postrouting priority srcnat; policy accept;",
                "ip saddr . ip daddr @self masquerade",
                masquerade,
            ],
        ),
        _chain("refuse_forward", ["type filter hook forward priority filter; policy accept;", *refuse]),
        _chain(
            "refuse_output",
            [
                "type filter hook output priority filter; policy accept;",
                *refuse,
                f"ip daddr @pods ct state new {_log('trace:i')}",
            ],
        ),
        _chain(
            "known",
            [
                f"meta l4proto tcp socket transparent 1 meta mark set {PROXY_MARK}",
                f"ct direction reply tcp flags & (syn|fin|rst) != 0 {_log('reply')}",
                f"ct direction original tcp flags & (fin|rst) != 0 {_log('trace:i')}",
                f"ct direction reply meta l4proto {{ udp, icmp }} {_log('reply')}",
                "accept",
            ],
        ),
        _chain(
            "decide",
            [
                "type filter hook prerouting priority -90; policy accept;",
                "ip saddr != @pods ip daddr != @pods accept",
                "ct state established,related goto known",
                "ct state != new accept",
                f"ct state new {dns} {_log(f'deny:e:{NO_BACKEND}')} drop" if options.drop_dns else "",
                "ip saddr . ip daddr @self accept",
                "ip saddr vmap @egress",
                "ip daddr vmap @ingress",
                f"{_log('trace:i')}",
                f"meta mark {PROXY_MARK} meta l4proto tcp tproxy to 127.0.0.1:{PROXY_PORT} accept",
            ],
        ),
    ]


def load(ruleset: str) -> None:
    """Replace the table; raises RuntimeError with nft's words."""
    done = subprocess.run(["nft", "-f", "-"], input=ruleset, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(
            done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"nft: exit {done.returncode}"
        )


def route_proxied() -> None:
    """Packets with the proxy's mark are delivered locally, whatever their address."""
    mark, table = f"{PROXY_MARK:#x}", str(ROUTE_TABLE)
    have = subprocess.run(["ip", "rule", "show", "fwmark", mark], text=True, capture_output=True, check=False).stdout
    if f"lookup {table}" not in have:
        subprocess.run(["ip", "rule", "add", "fwmark", mark, "lookup", table, "priority", "9"], check=False)
    subprocess.run(["ip", "route", "replace", "local", "0.0.0.0/0", "dev", "lo", "table", table], check=False)
