"""From the bytes of a ``GetFlowsResponse`` to an ``Answer``, at a few microseconds a flow.

Written out by hand, because reflection costs more than all the rest of the client. Unknown fields are ignored; an
enum's unknown number stays a number.
"""

from __future__ import annotations

from functools import lru_cache
from time import gmtime, strftime
from typing import Any

import msgspec

from installer.adapters.hubble import parts
from installer.adapters.hubble._proto import flow_pb2
from installer.adapters.hubble._proto.raw_pb2 import Flow as RawFlow
from installer.adapters.hubble._proto.raw_pb2 import Response
from installer.adapters.hubble._proto.raw_pb2 import Timestamp as RawTime
from installer.adapters.hubble.parts import Names, Table
from installer.domain.flows.flow import Answer, Flow, Policy

VERDICTS = Names(flow_pb2.Verdict)
TYPES = Names(flow_pb2.FlowType)
DIRECTIONS = Names(flow_pb2.TrafficDirection)
OBSERVATION_POINTS = Names(flow_pb2.TraceObservationPoint)
TRACE_REASONS = Names(flow_pb2.TraceReason)
DROP_REASONS = Names(flow_pb2.DropReason)
CAPTURE_POINTS = Names(flow_pb2.DebugCapturePoint)
TRANSLATION_POINTS = Names(flow_pb2.SocketTranslationPoint)
AUTH_TYPES = Names(flow_pb2.AuthType)


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Return a second as ``2026-11-23T10:00:00``."""
    moment = gmtime(seconds)
    return f"{moment.tm_year:04}" + strftime("-%m-%dT%H:%M:%S", moment)


def time_text(time: RawTime) -> str:
    """Return a time in RFC 3339, in UTC, with 0, 3, 6 or 9 digits of a second, as protobuf's JSON form has it."""
    nanos = time.nanos
    try:
        second = _second(time.seconds)
    except (OverflowError, ValueError, OSError):  # a year that no calendar has
        return ""
    if nanos <= 0:
        return second + "Z"
    if nanos % 1000:
        return f"{second}.{nanos:09}Z"
    return f"{second}.{nanos // 1000:06}Z" if nanos % 1_000_000 else f"{second}.{nanos // 1_000_000:03}Z"


