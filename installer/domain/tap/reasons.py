"""What the kernel's reasons of drops mean, and what to do (Linux 5.17 to 6.18; names as the kernel tells them)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from installer.domain.tap.samples import Drop


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reason: what happened, and what helps."""

    text: str
    fix: str = ""


_CHECKSUM = "Look at checksum offloading (ethtool -k) of the sender and of virtual interfaces on the way."
MEANINGS: Mapping[str, Meaning] = {
    "NO_SOCKET": Meaning(
        "nobody listens on this port", "Start the server, or correct the port or address it listens on."
    ),
    "SOCKET_FILTER": Meaning(
        "a filter on the socket refused it", "Look at the program's own filter (ss -p -0, SO_ATTACH_BPF)."
    ),
    "SOCKET_RCVBUFF": Meaning(
        "the receiver's buffer is full",
        "The program reads too slowly, or net.core.rmem_max is too small for its bursts.",
    ),
    "SOCKET_BACKLOG": Meaning("the socket's backlog is full", "The program reads too slowly; raise net.core.rmem_max."),
    "TCP_OVERWINDOW": Meaning("it is outside of the receiver's window"),
    "TCP_LISTEN_OVERFLOW": Meaning(
        "the queue of connections not yet accepted is full", "The server accepts too slowly; raise net.core.somaxconn."
    ),
    "NETFILTER_DROP": Meaning(
        "a rule of nftables or iptables dropped it",
        "Find the rule: nft list ruleset, iptables-save -c; trace with nft meta nftrace set 1.",
    ),
    "IP_CSUM": Meaning("the IP header's checksum is wrong", _CHECKSUM),
    "TCP_CSUM": Meaning("TCP's checksum is wrong", _CHECKSUM),
    "UDP_CSUM": Meaning("UDP's checksum is wrong", _CHECKSUM),
    "ICMP_CSUM": Meaning("ICMP's checksum is wrong", _CHECKSUM),
    "IP_INHDR": Meaning("the IP header is damaged"),
    "IP_INNOROUTES": Meaning(
        "there is no route to its destination", "Add the route: ip route get ADDRESS tells what the kernel does."
    ),
    "IP_OUTNOROUTES": Meaning(
        "there is no route to its destination", "Add the route: ip route get ADDRESS tells what the kernel does."
    ),
    "IP_INADDRERRORS": Meaning(
        "its destination cannot be reached from here", "Look at the routes (ip route), and at net.ipv4.ip_forward."
    ),
    "IP_INVALID_SOURCE": Meaning("its source address cannot be"),
    "IP_LOCALNET": Meaning("a loopback address came from the network"),
    "IP_RPFILTER": Meaning(
        "its answer would go another way (reverse path filter)",
        "Set net.ipv4.conf.*.rp_filter to 0 or 2 on Cilium's interfaces, or mend the routes.",
    ),
    "UNICAST_IN_L2_MULTICAST": Meaning("a unicast packet came in a multicast frame"),
    "XFRM_POLICY": Meaning("IPsec's policy refused it", "Look at ip xfrm policy and state."),
    "NEIGH_FAILED": Meaning(
        "the next hop does not answer to ARP or neighbour discovery",
        "See ip neigh; is the neighbour up, in the same network?",
    ),
    "NEIGH_QUEUEFULL": Meaning("too many packets waited for the next hop's address", "See ip neigh."),
    "NEIGH_DEAD": Meaning("the next hop's entry was deleted"),
    "TC_EGRESS": Meaning(
        "a program at the interface's exit (tc) dropped it",
        "With Cilium this is its datapath: hubble tells the reason (beeyard observe --verdict DROPPED).",
    ),
    "TC_INGRESS": Meaning(
        "a program at the interface's entrance (tc) dropped it",
        "With Cilium this is its datapath: hubble tells the reason (beeyard observe --verdict DROPPED).",
    ),
    "XDP": Meaning(
        "an XDP program dropped it", "Cilium's acceleration or prefilter; bpftool net show names the program."
    ),
    "BPF_CGROUP_EGRESS": Meaning(
        "a program at the sender's control group refused it", "bpftool cgroup tree names the program."
    ),
    "QDISC_DROP": Meaning("the interface's queue is full", "More is sent than the line takes: tc -s qdisc show."),
    "QDISC_OVERLIMIT": Meaning("the interface's queue is full", "More is sent than the line takes: tc -s qdisc show."),
    "CPU_BACKLOG": Meaning(
        "the processor's backlog is full", "Raise net.core.netdev_max_backlog, or spread interrupts."
    ),
    "FULL_RING": Meaning(
        "the interface's ring is full", "The receiver takes too slowly: ethtool -G, or a busy processor."
    ),
    "PKT_TOO_BIG": Meaning("it is larger than the way allows", "Look at the MTU of all interfaces on the way."),
    "IP_TTL_EXCEEDED": Meaning("it went round, or its time to live was too short", "Look for a loop in the routes."),
    "DEV_READY": Meaning("the interface is not up", "ip link set DEVICE up."),
    "NOMEM": Meaning("the kernel had no memory for it", "The node is out of memory."),
    "PROTO_MEM": Meaning(
        "the memory for this protocol is used up", "Raise net.ipv4.tcp_mem or udp_mem, or find who hoards."
    ),
    "TCP_ABORT_ON_DATA": Meaning("data came after the program had closed the connection"),
    "TCP_RESET": Meaning("the other side reset the connection"),
    "TCP_INVALID_SEQUENCE": Meaning("its sequence number is outside of what is expected"),
    "TCP_OLD_ACK": Meaning("it acknowledges what was acknowledged before"),
    "TCP_FLAGS": Meaning("its flags make no sense in this state"),
    "SOCKET_CLOSE": Meaning("the socket was closed before it was read"),
    "OTHERHOST": Meaning(
        "it is addressed to another host's MAC address", "A switch floods, or a neighbour entry is wrong."
    ),
    "NO_TX_TARGET": Meaning(
        "there is no port to send it out of",
        "A bridge without other ports, or a tunnel that does not know its next hop.",
    ),
    "TUNNEL_TXINFO": Meaning(
        "a tunnel was not told where to send it",
        "Something sends into a tunnel that only eBPF programs send through; right after a start this passes.",
    ),
    "UNHANDLED_PROTO": Meaning("no part of the kernel takes this protocol"),
    "INVALID_PROTO": Meaning("its protocol makes no sense here"),
    "IP_NOPROTO": Meaning("nobody takes this IP protocol here", "Load the protocol's module, or stop the sender."),
    "IPV6DISABLED": Meaning(
        "IPv6 is switched off on the interface", "Set net.ipv6.conf.INTERFACE.disable_ipv6 to 0, or use IPv4."
    ),
    "SECURITY_HOOK": Meaning("a security module refused it", "Look at the audit log of SELinux or AppArmor."),
    "PKT_TOO_SMALL": Meaning("it is shorter than its headers say"),
    "HDR_TRUNC": Meaning("its headers are cut"),
    "SKB_CSUM": Meaning("its checksum could not be made", _CHECKSUM),
    "FRAG_REASM_TIMEOUT": Meaning(
        "not all of its fragments came", "Fragments get lost on the way: look at the MTU, and avoid fragments."
    ),
    "DUP_FRAG": Meaning("the same fragment came twice"),
    "FRAG_TOO_FAR": Meaning("its fragment is too far from the others"),
    "IP_LOCAL_SOURCE": Meaning("its source address is this host's own", "Two hosts may have the same address."),
    "IP_INVALID_DEST": Meaning("its destination address cannot be"),
    "NEIGH_CREATEFAIL": Meaning(
        "the table of neighbours is full", "Raise net.ipv4.neigh.default.gc_thresh3 (and that of ipv6)."
    ),
    "QDISC_CONGESTED": Meaning("the interface's queue signals congestion", "More is sent than the line takes."),
    "FQ_FLOW_LIMIT": Meaning(
        "one flow has too many packets in the queue", "Its sender ignores pacing: tc -s qdisc show."
    ),
    "TCP_CLOSE": Meaning("the connection was closed already"),
    "TCP_INVALID_SYN": Meaning("a SYN came for a connection that is open"),
    "TCP_RFC7323_PAWS": Meaning("its timestamp is older than what came before"),
    "TCP_TOO_OLD_ACK": Meaning("it acknowledges what was acknowledged long before"),
    "TCP_ACK_UNSENT_DATA": Meaning("it acknowledges what was never sent"),
    "TCP_OFO_QUEUE_PRUNE": Meaning(
        "segments that came too early were thrown out for want of memory", "Raise net.ipv4.tcp_rmem, or find the loss."
    ),
    "TCP_OFO_DROP": Meaning("there was no memory for a segment that came too early", "Raise net.ipv4.tcp_rmem."),
    "TCP_MINTTL": Meaning("its time to live is below what the socket asks for"),
    "TCP_MD5NOTFOUND": Meaning("it has no MD5 signature, and the socket asks for one", "Give both sides the same key."),
    "TCP_MD5UNEXPECTED": Meaning("it has an MD5 signature that nobody asked for", "Give both sides the same key."),
    "TCP_MD5FAILURE": Meaning("its MD5 signature is wrong", "Give both sides the same key."),
    "VXLAN_INVALID_HDR": Meaning("its VXLAN header is damaged"),
    "VXLAN_VNI_NOT_FOUND": Meaning("nobody here has its VXLAN network", "Compare the VNIs of both sides."),
    "MAC_INVALID_SOURCE": Meaning("its source MAC address cannot be"),
    "LOCAL_MAC": Meaning("its source MAC address is this host's own", "There is a loop, or a MAC address twice."),
    "BRIDGE_INGRESS_STP_STATE": Meaning("the bridge's port does not forward yet (spanning tree)"),
    "RECURSION_LIMIT": Meaning("it went through too many devices stacked on each other", "Look for a loop of tunnels."),
    "NOT_SPECIFIED": Meaning("the kernel does not say why; the function that dropped it is told"),
}

