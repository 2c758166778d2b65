"""Columns by name, and by path into a flow's JSON form, for the formats that print chosen columns."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Union, get_args, get_origin

import msgspec

from installer.domain.errors import UsageError
from installer.domain.flows import names
from installer.domain.flows.enums import DROP_REASONS
from installer.domain.flows.flow import Endpoint, Flow, TCPFlags
from installer.domain.flows.printing import text

Value = Callable[[Flow], Any]
"""Returns a text, a number, or a tuple of them; None where the flow has no such part."""

NONE = "<none>"
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[\d+\])*)", re.ASCII)


def _endpoint(side: str, what: Callable[[Endpoint], Any]) -> Value:
    get: Callable[[Flow], Endpoint | None] = attrgetter(side)

    def value(flow: Flow) -> Any:
        endpoint = get(flow)
        return None if endpoint is None else what(endpoint)

    return value


def _workload(endpoint: Endpoint) -> str:
    return ",".join(f"{workload.kind}/{workload.name}" for workload in endpoint.workloads)


def _side(side: str, index: int) -> dict[str, Value]:
    return {
        side: lambda flow: text.hosts(flow)[index],
        f"{side}_ip": lambda flow: flow.ip and getattr(flow.ip, side),
        f"{side}_port": lambda flow: text.ports(flow)[index] or None,
        f"{side}_mac": lambda flow: flow.ethernet and getattr(flow.ethernet, side),
        f"{side}_namespace": _endpoint(side, lambda endpoint: endpoint.namespace),
        f"{side}_pod": _endpoint(side, lambda endpoint: endpoint.pod_name),
        f"{side}_workload": _endpoint(side, _workload),
        f"{side}_identity": _endpoint(side, lambda endpoint: endpoint.identity),
        f"{side}_labels": _endpoint(side, lambda endpoint: endpoint.labels),
        f"{side}_cluster": _endpoint(side, lambda endpoint: endpoint.cluster_name),
    }


def tcp_flags(flow: Flow) -> str:
    """Return the flags of a TCP segment by comma, in hubble's order; empty for other protocols."""
    flags = flow.l4.tcp.flags if flow.l4 is not None and flow.l4.tcp is not None else None
    return "" if flags is None else ",".join(name.upper() for name in _FLAGS if getattr(flags, name))


_FLAGS = ("syn", "ack", "rst", "fin", "psh", "urg", "ece", "cwr", "ns")
assert set(_FLAGS) == set(TCPFlags.__struct_fields__)


def drop_reason(flow: Flow) -> str:
    """Return the reason of a drop by its name on the wire; empty where nothing was dropped."""
    if not flow.drop_reason_desc and not flow.drop_reason:
        return ""
    return names.name_of(flow.drop_reason_desc, {0: str(flow.drop_reason)})


def drop_number(flow: Flow) -> int:
    """Return the number of a drop's reason; 0 where nothing was dropped."""
    reason = flow.drop_reason_desc
    known = DROP_REASONS.get(reason, 0) if isinstance(reason, str) else reason
    return flow.drop_reason or known


def _l7(get: str) -> Value:
    getter = attrgetter(get)

    def value(flow: Flow) -> Any:
        try:
            return getter(flow.l7) or None
        except AttributeError:
            return None

    return value


COLUMNS: Mapping[str, Value] = {
    "time": lambda flow: flow.time,
    "node": lambda flow: flow.node_name,
    **_side("source", 0),
    **_side("destination", 1),
    "protocol": text.protocol,
    "tcp_flags": tcp_flags,
    "direction": lambda flow: flow.traffic_direction,
    "reply": lambda flow: flow.is_reply,
    "type": text.flow_type,
    "verdict": text.verdict,
    "reason": drop_reason,
    "policies": lambda flow: ",".join(f"{item.namespace}/{item.name}" for item in text.deciding_policies(flow)),
    "summary": text.summary,
    "uuid": lambda flow: flow.uuid,
    "interface": lambda flow: flow.interface and flow.interface.name,
    "http_method": _l7("http.method"),
    "http_url": _l7("http.url"),
    "http_code": _l7("http.code"),
    "dns_query": _l7("dns.query"),
    "latency_ns": _l7("latency_ns"),
}
"""Columns by the names that ``-o csv`` heads them with."""


def column(path: str) -> Value:
    """Return the value of a column by its name, or of a path such as ``.source.labels[0]`` or ``l4.TCP.source_port``.

    Raises:
        UsageError: E-FLOW-021 there is no such field.
    """
    bare = path.strip().removeprefix("{").removesuffix("}").removeprefix(".")
    if path.strip() == bare and bare in COLUMNS:
        return COLUMNS[bare]
    kind: Any = Flow
    steps: list[tuple[str, list[int]]] = []
    for part in bare.removeprefix("flow.").split("."):
        found = _STEP.fullmatch(part)
        fields = {} if not found else _fields_of(kind)
        if found is None or found[1] not in fields:
            raise _no_field(path, found[1] if found else part, {**fields, **(COLUMNS if kind is Flow else {})})
        name, kind = fields[found[1]]
        steps.append((name, [int(number) for number in re.findall(r"\d+", found[2])]))
        kind = _item(kind) if steps[-1][1] else kind
    return lambda flow: _walk(flow, steps)


def _fields_of(kind: Any) -> dict[str, tuple[str, Any]]:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return {}
    return {field.encode_name: (field.name, _bare(field.type)) for field in msgspec.structs.fields(kind)}


def _bare(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(member for member in get_args(kind) if member is not type(None))
    return kind


def _item(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is tuple else kind


def _walk(value: Any, steps: list[tuple[str, list[int]]]) -> Any:
    for name, indexes in steps:
        if value is None:
            return None
        value = getattr(value, name, None)
        for index in indexes:
            if not isinstance(value, tuple) or index >= len(value):
                return None
            value = value[index]
    return value


def _no_field(path: str, part: str, known: Mapping[str, object]) -> UsageError:
    near = difflib.get_close_matches(part, known, n=1)
    return UsageError(
        f"Flows have no field {path!r}",
        why=f"There is no {part!r} in it." + (f" Did you mean {near[0]!r}?" if near else ""),
        fix="Use a path as in -o jsonpb, such as source.pod_name, or one of: " + ", ".join(COLUMNS) + ".",
        code="E-FLOW-021",
    )


def shown(value: Any, none: str = "") -> str:
    """Return a value as the text of a cell: lists by comma, truth values as JSON has them."""
    if value is None or value == "" or value == ():
        return none
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(shown(item) for item in value)
    if isinstance(value, msgspec.Struct | msgspec.Raw):
        return msgspec.json.encode(value).decode()
    return str(value)
