"""The match rules of the two sides of a flow, and of its node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from installer.domain.flows.filter_fields import Build, Test, refused
from installer.domain.flows.flow import Endpoint, Flow, Workload
from installer.domain.flows.label_selector import compile_selector
from installer.domain.flows.name_patterns import compile_fqdns, compile_node_names

_Names = Sequence[str]


def namespaced(part: str, kind: str) -> Build:
    """``[namespace/]prefix`` of a name; without a slash the namespace is ``default``."""
    get, name_field = attrgetter(part), "pod_name" if kind == "pod" else "name"
    get_name = attrgetter(name_field)
    head = "" if kind == "pod" else f"invalid {part.removesuffix('_service')} service filter: "

    def build(values: _Names) -> Test:
        if "" in values:
            raise refused(head + "invalid filter, name must not be empty")
        wanted = tuple(split_name(value) for value in values)
        if len(wanted) == 1:
            return _one_name(get, get_name, *wanted[0])
        if all(namespace and not prefix for namespace, prefix in wanted):
            return _namespaces(get, frozenset(namespace for namespace, _prefix in wanted))

        def test(flow: Flow) -> bool:
            side = get(flow)
            if side is None:
                return False
            namespace, name = side.namespace, get_name(side)
            return any(ns in ("", namespace) and name.startswith(prefix) for ns, prefix in wanted if namespace or name)

        return test

    return build


def _namespaces(get: Callable[[Flow], Any], wanted: frozenset[str]) -> Test:
    return lambda flow: (side := get(flow)) is not None and side.namespace in wanted


def _one_name(get: Callable[[Flow], Any], get_name: Callable[[Any], str], ns: str, prefix: str) -> Test:
    if ns and not prefix:
        return lambda flow: (side := get(flow)) is not None and side.namespace == ns
    if ns:
        return lambda flow: (
            (side := get(flow)) is not None and side.namespace == ns and get_name(side).startswith(prefix)
        )
    return lambda flow: (
        (side := get(flow)) is not None and bool(side.namespace or get_name(side)) and get_name(side).startswith(prefix)
    )


def split_name(value: str) -> tuple[str, str]:
    """Return namespace and prefix of a name as filters write it."""
    parts = value.split("/")
    return (parts[0], parts[1]) if len(parts) > 1 else ("default", value)


def fqdn(field: str) -> Build:
    """Any name of the side fits a pattern; ``*`` stands for letters, digits, dots and hyphens."""
    get = attrgetter(field)

    def build(values: _Names) -> Test:
        fits = compile_fqdns(values)
        return lambda flow: any(fits(name) for name in get(flow))

    return build


def label(side: str) -> Build:
    """Any of the selectors selects the side's labels."""
    get = attrgetter(side)

    def build(values: _Names) -> Test:
        selects = _selectors(values, side)
        return lambda flow: selects(() if (part := get(flow)) is None else part.labels)

    return build


def node_label(values: _Names) -> Test:
    """Any of the selectors selects the node's labels."""
    selects = _selectors(values, "node")
    return lambda flow: selects(flow.node_labels)


def _selectors(values: _Names, side: str) -> Callable[[tuple[str, ...]], bool]:
    try:
        selectors = tuple(compile_selector(value) for value in values)
    except ValueError as error:
        raise refused(f"invalid {side} label filter: {error}", "as kubectl: app=web, app in (a, b), !app") from error
    if len(selectors) == 1:
        return selectors[0]
    return lambda labels: any(selector(labels) for selector in selectors)


def workload(side: str) -> Build:
    """Name and kind, where given, of any workload."""
    get = attrgetter(side)

    def build(values: Sequence[Workload]) -> Test:
        wanted = tuple((item.name, item.kind) for item in values)

        def test(flow: Flow) -> bool:
            part: Endpoint | None = get(flow)
            return part is not None and any(
                name in ("", item.name) and kind in ("", item.kind) for item in part.workloads for name, kind in wanted
            )

        return test

    return build


def identity(side: str) -> Build:
    """One of the numbers."""
    get = attrgetter(side)

    def build(values: Sequence[int]) -> Test:
        wanted = frozenset(values)
        return lambda flow: (part := get(flow)) is not None and part.identity in wanted

    return build


def cluster(side: str) -> Build:
    """One of the names, exactly."""
    get = attrgetter(side)

    def build(values: _Names) -> Test:
        if "" in values:
            raise refused("invalid filter, name must not be empty")
        wanted = frozenset(values)
        return lambda flow: (part := get(flow)) is not None and part.cluster_name in wanted

    return build


def node_name(values: _Names) -> Test:
    """``[cluster/]node`` pattern; the flow's cluster is ``default`` where it names none."""
    fits = compile_node_names(values)
    return lambda flow: flow.node_name != "" and fits(flow.node_name)
