"""Values of filter flags: text to what a filter holds, with hubble's words where it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from installer.domain.flows.enums import (
    AGENT_EVENTS,
    DIRECTIONS,
    DROP_REASONS,
    EVENT_TYPES,
    RESERVED_IDENTITIES,
    TCP_FLAGS,
    TRACE_POINTS,
    VERDICTS,
)
from installer.domain.flows.flow import Header, Interface, TCPFlags, Workload
from installer.domain.flows.flow_filter import EventTypeFilter
from installer.domain.flows.go_text import parse_uint, quoted
from installer.domain.tap.reason_names import KERNEL_REASONS

_LISTS: Final = frozenset(
    f"{side}{name}" for name in ("port", "ip", "identity", "namespace") for side in ("", "from-", "to-")
) | {
    "verdict",
    "drop-reason-desc",
    "type",
    "protocol",
    "http-status",
    "http-method",
    "traffic-direction",
    "ip-version",
    "ip-trace-id",
    "snat-ip",
    "uuid",
}
_MAX_IDENTITY: Final = (1 << 32) - 1


def split_list(flag: str, value: str) -> tuple[str, ...]:
    """Return the values of a list with commas, for flags whose values cannot contain one."""
    return tuple(part.strip() for part in value.split(",")) if flag in _LISTS and "," in value else (value,)


def parse_value(flag: str, text: str, *, strict: bool) -> Any:
    """Return what the filter holds for this value.

    Raises:
        ValueError: with hubble's words.
    """
    if not strict and flag in ("verdict", "drop-reason-desc"):
        text = _loose_name(flag, text)
    parser = VALUE_PARSERS.get(flag)
    return parser(text) if parser is not None else text


def _loose_name(flag: str, text: str) -> str:
    name = re.sub(r"[\s-]+", "_", text.strip()).upper()
    table = VERDICTS if flag == "verdict" else DROP_REASONS
    if name in table or (flag != "verdict" and name in KERNEL_REASONS):
        return name
    if text.isascii() and text.isdigit():
        return next((known for known, number in table.items() if number == int(text)), text)
    return text


def _verdict(text: str) -> str:
    if text not in VERDICTS:
        raise ValueError(f"invalid --verdict value: {text}")
    return text


def _drop_reason(text: str) -> str:
    if not text:
        raise ValueError("empty --drop-reason-desc value")
    if text not in DROP_REASONS and text not in KERNEL_REASONS:
        raise ValueError(f"invalid --drop-reason-desc value: {text}")
    return text


def parse_event_type(text: str) -> EventTypeFilter:
    """Read ``trace``, ``trace:to-proxy``, ``drop:133`` or ``5``.

    Raises:
        ValueError: with hubble's words.
    """
    name, colon, sub_name = text.partition(":")
    kind = EVENT_TYPES.get(name)
    if kind is None:
        try:
            kind = parse_uint(name, 32)
        except ValueError as error:
            raise ValueError(
                f"unable to parse type '{name}', not a known type name and unable to parse as numeric value: {error}"
            ) from error
    if not colon:
        return EventTypeFilter(kind)
    names = {"trace": TRACE_POINTS, "agent": AGENT_EVENTS}.get(name, {})
    sub_type = names.get(sub_name)
    if sub_type is None:
        try:
            sub_type = parse_uint(sub_name, 32)
        except ValueError as error:
            raise ValueError(
                f"unable to parse event sub-type '{sub_name}', not a known sub-type name and unable to parse as "
                f"numeric value: {error}"
            ) from error
    return EventTypeFilter(kind, True, sub_type)


def parse_tcp_flags(text: str) -> TCPFlags:
    """Read ``syn,ack``.

    Raises:
        ValueError: with hubble's words.
    """
    names = text.split(",")
    for name in names:
        if name.lower() not in TCP_FLAGS:
            raise ValueError(f"unknown tcp flag: {name}")
    return TCPFlags(**{name.lower(): True for name in names})


def parse_identity(text: str) -> int:
    """Read a number or the name of a reserved identity.

    Raises:
        ValueError: with hubble's words.
    """
    if text in RESERVED_IDENTITIES:
        return RESERVED_IDENTITIES[text]
    try:
        return parse_uint(text, 32, base=0)
    except ValueError as error:
        names = " ".join(name if name != "overlay-to-encrypt" else "11" for name in RESERVED_IDENTITIES)
        raise ValueError(f"invalid security identity, expected one of [{names}] or a numeric value") from error


def parse_workload(text: str) -> Workload:
    """Read ``name``, ``Kind/name`` or ``Kind/``."""
    kind, slash, name = text.partition("/")
    return Workload(name, kind) if slash else Workload(text)


def ip_version(text: str) -> str:
    """Return the enum's name; what is not 4 or 6 means no IP."""
    return {"4": "IPv4", "6": "IPv6"}.get(text.lower().removeprefix("ip").removeprefix("v"), "IP_NOT_USED")


def _ip_trace_id(text: str) -> str:
    if text == "0":
        raise ValueError("invalid --ip-trace-id value; must be greater than 0")
    try:
        return str(parse_uint(text, 64))
    except ValueError as error:
        raise ValueError(f"invalid --ip-trace-id value: {error}") from error


def _header(text: str) -> Header:
    key, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"invalid http-header value {quoted(text)}, expected name:value")
    return Header(key, value)


def _direction(text: str) -> str:
    name = text.upper()
    if name not in DIRECTIONS or name == "TRAFFIC_DIRECTION_UNKNOWN":
        raise ValueError(f"{text.lower()}: invalid traffic direction, expected ingress or egress")
    return name


def _truth(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError(f"{text}: expected true or false")
    return words[text.lower()]


VALUE_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "verdict": _verdict,
    "drop-reason-desc": _drop_reason,
    "type": parse_event_type,
    "tcp-flags": parse_tcp_flags,
    **{f"{side}identity": parse_identity for side in ("", "from-", "to-")},
    **{f"{side}workload": parse_workload for side in ("", "from-", "to-")},
    "ipv4": lambda _text: "IPv4",
    "ipv6": lambda _text: "IPv6",
    "ip-version": ip_version,
    "ip-trace-id": _ip_trace_id,
    "http-header": _header,
    "traffic-direction": _direction,
    "interface": lambda text: Interface(name=text),
    "encrypted": lambda _text: True,
    "unencrypted": lambda _text: False,
    "reply": _truth,
}
"""Flags whose value is not simply text."""
