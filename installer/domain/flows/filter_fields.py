"""The match rules of a flow's own fields, addresses and protocols.

Every builder checks the values of one field of a filter and returns a test of a flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from installer.domain.flows.addresses import compile_addresses
from installer.domain.flows.enums import (
    DIRECTIONS,
    DROP_REASONS,
    IP_VERSIONS,
    PROTOCOLS,
    TCP_FLAGS,
    VERDICTS,
    spellings,
)
from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.flow import Enum, Flow, Interface, Layer4, TCPFlags
from installer.domain.flows.flow_filter import EventTypeFilter
from installer.domain.flows.go_text import parse_uint, quoted
from installer.domain.tap.reason_names import KERNEL_REASONS

Test = Callable[[Flow], bool]
Build = Callable[[Any], Test]

_DROPPED: Final = spellings(("DROPPED",), VERDICTS)


def refused(what: str, fix: str = "") -> FilterError:
    """Return the error of a value that servers refuse."""
    return FilterError(what, fix=fix, code="E-FILTER-004")


# The flow as a whole.


def verdict(values: Sequence[Enum]) -> Test:
    """One of the verdicts."""
    wanted = spellings(values, VERDICTS)
    return lambda flow: flow.verdict in wanted


def drop_reason(values: Sequence[Enum]) -> Test:
    """Dropped, for one of the reasons."""
    wanted = spellings(values, DROP_REASONS) | {value for value in values if value in KERNEL_REASONS}
    return lambda flow: flow.drop_reason_desc in wanted and flow.verdict in _DROPPED


def direction(values: Sequence[Enum]) -> Test:
    """One of the directions."""
    wanted = spellings(values, DIRECTIONS)
    return lambda flow: flow.traffic_direction in wanted


def uuid(values: Sequence[str]) -> Test:
    """One of the ids."""
    wanted = frozenset(values)
    return lambda flow: flow.uuid in wanted


def event_type(values: Sequence[EventTypeFilter]) -> Test:
    """Type (0: any) and, where asked, sub-type."""
    plain = frozenset(item.type for item in values if not item.match_sub_type)
    exact = frozenset((item.type, item.sub_type) for item in values if item.match_sub_type)
    any_type = 0 in plain

    def test(flow: Flow) -> bool:
        event = flow.event_type
        if event is None:
            return False
        kind = event.type
        return any_type or kind in plain or (kind, event.sub_type) in exact or (0, event.sub_type) in exact

    return test


def reply(values: Sequence[bool]) -> Test:
    """Reply or not; a dropped flow of which it is not known counts as none."""
    wanted = frozenset(values)

    def test(flow: Flow) -> bool:
        known = flow.is_reply
        if known is None:
            return False in wanted and flow.verdict in _DROPPED
        return known in wanted

    return test


def encrypted(values: Sequence[bool]) -> Test:
    """Encrypted or not; without addresses: not."""
    wanted = frozenset(values)
    return lambda flow: (flow.ip is not None and flow.ip.encrypted) in wanted


def interface(values: Sequence[Interface]) -> Test:
    """Index and name, where given."""
    pairs = tuple((item.index, item.name) for item in values)

    def test(flow: Flow) -> bool:
        has = flow.interface
        return has is not None and any(index in (0, has.index) and name in ("", has.name) for index, name in pairs)

    return test


def trace_id(values: Sequence[str]) -> Test:
    """One of the W3C trace ids."""
    wanted = frozenset(values)

    def test(flow: Flow) -> bool:
        context = flow.trace_context
        return (context.parent.trace_id if context is not None and context.parent is not None else "") in wanted

    return test


def ip_trace_id(values: Sequence[str | int]) -> Test:
    """One of the ids of an IP option."""
    wanted = frozenset(int(value or 0) for value in values)
    return lambda flow: int((flow.ip_trace_id.trace_id if flow.ip_trace_id is not None else 0) or 0) in wanted


# Addresses, ports, protocols.


def ip(side: str) -> Build:
    """The very address, or inside a prefix."""
    get = attrgetter(side)

    def build(values: Sequence[str]) -> Test:
        inside = compile_addresses(values)
        return lambda flow: flow.ip is not None and (address := get(flow.ip)) != "" and inside(address)

    return build


def ip_version(values: Sequence[Enum]) -> Test:
    """One of the versions; flows without addresses have IP_NOT_USED."""
    wanted = spellings(values, IP_VERSIONS)
    return lambda flow: (flow.ip.ip_version if flow.ip is not None else "") in wanted


def ports(flow: Flow) -> tuple[int, int] | None:
    """Return source and destination port of TCP, UDP or SCTP, in this order of search."""
    l4 = flow.l4
    if l4 is None:
        return None
    part = l4.tcp or l4.udp or l4.sctp
    return None if part is None else (part.source_port, part.destination_port)


def port(side: str) -> Build:
    """One of the ports."""
    field = f"{side}_port"

    def build(values: Sequence[str]) -> Test:
        wanted = frozenset(_port(side, value) for value in values)
        get = attrgetter(field)

        def test(flow: Flow) -> bool:
            l4 = flow.l4
            if l4 is None:
                return False
            part = l4.tcp or l4.udp or l4.sctp
            return part is not None and get(part) & 0xFFFF in wanted

        return test

    return build


def _port(side: str, value: str) -> int:
    try:
        return parse_uint(value, 16)
    except ValueError as error:
        raise refused(
            f"invalid {side} port filter: invalid port {quoted(value)}: {error}", "give a number from 0 to 65535"
        ) from error


def protocol(values: Sequence[str]) -> Test:
    """One of the protocols, of layer 4 or 7."""
    names = frozenset(value.lower() for value in values)
    for value in values:
        if value.lower() not in PROTOCOLS:
            raise refused(
                f"invalid protocol filter: unknown protocol: {quoted(value)}", "one of " + ", ".join(PROTOCOLS)
            )
    below = _below(names)
    above = tuple(name for name in ("dns", "http", "kafka") if name in names)
    if not above:
        return lambda flow: flow.l4 is not None and below(flow.l4)
    record = _any_part(above)
    return lambda flow: (flow.l4 is not None and below(flow.l4)) or (flow.l7 is not None and record(flow.l7))


def _below(names: frozenset[str]) -> Callable[[Layer4], bool]:
    both = frozenset({"icmpv4", "icmpv6"}) if "icmp" in names else frozenset()
    return _any_part(tuple(name for name in PROTOCOLS[1:8] if name in names | both))


def _any_part(names: tuple[str, ...]) -> Callable[[Any], bool]:
    if not names:
        return lambda _part: False
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda part: get(part) is not None
    return lambda part: any(item is not None for item in get(part))


def tcp_flags(values: Sequence[TCPFlags]) -> Test:
    """All flags of one value are set; more may be."""
    masks = tuple(flag_bits(value) for value in values)

    def test(flow: Flow) -> bool:
        l4 = flow.l4
        if l4 is None or l4.tcp is None or l4.tcp.flags is None:
            return False
        bits = flag_bits(l4.tcp.flags)
        return any(bits & mask == mask for mask in masks)

    return test


@lru_cache(maxsize=512)
def flag_bits(flags: TCPFlags) -> int:
    """Return the flags as bits, in the order of ``TCP_FLAGS``."""
    return sum(1 << index for index, name in enumerate(TCP_FLAGS) if getattr(flags, name))
