"""Kinds of fields: which operators they have, which values, and how one value is tested.

What a server can decide is decided here by the very filter that it would get (``wire``), so that both agree; a kind's
own test is for the rest: globs inside names, regular expressions, order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from installer.domain.errors import BeeyardError
from installer.domain.flows.addresses import address_in, parse_address, parse_network
from installer.domain.flows.enums import (
    DROP_REASONS,
    EVENT_TYPES,
    PROTOCOLS,
    RESERVED_IDENTITIES,
    TCP_FLAGS,
    TRACE_POINTS,
    VERDICTS,
)
from installer.domain.flows.label_selector import parse_selector
from installer.domain.flows.re2 import compile_re2
from installer.domain.flows.where.fault import FieldValueError, nearest
from installer.domain.flows.where.fields import Field
from installer.domain.flows.where.syntax import Compare
from installer.domain.tap.reason_names import KERNEL_REASONS

Test = Callable[[Any], bool]

EQUAL: Final = ("=", "!=")
PATTERN: Final = ("~", "!~")
ORDER: Final = ("<", "<=", ">", ">=")
RCODES: Final = {
    "noerror": 0,
    "formerr": 1,
    "servfail": 2,
    "nxdomain": 3,
    "notimp": 4,
    "refused": 5,
}
_UNITS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m)\Z")
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)?(?:(?:(?<=\d)[T ])?(\d\d(?::\d\d(?::\d\d(?:\.\d{1,9})?)?)?))?Z?\Z", re.ASCII
)
_BIGGEST: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of a field are written and compared.

    Attributes:
        operators: those that fit.
        test: makes the test of one value of a flow for ``=``; raises FieldValueError for a value that does not fit.
        words: values that complete.
        text: gives the text that ``~`` searches, for values that are not text.
    """

    operators: tuple[str, ...]
    test: Callable[[str], Test]
    words: tuple[str, ...] = ()
    text: Callable[[Any], str] = field(default=str)


def check_compare(owner: Field, item: Compare) -> None:
    """Check operator and values.

    Raises:
        FieldValueError: what does not fit.
    """
    kind = KINDS[owner.kind]
    if item.operator not in kind.operators:
        fits = " ".join(kind.operators)
        raise FieldValueError(
            f"{owner.name} cannot be compared by {item.operator}", f"use one of {fits}", "E-WHERE-004"
        )
    if item.operator in ORDER and len(item.values) != 1:
        raise FieldValueError(f"{item.operator} takes one value", code="E-WHERE-004")
    if owner.kind == "label":
        _check_key(owner.key)
    for value in item.values:
        compile_test(owner, item.operator, value)


def compile_test(owner: Field, operator: str, value: str) -> Test:
    """Return the test of one value; ``!=`` and ``!~`` test as ``=`` and ``~``.

    Raises:
        FieldValueError: the value does not fit.
    """
    kind = KINDS[owner.kind]
    if operator in PATTERN:
        return _pattern(value, kind.text)
    if operator in ORDER:
        return _ordered(owner.kind, operator, value)
    return kind.test(value)


def _check_key(key: str) -> None:
    try:
        parse_selector(key)
    except ValueError as error:
        raise FieldValueError(f"{key} is no key of a label", str(error)) from error


# Tests of one value.


def _pattern(value: str, text: Callable[[Any], str]) -> Test:
    try:
        search = compile_re2(value).search
    except BeeyardError as error:
        raise FieldValueError(error.what, error.fix) from error
    return lambda has: search(text(has)) is not None


def glob(pattern: str) -> Test:
    """Return a test of a text: equal, with ``*`` for any run of characters."""
    if "*" not in pattern:
        return lambda has: has == pattern
    match = re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))), re.DOTALL).fullmatch
    return lambda has: match(has) is not None


def _object(value: str) -> Test:
    test = glob(value)
    if "/" in value:
        return lambda has: test(f"{has[0]}/{has[1]}")
    return lambda has: test(has[1])


def _joined(has: tuple[str, str]) -> str:
    return f"{has[0]}/{has[1]}"


def _workload(value: str) -> Test:
    if not value or value == "/":
        raise FieldValueError("a workload has a name", "as in workload=web or workload=Deployment/web")
    kind, slash, name = value.rpartition("/")
    test, kind_test = glob(name), glob(kind)
    return lambda has: (test(has[1]) or (bool(slash) and not name)) and (not slash or not kind or kind_test(has[0]))


