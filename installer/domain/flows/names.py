"""Names of the numbers that Hubble's messages carry: enums of the wire, reasons of drops, reserved identities.

Enums hold their name by number, in the order of the ``.proto``. Texts of drops are those that ``hubble`` and ``cilium
monitor`` print; for some numbers (136, 161) they disagree with the enum's name, which is why both are shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from installer.domain.flows.enums import DIRECTIONS, IP_VERSIONS, TRACE_POINTS, VERDICTS
from installer.domain.flows.flow import Enum

VERDICT: Mapping[int, str] = {number: name for name, number in VERDICTS.items()}
FLOW_TYPE: Mapping[int, str] = dict(enumerate(("UNKNOWN_TYPE", "L3_L4", "L7", "SOCK")))
TRAFFIC_DIRECTION: Mapping[int, str] = {number: name for name, number in DIRECTIONS.items()}
TRACE_POINT: Mapping[int, str] = dict(
    enumerate(
        (
            "UNKNOWN_POINT",
            "TO_PROXY",
            "TO_HOST",
            "TO_STACK",
            "TO_OVERLAY",
            "FROM_ENDPOINT",
            "FROM_PROXY",
            "FROM_HOST",
            "FROM_STACK",
            "FROM_OVERLAY",
            "FROM_NETWORK",
            "TO_NETWORK",
            "FROM_CRYPTO",
            "TO_CRYPTO",
        )
    )
) | {101: "TO_ENDPOINT"}
TRACE_REASON: Mapping[int, str] = dict(
    enumerate(
        (
            "TRACE_REASON_UNKNOWN",
            "NEW",
            "ESTABLISHED",
            "REPLY",
            "RELATED",
            "REOPENED",
            "SRV6_ENCAP",
            "SRV6_DECAP",
            "ENCRYPT_OVERLAY",
        )
    )
)
AUTH_TYPE: Mapping[int, str] = dict(enumerate(("DISABLED", "SPIRE", "TEST_ALWAYS_FAIL")))
L7_TYPE: Mapping[int, str] = dict(enumerate(("UNKNOWN_L7_TYPE", "REQUEST", "RESPONSE", "SAMPLE")))
IP_VERSION: Mapping[int, str] = {number: name for name, number in IP_VERSIONS.items()}
SOCK_XLATE_POINT: Mapping[int, str] = dict(
    enumerate(
        (
            "SOCK_XLATE_POINT_UNKNOWN",
            "SOCK_XLATE_POINT_PRE_DIRECTION_FWD",
            "SOCK_XLATE_POINT_POST_DIRECTION_FWD",
            "SOCK_XLATE_POINT_PRE_DIRECTION_REV",
            "SOCK_XLATE_POINT_POST_DIRECTION_REV",
        )
    )
)
CAPTURE_POINT: Mapping[int, str] = {
    0: "DBG_CAPTURE_POINT_UNKNOWN",
    4: "DBG_CAPTURE_DELIVERY",
    5: "DBG_CAPTURE_FROM_LB",
    6: "DBG_CAPTURE_AFTER_V46",
    7: "DBG_CAPTURE_AFTER_V64",
    8: "DBG_CAPTURE_PROXY_PRE",
    9: "DBG_CAPTURE_PROXY_POST",
    10: "DBG_CAPTURE_SNAT_PRE",
    11: "DBG_CAPTURE_SNAT_POST",
}
LOST_SOURCE: Mapping[int, str] = dict(
    enumerate(
        ("UNKNOWN_LOST_EVENT_SOURCE", "PERF_EVENT_RING_BUFFER", "OBSERVER_EVENTS_QUEUE", "HUBBLE_RING_BUFFER"),
    )
)
NODE_STATE: Mapping[int, str] = dict(
    enumerate(("UNKNOWN_NODE_STATE", "NODE_CONNECTED", "NODE_UNAVAILABLE", "NODE_GONE", "NODE_ERROR"))
)
TUNNEL: Mapping[int, str] = dict(enumerate(("UNKNOWN", "VXLAN", "GENEVE")))
SCTP_CHUNK: Mapping[int, str] = dict(
    enumerate(("UNSUPPORTED", "INIT", "INIT_ACK", "SHUTDOWN", "SHUTDOWN_ACK", "SHUTDOWN_COMPLETE", "ABORT"))
)
AGENT_EVENT: Mapping[int, str] = {
    0: "AGENT_EVENT_UNKNOWN",
    2: "AGENT_STARTED",
    3: "POLICY_UPDATED",
    4: "POLICY_DELETED",
    5: "ENDPOINT_REGENERATE_SUCCESS",
    6: "ENDPOINT_REGENERATE_FAILURE",
    7: "ENDPOINT_CREATED",
    8: "ENDPOINT_DELETED",
    9: "IPCACHE_UPSERTED",
    10: "IPCACHE_DELETED",
    11: "SERVICE_UPSERTED",
    12: "SERVICE_DELETED",
}
TRACE_SUB_TYPE: Mapping[int, str] = {number: name for name, number in TRACE_POINTS.items()}
"""``event_type.sub_type`` of traces; 0 here is ``TO_ENDPOINT``, 101 of ``TRACE_POINT``."""
POLICY_MATCH: Mapping[int, str] = dict(
    enumerate(("none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only"))
)
TAP_EVENT: Mapping[int, str] = {
    241: "tcp-connect",
    242: "tcp-connect-failed",
    243: "tcp-accept",
    244: "tcp-close",
    245: "tcp-retransmit",
    246: "tcp-reset-sent",
    247: "tcp-reset-received",
}
"""Types of events that only the tap tells, by ``event_type.type``."""
RESERVED_IDENTITY: Mapping[int, str] = dict(
    enumerate(
        (
            "unknown",
            "host",
            "world",
            "unmanaged",
            "health",
            "init",
            "remote-node",
            "kube-apiserver",
            "ingress",
            "world-ipv4",
            "world-ipv6",
        )
    )
)
"""Identities that print by name."""


def name_of(value: Enum, names: Mapping[int, str]) -> str:
    """Return the name of an enum's value; the number's digits where it has none, the zero value's name for ``""``."""
    if isinstance(value, str):
        return value or names[0]
    return names.get(value, str(value))
