"""A flow with only what compact lines and most filters need: half the time to read.

``Brief`` has these attributes of a ``Flow`` under the same names, so printing and filters take it as one. A line that
is not in the canonical form is read in full.
"""

from __future__ import annotations

from typing import cast

import msgspec

from installer.domain.flows import jsonpb
from installer.domain.flows.flow import (
    Answer,
    Ethernet,
    EventType,
    IPTraceID,
    LostEvent,
    NodeStatus,
    Policy,
    Service,
    Wire,
)
from installer.domain.flows.flow_filter import FilterSet, FlowFilter

FILTER_FIELDS = frozenset(
    (
        "source_ip",
        "source_pod",
        "source_fqdn",
        "source_service",
        "source_port",
        "source_identity",
        "destination_ip",
        "destination_pod",
        "destination_fqdn",
        "destination_service",
        "destination_port",
        "destination_identity",
        "traffic_direction",
        "verdict",
        "event_type",
        "reply",
        "node_name",
        "ip_version",
        "uuid",
    )
)
"""Fields of filters that look at nothing else."""


class _Endpoint(Wire, frozen=True):
    identity: int = 0
    namespace: str = ""
    pod_name: str = ""
    cluster_name: str = ""


class _Ports(Wire, frozen=True):
    source_port: int = 0
    destination_port: int = 0


class _Layer4(Wire, frozen=True):
    tcp: _Ports | None = msgspec.field(default=None, name="TCP")
    udp: _Ports | None = msgspec.field(default=None, name="UDP")
    sctp: _Ports | None = msgspec.field(default=None, name="SCTP")


class _IP(Wire, frozen=True):
    source: str = ""
    destination: str = ""
    ip_version: str = msgspec.field(default="", name="ipVersion")


class _DNS(Wire, frozen=True):
    observation_source: str = ""


class _Record(Wire, frozen=True):
    pass


class _Layer7(Wire, frozen=True):
    type: str = ""
    dns: _DNS | None = None
    http: _Record | None = None
    kafka: _Record | None = None


class Brief(Wire, frozen=True):
    """The flow."""

    time: str = ""
    uuid: str = ""
    verdict: str = ""
    auth_type: str = ""
    ethernet: Ethernet | None = None
    ip: _IP | None = msgspec.field(default=None, name="IP")
    l4: _Layer4 | None = None
    source: _Endpoint | None = None
    destination: _Endpoint | None = None
    node_name: str = ""
    source_names: tuple[str, ...] = ()
    destination_names: tuple[str, ...] = ()
    l7: _Layer7 | None = None
    event_type: EventType | None = None
    drop_reason_desc: str | int = ""
    source_service: Service | None = None
    destination_service: Service | None = None
    traffic_direction: str = ""
    policy_match_type: int = 0
    ip_trace_id: IPTraceID | None = None
    is_reply: bool | None = None
    debug_capture_point: str = ""
    sock_xlate_point: str = ""
    summary: str = msgspec.field(default="", name="Summary")
    egress_allowed_by: tuple[Policy, ...] = ()
    ingress_allowed_by: tuple[Policy, ...] = ()
    egress_denied_by: tuple[Policy, ...] = ()
    ingress_denied_by: tuple[Policy, ...] = ()


class _Answer(Wire, frozen=True):
    flow: Brief | None = None
    node_status: NodeStatus | None = None
    lost_events: LostEvent | None = None
    node_name: str = ""
    time: str = ""


_decoder = msgspec.json.Decoder(_Answer)


def decode(line: bytes) -> Answer:
    """Return the answer that a line holds, its flow a ``Brief``; or the whole answer where the line is unusual.

    Raises:
        BadLineError: the line is cut off, no JSON, or of other types.
    """
    try:
        answer = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return jsonpb.decode(line)
    return cast(Answer, answer) if _is_usual(answer) else jsonpb.decode(line)


def decode_lines(lines: bytes) -> list[Answer] | None:
    """Return the answers of lines, quickly; None where one of them is bad, or needs the way of ``decode``."""
    try:
        answers = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    unusual = [answer for answer in answers if not _is_usual(answer)]
    return jsonpb.with_others(cast("list[Answer]", answers), cast("list[Answer]", unusual))


def _is_usual(answer: _Answer) -> bool:
    """Tell whether an answer is certainly in the canonical form."""
    flow = answer.flow
    return (
        flow is not None
        and flow.event_type is not None
        and flow.time == answer.time
        and flow.node_name != ""
        and jsonpb.is_canonical_time(flow.time)
    )


def suffices(filters: FilterSet) -> bool:
    """Tell whether filters look at nothing that a ``Brief`` lacks."""
    return all(used(item) <= FILTER_FIELDS for item in (*filters.whitelist, *filters.blacklist))


def used(item: FlowFilter) -> frozenset[str]:
    """Return the names of the fields that a filter sets."""
    return frozenset(name for name in item.__struct_fields__ if getattr(item, name))
