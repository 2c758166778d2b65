"""Objects against the openAPIV3Schema of a CustomResourceDefinition, as the API server checks them."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from installer.domain.policy.findings import Finding, Level, QuickFix
from installer.domain.yaml_document import Path

Schema = Mapping[str, Any]
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_TOP = ("apiVersion", "kind", "metadata", "status")


def crd_schema(crd: Mapping[str, Any]) -> Schema:
    """Return the schema of the version that a CRD stores.

    Raises:
        KeyError: it carries none.
    """
    versions = crd["spec"]["versions"]
    chosen = next((one for one in versions if one.get("storage")), versions[0])
    schema: Schema = chosen["schema"]["openAPIV3Schema"]
    return schema


def check(data: Any, schema: Schema) -> list[Finding]:
    """Check a whole object; metadata and status are left to the API."""
    if not isinstance(data, dict):
        return [
            Finding(Level.ERROR, "P-SCHEMA-001", "the document is no object", fix="Begin with apiVersion and kind.")
        ]
    properties = schema.get("properties") or {}
    found: list[Finding] = []
    for key, value in data.items():
        if key in _TOP:
            continue
        if key not in properties:
            found.append(_unknown((str(key),), properties))
        else:
            found += list(_walk(value, properties[key], (key,)))
    for key in schema.get("required") or ():
        if key not in data and key not in _TOP:
            found.append(_missing((), key))
    return found


def _walk(value: Any, schema: Schema, path: Path) -> Iterable[Finding]:
    if value is None:
        if not schema.get("nullable"):
            return  # the API drops an explicit null of an optional field
        return
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield _wrong_type(value, "a number or a string", path)
            return
    elif (kind := schema.get("type")) and not _is(value, kind):
        yield _wrong_type(value, kind, path)
        return
    yield from _scalar(value, schema, path)
    if isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _array(value, schema, path)
    yield from _combined(value, schema, path)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    wanted = _TYPES.get(kind)
    return wanted is None or isinstance(value, wanted)


def _object(value: dict[Any, Any], schema: Schema, path: Path) -> Iterable[Finding]:
    properties: Schema = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for raw, child in value.items():
        key = str(raw)
        if key in properties:
            yield from _walk(child, properties[key], (*path, key))
        elif isinstance(additional, dict):
            yield from _walk(child, additional, (*path, key))
        elif properties and not additional and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield _unknown((*path, key), properties)
    for key in schema.get("required") or ():
        if key not in value:
            yield _missing(path, key)


def _array(value: list[Any], schema: Schema, path: Path) -> Iterable[Finding]:
    items: Schema = schema.get("items") or {}
    for index, child in enumerate(value):
        yield from _walk(child, items, (*path, index))
    if len(value) > schema.get("maxItems", len(value)):
        yield _error("P-SCHEMA-007", f"{len(value)} items where at most {schema['maxItems']} may stand", path)
    if len(value) < schema.get("minItems", 0):
        yield _error("P-SCHEMA-007", f"{len(value)} items where at least {schema['minItems']} must stand", path)


def _scalar(value: Any, schema: Schema, path: Path) -> Iterable[Finding]:
    allowed = schema.get("enum")
    if allowed and value not in allowed:
        near = difflib.get_close_matches(str(value), [str(one) for one in allowed], n=1)
        quick = QuickFix(f"write {near[0]}", path, near[0]) if near else None
        text = f"{value!r} is none of {', '.join(str(one) for one in allowed)}"
        yield _error("P-SCHEMA-004", text, path, f"Did you mean {near[0]!r}?" if near else "", quick)
    if isinstance(value, str):
        yield from _string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if (low is not None and value < low) or (high is not None and value > high):
            yield _error("P-SCHEMA-005", f"{value} is not between {low} and {high}", path)


def _string(value: str, schema: Schema, path: Path) -> Iterable[Finding]:
    pattern = schema.get("pattern")
    if pattern and not _compiled(pattern).search(value):
        yield _error("P-SCHEMA-006", f"{value!r} has not the form {pattern}", path)
    if len(value) > schema.get("maxLength", len(value)) or len(value) < schema.get("minLength", 0):
        yield _error("P-SCHEMA-006", f"{value!r} is too long or too short", path)
    if schema.get("format") == "cidr" and not _is_cidr(value):
        bare = _is_address(value)
        fixed = f"{value}/{128 if ':' in value else 32}"
        quick = QuickFix(f"write {fixed}", path, fixed) if bare else None
        fix = f"A single address is written {fixed}." if bare else "Write a network such as 10.0.0.0/8."
        yield _error("P-SCHEMA-008", f"{value!r} is no CIDR", path, fix, quick)


def _combined(value: Any, schema: Schema, path: Path) -> Iterable[Finding]:
    for one in schema.get("allOf") or ():
        yield from _walk(value, one, path)
    for word, most in (("anyOf", 1 << 30), ("oneOf", 1)):
        options = schema.get(word)
        if not options or schema.get("x-kubernetes-int-or-string"):
            continue
        hits = sum(_meets(value, option) for option in options)
        if not 1 <= hits <= most:
            yield _error("P-SCHEMA-009", _alternatives(options, hits), path)


def _meets(value: Any, option: Schema) -> bool:
    """Whether a value meets an alternative; other keys than those it names are no matter."""
    if not isinstance(value, dict):
        return not any(True for _ in _walk(value, option, ()))
    named: Schema = option.get("properties") or {}
    return all(key in value for key in option.get("required") or ()) and not any(
        True for key, schema in named.items() if key in value for _ in _walk(value[key], schema, ())
    )


def _alternatives(options: Iterable[Schema], hits: int) -> str:
    names = [" and ".join(option.get("required") or ()) for option in options]
    named = ", ".join(dict.fromkeys(name for name in names if name))
    if not named:
        return "it meets none of the forms that the schema allows"
    return f"exactly one of {named} may stand here" if hits > 1 else f"one of {named} must stand here"


def _unknown(path: Path, known: Iterable[str]) -> Finding:
    near = difflib.get_close_matches(str(path[-1]), list(known), n=1, cutoff=0.6)
    text = f"the API knows no field {path[-1]!r} here and would drop it silently"
    quick = QuickFix(f"rename to {near[0]}", path, rename=near[0]) if near else None
    fix = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(sorted(known)[:12])}."
    return _error("P-SCHEMA-002", text, path, fix, quick)


def _missing(path: Path, key: str) -> Finding:
    return _error("P-SCHEMA-003", f"{key!r} is missing", path)


def _wrong_type(value: Any, kind: str, path: Path) -> Finding:
    quick = None
    if kind == "string" and isinstance(value, int) and not isinstance(value, bool):
        quick = QuickFix(f'write "{value}"', path, str(value))
    fix = f'Put it in quotes: "{value}".' if quick else ""
    return _error("P-SCHEMA-001", f"{_shown(value)} stands where {kind} is wanted", path, fix, quick)


def _shown(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", bool: "true or false", str: "a string"}
    return names.get(type(value)) or f"the number {value}"


def _error(code: str, text: str, path: Path, fix: str = "", quick: QuickFix | None = None) -> Finding:
    return Finding(Level.ERROR, code, text, path, fix, quick)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_cidr(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
