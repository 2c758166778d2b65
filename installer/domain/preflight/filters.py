"""Checks of what filters packets: firewalld, ufw, policies that drop, rules of a kube-proxy that is gone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.findings import Finding, Level, Wanted
from installer.domain.preflight.surroundings import Drop

NODE_PORTS: Final = ("10250/tcp", "4240/tcp", "4244/tcp")
"""Ports that nodes reach at each other, besides the tunnel's."""
_CIDR: Final = re.compile(r"(?:-s|saddr)\s+(?:\{\s*)?([0-9a-fA-F.:]+(?:/\d+)?)")


def pod_networks(wanted: Wanted) -> list[str]:
    """Return pod and service networks, in this order."""
    both = (*wanted.cluster_cidr.split(","), *wanted.service_cidr.split(","))
    return [part.strip() for part in both if part.strip()]


def needed_ports(wanted: Wanted) -> list[str]:
    """Return the ports that others must reach, such as ``6443/tcp``; those between nodes where there are several."""
    ports = [f"{wanted.api_port}/tcp"]
    if wanted.nodes > 1:
        tunnels = [f"{port.port}/udp" for port in wanted.ports if port.protocol == "udp"]
        ports += [*NODE_PORTS, *tunnels, *(["51871/udp"] if "wireguard" in wanted.features else [])]
    return ports


def missing_in_firewalld(facts: HostFacts, wanted: Wanted) -> tuple[list[str], list[str]]:
    """Return networks that are not trusted and ports that are not open."""
    found = facts.firewall.firewalld
    if found is None:
        return [], []
    networks = [one for one in pod_networks(wanted) if not _covered(one, found.sources)]
    return networks, [] if found.zone == "trusted" else [one for one in needed_ports(wanted) if one not in found.ports]


def missing_in_ufw(facts: HostFacts, wanted: Wanted) -> list[str]:
    """Return the rules that ufw lacks, as its own words."""
    ufw = facts.firewall.ufw
    if ufw is None or not ufw.seen:
        return []
    rules: list[str] = []
    if ufw.incoming not in ("allow", ""):
        rules += [f"allow from {one}" for one in pod_networks(wanted)]
        rules += [f"allow {one}" for one in needed_ports(wanted)]
    if ufw.routed not in ("allow", ""):
        pods = [part.strip() for part in wanted.cluster_cidr.split(",")]
        rules += [f"route allow {way} {one}" for one in pods for way in ("from", "to")]
    return [rule for rule in rules if rule not in ufw.rules and not _port_is_open(rule, ufw.rules)]


def _port_is_open(rule: str, rules: tuple[str, ...]) -> bool:
    """Whether a port is open for both protocols, which ufw writes without any."""
    return rule.startswith("allow ") and rule.partition("/")[0] in rules