class Converter:
    """Turns answers of one stream; remembers parts, so one object serves one stream and one thread."""

    def __init__(self) -> None:
        self._endpoints = Table(parts.endpoint)
        self._services = Table(parts.service)
        self._events = Table(parts.event_type)
        self._ethernets = Table(parts.ethernet)
        self._interfaces = Table(parts.interface)
        self._policies = Table(parts.policy)
        self._ips = Table(parts.ip)
        self._l4 = Table(parts.layer4)
        self._l7 = Table(parts.layer7)
        self._strings: dict[str, str] = {}

    def answer(self, raw: bytes) -> Answer:
        """Convert one message.

        Raises:
            google.protobuf.message.DecodeError: it is none.
        """
        wire = Response.FromString(raw)
        node_name = self._shared(wire.node_name)
        time = time_text(wire.time) if wire.HasField("time") else ""
        if wire.HasField("flow"):
            flow = self._flow(wire.flow, wire, time)
            return Answer(_with_rare(wire.flow, flow), None, None, node_name, time)
        if wire.HasField("lost_events"):
            return Answer(None, None, parts.lost_event(wire.lost_events), node_name, time)
        if wire.HasField("node_status"):
            return Answer(None, parts.node_status(wire.node_status), None, node_name, time)
        return Answer(None, None, None, node_name, time)

    def _shared(self, text: str) -> str:
        """Return one object for equal strings that come again (names of nodes, summaries)."""
        if len(self._strings) >= parts.REMEMBERED:
            self._strings.clear()
        return self._strings.setdefault(text, text)

    def _policy_list(self, raws: Any) -> tuple[Policy, ...]:
        return tuple([self._policies[raw] for raw in raws]) if raws else ()

    def _flow(self, wire: RawFlow, response: Response, answer_time: str) -> Flow:
        has = wire.HasField
        time = ""
        if has("time"):
            same = answer_time and wire.time == response.time
            time = answer_time if same else time_text(wire.time)
        service, other_service, ethernet = wire.source_service, wire.destination_service, wire.ethernet
        interface, is_reply, l7 = wire.interface, wire.is_reply, wire.l7
        names, other_names, node_labels = wire.source_names, wire.destination_names, wire.node_labels
        cookie, cgroup = wire.socket_cookie, wire.cgroup_id
        return Flow(
            time=time,
            uuid=wire.uuid,
            verdict=VERDICTS[wire.verdict],
            drop_reason=wire.drop_reason,
            auth_type=AUTH_TYPES[wire.auth_type],
            ethernet=self._ethernets[ethernet] if ethernet else None,
            ip=self._ips[wire.IP] if has("IP") else None,
            l4=self._l4[wire.l4] if has("l4") else None,
            source=self._endpoints[wire.source] if has("source") else None,
            destination=self._endpoints[wire.destination] if has("destination") else None,
            type=TYPES[wire.Type],
            node_name=self._shared(wire.node_name),
            node_labels=tuple(node_labels) if node_labels else (),
            source_names=tuple(names) if names else (),
            destination_names=tuple(other_names) if other_names else (),
            l7=self._l7[l7] if l7 else None,
            reply=wire.reply,
            event_type=self._events[wire.event_type] if has("event_type") else None,
            source_service=self._services[service] if service else None,
            destination_service=self._services[other_service] if other_service else None,
            traffic_direction=DIRECTIONS[wire.traffic_direction],
            policy_match_type=wire.policy_match_type,
            trace_observation_point=OBSERVATION_POINTS[wire.trace_observation_point],
            trace_reason=TRACE_REASONS[wire.trace_reason],
            drop_reason_desc=DROP_REASONS[wire.drop_reason_desc],
            is_reply=bool(is_reply[1:2] == b"\x01") if is_reply else (False if has("is_reply") else None),
            debug_capture_point=CAPTURE_POINTS[wire.debug_capture_point],
            interface=self._interfaces[interface] if interface else None,
            proxy_port=wire.proxy_port,
            sock_xlate_point=TRANSLATION_POINTS[wire.sock_xlate_point],
            socket_cookie=str(cookie) if cookie else "",
            cgroup_id=str(cgroup) if cgroup else "",
            summary=self._shared(wire.Summary),
            egress_allowed_by=self._policy_list(wire.egress_allowed_by),
            ingress_allowed_by=self._policy_list(wire.ingress_allowed_by),
            egress_denied_by=self._policy_list(wire.egress_denied_by),
            ingress_denied_by=self._policy_list(wire.ingress_denied_by),
        )


def _with_rare(wire: RawFlow, flow: Flow) -> Flow:
    """Add the fields that few flows have."""
    tunnel, file, trace_id, emitter = wire.tunnel, wire.file, wire.ip_trace_id, wire.emitter
    aggregate, extensions, context, log = wire.aggregate, wire.extensions, wire.trace_context, wire.policy_log
    if not (tunnel or file or trace_id or emitter or aggregate or extensions or context or log):
        return flow
    return msgspec.structs.replace(
        flow,
        tunnel=parts.tunnel(tunnel) if tunnel else None,
        file=parts.file_info(file) if file else None,
        ip_trace_id=parts.ip_trace_id(trace_id) if trace_id else None,
        emitter=parts.emitter(emitter) if emitter else None,
        aggregate=parts.aggregate(aggregate) if aggregate else None,
        extensions=parts.extension(extensions) if extensions else None,
        trace_context=parts.trace_context(context) if context else None,
        policy_log=tuple(log),
    )
