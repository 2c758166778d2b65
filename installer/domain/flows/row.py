"""A flow as it is kept in memory: the fields that nearly every flow has, and none of the room for the others.

A ``Flow`` of 45 fields takes 376 bytes before its texts; the 28 kept here take 240. A row has every attribute of a
``Flow``, the rare ones as the class's defaults, so whatever reads flows reads rows. A flow that has a rare field set
is kept as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import ClassVar

import msgspec

from installer.domain.flows.flow import (
    IP,
    Endpoint,
    Enum,
    Ethernet,
    EventType,
    Flow,
    Interface,
    Layer4,
    Layer7,
    Policy,
    Service,
)

RARE = (
    "emitter",
    "auth_type",
    "tunnel",
    "file",
    "ip_trace_id",
    "debug_capture_point",
    "proxy_port",
    "trace_context",
    "extensions",
    "egress_allowed_by",
    "ingress_allowed_by",
    "egress_denied_by",
    "ingress_denied_by",
    "policy_log",
    "aggregate",
    "source_names",
    "source_service",
)
"""Fields of ``Flow`` that a row has no room for."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A flow without any of the rare fields; to be read like a ``Flow``."""

    time: str
    uuid: str
    verdict: Enum
    drop_reason: int
    ethernet: Ethernet | None
    ip: IP | None
    l4: Layer4 | None
    source: Endpoint | None
    destination: Endpoint | None
    type: Enum
    node_name: str
    node_labels: tuple[str, ...]
    destination_names: tuple[str, ...]
    l7: Layer7 | None
    reply: bool
    event_type: EventType | None
    destination_service: Service | None
    traffic_direction: Enum
    policy_match_type: int
    trace_observation_point: Enum
    trace_reason: Enum
    drop_reason_desc: Enum
    is_reply: bool | None
    interface: Interface | None
    sock_xlate_point: Enum
    socket_cookie: str | int
    cgroup_id: str | int
    summary: str

    emitter: ClassVar[None] = None
    auth_type: ClassVar[Enum] = ""
    tunnel: ClassVar[None] = None
    file: ClassVar[None] = None
    ip_trace_id: ClassVar[None] = None
    debug_capture_point: ClassVar[Enum] = ""
    proxy_port: ClassVar[int] = 0
    trace_context: ClassVar[None] = None
    extensions: ClassVar[None] = None
    egress_allowed_by: ClassVar[tuple[Policy, ...]] = ()
    ingress_allowed_by: ClassVar[tuple[Policy, ...]] = ()
    egress_denied_by: ClassVar[tuple[Policy, ...]] = ()
    ingress_denied_by: ClassVar[tuple[Policy, ...]] = ()
    policy_log: ClassVar[tuple[str, ...]] = ()
    aggregate: ClassVar[None] = None
    source_names: ClassVar[tuple[str, ...]] = ()
    source_service: ClassVar[None] = None


_rare: Callable[[Flow], tuple[object, ...]] = attrgetter(*RARE)
_NOTHING_RARE = _rare(Flow())


def has_rare(flow: Flow) -> bool:
    """Tell whether the flow has a field that a ``Row`` has no room for."""
    return _rare(flow) != _NOTHING_RARE


def whole(kept: Flow) -> Flow:
    """Return the flow that a row (or a flow kept as it was) stands for."""
    row: object = kept
    if isinstance(row, Row):
        return Flow(**{name: getattr(row, name) for name in Row.__struct_fields__})
    return kept
