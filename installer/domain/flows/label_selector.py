"""Label selectors over Cilium's labels: Kubernetes' syntax with sources, as Hubble's filters read it.

A key is ``app``, ``any:app`` (any source), ``k8s:app`` or ``reserved:world``; ``cidr:10.0.0.0-8`` also matches narrower
labels. A label is ``source:key=value``. Words of errors are those of Kubernetes' parser.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

Labels = tuple[str, ...]

_OPERATORS: Final = ("==", "!=", "=", "!", "(", ")", ",", ">", "<")
_SPACE: Final = " \t\r\n"
_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_END: Final = ""
_CACHE_SIZE: Final = 8192


@dataclass(frozen=True, slots=True)
class Label:
    """A label taken apart; ``source`` is ``unspec`` where none is given."""

    source: str
    key: str
    value: str


@lru_cache(maxsize=_CACHE_SIZE)
def parse_label(text: str) -> Label:
    """Read ``source:key=value``, ``key=value`` or ``$reserved``."""
    source, rest = _source(text)
    key, equals, value = rest.partition("=")
    if equals and not key and source == "reserved":
        key, value = value, ""
    return Label(source or "unspec", key, value)


def _source(text: str) -> tuple[str, str]:
    if text.startswith("$"):
        return "reserved", text[1:]
    source, colon, rest = text.partition(":")
    if colon:
        return source, rest
    return ("reserved", text.removeprefix("reserved.")) if text.startswith("reserved.") else ("", text)


@lru_cache(maxsize=_CACHE_SIZE)
def sorted_labels(labels: Labels) -> tuple[Label, ...]:
    """Return the labels taken apart and sorted by key, in which order servers look at them."""
    return tuple(sorted((parse_label(text) for text in labels), key=lambda label: label.key))


def find_value(labels: Labels, source: str, key: str) -> str | None:
    """Return the value of the first label with this key (and source, unless ``any``); None: there is none."""
    for label in sorted_labels(labels):
        if (source in ("any", label.source)) and _same_key(label, source, key):
            return label.value
    return None


def _same_key(label: Label, source: str, key: str) -> bool:
    if source == "cidr" and label.source == "cidr":
        wanted, has = _prefix(key), _prefix(label.key)
        return wanted is not None and has is not None and _covers(wanted, has)
    return label.key == key


Prefix = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@lru_cache(maxsize=1024)
def _prefix(key: str) -> Prefix | None:
    try:
        return ipaddress.ip_interface(key.replace("-", ":")) if "/" in key else None
    except ValueError:
        return None


def _covers(wide: Prefix, narrow: Prefix) -> bool:
    same = wide.version == narrow.version
    return same and wide.network.prefixlen <= narrow.network.prefixlen and narrow.ip in wide.network


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition; ``operator`` is ``in``, ``notin``, ``exists``, ``!``, ``>`` or ``<``."""

    source: str
    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Say whether these labels meet the condition."""
        value = find_value(labels, self.source, self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return value is not None and self._ordered(value)

    def _ordered(self, value: str) -> bool:
        if not _is_integer(value):
            return False
        number, bound = int(value), int(self.values[0])
        return number > bound if self.operator == ">" else number < bound


def compile_selector(text: str) -> Callable[[Labels], bool]:
    """Return a test of labels. It remembers its answers: few sets of labels come again and again.

    Raises:
        ValueError: with the words of Kubernetes' parser.
    """
    requirements = parse_selector(text)

    @lru_cache(maxsize=_CACHE_SIZE)
    def matches(labels: Labels) -> bool:
        return all(requirement.matches(labels) for requirement in requirements)

    return matches


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """Read a selector.

    Raises:
        ValueError: as above.
    """
    return _Parser(_translated(text)).parse()


def _translated(text: str) -> str:
    """Write ``source:key`` as ``source.key`` and ``key`` as ``any.key``, which the parser's keys allow."""
    out, at = [], 0
    while at < len(text):
        start = at
        while at < len(text) and (text[at].isspace() or text[at] == "!"):
            at += 1
        out.append(text[start:at])
        start = at
        while at < len(text) and not text[at].isspace() and text[at] not in "=!,":
            at += 1
        key = text[start:at]
        out.append((key if ":" in key else f"any:{key}").replace(":", ".", 1))
        start = at
        at = _end_of_requirement(text, at)
        out.append(text[start:at])
    return "".join(out)


