"""Times of flows: RFC 3339 text to nanoseconds and back, Go's layouts by hubble's names, and moments on a command line.

Time zones other than UTC and "now" come from the caller, for the domain has no clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

Clock = Callable[[], int]
"""Returns the UNIX time in nanoseconds."""

NAMES = (
    "YearMonthDay",
    "YearMonthDayHour",
    "YearMonthDayHourMinute",
    "StampMilli",
    "RFC3339",
    "RFC3339Milli",
    "RFC3339Micro",
    "RFC3339Nano",
    "RFC1123Z",
)
"""Formats that hubble knows; any other name means ``StampMilli``."""

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CACHED = 4096
_WIRE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def to_ns(text: str) -> int:
    """Return the UNIX time in nanoseconds of an RFC 3339 time.

    Raises:
        ValueError: it is none.
    """
    found = _WIRE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no time")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    leap = second == 60
    moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    seconds = (moment - _EPOCH) // timedelta(seconds=1) + leap
    if found[8]:
        offset = int(found[9]) * 3600 + int(found[10]) * 60
        seconds -= offset if found[8] == "+" else -offset
    return seconds * SECOND + int((found[7] or "").ljust(9, "0"))


def from_ns(moment: int) -> str:
    """Return RFC 3339 in UTC as protobuf writes it: 0, 3, 6 or 9 digits of a second."""
    seconds, rest = divmod(moment, SECOND)
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").zfill(19) + _digits(f"{rest:09d}") + "Z"


def _digits(nanos: str) -> str:
    for _ in range(3):
        if not nanos.endswith("000"):
            break
        nanos = nanos[:-3]
    return f".{nanos}" if nanos else ""


def is_canonical(text: str) -> bool:
    """Tell cheaply whether a valid time is already in the form of ``from_ns``."""
    return text[-1:] == "Z" and len(text) in (20, 24, 27, 30) and (len(text) == 20 or text[-4:] != "000Z")


def canonical(text: str) -> str:
    """Return a time in the form of ``from_ns``.

    Raises:
        ValueError: it is no time.
    """
    moment = to_ns(text)
    return text if is_canonical(text) else from_ns(moment)


def formatter(name: str = "StampMilli", zone: tzinfo | None = None) -> Callable[[str], str]:
    """Return a function that prints a time of the wire; ``N/A`` for what is no time.

    Args:
        name: one of ``NAMES``, in any case.
        zone: None for UTC, as hubble prints.
    """
    head, tail = _LAYOUTS.get(name.lower(), _LAYOUTS["stampmilli"])
    heads: dict[str, tuple[str, str]] = {}

    def make(second: str) -> tuple[str, str]:
        if len(heads) >= _CACHED:
            heads.clear()
        try:
            moment = (_EPOCH + timedelta(seconds=to_ns(second + "Z") // SECOND)).astimezone(zone or UTC)
        except (ValueError, OverflowError):
            made = ("", "")
        else:
            made = (head(moment), _offset(moment) if tail.zone else "")
        heads[second] = made
        return made

    fraction = tail.fraction

    def write(time: str) -> str:
        start, end = heads.get(time[:19]) or make(time[:19])
        rest = time[20:-1]
        if start and time[-1:] == "Z" and (not rest or (rest.isdigit() and time[19] == ".")):
            return start + fraction(rest) + end
        try:
            again = from_ns(to_ns(time))
        except (ValueError, OverflowError):
            return "N/A"
        return "N/A" if again == time else write(again)

    return write


class _Tail:
    """How a layout ends: ``kept`` digits always, or up to ``most`` without zeros at the end, and the zone."""

    def __init__(self, kept: int = 0, most: int = 0, *, zone: bool = False) -> None:
        self.zone = zone
        self.fraction: Callable[[str], str] = lambda _digits: ""
        if kept:
            self.fraction = lambda digits: "." + (digits[:kept] if len(digits) >= kept else digits.ljust(kept, "0"))
        elif most:
            self.fraction = lambda digits: f".{trimmed}" if (trimmed := digits[:most].rstrip("0")) else ""


def _offset(moment: datetime) -> str:
    text = moment.strftime("%z")
    return "Z" if text == "+0000" else f"{text[:3]}:{text[3:5]}"


def _stamp(moment: datetime) -> str:
    return f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S}"


def _rfc1123z(moment: datetime) -> str:
    day = f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d}"
    return f"{day} {moment:%H:%M:%S %z}"[: len(day) + 15]


_LAYOUTS: dict[str, tuple[Callable[[datetime], str], _Tail]] = {
    "yearmonthday": (lambda moment: moment.date().isoformat(), _Tail()),
    "yearmonthdayhour": (lambda moment: moment.isoformat()[:13], _Tail(zone=True)),
    "yearmonthdayhourminute": (lambda moment: moment.isoformat()[:16], _Tail(zone=True)),
    "stampmilli": (_stamp, _Tail(3)),
    "rfc3339": (lambda moment: moment.isoformat()[:19], _Tail(zone=True)),
    "rfc3339milli": (lambda moment: moment.isoformat()[:19], _Tail(most=3, zone=True)),
    "rfc3339micro": (lambda moment: moment.isoformat()[:19], _Tail(most=6, zone=True)),
    "rfc3339nano": (lambda moment: moment.isoformat()[:19], _Tail(most=9, zone=True)),
    "rfc1123z": (_rfc1123z, _Tail()),
}


def relative(now: Clock) -> Callable[[str], str]:
    """Return a function that prints how long ago a time was: ``3.2s ago``, ``4m10s ago``, ``in 2s``."""

    def write(time: str) -> str:
        try:
            age = now() - to_ns(time)
        except (ValueError, OverflowError):
            return "N/A"
        return f"{_span(age)} ago" if age >= 0 else f"in {_span(-age)}"

    return write


def _span(nanos: int) -> str:
    if nanos < 60 * SECOND:
        return f"{nanos / SECOND:.1f}s"
    seconds = nanos // SECOND
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds % 3600 // 60}m"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h"


_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration such as ``1h43m`` or ``2.5s``.

    Raises:
        ValueError: it is none.
    """
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    parts = list(_PART.finditer(body))
    if not parts or "".join(part[0] for part in parts) != body:
        raise ValueError(f"{text!r} is no duration")
    total = 0
    for part in parts:
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or 0) * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
    return -total if text[:1] == "-" else total


