"""What else on a host has a say in its network, its name and its clock: plain values, gathered by an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Drop:
    """A base chain whose policy drops what no rule accepts.

    Attributes:
        chain: where it is, such as ``ip filter FORWARD`` or ``inet firewall input``.
        hook: ``input`` or ``forward``.
        rules: its own rules, as the tool prints them.
    """

    chain: str
    hook: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Firewalld:
    """A running firewalld.

    Attributes:
        zone: default zone.
        sources: sources of the zone ``trusted``.
        ports: open ports of the default zone, such as ``6443/tcp``.
    """

    zone: str = "public"
    sources: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ufw:
    """An active ufw.

    Attributes:
        rules: its rules as ``ufw show added`` prints them, without the leading ``ufw``.
        incoming: default policy for incoming packets, such as ``deny``.
        routed: default policy for forwarded packets.
        seen: the rules could be read.
    """

    rules: tuple[str, ...] = ()
    incoming: str = ""
    routed: str = ""
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Firewall:
    """What filters packets.

    Attributes:
        drops: base chains that drop by policy, those of firewalld and ufw left out.
        firewalld: None where it does not run.
        ufw: None where it is not active.
        docker: docker's chains are there.
        kube_chains: chains that kube-proxy made (services and their endpoints).
    """

    drops: tuple[Drop, ...] = ()
    firewalld: Firewalld | None = None
    ufw: Ufw | None = None
    docker: bool = False
    kube_chains: int = 0


@dataclass(frozen=True, slots=True)
class Managers:
    """Programs that look after links, routes and rules.

    Attributes:
        networkd: systemd-networkd runs.
        networkd_keeps: it leaves routes and routing rules of others alone.
        network_manager: NetworkManager runs.
        grabbed: links of Cilium that NetworkManager has taken.
        unmanaged: patterns of links that it leaves alone, such as ``interface-name:cilium_*``.
        cloud_setup: ``nm-cloud-setup`` is switched on.
    """

    networkd: bool = False
    networkd_keeps: bool = False
    network_manager: bool = False
    grabbed: tuple[str, ...] = ()
    unmanaged: tuple[str, ...] = ()
    cloud_setup: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a sysctl configuration.

    Attributes:
        path: file.
        key: with dots, such as ``net.ipv4.conf.all.rp_filter``.
        value: its value.
    """

    path: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Identity:
    """By what the host is told from others.

    Attributes:
        machine_id: ``set``, ``missing``, ``empty``, ``uninitialized`` or ``malformed``; the id itself is nobody's
            business.
        cloned: what shows that the disk is a copy of another host's, empty where nothing does.
        node_password: file with a k3s node password, empty where there is none.
    """

    machine_id: str = "set"
    cloned: str = ""
    node_password: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """How the clock is kept.

    Attributes:
        synchronised: the kernel says that a time service keeps it; None where it cannot say.
        keeper: time service that runs, such as ``chronyd``; empty for none.
    """

    synchronised: bool | None = None
    keeper: str = ""


@dataclass(frozen=True, slots=True)
class Resolver:
    """A resolv.conf.

    Attributes:
        path: file.
        servers: addresses of its name servers.
    """

    path: str
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A Helm release as its newest record tells it.

    Attributes:
        name: such as ``cilium``.
        namespace: such as ``kube-system``.
        status: such as ``deployed`` or ``pending-upgrade``.
        chart: name and version of the chart, may be empty.
    """

    name: str
    namespace: str
    status: str
    chart: str = ""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What is known of the cluster that runs here.

    Attributes:
        nodes: number of nodes.
        releases: Helm releases of Cilium or Hubble.
        gateway_crds: release of each Gateway API definition, such as ``v1.2.0``, by plural; empty where not told.
        balancers: pods of k3s' own load balancer.
    """

    nodes: int = 0
    releases: tuple[Release, ...] = ()
    gateway_crds: Mapping[str, str] = field(default_factory=dict)
    balancers: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """What came of knocking at a source of downloads.

    Attributes:
        name: such as ``k3s``.
        url: what was asked.
        trouble: why there was no answer, empty where there was one.
        skew: seconds that our clock is ahead of the server's, None where it did not tell.
        proxy: the proxy in between, password masked; empty for none.
    """

    name: str
    url: str
    trouble: str = ""
    skew: float | None = None
    proxy: str = ""