def _end_of_requirement(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        char = text[at]
        at += 1
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            break
    return at


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
        elif operator := next((item for item in _OPERATORS if text.startswith(item, at)), ""):
            at += len(operator)
            yield operator
        else:
            start = at
            while at < len(text) and text[at] not in "=!(),><" + _SPACE:
                at += 1
            yield text[start:at]
    yield _END


class _Parser:
    """Recursive descent over one selector."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def parse(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while self._peek() != _END:
            if self._peek() in _OPERATORS and self._peek() != "!":
                raise ValueError(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from error
            word = self._next()
            if word == _END:
                break
            if word != ",":
                raise ValueError(f"found '{word}', expected: ',' or 'end of string'")
            if self._peek() == _END or (self._peek() in _OPERATORS and self._peek() != "!"):
                raise ValueError(f"found '{self._peek()}', expected: identifier after ','")
        return tuple(found)

    def _peek(self) -> str:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        key = (self._next(), self._next())[1] if negated else self._next()
        if key in _OPERATORS or key == _END:
            raise ValueError(f"found '{key}', expected: identifier")
        source, name = _checked_key(key)
        if negated or self._peek() in (_END, ","):
            return Requirement(source, name, "!" if negated else "exists")
        operator = self._next()
        if operator in ("in", "notin"):
            return Requirement(source, name, operator, self._values(key))
        if operator in ("=", "==", "!=", ">", "<"):
            return Requirement(source, name, _meaning(operator), (self._value(key, operator),))
        raise ValueError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _value(self, key: str, operator: str) -> str:
        if self._peek() in (_END, ","):
            value = ""
        else:
            value = self._next()
            if value in _OPERATORS:
                raise ValueError(f"found '{value}', expected: identifier")
        if operator in "><" and not _is_integer(value):
            raise ValueError(
                f"values[0]: Invalid value: {_json(value)}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return _checked_value(key, 0, value)

    def _values(self, key: str) -> tuple[str, ...]:
        word = self._next()
        if word != "(":
            raise ValueError(f"found '{word}' expected: '('")
        values, value = [], ""
        while (word := self._next()) != ")":
            if word == ",":
                values.append(value)
                value = ""
            elif word in _OPERATORS or word == _END or value:
                raise ValueError(f"found '{word}', expected: ',' or ')'")
            else:
                value = word
        values.append(value)
        return tuple(_checked_value(key, index, value) for index, value in enumerate(sorted(set(values))))


def _meaning(operator: str) -> str:
    return {"=": "in", "==": "in", "!=": "notin"}.get(operator, operator)


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None and -(1 << 63) <= int(text) < 1 << 63


def _checked_key(key: str) -> tuple[str, str]:
    prefix, slash, name = key.rpartition("/")
    problem = ""
    if slash and (not _SUBDOMAIN.match(prefix) or len(prefix) > 253):
        problem = (
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
            "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
            "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    elif len(name) > 63:
        problem = "name part must be no more than 63 bytes"
    elif not _NAME.match(name):
        problem = (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    if problem:
        raise ValueError(f"<nil>: Invalid value: {_json(key)}: {problem}")
    source, _dot, rest = key.partition(".")
    return (source or "any"), rest


def _checked_value(key: str, index: int, value: str) -> str:
    if value and (len(value) > 63 or not _NAME.match(value)):
        problem = (
            "must be no more than 63 bytes"
            if len(value) > 63
            else "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
            "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
        raise ValueError(f"values[{index}][{key}]: Invalid value: {_json(value)}: {problem}")
    return value


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