_ROUTINE_REASONS = (
    "QUEUE_PURGE",
    "SKB_CONSUMED",
    "TCP_OLD_DATA",
    "TCP_OFOMERGE",
    "TCP_ZEROWINDOW",
    "TCP_OLD_SEQUENCE",
    "SOCKET_CLOSE",
)
_ROUTINE_PLACES = ("ip6_mc_input", "sk_stream_kill_queues", "tcp_rcv_state_process", "__skb_queue_purge")


def is_routine(drop: Drop) -> bool:
    """Tell whether it is no loss: a closed socket's leftovers, copies, multicast that nobody wants."""
    if drop.reason in _ROUTINE_REASONS:
        return True
    if drop.reason == "NOT_SPECIFIED":
        return drop.place.partition("+")[0] in _ROUTINE_PLACES or (drop.protocol == 6 and drop.flags & 5 != 0)
    return drop.reason.endswith("NOROUTES") and drop.destination.startswith("ff02::")


def meaning(reason: str) -> Meaning | None:
    """Return what a reason means; None where we do not know it."""
    return MEANINGS.get(reason)


def explain_kernel_drop(reason: str) -> list[str]:
    """Return lines on why the kernel dropped a packet, and what helps."""
    known = MEANINGS.get(reason)
    if known is None:
        return [f"why: the kernel says {reason}"]
    return [f"why: {known.text} ({reason})", *([f"fix: {known.fix}"] if known.fix else [])]
