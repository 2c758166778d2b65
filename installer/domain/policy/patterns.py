"""Names and regular expressions as Cilium reads them."""

from __future__ import annotations

import re
from functools import lru_cache

_LABEL = "[-a-zA-Z0-9_]*"
_NOT_RE2 = re.compile(r"\(\?(?:[=!]|<[=!]|>|\()|\\[1-9]|[*+?}]\+")
"""Look-around, atomic groups, conditionals, back-references and possessive quantifiers: RE2 has none of them."""


def plain_name(name: str) -> str:
    """Return a DNS name in the form that is compared: lower case, no dot at the end."""
    return name.strip().lower().rstrip(".")


@lru_cache(maxsize=4096)
def name_pattern(pattern: str, *, cascade: bool = True) -> re.Pattern[str]:
    """Compile a matchPattern (R45).

    Args:
        pattern: ``*`` stays inside one label, alone it is every name; ``**.`` in front is one or more labels.
        cascade: whether the version knows ``**.`` (1.19).
    """
    text = plain_name(pattern)
    if text == "*":
        return re.compile(r".+")
    head = ""
    if text.startswith("**.") and cascade:
        head, text = rf"(?:{_LABEL}\.)+", text[3:]
    body = re.sub(r"\*+", "*", text)
    return re.compile(head + "".join(_LABEL if char == "*" else re.escape(char) for char in body))


def matches_name(pattern: str, name: str, *, cascade: bool = True) -> bool:
    """Tell whether a DNS name meets a matchPattern."""
    return name_pattern(pattern, cascade=cascade).fullmatch(plain_name(name)) is not None


@lru_cache(maxsize=4096)
def expression(text: str) -> re.Pattern[str]:
    """Compile a regular expression of an HTTP rule; it is matched in full (R55).

    Raises:
        ValueError: RE2, which enforces the rule, would refuse it.
    """
    found = _NOT_RE2.search(_without_escapes_and_classes(text))
    if found:
        raise ValueError(f"RE2 knows no {found.group(0)!r}")
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _without_escapes_and_classes(text: str) -> str:
    """Blank out what only looks like syntax: escaped punctuation and the inside of classes."""
    text = re.sub(r"\\[^0-9]", "..", text)
    return re.sub(r"\[\^?\]?[^\]]*\]", lambda found: "." * len(found.group(0)), text)
