"""What an upgrade changes in the rendered objects: a diff of each, secrets left out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from installer.domain.plan import Change

Object = Mapping[str, Any]
_RANDOM = "cilium.io/helm-template-non-idempotent"
_MASK = "***"
LIMIT = 400
"""Lines of one object's diff that are shown."""


def object_changes(before: Sequence[Object], after: Sequence[Object]) -> list[Change]:
    """Return one change for every object that is new, gone or different; the ConfigMap of Cilium first.

    Values of Secrets are masked, and certificates that a template makes anew each time are left out.
    """
    made_anew = {name_of(item) for item in (*before, *after) if item and _is_random(item)}
    old, new = _by_name(before, made_anew), _by_name(after, made_anew)
    found = [
        Change("object", _action(name, old, new), name, diff=_diff(name, old.get(name), new.get(name)))
        for name in sorted({*old, *new}, key=_order)
        if old.get(name) != new.get(name)
    ]
    return [change for change in found if change.diff]


def name_of(item: Object) -> str:
    """Return an object's name for people: ``ConfigMap kube-system/cilium-config``."""
    meta = item.get("metadata") or {}
    place = f"{meta['namespace']}/" if meta.get("namespace") else ""
    return f"{item.get('kind', '?')} {place}{meta.get('name', '?')}"


def _by_name(objects: Sequence[Object], without: set[str]) -> dict[str, dict[str, Any]]:
    return {name: _shown(item) for item in objects if item and (name := name_of(item)) not in without}


def _is_random(item: Object) -> bool:
    labels = (item.get("metadata") or {}).get("labels") or {}
    return _RANDOM in labels or (item.get("kind") == "Secret" and str(item.get("type", "")).endswith("/tls"))


def _shown(item: Object) -> dict[str, Any]:
    """Return an object as it may be shown."""
    shown = {key: value for key, value in item.items() if key != "status"}
    if item.get("kind") == "Secret":
        for field in ("data", "stringData"):
            if field in shown:
                shown[field] = dict.fromkeys(shown[field] or {}, _MASK)
    return shown


def _order(name: str) -> tuple[int, str]:
    return (0 if name.endswith("/cilium-config") else 1, name)


def _action(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if name not in old:
        return "create"
    return "update" if name in new else "delete"


def _diff(name: str, before: Object | None, after: Object | None) -> str:
    lines = list(
        difflib.unified_diff(
            _lines(before),
            _lines(after),
            "/dev/null" if before is None else name,
            "/dev/null" if after is None else name,
            lineterm="",
            n=1,
        )
    )
    more = len(lines) - LIMIT
    return "\n".join([*lines[:LIMIT], *([f"... {more} more lines"] if more > 0 else [])])


def _lines(item: Object | None) -> list[str]:
    return yaml.safe_dump(dict(item), width=1000).splitlines() if item is not None else []
