"""Checks of the host's name, id, clock, name servers and proxies: how it stands among others."""

# All checks have one signature.
# ruff: noqa: ARG001
from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.findings import Finding, Level, Wanted

IMAGE_NAMES: Final = frozenset(
    (
        *("raspberrypi", "ubuntu", "debian", "fedora", "rocky", "almalinux", "centos", "archlinux", "alarm", "alpine"),
        *("dietpi", "orangepi", "rock64", "kali", "openwrt", "vagrant", "template", "image", "default", "host"),
        *("server", "vps", "node"),
    )
)
"""Names that images come with; two hosts made of one image would be one node."""
MAX_SKEW: Final = 30.0
"""Seconds between our clock and a server's that are worth a word."""
BAD_SKEW: Final = 300.0
"""Seconds from which on certificates are refused."""


def check_machine_id(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Node and DHCP lease are told apart by it."""
    state, cloned = facts.identity.machine_id, facts.identity.cloned
    if state != "set":
        yield Finding(
            "E-PRE-023",
            Level.WARNING,
            "machine-id",
            "the host has no machine id of its own",
            f"/etc/machine-id is {state}",
            "systemd-machine-id-setup (dbus-uuidgen --ensure=/etc/machine-id without systemd), then reboot",
        )
    elif cloned:
        yield Finding(
            "E-PRE-023",
            Level.WARNING,
            "machine-id",
            "the disk is a copy of another host's, and so is the machine id",
            cloned,
            "rm /etc/machine-id; systemd-machine-id-setup; make new SSH host keys too; then reboot",
        )


def check_image_name(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A name that many hosts have is a node name that many nodes would want."""
    if facts.hostname.lower().partition(".")[0] in IMAGE_NAMES:
        yield Finding(
            "E-PRE-024",
            Level.WARNING if wanted.nodes > 1 else Level.INFO,
            "hostname",
            "the host still has its image's name: a second host of this image would be the same node",
            f"hostname is {facts.hostname!r}",
            "hostnamectl set-hostname NAME, or set k3s.nodeName",
        )


def check_node_password(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """The password of an earlier life is refused by a cluster that knows this name."""
    if facts.identity.node_password and not facts.k3s.present and not wanted.ours:
        yield Finding(
            "E-PRE-039",
            Level.INFO,
            facts.identity.node_password,
            "the password of an earlier k3s node is left over",
            f"{facts.identity.node_password} is there, and there is no k3s",
            "nothing for a new cluster; before joining an old one delete this node and its secret there",
        )


def check_synchronised(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A clock that nobody keeps drifts until certificates are refused."""
    if facts.clock is not None and facts.clock.synchronised is False:
        keeper = facts.clock.keeper
        yield Finding(
            "E-PRE-025",
            Level.INFO if keeper else Level.WARNING,
            "clock",
            "the clock is not synchronised: certificates and logs of several hosts need one time",
            f"the kernel says unsynchronised; {f'{keeper} runs' if keeper else 'no time service runs'}",
            "wait for it to synchronise" if keeper else "timedatectl set-ntp true, or install chrony",
        )


def check_skew(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Servers on the internet know the time."""
    told = [source for source in facts.sources if source.skew is not None]
    worst = min(told, key=lambda source: abs(source.skew or 0.0), default=None)
    if worst is None or worst.skew is None or abs(worst.skew) < MAX_SKEW:
        return
    yield Finding(
        "E-PRE-026",
        Level.ERROR if abs(worst.skew) >= BAD_SKEW else Level.WARNING,
        "clock",
        f"the clock is {abs(worst.skew):.0f} s {'ahead' if worst.skew > 0 else 'behind'}",
        f"compared with {worst.url}" + (f" and {len(told) - 1} more servers" if len(told) > 1 else ""),
        "set the clock (timedatectl set-ntp true, or chronyd -q)",
    )


def check_resolvers(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """CoreDNS asks the host's name servers; one on loopback is CoreDNS itself, or nobody."""
    if not facts.resolvers or any(_usable(server) for one in facts.resolvers for server in one.servers):
        return
    yield Finding(
        "E-PRE-029",
        Level.WARNING,
        "resolv.conf",
        "no name server of the host can be reached from a pod: CoreDNS would ask itself, or k3s takes 8.8.8.8",
        "; ".join(f"{one.path}: {', '.join(one.servers) or 'no name server'}" for one in facts.resolvers),
        "write the real name servers to a file and set k3s.config.resolv-conf to it",
    )


def _usable(server: str) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return not (address.is_loopback or address.is_multicast or address.is_unspecified)


def check_proxy_words(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A proxy without a scheme is understood by some programs only."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        url = facts.proxy.get(name, "")
        if url and not re.match(r"(?i)https?://[^/:]+", url):
            yield Finding(
                "E-PRE-076",
                Level.WARNING,
                name,
                f"{name} is no URL of an HTTP proxy",
                f"{name}={url}",
                "write it as http://HOST:PORT",
            )


def check_no_proxy(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """The API reaches kubelets by the node's address, which must not go through the proxy."""
    proxy = wanted.proxy or facts.proxy.get("HTTPS_PROXY") or facts.proxy.get("HTTP_PROXY")
    own = own_address(facts)
    if not proxy or not own:
        return
    entries = [part.strip() for part in facts.proxy.get("NO_PROXY", "").split(",")] + list(wanted.no_proxy)
    if not any(_passes(entry, own) for entry in entries):
        yield Finding(
            "E-PRE-049",
            Level.WARNING,
            "NO_PROXY",
            "this host's own address would go through the proxy: the API could not reach the kubelet",
            f"{own} is in none of: {', '.join(filter(None, entries))}; proxy {_host(proxy)}",
            f"add {own} to downloads.noProxy (or to NO_PROXY)",
            own,
        )


def own_address(facts: HostFacts) -> str:
    """Return the address that k3s would take: the first of the link with the best default route."""
    defaults = [route for route in facts.routes if route.destination in ("0.0.0.0/0", "::/0") and route.table == "main"]
    for route in sorted(defaults, key=lambda route: (route.destination != "0.0.0.0/0", route.metric)):
        for one in facts.addresses:
            address = ipaddress.ip_interface(one.address).ip
            if (
                one.device == route.device
                and not address.is_link_local
                and (":" in str(address)) == (":" in route.destination)
            ):
                return str(address)
    return ""


def _passes(entry: str, address: str) -> bool:
    if entry == "*" or entry == address:
        return True
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url


def check_sources(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """What cannot be fetched cannot be installed."""
    for source in facts.sources:
        if source.trouble:
            by = f" through the proxy {source.proxy}" if source.proxy else ""
            yield Finding(
                "E-PRE-075",
                Level.WARNING if wanted.ours else Level.ERROR,
                source.name,
                f"{source.name} cannot be reached{by}",
                source.trouble if source.url in source.trouble else f"{source.url}: {source.trouble}",
                "open the way there, set downloads.proxy or a mirror (spec.downloads), or install from a bundle",
            )


CHECKS = (
    check_machine_id,
    check_image_name,
    check_node_password,
    check_synchronised,
    check_skew,
    check_resolvers,
    check_proxy_words,
    check_no_proxy,
    check_sources,
)
