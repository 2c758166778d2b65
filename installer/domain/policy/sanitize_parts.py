"""Parts of rules that Cilium checks wherever they stand: selectors and DNS names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from installer.domain.policy.findings import Finding, Level, QuickFix
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_NAME = re.compile(r"[-.0-9a-zA-Z_]+")
_PATTERN = re.compile(r"[-.0-9a-zA-Z_*]+")
_KEY = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def error(code: str, text: str, path: Path, fix: str = "", quick: QuickFix | None = None) -> Finding:
    """Return a finding that keeps agents from using the object."""
    return Finding(Level.ERROR, code, text, path, fix, quick)


def check_selector(raw: Any, path: Path) -> Iterable[Finding]:
    """Check a label selector."""
    if not isinstance(raw, Mapping):
        return
    for key, value in (raw.get("matchLabels") or {}).items():
        yield from _label_key(str(key), (*path, "matchLabels", key))
        if value is not None and not _is_value(str(value)):
            yield error("P-RULE-021", f"{value!r} is no label value", (*path, "matchLabels", key))
    for index, one in enumerate(raw.get("matchExpressions") or ()):
        if isinstance(one, Mapping):
            yield from _expression(one, (*path, "matchExpressions", index))


def _expression(raw: Raw, path: Path) -> Iterable[Finding]:
    operator, values = raw.get("operator"), raw.get("values") or ()
    yield from _label_key(str(raw.get("key") or ""), (*path, "key"))
    if operator not in _OPERATORS:
        yield error("P-RULE-022", f"{operator!r} is no operator", (*path, "operator"), ", ".join(_OPERATORS))
    elif operator in ("In", "NotIn") and not values:
        yield error("P-RULE-023", f"{operator} needs values", path)
    elif operator in ("Exists", "DoesNotExist") and values:
        yield error("P-RULE-023", f"{operator} takes no values", (*path, "values"))
    for value in values:
        if not _is_value(str(value)):
            yield error("P-RULE-021", f"{value!r} is no label value", (*path, "values"))


def _label_key(key: str, path: Path) -> Iterable[Finding]:
    source, colon, rest = key.partition(":")
    name = rest if colon else key
    if colon and not source.isalnum():
        text = f"the part before the colon of {key!r} is a label source, of letters and digits only"
        yield error("P-RULE-020", text, path, "Such as k8s:app, or no source at all.")
    elif ":" in name or not _KEY.fullmatch(name):
        stripped = key.replace(" ", "")
        quick = QuickFix(f"write {stripped}", path, rename=stripped) if " " in key and path[-1] == key else None
        yield error("P-RULE-020", f"{key!r} is no label key", path, "Such as app or k8s:app.", quick)


def _is_value(text: str) -> bool:
    return len(text) <= 63 and _VALUE.fullmatch(text) is not None


def check_name(raw: Raw, path: Path, *, both: bool) -> Iterable[Finding]:
    """Check a rule with matchName and matchPattern.

    Args:
        raw: the rule.
        path: its place.
        both: whether both may stand together, as in rules of dns.
    """
    name, pattern = raw.get("matchName"), raw.get("matchPattern")
    if name and pattern and not both:
        yield error("P-RULE-050", "matchName and matchPattern exclude each other here", (*path, "matchPattern"))
    for key, value, form in (("matchName", name, _NAME), ("matchPattern", pattern, _PATTERN)):
        if value and not form.fullmatch(str(value).strip()):
            quick = None
            if key == "matchName" and "*" in str(value) and _PATTERN.fullmatch(str(value)):
                quick = QuickFix("make it a matchPattern", (*path, key), rename="matchPattern")
            fix = "Wildcards belong into matchPattern." if quick else ""
            yield error("P-RULE-051", f"{value!r} has characters that no name has", (*path, key), fix, quick)
        elif value and len(str(value)) > 255:
            yield error("P-RULE-051", f"{key} is longer than 255 characters", (*path, key))
