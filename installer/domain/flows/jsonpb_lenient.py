"""What protobuf's JSON allows besides the canonical form: camelCase names, numbers as texts, enums as numbers."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from installer.domain.flows import drop_reasons, names, times
from installer.domain.flows.flow import (
    IP,
    SCTP,
    Answer,
    Flow,
    Layer7,
    LostEvent,
    NodeStatus,
    Tunnel,
)


class BadLineError(ValueError):
    """The line is no answer of Hubble."""


Convert = Callable[[Any, str], Any]
"""Turns a JSON value into a field's value, given the field's path for errors."""
_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_ENUMS: Mapping[tuple[type, str], Mapping[int, str]] = {
    (Flow, "verdict"): names.VERDICT,
    (Flow, "type"): names.FLOW_TYPE,
    (Flow, "auth_type"): names.AUTH_TYPE,
    (Flow, "traffic_direction"): names.TRAFFIC_DIRECTION,
    (Flow, "trace_observation_point"): names.TRACE_POINT,
    (Flow, "trace_reason"): names.TRACE_REASON,
    (Flow, "drop_reason_desc"): drop_reasons.DROP_REASON,
    (Flow, "debug_capture_point"): names.CAPTURE_POINT,
    (Flow, "sock_xlate_point"): names.SOCK_XLATE_POINT,
    (IP, "ip_version"): names.IP_VERSION,
    (SCTP, "chunk_type"): names.SCTP_CHUNK,
    (Layer7, "type"): names.L7_TYPE,
    (Tunnel, "protocol"): names.TUNNEL,
    (NodeStatus, "state_change"): names.NODE_STATE,
    (LostEvent, "source"): names.LOST_SOURCE,
}
_TIMES = frozenset(((Flow, "time"), (Answer, "time"), (LostEvent, "first"), (LostEvent, "last")))
_FLOW_KEYS = frozenset(("verdict", "uuid", "ethernet", "IP", "l4", "source", "destination", "Type", "l7", "Summary"))


def answer_of(line: bytes) -> Answer:
    """Return the answer that a line holds, in the canonical form; a bare flow is one too.

    Raises:
        BadLineError: it holds none.
    """
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadLineError(str(problem)) from None
    if not isinstance(value, dict):
        raise BadLineError("the line holds no JSON object")
    if value.get("flow") is None and _FLOW_KEYS & value.keys():
        flow = _struct(Flow, value, "flow")
        return Answer(flow=flow, node_name=flow.node_name, time=flow.time)
    return _struct(Answer, value, "")


def _struct(kind: type[_Struct], value: Any, path: str) -> _Struct:
    if not isinstance(value, dict):
        raise BadLineError(f"{path or 'the line'} is no object")
    fields = _fields(kind)
    filled: dict[str, Any] = {}
    for key, item in value.items():
        if item is not None and key in fields:
            name, convert = fields[key]
            filled[name] = convert(item, f"{path}.{key}" if path else key)
    return kind(**filled)


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, tuple[str, Convert]]:
    """Return name and conversion of each field by the names that JSON may give it."""
    found: dict[str, tuple[str, Convert]] = {}
    for field in msgspec.structs.fields(kind):
        entry = (field.name, _converter(kind, field.name, field.type))
        found[field.encode_name] = found[_camel(field.encode_name)] = entry
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _converter(kind: type, name: str, form: Any) -> Convert:
    if enum := _ENUMS.get((kind, name)):
        return lambda value, path: _enum(enum, value, path)
    if (kind, name) in _TIMES:
        return _time
    if get_origin(form) in (Union, types.UnionType):
        members = [member for member in get_args(form) if member is not type(None)]
        return _u64 if len(members) > 1 else _plain(members[0])
    return _plain(form)


def _plain(form: Any) -> Convert:
    if get_origin(form) is tuple:
        item = _plain(get_args(form)[0])
        return lambda value, path: _tuple(item, value, path)
    if form is msgspec.Raw:
        return _raw
    if form is int:
        return _integer
    if issubclass(form, msgspec.Struct):
        return lambda value, path: _struct(form, value, path)
    return lambda value, path: _exact(form, value, path)


def _raw(value: Any, path: str) -> msgspec.Raw:
    del path
    return msgspec.Raw(msgspec.json.encode(value))


def _tuple(item: Convert, value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise BadLineError(f"{path} is no list")
    return tuple(item(part, f"{path}[{index}]") for index, part in enumerate(value))


def _exact(form: type, value: Any, path: str) -> Any:
    if type(value) is not form:
        raise BadLineError(f"{path} is no {'text' if form is str else 'truth value'}")
    return value


def _number(value: Any, path: str) -> int:
    try:
        if isinstance(value, bool) or int(value) != (float(value) if isinstance(value, float) else int(value)):
            raise ValueError
        return int(value)
    except (ValueError, TypeError, OverflowError):
        raise BadLineError(f"{path} is no whole number") from None


def _integer(value: Any, path: str) -> int:
    number = _number(value, path)
    if not -(2**31) <= number < 2**32:
        raise BadLineError(f"{path} is out of range")
    return number


def _u64(value: Any, path: str) -> str:
    number = _number(value, path)
    if not 0 <= number < 2**64:
        raise BadLineError(f"{path} is out of range")
    return str(number) if number else ""


def _enum(enum: Mapping[int, str], value: Any, path: str) -> str | int:
    if isinstance(value, str):
        return "" if value == enum[0] else value
    number = _integer(value, path)
    return enum.get(number, number) if number else ""


def _time(value: Any, path: str) -> str:
    try:
        return times.canonical(_exact(str, value, path))
    except (ValueError, OverflowError):
        raise BadLineError(f"{path} is no time") from None