def check_firewalld(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Packets of pods come from a network that firewalld does not know."""
    networks, ports = missing_in_firewalld(facts, wanted)
    found = facts.firewall.firewalld
    if found and (networks or ports):
        parts = [f"zone trusted has {', '.join(found.sources) or 'no sources'}"] if networks else []
        parts += [f"zone {found.zone} does not open {', '.join(ports)}"] if ports else []
        words = [f"--zone=trusted --add-source={one}" for one in networks] + [f"--add-port={one}" for one in ports]
        yield Finding(
            "E-PRE-060",
            Level.WARNING,
            "firewalld",
            "firewalld drops packets of pods: CoreDNS and Hubble Relay would time out",
            "; ".join(parts),
            "; ".join(f"firewall-cmd --permanent {one}" for one in words) + "; firewall-cmd --reload",
        )


def check_ufw(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Ufw denies what comes in and what is forwarded, unless it is told otherwise."""
    ufw = facts.firewall.ufw
    if ufw is not None and not ufw.seen:
        yield Finding(
            "E-PRE-061",
            Level.INFO,
            "ufw",
            "ufw is switched on; its rules can be seen by root only",
            "/etc/ufw/ufw.conf says ENABLED=yes",
            "run it with sudo",
        )
    missing = missing_in_ufw(facts, wanted)
    if ufw is not None and missing:
        yield Finding(
            "E-PRE-061",
            Level.WARNING,
            "ufw",
            "ufw drops packets of pods: the install would hang, Hubble Relay would time out",
            f"ufw is active, by default: {ufw.incoming} incoming, {ufw.routed} routed; "
            f"{len(missing)} rules are missing",
            "; ".join(f"ufw {rule}" for rule in missing),
        )


def check_drops(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A policy of drop that lets nothing of the pods through."""
    pods = [part.strip() for part in wanted.cluster_cidr.split(",")]
    for drop in facts.firewall.drops:
        if all(_lets_through(drop, one) for one in pods if (":" in one) == _is_six(drop, one)):
            continue
        iptables = re.fullmatch(r"ip6? filter FORWARD", drop.chain) is not None
        if iptables:
            yield _forward(drop, facts, pods[0])
        else:
            yield _dropping(drop, pods[0])


def _forward(drop: Drop, facts: HostFacts, pods: str) -> Finding:
    """Cilium puts its rules before those of iptables' chain, so this is no more than a note."""
    docker = facts.firewall.docker
    chain = "DOCKER-USER" if docker else "FORWARD"
    return Finding(
        "E-PRE-064" if docker else "E-PRE-063",
        Level.INFO,
        drop.chain,
        "docker drops forwarded packets by default; Cilium puts its own rules before docker's"
        if docker
        else "forwarded packets are dropped by default; Cilium puts its own rules first",
        f"policy of {drop.chain} is DROP",
        f"nothing, while Cilium's prependIptablesChains is on; else iptables -I {chain} "
        f"-s {pods} -j ACCEPT, and the same with -d",
    )


def _dropping(drop: Drop, pods: str) -> Finding:
    native = not re.fullmatch(r"ip6? filter (INPUT|FORWARD)", drop.chain)
    add = f"nft insert rule {drop.chain}" if native else f"iptables -I {drop.chain.split()[-1]}"
    rule = f"ip saddr {pods} accept" if native else f"-s {pods} -j ACCEPT"
    back = f"; {add} ip daddr {pods} accept" if native and drop.hook == "forward" else ""
    what = "reach this host" if drop.hook == "input" else "be forwarded"
    return Finding(
        "E-PRE-062" if drop.hook == "input" else "E-PRE-063",
        Level.WARNING,
        drop.chain,
        f"a firewall drops by default, and packets of pods may not {what}",
        f"policy of {drop.chain} is drop, no rule of it accepts {pods}",
        f"{add} {rule}{back}; and the same where these rules are kept",
    )


def _is_six(drop: Drop, network: str) -> bool:
    """Return the family that a chain is about; one of both is about the network's."""
    family = drop.chain.split()[0]
    return (":" in network) if family == "inet" else family == "ip6"


def _lets_through(drop: Drop, network: str) -> bool:
    for rule in drop.rules:
        if re.search(r"-j ACCEPT|\baccept\b", rule):
            found = _CIDR.search(rule)
            everything = re.fullmatch(r"-A \w+ -j ACCEPT|accept|counter( packets \d+ bytes \d+)? accept", rule)
            links = re.search(r"(?:-i|iifname) [\"']?(?:lxc|cilium_)", rule)
            if everything or links or (found and _covered(network, (found[1],))):
                return True
    return False


def _covered(network: str, by: tuple[str, ...]) -> bool:
    wanted = ipaddress.ip_network(network, strict=False)
    for text in by:
        try:
            found = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue  # a MAC address or the name of an ipset
        if found.version == wanted.version and wanted.subnet_of(found):  # type: ignore[arg-type]  # versions equal
            return True
    return False


def check_kube_rules(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Kube-proxy never cleans up, and its rules win over nothing but confuse everything."""
    chains = facts.firewall.kube_chains
    if not chains or not wanted.kube_proxy_free:
        return
    running = bool(facts.k3s.pid) and facts.k3s.kube_proxy is not False
    if running:
        yield Finding(
            "E-PRE-066",
            Level.WARNING,
            "kube-proxy",
            "a kube-proxy serves Services here and is to be switched off; its rules stay until they are removed",
            f"{chains} chains KUBE-SVC, KUBE-SEP and the like; the k3s here does not set disable-kube-proxy",
            "after the install: reboot, or remove them with "
            "iptables-save | grep -v KUBE- | iptables-restore once no pod needs them",
        )
    else:
        yield Finding(
            "E-PRE-065",
            Level.WARNING,
            "kube-proxy",
            "rules of a kube-proxy that is gone are left over; they may catch packets meant for Services",
            f"{chains} chains KUBE-SVC, KUBE-SEP and the like, and no kube-proxy",
            "iptables-save | grep -v KUBE- | iptables-restore (and ip6tables), or reboot",
        )


CHECKS = (check_firewalld, check_ufw, check_drops, check_kube_rules)
