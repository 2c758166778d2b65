"""Names and regular expressions as Cilium reads them."""

from __future__ import annotations

import re
from functools import lru_cache

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.re2 import BeyondPythonError, compile_re2

_LABEL = "[-a-zA-Z0-9_]*"


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


class Unjudged(ValueError):  # noqa: N818  # no fault of the expression
    """RE2 takes the expression, but it cannot be run here, so what it admits is not known."""


@lru_cache(maxsize=4096)
def expression(text: str) -> re.Pattern[str]:
    """Compile a regular expression of an HTTP rule; it is matched in full (R55).

    Raises:
        ValueError: RE2, which enforces the rule, would refuse it; ``Unjudged`` where only we cannot run it.
    """
    try:
        return compile_re2(text)
    except BeyondPythonError as error:
        raise Unjudged(error.what) from None
    except FilterError as error:
        raise ValueError(error.what.removeprefix("error parsing regexp: ")) from None
