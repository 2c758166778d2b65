"""What a server can do of an expression.

The result lets through at least what the expression does. A conjunction is cut into its parts: a part that is a
negation goes to the blacklist as far as it can be said exactly, the others become one whitelist, as alternatives of
filters (``or`` joins lists, ``and`` multiplies them). What cannot be said is left out where that lets more through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from installer.domain.flows.enums import L7_EVENT
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.domain.flows.where.evaluate import field_of, filters_of
from installer.domain.flows.where.syntax import And, Compare, Expression, Flags, Not, Or
from installer.domain.flows.where.wire import leaf_of

_MOST: Final = 32
_HTTP: Final = ("http_status_code", "http_method", "http_path", "http_url", "http_header")
_SETS: Final = frozenset(
    {
        "verdict",
        "traffic_direction",
        "uuid",
        "ip_version",
        "reply",
        "encrypted",
        "trace_id",
        "drop_reason_desc",
        *(f"{side}_{name}" for side in ("source", "destination") for name in ("port", "identity", "cluster_name")),
    }
)
"""Fields of which a flow has one value, so that two lists together mean what both have."""


@dataclass(frozen=True, slots=True)
class Approximation:
    """Alternatives; None: no bound. ``exact``: neither more nor less than the expression."""

    filters: tuple[FlowFilter, ...] | None
    exact: bool


_UNBOUND: Final = Approximation(None, exact=False)


def push_down(item: Expression) -> tuple[FilterSet, bool]:
    """Return the filters for a server, and whether nothing is left to do here."""
    bound, blacklist, exact = Approximation(None, exact=True), list[FlowFilter](), True
    for part in _parts(item):
        if isinstance(part, Not):
            denied, all_said = _below(part.item)
            blacklist += denied
            exact = exact and all_said
        elif isinstance(part, Flags):
            filters = filters_of(part)
            blacklist += filters.blacklist
            if filters.whitelist:
                bound = _product(bound, Approximation(filters.whitelist, exact=True))
        else:
            bound = _product(bound, _above(part))
    return FilterSet(bound.filters or (), tuple(dict.fromkeys(blacklist))), exact and bound.exact


def _parts(item: Expression) -> Iterable[Expression]:
    """Cut into what must all hold; negations end up before something that is none."""
    match item:
        case And(items):
            for part in items:
                yield from _parts(part)
        case Not(Not(inner)):
            yield from _parts(inner)
        case Not(Or(items)):
            for part in items:
                yield from _parts(Not(part))
        case Not(Compare() as inner):
            yield from _parts(_opposite(inner)) if inner.operator in ("!=", "!~") else (item,)
        case Compare(operator="!=" | "!~"):
            yield Not(_opposite(item))
        case _:
            yield item


def _opposite(item: Compare) -> Compare:
    return Compare(item.field, {"!=": "=", "!~": "~"}[item.operator], item.values)


def _above(item: Expression) -> Approximation:
    """Return filters that let through at least what the expression does."""
    match item:
        case Compare(operator=operator) if operator not in ("!=", "!~"):
            leaf = leaf_of(field_of(item), item)
            return Approximation(leaf.filters, leaf.exact) if leaf.filters else _UNBOUND
        case Flags():
            filters = filters_of(item)
            return Approximation(filters.whitelist or None, exact=not filters.blacklist)
        case And(items):
            bound = Approximation(None, exact=True)
            for part in items:
                bound = _product(bound, _above(part))
            return bound
        case Or(items):
            return _sum([_above(part) for part in items])
        case Not(Not(inner)):
            return _above(inner)
        case _:
            return _UNBOUND


def _below(item: Expression) -> tuple[tuple[FlowFilter, ...], bool]:
    """Return filters that match only what the expression does, and whether they match all of that."""
    match item:
        case Or(items):
            found = [_below(part) for part in items]
            return tuple(part for filters, _exact in found for part in filters), all(exact for _, exact in found)
        case Compare() | And() | Flags():
            bound = _above(item)
            return (bound.filters, True) if bound.exact and bound.filters is not None else ((), False)
        case _:
            return (), False


def _sum(bounds: list[Approximation]) -> Approximation:
    filters: list[FlowFilter] = []
    for bound in bounds:
        if bound.filters is None:
            return _UNBOUND
        filters += bound.filters
    unique = tuple(dict.fromkeys(filters))
    return Approximation(unique, all(bound.exact for bound in bounds)) if len(unique) <= _MOST else _UNBOUND


def _product(first: Approximation, second: Approximation) -> Approximation:
    exact = first.exact and second.exact
    if first.filters is None or second.filters is None:
        return Approximation(second.filters if first.filters is None else first.filters, exact)
    if len(first.filters) * len(second.filters) > _MOST:
        return Approximation(first.filters, exact=False)
    merged = [_merge(left, right) for left in first.filters for right in second.filters]
    filters = tuple(dict.fromkeys(item for item, _exact in merged if item is not None))
    if not filters:
        return Approximation(first.filters, exact=False)
    return Approximation(filters, exact and all(said for _item, said in merged))


def _merge(first: FlowFilter, second: FlowFilter) -> tuple[FlowFilter | None, bool]:
    """Return a filter for both, and whether it says just that; None: no flow can match both."""
    left, right, exact = _given(first), _given(second), True
    for name in left.keys() & right.keys():
        if name in _SETS:
            both = tuple(value for value in left[name] if value in right[name])
            if not both:
                return None, True
            right[name] = both
        elif left[name] != right[name]:
            right[name], exact = left[name], False
    joined = left | right
    events = joined.get("event_type")
    if events and any(name in joined for name in _HTTP) and all(event.type != L7_EVENT for event in events):
        del joined["event_type"]  # a server refuses the two together
        exact = False
    return FlowFilter(**joined), exact


def _given(item: FlowFilter) -> dict[str, Any]:
    values = msgspec.structs.asdict(item)
    return {name: value for name, value in values.items() if value}
