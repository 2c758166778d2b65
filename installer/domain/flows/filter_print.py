"""Filters as YAML for a config file: ``--print-raw-filters``."""

from __future__ import annotations

from collections.abc import Sequence

from installer.domain.flows.filter_raw import encode_filter
from installer.domain.flows.flow_filter import FilterSet, FlowFilter


def print_raw_filters(filters: FilterSet) -> str:
    """Return the lists as YAML, byte for byte as hubble prints them."""
    text = _list("allowlist", filters.whitelist) + _list("denylist", filters.blacklist)
    return text or "{}\n"


def _list(name: str, items: Sequence[FlowFilter]) -> str:
    if not items:
        return ""
    return f"{name}:\n" + "".join(f"    - {_scalar(encode_filter(item))}\n" for item in items)


def _scalar(text: str) -> str:
    """Quote a line of JSON as YAML does: singly, or doubly where it holds what cannot be printed."""
    if all(char.isprintable() for char in text):
        return "'" + text.replace("'", "''") + "'"
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else _escape(ord(char)) for char in inner) + '"'


def _escape(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
