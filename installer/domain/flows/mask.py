"""Which fields of a flow are asked for.

Servers leave out what a mask does not name, which saves work at every hop. hubble's own mask leaves out what its
printing and filters then miss (directions, policies, names); ours names everything that our formats, filters and views
read, and leaves out what they do not: node labels, sockets, control groups, tunnels, extensions.
"""

from __future__ import annotations

_SIDES = tuple(
    f"{side}.{name}"
    for side in ("source", "destination")
    for name in ("ID", "identity", "cluster_name", "namespace", "labels", "pod_name", "workloads")
)
DEFAULT_MASK = (
    "time",
    "uuid",
    "verdict",
    "drop_reason",
    "auth_type",
    "ethernet",
    "IP",
    "l4",
    *_SIDES,
    "Type",
    "node_name",
    "source_names",
    "destination_names",
    "l7",
    "event_type",
    "source_service",
    "destination_service",
    "traffic_direction",
    "policy_match_type",
    "trace_observation_point",
    "trace_reason",
    "drop_reason_desc",
    "is_reply",
    "debug_capture_point",
    "interface",
    "proxy_port",
    "trace_context",
    "sock_xlate_point",
    "ip_trace_id",
    "egress_allowed_by",
    "ingress_allowed_by",
    "egress_denied_by",
    "ingress_denied_by",
    "Summary",
)
"""What is asked for unless the user says otherwise."""
NEWER = frozenset({"ip_trace_id", "egress_denied_by", "ingress_denied_by"})
OLDER_MASK = tuple(name for name in DEFAULT_MASK if name not in NEWER)
"""What is asked for when a server does not know the newest fields."""
ALWAYS = ("time", "node_name", "uuid")
"""Without these Relay cannot sort, and doubles cannot be told from new flows."""


def with_needed(mask: tuple[str, ...]) -> tuple[str, ...]:
    """Return a user's mask with what we need ourselves."""
    return mask + tuple(name for name in ALWAYS if name not in mask)


def smaller(mask: tuple[str, ...]) -> tuple[str, ...]:
    """Return what to ask for of a server that does not know a field of the mask; empty for everything."""
    return OLDER_MASK if mask == DEFAULT_MASK else ()
