"""One line of ``hubble observe -o jsonpb``: decoding, and encoding byte for byte as hubble does.

``decode`` always gives the canonical form: enums by name, 64-bit numbers as decimal strings, defaults absent, times in
UTC with 0, 3, 6 or 9 digits. Lines that hubble wrote have it already and take the short way; all others go through
``jsonpb_lenient``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from installer.domain.flows import drop_reasons, names
from installer.domain.flows.flow import Answer, Flow, Wire
from installer.domain.flows.jsonpb_lenient import BadLineError, answer_of

__all__ = ["BadLineError", "decode", "decode_lines", "encode", "encode_lines"]


def _known(names_of: Mapping[int, str]) -> frozenset[object]:
    """Values of an enum in the canonical form: absent, or a name other than zero's."""
    return frozenset(("", *(name for number, name in names_of.items() if number)))


_VERDICTS, _TYPES, _DIRECTIONS = _known(names.VERDICT), _known(names.FLOW_TYPE), _known(names.TRAFFIC_DIRECTION)
_POINTS, _REASONS, _XLATES = _known(names.TRACE_POINT), _known(names.TRACE_REASON), _known(names.SOCK_XLATE_POINT)
_DROPS, _AUTHS, _CAPTURES = (
    _known(drop_reasons.DROP_REASON),
    _known(names.AUTH_TYPE),
    _known(names.CAPTURE_POINT),
)
_VERSIONS, _L7_TYPES = _known(names.IP_VERSION), _known(names.L7_TYPE)
_time = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{3}(?:\d{3}(?:\d{3})?)?)?Z", re.ASCII).fullmatch

_decoder = msgspec.json.Decoder(Answer)
_encoder = msgspec.json.Encoder()


def decode(line: bytes) -> Answer:
    """Return the answer that a line holds; a bare flow (``HUBBLE_COMPAT=legacy-json-output``) is one too.

    Raises:
        BadLineError: the line is cut off, no JSON, or of other types.
    """
    try:
        answer = _decoder.decode(line)
    except msgspec.ValidationError:
        return answer_of(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadLineError(str(problem)) from None
    return answer if _is_canonical(answer) else answer_of(line)


def decode_lines(lines: bytes) -> list[Answer] | None:
    """Return the answers of lines, quickly; None where one of them is bad, or needs the way of ``decode``."""
    try:
        answers = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return with_others(answers, [answer for answer in answers if not _is_canonical(answer)])


def with_others(answers: list[Answer], unusual: list[Answer]) -> list[Answer] | None:
    """Return decoded answers with the unusual ones in the canonical form; None where that needs their lines.

    Of lost events and node status, what was decoded tells all.
    """
    if not unusual:
        return answers
    if any(answer.lost_events is None and answer.node_status is None for answer in unusual):
        return None
    ids = set(map(id, unusual))
    return [answer_of(_encoder.encode(answer)) if id(answer) in ids else answer for answer in answers]


def _is_canonical(answer: Answer) -> bool:
    flow, time = answer.flow, answer.time
    return flow is not None and (time == flow.time or is_canonical_time(time)) and _canonical_flow(flow)


def is_canonical_time(time: str) -> bool:
    """Tell whether a time of a flow is absent, or valid and as ``encode`` leaves it."""
    return not time or (_time(time) is not None and (time[-4:] != "000Z" or len(time) == 20))


def _canonical_flow(flow: Flow) -> bool:
    """Tell whether the flow is in the canonical form; False when in doubt, as with names in camelCase."""
    ip, l7 = flow.ip, flow.l7
    return (
        (flow.event_type is not None or bool(flow.node_name))
        and flow.verdict in _VERDICTS
        and flow.type in _TYPES
        and flow.traffic_direction in _DIRECTIONS
        and flow.trace_observation_point in _POINTS
        and flow.trace_reason in _REASONS
        and flow.sock_xlate_point in _XLATES
        and flow.drop_reason_desc in _DROPS
        and flow.auth_type in _AUTHS
        and flow.debug_capture_point in _CAPTURES
        and (ip is None or ip.ip_version in _VERSIONS)
        and _canonical_u64(flow.cgroup_id)
        and _canonical_u64(flow.socket_cookie)
        and (l7 is None or (l7.type in _L7_TYPES and _canonical_u64(l7.latency_ns)))
        and flow.tunnel is None
        and flow.ip_trace_id is None
        and (flow.l4 is None or flow.l4.sctp is None or flow.l4.sctp.chunk_type == "")
        and _canonical_policies(flow)
        and is_canonical_time(flow.time)
    )


def _canonical_u64(value: str | int) -> bool:
    return not value or (isinstance(value, str) and value[0] != "0" and value.isdecimal())


def _canonical_policies(flow: Flow) -> bool:
    lists = (flow.egress_allowed_by, flow.ingress_allowed_by, flow.egress_denied_by, flow.ingress_denied_by)
    return not any(lists) or all(_canonical_u64(policy.revision) for policies in lists for policy in policies)


def encode(answer: Wire) -> bytes:
    """Return the line, without its end: an answer in the canonical form (flows, agent events, debug events).

    ``<``, ``>``, ``&`` and the line separators of Unicode are escaped as Go's encoder does.
    """
    return _escaped(_encoder.encode(answer))


def encode_lines(answers: Sequence[Wire]) -> bytes:
    """Return the lines of answers, with their ends."""
    return _escaped(_encoder.encode_lines(answers))


def _escaped(text: bytes) -> bytes:
    if b"<" in text or b">" in text or b"&" in text:
        text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if not text.isascii():
        text = text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")
    return text
