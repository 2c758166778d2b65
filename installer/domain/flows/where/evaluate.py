"""A tree turned into a function of flows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from installer.domain.flows.filter_flags import filters_from_flags
from installer.domain.flows.filter_match import all_of, any_of, compile_filters
from installer.domain.flows.flow import Endpoint, Flow, Service
from installer.domain.flows.flow_filter import FilterSet
from installer.domain.flows.where.fields import Field, find_field
from installer.domain.flows.where.kinds import Test, compile_test
from installer.domain.flows.where.reads import Get
from installer.domain.flows.where.syntax import And, Compare, Expression, Flags, Not, Or, Word
from installer.domain.flows.where.wire import leaf_of

Match = Callable[[Flow], bool]


def compile_expression(item: Expression) -> Match:
    """Return the test.

    Raises:
        BeeyardError: flags that contradict each other or have bad values.
    """
    match item:
        case Compare():
            return _compare(item)
        case Word(text):
            return _word(text)
        case Flags():
            return compile_filters(filters_of(item))
        case Not(inner):
            test = compile_expression(inner)
            return lambda flow: not test(flow)
        case And(items):
            return all_of([compile_expression(part) for part in items]) if items else _always
        case Or(items):
            return any_of([compile_expression(part) for part in items])


def _always(_flow: Flow) -> bool:
    return True


def filters_of(item: Flags) -> FilterSet:
    """Return the filters that the flags ask for.

    Raises:
        BeeyardError: as above.
    """
    raw: dict[str, list[str]] = {"allowlist": [], "denylist": []}
    for flag in item.flags:
        if flag.name in raw:
            raw[flag.name].append(flag.value)
    flags = [flag for flag in item.flags if flag.name not in raw]
    return filters_from_flags(flags, allowlist=raw["allowlist"], denylist=raw["denylist"])


def field_of(item: Compare) -> Field:
    """Return the field of a comparison that the parser has checked."""
    field = find_field(item.field)
    assert field is not None
    return field


def _compare(item: Compare) -> Match:
    field = field_of(item)
    leaf = leaf_of(field, item)
    positive = compile_filters(FilterSet(leaf.filters)) if leaf.exact else _locally(field, item)
    if item.operator in ("!=", "!~"):
        return lambda flow: not positive(flow)
    return positive


def _locally(field: Field, item: Compare) -> Match:
    if field.kind == "reply":
        return _reply(item)
    test = any_value([compile_test(field, item.operator, value) for value in item.values])
    return any_of([_side(get, test, field.many) for get in field.gets])


def any_value(tests: list[Test]) -> Test:
    """Return a test that one passes at least."""
    return tests[0] if len(tests) == 1 else lambda has: any(test(has) for test in tests)


def _side(get: Get, test: Test, many: bool) -> Match:
    if many:
        return lambda flow: (has := get(flow)) is not None and any(test(part) for part in has)
    return lambda flow: (has := get(flow)) is not None and test(has)


def _reply(item: Compare) -> Match:
    """``unknown`` cannot be asked of a server: what it counts neither as a reply nor as none."""
    known = tuple(value for value in item.values if value.lower() != "unknown")
    either = compile_filters(FilterSet(leaf_of(field_of(item), Compare("reply", "=", ("yes", "no"))).filters))
    if not known:
        return lambda flow: not either(flow)
    given = compile_filters(FilterSet(leaf_of(field_of(item), Compare("reply", "=", known)).filters))
    return lambda flow: given(flow) or not either(flow)


# Words.


def _word(text: str) -> Match:
    test = _finder(text.casefold())

    def match(flow: Flow) -> bool:
        address = flow.ip
        return (
            test(_endpoint_text(flow.source))
            or test(_endpoint_text(flow.destination))
            or test(_folded(flow.summary))
            or (address is not None and (test(address.source) or test(address.destination)))
            or test(_folded(str(flow.verdict)))
            or test(_folded(str(flow.drop_reason_desc)))
            or any(test(_folded(name)) for name in (*flow.source_names, *flow.destination_names))
            or any(test(_names_text(item.namespace, item.name)) for item in _services(flow))
        )

    return match


def _services(flow: Flow) -> Iterator[Service]:
    return (item for item in (flow.source_service, flow.destination_service) if item is not None)


def _finder(needle: str) -> Callable[[str], bool]:
    if "*" not in needle:
        return lambda text: needle in text
    search = re.compile(".*".join(map(re.escape, re.split(r"\*+", needle)))).search
    return lambda text: search(text) is not None


@lru_cache(maxsize=8192)
def _folded(text: str) -> str:
    return text.casefold()


@lru_cache(maxsize=8192)
def _names_text(namespace: str, pod: str) -> str:
    return f"{namespace}/{pod}".casefold() if namespace or pod else ""


def _endpoint_text(part: Endpoint | None) -> str:
    return "" if part is None else _names_text(part.namespace, part.pod_name)