_ZONED = r"(?:Z|[+-]\d\d:\d\d)"
_MOMENTS = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "T00:00:00Z"),
    (re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d{_ZONED}"), ":00:00"),
    (re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d{_ZONED}"), ":00"),
    (re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?{_ZONED}"), ""),
)
_RFC1123Z = re.compile(
    rf"(?:{'|'.join(_DAYS)}), (\d\d?) ({'|'.join(_MONTHS)}) (\d{{4}}) (\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)", re.ASCII
)


def parse_moment(text: str, now: int) -> int:
    """Return the UNIX time in nanoseconds of a Go duration before ``now``, or of a time in one of hubble's formats.

    Raises:
        ValueError: it is neither.
    """
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return to_ns(_wire_form(text))
    except ValueError:
        raise ValueError(f"failed to convert {text} to time") from None


def _wire_form(text: str) -> str:
    for form, missing in _MOMENTS:
        if form.fullmatch(text):
            if len(text) == 10:
                return text + missing
            zone = -1 if text[-1] == "Z" else -6
            return text[:zone] + missing + text[zone:]
    found = _RFC1123Z.fullmatch(text)
    if not found:
        raise ValueError(text)
    day, month, year, clock, hours, minutes = found.groups()
    return f"{year}-{_MONTHS.index(month) + 1:02d}-{int(day):02d}T{clock}{hours}:{minutes}"