def _ip(value: str) -> Test:
    if "*" in value:
        return glob(value)
    try:
        if "/" in value:
            network = parse_network(value)
            return lambda has: address_in(has, network)
        address = str(parse_address(value))
    except ValueError as error:
        raise FieldValueError(f"{value} is no address and no prefix", "as in ip=10.0.1.7 or ip=10.0.0.0/8") from error
    return lambda has: has == address


def _number(value: str, most: int = _BIGGEST) -> Test:
    number = _integer(value, most)
    return lambda has: has == number


def _integer(value: str, most: int = _BIGGEST) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 20 or int(value) > most:
        raise FieldValueError(f"{value or 'nothing'} is no number from 0 to {most}")
    return int(value)


def _port(value: str) -> Test:
    return _number(value, 65535)


def _status(value: str) -> Test:
    if re.fullmatch(r"[1-5][0-9]?\+", value):
        prefix = value[:-1]
        return lambda has: f"{has:03d}".startswith(prefix)
    return _number(value, 999)


def identity_number(value: str) -> int:
    """Return the number of a reserved name or of a number.

    Raises:
        FieldValueError: neither.
    """
    named = RESERVED_IDENTITIES.get(value.lower())
    return named if named is not None else _integer(value, (1 << 32) - 1)


def _identity(value: str) -> Test:
    number = identity_number(value)
    return lambda has: has == number


def _rcode(value: str) -> Test:
    number = RCODES.get(value.lower())
    return _number(value, 65535) if number is None else lambda has: has == number


def _nanoseconds(value: str) -> int:
    match = _DURATION.match(value)
    if match is None:
        raise FieldValueError(f"{value or 'nothing'} is no duration", "a number and a unit: 50ms, 1.5s, 200us")
    return round(float(match[1]) * _UNITS[match[2]])


def _time(value: str) -> tuple[int, str]:
    """Return where the text is in a time, and the text."""
    match = _TIME.match(value)
    if match is None or not (match[1] or match[2]):
        raise FieldValueError(f"{value or 'nothing'} is no time", "in UTC: 10:30, 2026-11-20 or 2026-11-20T10:30:05Z")
    if match[1]:
        return 0, match[1] + (f"T{match[2]}" if match[2] else "")
    return 11, match[2]


def _same_time(value: str) -> Test:
    start, text = _time(value)
    return lambda has: _plain_time(has)[start:].startswith(text)


def _plain_time(time: str) -> str:
    """Return a time with nine digits of a second and without its Z, so that texts compare as times."""
    whole, _dot, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def _ordered(kind: str, operator: str, value: str) -> Test:
    if kind == "time":
        return _ordered_time(operator, value)
    bound = _nanoseconds(value) if kind == "duration" else _integer(value)
    return {
        "<": lambda has: has < bound,
        "<=": lambda has: has <= bound,
        ">": lambda has: has > bound,
        ">=": lambda has: has >= bound,
    }[operator]


def _ordered_time(operator: str, value: str) -> Test:
    """Compare at the precision of the value: 10:30:59 is neither before nor after 10:30."""
    start, text = _time(value)
    size = len(text)

    def cut(has: str) -> str:
        return _plain_time(has)[start:][:size]

    return {
        "<": lambda has: cut(has) < text,
        "<=": lambda has: cut(has) <= text,
        ">": lambda has: cut(has) > text,
        ">=": lambda has: cut(has) >= text,
    }[operator]


def _word_of(what: str, words: tuple[str, ...]) -> Callable[[str], Test]:
    """Make a check against a list of words; the flow itself is tested by the server's filter."""

    def test(value: str) -> Test:
        if value.lower() not in words:
            raise FieldValueError(
                f"{value or 'nothing'} is no {what}", nearest(value, words) or "one of " + ", ".join(words)
            )
        return _by_server

    return test


def _by_server(_has: Any) -> bool:
    raise AssertionError("decided by the server's filter")


def reason_number(value: str) -> int:
    """Return the number of a drop reason, given by name in any case or by number.

    Raises:
        FieldValueError: neither.
    """
    name = re.sub(r"[\s-]+", "_", value.strip()).upper()
    if name in DROP_REASONS:
        return DROP_REASONS[name]
    if value.isascii() and value.isdigit():
        return _integer(value, (1 << 31) - 1)
    fix = nearest(name.lower(), REASONS) or "a name such as policy_denied, or a number such as 133"
    raise FieldValueError(f"{value or 'nothing'} is no drop reason", fix)


def kernel_reason(value: str) -> str:
    """Return the kernel's name of a reason, given in any case; empty for one of Hubble's."""
    name = re.sub(r"[\s-]+", "_", value.strip()).upper()
    return name if name in KERNEL_REASONS else ""


