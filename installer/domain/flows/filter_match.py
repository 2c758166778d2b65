"""Filters turned into functions, by the rules of Hubble's server (v1.19/1.20).

A filter's fields must all match, values of one field are alternatives; a set lets through what any filter of the
whitelist (empty: everything) and none of the blacklist matches. The rule of each field is with its function in
``filter_fields``, ``filter_sides`` and ``filter_l7``. Messages of errors are the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from installer.domain.flows import filter_fields as fields
from installer.domain.flows import filter_l7 as l7
from installer.domain.flows import filter_sides as sides
from installer.domain.flows.enums import L7_EVENT
from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.filter_fields import Build, Test
from installer.domain.flows.flow import Flow
from installer.domain.flows.flow_filter import FilterSet, FlowFilter

Match = Callable[[Flow | None], bool]
"""Answers whether a flow passes. None stands for an answer without a flow (node status, lost events)."""

BUILDERS: Final[Mapping[str, Build]] = {
    "uuid": fields.uuid,
    "event_type": fields.event_type,
    "verdict": fields.verdict,
    "drop_reason_desc": fields.drop_reason,
    "reply": fields.reply,
    "encrypted": fields.encrypted,
    "source_identity": sides.identity("source"),
    "destination_identity": sides.identity("destination"),
    "protocol": fields.protocol,
    "source_ip": fields.ip("source"),
    "destination_ip": fields.ip("destination"),
    "source_ip_xlated": fields.ip("source_xlated"),
    "source_pod": sides.namespaced("source", "pod"),
    "destination_pod": sides.namespaced("destination", "pod"),
    "source_workload": sides.workload("source"),
    "destination_workload": sides.workload("destination"),
    "source_service": sides.namespaced("source_service", "service"),
    "destination_service": sides.namespaced("destination_service", "service"),
    "source_fqdn": sides.fqdn("source_names"),
    "destination_fqdn": sides.fqdn("destination_names"),
    "dns_query": l7.dns_query,
    "source_label": sides.label("source"),
    "destination_label": sides.label("destination"),
    "node_labels": sides.node_label,
    "source_port": fields.port("source"),
    "destination_port": fields.port("destination"),
    "http_status_code": l7.http_status,
    "http_method": l7.http_method,
    "http_path": l7.http_path,
    "http_url": l7.http_url,
    "http_header": l7.http_header,
    "tcp_flags": fields.tcp_flags,
    "node_name": sides.node_name,
    "source_cluster_name": sides.cluster("source"),
    "destination_cluster_name": sides.cluster("destination"),
    "ip_version": fields.ip_version,
    "trace_id": fields.trace_id,
    "traffic_direction": fields.direction,
    "interface": fields.interface,
    "ip_trace_id": fields.ip_trace_id,
}
"""Every field but ``experimental``, in the order in which servers build and check them."""

_NEEDS_FLOW: Final = {"uuid", "verdict", "drop_reason_desc", "ip_version", "traffic_direction"}
_HTTP: Final = {
    "http_status_code": "status code",
    "http_method": "method",
    "http_path": "path",
    "http_url": "url",
    "http_header": "headers",
}
_EMPTY: Final = Flow()
_MOST_NESTED: Final = 4


def compile_filters(filters: FilterSet, *, cel_by_server: bool = False) -> Match:
    """Return a test of flows that decides as a server with these filters does.

    Args:
        filters: what shall come.
        cel_by_server: the flows come from a server that has these filters too, so that CEL expressions, which only
            servers evaluate, are taken as met (whitelist) and as not met (blacklist).

    Raises:
        FilterError: E-FILTER-004 a value that servers refuse, E-FILTER-005 a pattern, E-FILTER-006 CEL.
    """
    allow = [_compile(item, cel_by_server) for item in filters.whitelist]
    deny = [_compile(item, cel_by_server) for item in filters.blacklist if not (cel_by_server and _has_cel(item))]
    test = _combined(_any_of(_factored(filters.whitelist, allow)), _any_of([_all_of(tests) for tests in deny]))
    without_flow = _passes_empty(allow, deny)

    def match(flow: Flow | None) -> bool:
        return without_flow if flow is None else test(flow)

    return match


_Tests = list[tuple[str, Test]]


def _has_cel(item: FlowFilter) -> bool:
    return item.experimental is not None and bool(item.experimental.cel_expression)


def _compile(item: FlowFilter, cel_by_server: bool) -> _Tests:
    if _has_cel(item) and not cel_by_server:
        raise FilterError(
            "CEL expressions cannot be evaluated here",
            why="only Hubble's servers evaluate them",
            fix="read from Relay or an agent, or say it as --where",
            code="E-FILTER-006",
        )
    tests: _Tests = []
    for name, build in BUILDERS.items():
        if values := getattr(item, name):
            _check_event_type(name, item)
            tests.append((name, build(values)))
    return tests


def _check_event_type(name: str, item: FlowFilter) -> None:
    if name in _HTTP and item.event_type and all(event.type != L7_EVENT for event in item.event_type):
        raise FilterError(
            f"filtering by http {_HTTP[name]} requires the event type filter to only match 'l7' events",
            fix="leave --type out, or give --type l7",
            code="E-FILTER-004",
        )


def _passes_empty(allow: list[_Tests], deny: list[_Tests]) -> bool:
    def hit(tests: _Tests) -> bool:
        return all(name not in _NEEDS_FLOW and test(_EMPTY) for name, test in tests)

    return (not allow or any(hit(tests) for tests in allow)) and not any(hit(tests) for tests in deny)


# Combination. Cheap tests come first; what all filters of the whitelist ask is asked once.


def _factored(filters: Sequence[FlowFilter], compiled: list[_Tests]) -> list[Test]:
    if len(filters) < 2:
        return [_all_of(tests) for tests in compiled]
    first = filters[0]
    shared = {
        name for name, _test in compiled[0] if all(getattr(item, name) == getattr(first, name) for item in filters[1:])
    }
    if not shared:
        return [_all_of(tests) for tests in compiled]
    rest = [_all_of([item for item in tests if item[0] not in shared]) for tests in compiled]
    common = _all_of([item for item in compiled[0] if item[0] in shared])
    either = _any_of(rest)
    assert either is not None
    return [_both(common, either)]


def _all_of(named: _Tests) -> Test:
    tests = [test for _name, test in sorted(named, key=lambda item: _COST[item[0]])]
    if not tests:
        return _always
    return tests[0] if len(tests) == 1 else all_of(tests)


def all_of(tests: Sequence[Test]) -> Test:
    """Return a test that all pass: pairs nested for speed where they are few."""
    if len(tests) > _MOST_NESTED:
        return lambda flow: all(test(flow) for test in tests)
    return _both(tests[0], all_of(tests[1:])) if len(tests) > 1 else tests[0]


def any_of(tests: Sequence[Test]) -> Test:
    """Return a test that one passes at least."""
    if len(tests) > _MOST_NESTED:
        return lambda flow: any(test(flow) for test in tests)
    return _either(tests[0], any_of(tests[1:])) if len(tests) > 1 else tests[0]


def _any_of(tests: list[Test]) -> Test | None:
    return any_of(tests) if tests else None


def _both(first: Test, second: Test) -> Test:
    if first is _always:
        return second
    return lambda flow: first(flow) and second(flow)


def _either(first: Test, second: Test) -> Test:
    return lambda flow: first(flow) or second(flow)


def _combined(allow: Test | None, deny: Test | None) -> Test:
    if deny is None:
        return allow or _always
    if allow is None:
        return lambda flow: not deny(flow)
    return lambda flow: allow(flow) and not deny(flow)


def _always(_flow: Flow) -> bool:
    return True


_CHEAP: Final = ("verdict", "traffic_direction", "event_type", "uuid", "drop_reason_desc", "reply", "protocol")
_DEAR: Final = ("source_label", "destination_label", "node_labels", "http_url", "http_path", "dns_query", "node_name")
_COST: Final = {name: 0 if name in _CHEAP else 2 if name in _DEAR or name.endswith("fqdn") else 1 for name in BUILDERS}
