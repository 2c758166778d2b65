"""Names and numbers of the wire's enums (v1.20), and of what the command line names by word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from installer.domain.flows.flow import Enum

VERDICTS: Final[Mapping[str, int]] = {
    "VERDICT_UNKNOWN": 0,
    "FORWARDED": 1,
    "DROPPED": 2,
    "ERROR": 3,
    "AUDIT": 4,
    "REDIRECTED": 5,
    "TRACED": 6,
    "TRANSLATED": 7,
}
"""``flow.Verdict``."""

DIRECTIONS: Final[Mapping[str, int]] = {
    "TRAFFIC_DIRECTION_UNKNOWN": 0,
    "INGRESS": 1,
    "EGRESS": 2,
}
"""``flow.TrafficDirection``."""

IP_VERSIONS: Final[Mapping[str, int]] = {
    "IP_NOT_USED": 0,
    "IPv4": 1,
    "IPv6": 2,
}
"""``flow.IPVersion``."""

DROP_REASONS: Final[Mapping[str, int]] = {
    "DROP_REASON_UNKNOWN": 0,
    "INVALID_SOURCE_MAC": 130,
    "INVALID_DESTINATION_MAC": 131,
    "INVALID_SOURCE_IP": 132,
    "POLICY_DENIED": 133,
    "INVALID_PACKET_DROPPED": 134,
    "CT_TRUNCATED_OR_INVALID_HEADER": 135,
    "CT_MISSING_TCP_ACK_FLAG": 136,
    "CT_UNKNOWN_L4_PROTOCOL": 137,
    "CT_CANNOT_CREATE_ENTRY_FROM_PACKET": 138,
    "UNSUPPORTED_L3_PROTOCOL": 139,
    "MISSED_TAIL_CALL": 140,
    "ERROR_WRITING_TO_PACKET": 141,
    "UNKNOWN_L4_PROTOCOL": 142,
    "UNKNOWN_ICMPV4_CODE": 143,
    "UNKNOWN_ICMPV4_TYPE": 144,
    "UNKNOWN_ICMPV6_CODE": 145,
    "UNKNOWN_ICMPV6_TYPE": 146,
    "ERROR_RETRIEVING_TUNNEL_KEY": 147,
    "ERROR_RETRIEVING_TUNNEL_OPTIONS": 148,
    "INVALID_GENEVE_OPTION": 149,
    "UNKNOWN_L3_TARGET_ADDRESS": 150,
    "STALE_OR_UNROUTABLE_IP": 151,
    "NO_MATCHING_LOCAL_CONTAINER_FOUND": 152,
    "ERROR_WHILE_CORRECTING_L3_CHECKSUM": 153,
    "ERROR_WHILE_CORRECTING_L4_CHECKSUM": 154,
    "CT_MAP_INSERTION_FAILED": 155,
    "INVALID_IPV6_EXTENSION_HEADER": 156,
    "IP_FRAGMENTATION_NOT_SUPPORTED": 157,
    "SERVICE_BACKEND_NOT_FOUND": 158,
    "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT": 160,
    "FAILED_TO_INSERT_INTO_PROXYMAP": 161,
    "REACHED_EDT_RATE_LIMITING_DROP_HORIZON": 162,
    "UNKNOWN_CONNECTION_TRACKING_STATE": 163,
    "LOCAL_HOST_IS_UNREACHABLE": 164,
    "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION": 165,
    "UNSUPPORTED_L2_PROTOCOL": 166,
    "NO_MAPPING_FOR_NAT_MASQUERADE": 167,
    "UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE": 168,
    "FIB_LOOKUP_FAILED": 169,
    "ENCAPSULATION_TRAFFIC_IS_PROHIBITED": 170,
    "INVALID_IDENTITY": 171,
    "UNKNOWN_SENDER": 172,
    "NAT_NOT_NEEDED": 173,
    "IS_A_CLUSTERIP": 174,
    "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND": 175,
    "FORBIDDEN_ICMPV6_MESSAGE": 176,
    "DENIED_BY_LB_SRC_RANGE_CHECK": 177,
    "SOCKET_LOOKUP_FAILED": 178,
    "SOCKET_ASSIGN_FAILED": 179,
    "PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL": 180,
    "POLICY_DENY": 181,
    "VLAN_FILTERED": 182,
    "INVALID_VNI": 183,
    "INVALID_TC_BUFFER": 184,
    "NO_SID": 185,
    "MISSING_SRV6_STATE": 186,
    "NAT46": 187,
    "NAT64": 188,
    "AUTH_REQUIRED": 189,
    "CT_NO_MAP_FOUND": 190,
    "SNAT_NO_MAP_FOUND": 191,
    "INVALID_CLUSTER_ID": 192,
    "UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP": 193,
    "NO_EGRESS_GATEWAY": 194,
    "UNENCRYPTED_TRAFFIC": 195,
    "TTL_EXCEEDED": 196,
    "NO_NODE_ID": 197,
    "DROP_RATE_LIMITED": 198,
    "IGMP_HANDLED": 199,
    "IGMP_SUBSCRIBED": 200,
    "MULTICAST_HANDLED": 201,
    "DROP_HOST_NOT_READY": 202,
    "DROP_EP_NOT_READY": 203,
    "DROP_NO_EGRESS_IP": 204,
    "DROP_PUNT_PROXY": 205,
    "DROP_FRAG_NOT_FOUND_WORLD": 207,
}
"""``flow.DropReason``."""

EVENT_TYPES: Final[Mapping[str, int]] = {
    "drop": 1,
    "debug": 2,
    "capture": 3,
    "trace": 4,
    "policy-verdict": 5,
    "trace-sock": 7,
    "l7": 129,
    "agent": 130,
}
"""Types of monitor events, as the flag ``--type`` names them."""

TRACE_POINTS: Final[Mapping[str, int]] = {
    "to-endpoint": 0,
    "to-proxy": 1,
    "to-host": 2,
    "to-stack": 3,
    "to-overlay": 4,
    "from-endpoint": 5,
    "from-proxy": 6,
    "from-host": 7,
    "from-stack": 8,
    "from-overlay": 9,
    "from-network": 10,
    "to-network": 11,
    "from-crypto": 12,
    "to-crypto": 13,
}
"""Sub-types of trace events."""

AGENT_EVENTS: Final[Mapping[str, int]] = {
    "unspecified": 0,
    "message": 1,
    "agent-started": 2,
    "endpoint-regenerate-success": 3,
    "endpoint-regenerate-failure": 4,
    "policy-updated": 5,
    "policy-deleted": 6,
    "endpoint-created": 7,
    "endpoint-deleted": 8,
    "ipcache-upserted": 9,
    "ipcache-deleted": 10,
}
"""Sub-types of agent events, as the flag ``--type`` names and numbers them."""

RESERVED_IDENTITIES: Final[Mapping[str, int]] = {
    "host": 1,
    "world": 2,
    "unmanaged": 3,
    "health": 4,
    "init": 5,
    "remote-node": 6,
    "kube-apiserver": 7,
    "ingress": 8,
    "world-ipv4": 9,
    "world-ipv6": 10,
    "overlay-to-encrypt": 11,
}
"""Identities that have a name, in the order of their numbers."""

PROTOCOLS: Final = ("icmp", "icmpv4", "icmpv6", "tcp", "udp", "sctp", "vrrp", "igmp", "dns", "http", "kafka")
"""Protocols that the server's filter knows."""

TCP_FLAGS: Final = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns")
"""Flags of a TCP segment, as fields of :class:`TCPFlags`."""

L7_EVENT: Final = EVENT_TYPES["l7"]
"""The type of L7 events."""


def spellings(values: Iterable[Enum], table: Mapping[str, int]) -> frozenset[Enum]:
    """Return every way in which a message may carry these values: name, number, and absent for 0."""
    numbers = {number(value, table) for value in values} - {-1}
    names = {name for name, value in table.items() if value in numbers}
    return frozenset({*numbers, *names, *(("",) if 0 in numbers else ())})


def number(value: Enum, table: Mapping[str, int]) -> int:
    """Return the number of a value as it stands in a message; -1 for a name that this version does not know."""
    if isinstance(value, int):
        return value
    return table.get(value, -1) if value else 0