def _reason(value: str) -> Test:
    name = kernel_reason(value)
    if not name:
        number = reason_number(value)
        name = next((known for known, found in DROP_REASONS.items() if found == number), str(number))
    return lambda has: has == name


def _type(value: str) -> Test:
    name, colon, sub_type = value.lower().partition(":")
    if name not in EVENT_TYPES and not (name.isdigit() and name.isascii() and _integer(name, (1 << 31) - 1) > 0):
        raise FieldValueError(
            f"{name or 'nothing'} is no type", nearest(name, EVENT_TYPES) or "one of " + ", ".join(EVENT_TYPES)
        )
    if colon and not (name == "trace" and sub_type in TRACE_POINTS):
        try:
            _integer(sub_type, (1 << 31) - 1)
        except FieldValueError as fault:
            raise FieldValueError(f"{sub_type} is no sub-type of {name}", nearest(sub_type, TRACE_POINTS)) from fault
    return _by_server


def _flags(value: str) -> Test:
    for name in re.split(r"[,+]", value):
        _word_of("TCP flag", TCP_FLAGS)(name)
    return _by_server


def _selector(value: str) -> Test:
    try:
        if not parse_selector(value):
            raise ValueError("it is empty")
    except ValueError as error:
        raise FieldValueError(f"{value or 'nothing'} is no label selector", str(error)) from error
    return _by_server


def _method(value: str) -> Test:
    wanted = value.casefold()
    return lambda has: has.casefold() == wanted


def _query(value: str) -> Test:
    test = glob(value.removesuffix("."))
    return lambda has: test(has.removesuffix("."))


REASONS: Final = tuple(name.lower() for name in (*DROP_REASONS, *sorted(KERNEL_REASONS)))
"""Hubble's, then the kernel's, which the tap tells."""
_TRUTH: Final = ("yes", "no", "true", "false")
_TYPES: Final = (*EVENT_TYPES, *(f"trace:{point}" for point in TRACE_POINTS))

KINDS: Final[dict[str, Kind]] = {
    "text": Kind((*EQUAL, *PATTERN), glob),
    "object": Kind((*EQUAL, *PATTERN), _object, text=_joined),
    "workload": Kind((*EQUAL, *PATTERN), _workload, text=_joined),
    "fqdn": Kind((*EQUAL, *PATTERN), glob),
    "node": Kind((*EQUAL, *PATTERN), glob),
    "interface": Kind((*EQUAL, *PATTERN), glob),
    "path": Kind((*EQUAL, *PATTERN), glob),
    "query": Kind((*EQUAL, *PATTERN), _query),
    "header": Kind((*EQUAL, *PATTERN), glob),
    "label": Kind((*EQUAL, *PATTERN), glob),
    "method": Kind(
        (*EQUAL, *PATTERN), _method, ("get", "head", "post", "put", "patch", "delete", "options", "connect")
    ),
    "ip": Kind((*EQUAL, *PATTERN), _ip),
    "port": Kind((*EQUAL, *ORDER), _port),
    "number": Kind((*EQUAL, *ORDER), _number),
    "status": Kind((*EQUAL, *ORDER), _status, ("200", "404", "500", "4+", "5+")),
    "identity": Kind(EQUAL, _identity, tuple(RESERVED_IDENTITIES)),
    "rcode": Kind((*EQUAL, *ORDER), _rcode, tuple(RCODES)),
    "duration": Kind((*EQUAL, *ORDER), lambda value: (lambda bound: lambda has: has == bound)(_nanoseconds(value))),
    "time": Kind((*EQUAL, *ORDER), _same_time),
    "verdict": Kind(
        EQUAL, _word_of("verdict", tuple(name.lower() for name in VERDICTS)), tuple(map(str.lower, VERDICTS))
    ),
    "reason": Kind(EQUAL, _reason, REASONS),
    "type": Kind(EQUAL, _type, _TYPES),
    "direction": Kind(EQUAL, _word_of("direction", ("ingress", "egress", "unknown")), ("ingress", "egress", "unknown")),
    "reply": Kind(EQUAL, _word_of("answer", (*_TRUTH, "unknown")), ("yes", "no", "unknown")),
    "encrypted": Kind(EQUAL, _word_of("answer", _TRUTH), ("yes", "no")),
    "protocol": Kind(EQUAL, _word_of("protocol", PROTOCOLS), PROTOCOLS),
    "flags": Kind(EQUAL, _flags, TCP_FLAGS),
    "version": Kind(EQUAL, _word_of("IP version", ("v4", "v6", "none", "4", "6")), ("v4", "v6", "none")),
    "selector": Kind(EQUAL, _selector),
}
"""By name."""
