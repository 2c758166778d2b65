"""Checks of the network: ports, address ranges, routes, VXLAN."""

# All checks have one signature.
# ruff: noqa: ARG001
from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from installer.domain.preflight.facts import HostFacts, Listener
from installer.domain.preflight.findings import Finding, Level, Port, Wanted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_OWN_LINKS: Final = re.compile(r"cilium[_-].*|lxc(_health|[0-9a-f]{10,})")
_POD_LINK_KINDS: Final = ("veth", "vxlan", "geneve", "bridge", "netkit")
_CANDIDATES: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fd00::/8")
_VPN_KINDS: Final = ("wireguard", "tun", "ppp", "xfrm", "ipip", "gre", "sit")
_VPN_NAMES: Final = re.compile(r"(tailscale|zt|wg|tun|utun|ppp|nebula)[0-9a-z]*")
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def check_default_route(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """K3s finds its address by the default route and refuses to start without one."""
    if "routes" in facts.unknown or any(_is_default(route.destination) for route in facts.routes):
        return
    yield Finding(
        "E-PRE-040",
        Level.ERROR,
        "default route",
        "the host has no default route, k3s cannot find its own address",
        "no default in: ip route",
        "set the host's gateway; without a network make a dummy one: ip link add dummy0 type dummy; "
        "ip link set dummy0 up; ip addr add 203.0.113.254/31 dev dummy0; "
        "ip route add default via 203.0.113.255 dev dummy0 metric 1000",
    )


def check_several_ways(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """With several ways out, or one through a VPN, k3s and Cilium may take the wrong link."""
    if wanted.chosen_address or wanted.ours:
        return
    ways = [
        route for route in facts.routes if _is_default(route.destination) and route.table == "main" and route.device
    ]
    vpn = [route for route in ways if _is_vpn(facts, route.device)]
    devices = dict.fromkeys(route.device for route in sorted(ways, key=lambda route: route.metric))
    if len(devices) > 1 or vpn:
        yield Finding(
            "E-PRE-045",
            Level.WARNING,
            "default route",
            "the default route goes through a VPN"
            if vpn and len(devices) == 1
            else "the host has several default routes",
            "; ".join(f"default via {one.gateway or 'nothing'} dev {one.device} metric {one.metric}" for one in ways),
            "set k3s.nodeIP to the address that other nodes reach, and cilium.values.devices to its link; "
            "mind the smaller MTU of a VPN",
        )


def is_pod_link(name: str) -> bool:
    """Whether a link is Cilium's own."""
    return bool(_OWN_LINKS.fullmatch(name))


def _is_vpn(facts: HostFacts, device: str) -> bool:
    kind = next((link.kind for link in facts.links if link.name == device), "")
    return kind in _VPN_KINDS or bool(_VPN_NAMES.fullmatch(device))


def check_ports(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Every port must be free, or held by the k3s that is here, of which ``check_k3s`` says what is to be said."""
    there = wanted.ours or facts.k3s.present
    for port in wanted.ports:
        holders = [one for one in facts.listeners if _clashes(port, one) and not (there and _may_be_own(facts, one))]
        kernel = [one for one in holders if one.pid == 0 and not one.process]
        by_kernel = port.protocol == "udp" and kernel == holders
        if holders and not (by_kernel and (there or _tunnel_links(facts, port.port))):
            yield _taken(port, holders[0])


def _may_be_own(facts: HostFacts, holder: Listener) -> bool:
    """Whether a k3s that is here holds a socket; without root, holders of others cannot be seen."""
    return holder.in_cluster or (facts.uid != 0 and not holder.pid and not holder.process)


def _taken(port: Port, holder: Listener) -> Finding:
    who = f"{holder.process} (pid {holder.pid})" if holder.pid else holder.process or "the kernel or an unseen process"
    stop = f"stop {holder.process}" if holder.process else "find the holder: ss -lnp"
    return Finding(
        "E-PRE-041",
        Level.ERROR,
        f"port {port.port}/{port.protocol}",
        f"port {port.port}/{port.protocol} ({port.purpose}) is taken by {who}",
        f"{who} listens on {_joined(holder)}",
        f"{stop}, or move it to another port",
    )


def _joined(holder: Listener) -> str:
    host = f"[{holder.address}]" if ":" in holder.address else holder.address
    return f"{host}:{holder.port}/{holder.protocol}"


def _clashes(port: Port, listener: Listener) -> bool:
    if (port.protocol, port.port) != (listener.protocol, listener.port):
        return False
    return not port.local or listener.address in (*_WILDCARDS, "127.0.0.1", "::1", "::ffff:127.0.0.1")


def check_vxlan(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Two tunnel devices cannot share a port; flannel's and Cilium's default is the same."""
    for port in wanted.ports:
        links = _tunnel_links(facts, port.port) if port.protocol == "udp" else []
        names = [name for name in links if not _OWN_LINKS.fullmatch(name)]
        if names:
            delete = "; ".join(f"ip link delete {name}" for name in names)
            yield Finding(
                "E-PRE-042",
                Level.ERROR,
                f"port {port.port}/udp",
                f"another tunnel device uses Cilium's tunnel port {port.port}",
                f"ip -d link shows {', '.join(names)} with dstport {port.port}",
                f"{delete}; or set Cilium's tunnelPort to another port",
            )


def _tunnel_links(facts: HostFacts, number: int) -> list[str]:
    return [link.name for link in facts.links if link.kind in ("vxlan", "geneve") and link.port == number]


def check_ranges(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Pod and service networks must not cover addresses that the host reaches elsewhere."""
    pods, services = _networks(wanted.cluster_cidr), _networks(wanted.service_cidr)
    taken = list(_taken_networks(facts, wanted, pods))
    avoid = [*(network for network, _ in taken), *pods, *services]
    for name, network in (*(("pod", one) for one in pods), *(("service", one) for one in services)):
        hits = [text for found, text in taken if _overlap(network, found)]
        if hits:
            free = free_range(network, avoid)
            avoid += [free] if free else []  # two proposals must not overlap each other
            yield _range_clash(name, network, hits, free, wanted)


def _range_clash(name: str, network: Network, hits: list[str], free: Network | None, wanted: Wanted) -> Finding:
    key = "cluster-cidr" if name == "pod" else "service-cidr"
    proposal = f"choose another, such as {free} ({key})" if free else f"choose another free network ({key})"
    return Finding(
        "E-PRE-043",
        Level.WARNING if wanted.ours else Level.ERROR,
        f"{name} network {network}",
        f"the {name} network {network} overlaps a network that the host reaches elsewhere",
        "; ".join(dict.fromkeys(hits)),
        proposal,
        str(free or ""),
    )


def check_own_ranges(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Pod and service networks must not overlap each other."""
    for pods in _networks(wanted.cluster_cidr):
        for services in _networks(wanted.service_cidr):
            if _overlap(pods, services):
                yield Finding(
                    "E-PRE-044",
                    Level.ERROR,
                    f"pod network {pods}",
                    "the pod network and the service network overlap",
                    f"{pods} and {services}",
                    "choose two networks that share no address",
                )


def free_range(like: Network, taken: Iterable[Network]) -> Network | None:
    """Return a private network of the same size that overlaps none of ``taken``; None where all is taken.

    Higher thirds of a range come first: low ones (10.0, 10.1, 192.168.0 …) are the likely choice of everyone else.
    """
    taken = list(taken)
    for candidate in _CANDIDATES:
        space = ipaddress.ip_network(candidate)
        if space.version != like.version or space.prefixlen > like.prefixlen:
            continue
        size = 1 << (like.max_prefixlen - like.prefixlen)
        count = min(1 << (like.prefixlen - space.prefixlen), 4096)
        for index in (*range(count // 6, count), *range(count // 6)):
            found = ipaddress.ip_network((int(space.network_address) + index * size, like.prefixlen))
            if found.version == like.version and not any(_overlap(found, one) for one in taken):
                return found
    return None


def _taken_networks(facts: HostFacts, wanted: Wanted, pods: list[Network]) -> Iterator[tuple[Network, str]]:
    """Yield the networks that the host reaches, with the line that shows it; those of the k3s here are left out."""
    for route in facts.routes:
        network = ipaddress.ip_network(route.destination, strict=False)
        if not _is_default(route.destination) and not _is_own(facts, wanted, route.device, network, pods):
            via = f" via {route.gateway}" if route.gateway else ""
            device = f" dev {route.device}" if route.device else ""
            yield network, f"route {network}{via}{device}"
    for address in facts.addresses:
        interface = ipaddress.ip_interface(address.address)
        if not _is_own(facts, wanted, address.device, interface.network, pods):
            yield interface.network, f"address {address.address} dev {address.device}"
    yield from _reached(facts)


def _reached(facts: HostFacts) -> Iterator[tuple[Network, str]]:
    """Yield single addresses that the host needs, although no route of its own names their network."""
    named = [(server, f"name server {server} in {one.path}") for one in facts.resolvers for server in one.servers]
    if facts.ssh_client:
        named.append((facts.ssh_client, f"this SSH session comes from {facts.ssh_client}"))
    for proxy in (facts.proxy.get("HTTPS_PROXY", ""), facts.proxy.get("HTTP_PROXY", "")):
        host = urlsplit(proxy).hostname or ""
        named.append((host, f"the proxy is {host}"))
    for text, told in named:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            continue  # a name, or nothing
        if not address.is_loopback:
            yield ipaddress.ip_network(address), told


def _is_own(facts: HostFacts, wanted: Wanted, device: str, network: Network, pods: list[Network]) -> bool:
    if _OWN_LINKS.fullmatch(device):
        return True
    if not (wanted.ours or facts.k3s.present):
        return False
    kind = next((link.kind for link in facts.links if link.name == device), "")
    inside = any(_overlap(network, pod) and network.prefixlen >= pod.prefixlen for pod in pods)
    return inside and (kind in _POD_LINK_KINDS or device.startswith("cni"))


def _is_default(destination: str) -> bool:
    """Whether a route is a default one; VPNs split it into two halves."""
    return ipaddress.ip_network(destination, strict=False).prefixlen <= 1


def _networks(text: str) -> list[Network]:
    return [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


CHECKS = (check_default_route, check_several_ways, check_ports, check_vxlan, check_ranges, check_own_ranges)
