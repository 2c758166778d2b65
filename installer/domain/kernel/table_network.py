"""Features of the network stack: devices, routing, netfilter, encryption."""

from __future__ import annotations

from installer.domain.kernel.feature import Feature, Weight
from installer.domain.kernel.trials import Attach, Device, Extension, Hook, Program, Special

_FALLBACK, _NOTE = Weight.FALLBACK, Weight.NOTE

_DEVICES = (
    Feature("device.veth", "veth device", "pods", (Device("veth"),), ("veth",), config=("VETH",), module="veth"),
    Feature(
        "device.netkit",
        "netkit device",
        "pods without the cost of veth",
        (Device("netkit"), Attach(Program.SCHED_CLS, Hook.NETKIT_PRIMARY)),
        ("netkit",),
        config=("NETKIT",),
        since="6.8",
    ),
    Feature(
        "device.vxlan",
        "VXLAN device",
        "traffic between nodes",
        (Device("vxlan"),),
        ("vxlan",),
        config=("VXLAN",),
        module="vxlan",
    ),
    Feature(
        "device.geneve",
        "Geneve device",
        "traffic between nodes, direct server return",
        (Device("geneve"),),
        ("geneve", "geneve-dsr"),
        config=("GENEVE",),
        module="geneve",
    ),
    Feature(
        "device.wireguard",
        "WireGuard device",
        "encryption between nodes",
        (Device("wireguard"),),
        ("wireguard",),
        config=("WIREGUARD",),
        module="wireguard",
        since="5.6",
    ),
    Feature(
        "xfrm.esp",
        "IPsec with AES-GCM",
        "encryption between nodes",
        (Special("esp", "add an ESP state to a scratch namespace"),),
        ("ipsec",),
        config=("XFRM_USER", "INET_ESP", "CRYPTO_GCM"),
        module="esp4",
    ),
)

_ROUTING = (
    Feature(
        "route.rules",
        "policy routing",
        "traffic to the proxy, encryption",
        (Special("rule4", "add a rule with a mark to a scratch namespace"),),
        config=("IP_MULTIPLE_TABLES", "FIB_RULES"),
    ),
    Feature(
        "route.rules6",
        "policy routing of IPv6",
        "traffic to the proxy, encryption",
        (Special("rule6", "add a rule with a mark to a scratch namespace"),),
        ("ipv6",),
        config=("IPV6_MULTIPLE_TABLES",),
    ),
    Feature("ipv6", "IPv6", "pods with IPv6", (Special("ipv6", "bind a socket of IPv6"),), ("ipv6",), config=("IPV6",)),
    Feature(
        "qdisc.fq",
        "fq queueing",
        "bandwidth limits of pods",
        (Special("fq", "add fq to a device of a scratch namespace"),),
        ("bandwidth", "bbr"),
        config=("NET_SCH_FQ",),
        module="sch_fq",
    ),
    Feature(
        "cgroup.v2",
        "cgroup version 2",
        "Services at the socket",
        (Special("cgroup2", "mount it in a namespace of our own"),),
        ("services",),
        config=("CGROUPS",),
    ),
)

_NETFILTER = (
    Feature(
        "iptables",
        "iptables",
        "masquerading, marks, rules for the proxy",
        (Special("iptables", "look for the table mangle, by nf_tables and by the old interface"),),
        config=("NETFILTER_XTABLES",),
        module="x_tables",
    ),
    Feature(
        "iptables.basics",
        "iptables: comment, mark, MARK, conntrack, CT",
        "rules of the agent",
        (
            Extension("match", "comment"),
            Extension("match", "mark", 1),
            Extension("target", "MARK", 2),
            Extension("match", "conntrack", 3),
            Extension("target", "CT", 2),
        ),
        config=(
            "NETFILTER_XT_MATCH_COMMENT",
            "NETFILTER_XT_MARK",
            "NETFILTER_XT_MATCH_CONNTRACK",
            "NETFILTER_XT_TARGET_CT",
        ),
        module="xt_mark",
    ),
    Feature(
        "iptables.masquerade",
        "iptables: MASQUERADE",
        "pods reach the world",
        (Extension("target", "MASQUERADE"),),
        ("iptables-masquerade",),
        config=("NETFILTER_XT_TARGET_MASQUERADE",),
        module="xt_MASQUERADE",
    ),
    Feature(
        "iptables.tproxy",
        "iptables: TPROXY",
        "HTTP and DNS rules",
        (Extension("target", "TPROXY", 1), Special("transparent", "set IP_TRANSPARENT on a socket")),
        ("l7", "ztunnel"),
        config=("NETFILTER_XT_TARGET_TPROXY",),
        module="xt_TPROXY",
    ),
    Feature(
        "iptables.socket",
        "iptables: socket",
        "HTTP and DNS rules without a tunnel",
        (Extension("match", "socket", 3),),
        ("l7",),
        _FALLBACK,
        "Cilium turns ip_early_demux off where there is no tunnel, which slows all connections down",
        config=("NETFILTER_XT_MATCH_SOCKET",),
        module="xt_socket",
    ),
    Feature(
        "ipset",
        "IP sets",
        "masquerading with native routing",
        (
            Special("ipset", "create a set hash:ip in a scratch namespace"),
            Extension("match", "set", 4),
        ),
        ("ipset",),
        config=("IP_SET", "IP_SET_HASH_IP", "NETFILTER_XT_SET"),
        module="ip_set_hash_ip",
    ),
    Feature(
        "crypto.hash",
        "hashes for user programs",
        "named by Cilium's requirements; releases since 1.18 are not known to use it",
        (Special("hash", "bind a socket to sha1"),),
        ("cilium",),
        _NOTE,
        "nothing is known to fail",
        config=("CRYPTO_USER_API_HASH",),
        module="algif_hash",
    ),
)

NETWORK = (*_DEVICES, *_ROUTING, *_NETFILTER)
"""Features of the network stack."""
