"""Filters as JSON, in the values of ``--allowlist`` and ``--denylist`` and in config files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from installer.domain.flows.enums import DIRECTIONS, DROP_REASONS, IP_VERSIONS, VERDICTS
from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.flow_filter import FlowFilter

_ENUMS: Final[Mapping[str, Mapping[str, int]]] = {
    "verdict": VERDICTS,
    "traffic_direction": DIRECTIONS,
    "drop_reason_desc": DROP_REASONS,
    "ip_version": IP_VERSIONS,
}
_NUMBERS: Final = frozenset({"source_identity", "destination_identity", "type", "sub_type", "index"})


def parse_raw_filters(values: Iterable[str], flag: str) -> tuple[FlowFilter, ...]:
    """Return the filters; one value may hold several JSON objects one after another.

    Raises:
        FilterError: E-FILTER-007.
    """
    return tuple(item for value in values for item in _filters(value, flag))


def _filters(text: str, flag: str) -> Iterator[FlowFilter]:
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            item, at = decoder.raw_decode(text, at)
            yield parse_filter(item)
        except (ValueError, RecursionError) as error:
            raise FilterError(
                f"invalid --{flag} flag: failed to decode '{text}': {error}",
                fix="""give a filter as JSON, such as '{"verdict":["DROPPED"]}'; --print-raw-filters shows some""",
                code="E-FILTER-007",
            ) from error


def parse_filter(item: Any) -> FlowFilter:
    """Return one filter from decoded JSON: names as in the API or in camel case, enums as names or numbers.

    Raises:
        ValueError: what is wrong.
    """
    if not isinstance(item, dict):
        raise ValueError("a filter is a JSON object")
    try:
        return msgspec.convert(_normal(item, FlowFilter), FlowFilter)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _normal(item: Mapping[str, Any], kind: type) -> dict[str, Any]:
    names = _names(kind)
    out: dict[str, Any] = {}
    for key, value in item.items():
        if key not in names:
            raise ValueError(f'unknown field "{key}"')
        if value is not None:
            out[names[key]] = _value(names[key], value)
    return out


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_value(name, part) for part in value]
    if isinstance(value, dict):
        return _normal(value, _PARTS.get(name, FlowFilter))
    if name in _ENUMS:
        return _enum(name, value)
    if name in _NUMBERS and isinstance(value, str):
        return int(value)
    return str(value) if name == "ip_trace_id" else value


def _enum(name: str, value: Any) -> str | int:
    table = _ENUMS[name]
    if isinstance(value, str) and value not in table:
        raise ValueError(f'invalid value for enum field {name}: "{value}"')
    if isinstance(value, int):
        return next((known for known, number in table.items() if number == value), value)
    return str(value)


@lru_cache(maxsize=16)
def _names(kind: type) -> Mapping[str, str]:
    fields = [field.encode_name for field in msgspec.structs.fields(kind)]
    return {name: name for name in fields} | {_camel(name): name for name in fields}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _parts() -> Mapping[str, type]:
    from installer.domain.flows import flow, flow_filter

    return {
        "source_workload": flow.Workload,
        "destination_workload": flow.Workload,
        "interface": flow.Interface,
        "event_type": flow_filter.EventTypeFilter,
        "http_header": flow.Header,
        "tcp_flags": flow.TCPFlags,
        "experimental": flow_filter.Experimental,
    }


_PARTS: Final[Mapping[str, type]] = _parts()


def encode_filter(item: FlowFilter) -> str:
    """Return the filter as JSON, byte for byte as hubble writes it."""
    text = msgspec.json.encode(_wide_numbers(item)).decode()
    return "".join(_HTML.get(char, char) for char in text)


_HTML: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def _wide_numbers(item: FlowFilter) -> FlowFilter:
    """Write 64-bit numbers as text, as protobuf's JSON has them."""
    ids: Sequence[str | int] = item.ip_trace_id
    return msgspec.structs.replace(item, ip_trace_id=tuple(str(value) for value in ids)) if ids else item
