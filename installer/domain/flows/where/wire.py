"""One comparison as fields of the server's filter: what can be said exactly, and what at least."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from installer.domain.errors import BeeyardError
from installer.domain.flows.addresses import parse_address
from installer.domain.flows.enums import DROP_REASONS
from installer.domain.flows.filter_values import ip_version, parse_event_type, parse_tcp_flags, parse_workload
from installer.domain.flows.flow import Header, Interface
from installer.domain.flows.flow_filter import FlowFilter
from installer.domain.flows.label_selector import parse_selector
from installer.domain.flows.name_patterns import compile_fqdns, compile_node_names
from installer.domain.flows.where.fields import Field
from installer.domain.flows.where.kinds import identity_number, kernel_reason, reason_number
from installer.domain.flows.where.syntax import Compare

Said = tuple[Any, bool]
"""A value of the filter, and whether the filter then says just what the comparison says."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A comparison for a server: any of ``filters``; ``exact``: neither more nor less. No filters: nothing to say."""

    filters: tuple[FlowFilter, ...]
    exact: bool


def leaf_of(field: Field, item: Compare) -> Leaf:
    """Return what a server can be asked for ``=`` or ``~`` (``!=`` and ``!~`` are read as these)."""
    said = [_said(field, item.operator, value) for value in item.values] if field.wire else [None]
    known = [value for value in said if value is not None]
    if len(known) == len(said):
        values = tuple(value for value, _exact in known)
        return Leaf(tuple(_filter(name, values) for name in field.wire), all(exact for _value, exact in known))
    return Leaf((FlowFilter(protocol=field.implies),) if field.implies else (), exact=False)


def _filter(name: str, values: tuple[Any, ...]) -> FlowFilter:
    given: dict[str, Any] = {name: values}
    return FlowFilter(**given)


def _said(field: Field, operator: str, value: str) -> Said | None:
    if operator in ("~", "!~"):
        return (value, True) if field.kind in ("path", "query") else None
    if operator not in ("=", "!="):
        return None
    say = _SAY.get(field.kind)
    return say(field, value) if say is not None else None


def _text(field: Field, value: str) -> Said | None:
    if not value or "*" in value:
        return None
    if not field.wire[0].endswith("_pod"):
        return value, True
    return None if "/" in value else (f"{value}/", True)


def _object(_field: Field, value: str) -> Said | None:
    """Servers look for a prefix: exact for ``web*``, more than enough for ``web``."""
    namespace, slash, name = value.rpartition("/")
    stem = name.removesuffix("*")
    if "*" in namespace + stem or "/" in namespace or (slash and not namespace) or not (stem or (slash and name)):
        return None
    return f"{namespace}/{stem}", stem != name


def _workload(_field: Field, value: str) -> Said | None:
    return None if "*" in value or value.count("/") > 1 or value.startswith("/") else (parse_workload(value), True)


def _fqdn(_field: Field, value: str) -> Said | None:
    return _if_taken(compile_fqdns, value)


def _node(_field: Field, value: str) -> Said | None:
    return _if_taken(compile_node_names, value)


def _if_taken(compiler: Callable[[list[str]], object], value: str) -> Said | None:
    try:
        compiler([value])
    except BeeyardError:
        return None
    return value, True


def _ip(_field: Field, value: str) -> Said | None:
    if "*" in value:
        return None
    return (value if "/" in value else str(parse_address(value))), True


def _label(field: Field, value: str) -> Said | None:
    text = f"{field.key}={value}"
    try:
        requirements = parse_selector(text)
    except ValueError:
        return None
    return (text, True) if len(requirements) == 1 and requirements[0].values == (value,) else None


def _reason(_field: Field, value: str) -> Said | None:
    if kernel_reason(value):
        return None  # no server of Hubble's knows it
    number = reason_number(value)
    return next((name for name, known in DROP_REASONS.items() if known == number), number), True


def _direction(_field: Field, value: str) -> Said:
    return {"unknown": "TRAFFIC_DIRECTION_UNKNOWN"}.get(value.lower(), value.upper()), True


def _truth(_field: Field, value: str) -> Said | None:
    return None if value.lower() == "unknown" else (value.lower() in ("yes", "true"), True)


def _status(_field: Field, value: str) -> Said | None:
    return (value, True) if re.fullmatch(r"[1-5]([0-9]{2}|[0-9]?\+)", value) else None


def _path(_field: Field, value: str) -> Said:
    return f"^{_quoted(value)}$", True


def _query(_field: Field, value: str) -> Said:
    return rf"^{_quoted(value.removesuffix('.'))}\.?$", True


def _quoted(value: str) -> str:
    """Write a text with stars as a regular expression that both engines read alike."""
    return "(?s:.*)".join(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", part) for part in re.split(r"\*+", value))


_SAY: Final[dict[str, Callable[[Field, str], Said | None]]] = {
    "text": _text,
    "object": _object,
    "workload": _workload,
    "fqdn": _fqdn,
    "node": _node,
    "interface": lambda _field, value: None if not value or "*" in value else (Interface(name=value), True),
    "path": _path,
    "query": _query,
    "header": lambda field, value: None if "*" in value else (Header(field.key, value), True),
    "label": _label,
    "method": lambda _field, value: (value, True) if value else None,
    "ip": _ip,
    "port": lambda _field, value: (str(int(value)), True),
    "status": _status,
    "identity": lambda _field, value: (identity_number(value), True),
    "verdict": lambda _field, value: (value.upper(), True),
    "reason": _reason,
    "type": lambda _field, value: (parse_event_type(value.lower()), True),
    "direction": _direction,
    "reply": _truth,
    "encrypted": _truth,
    "protocol": lambda _field, value: (value.lower(), True),
    "flags": lambda _field, value: (parse_tcp_flags(value.replace("+", ",")), True),
    "version": lambda _field, value: (ip_version(value), True),
    "selector": lambda _field, value: (value, True),
}
