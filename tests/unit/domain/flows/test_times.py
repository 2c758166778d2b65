from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.flows import times

TIME = "2026-01-05T10:00:04.123460Z"


@given(st.integers(-62135596800 * times.SECOND, 253402300799 * times.SECOND))
def test_nanoseconds_survive_the_way_through_text(moment: int) -> None:
    text = times.from_ns(moment)
    assert times.to_ns(text) == moment
    assert times.is_canonical(text)
    assert times.canonical(text) == text


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("2026-01-05T10:00:04Z", "2026-01-05T10:00:04Z"),
        ("2026-01-05T10:00:04.1Z", "2026-01-05T10:00:04.100Z"),
        ("2026-01-05T10:00:04.123457000Z", "2026-01-05T10:00:04.123457Z"),
        ("2026-01-05T10:00:04.000000000Z", "2026-01-05T10:00:04Z"),
        ("2026-01-05T12:00:04.5+02:00", "2026-01-05T10:00:04.500Z"),
        ("2026-01-05T00:00:00-00:30", "2026-01-05T00:30:00Z"),
    ],
)
def test_canonical_form(given: str, canonical: str) -> None:
    assert times.canonical(given) == canonical


@pytest.mark.parametrize("text", ["", "now", "2026-01-05", "2026-13-05T10:00:04Z", "2026-01-05T10:00:04"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        times.to_ns(text)
    assert times.formatter()(text) == "N/A"
    assert times.relative(lambda: 0)(text) == "N/A"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("StampMilli", "Jan  5 10:00:04.123"),
        ("YearMonthDay", "2026-01-05"),
        ("YearMonthDayHour", "2026-01-05T10Z"),
        ("YearMonthDayHourMinute", "2026-01-05T10:00Z"),
        ("RFC3339", "2026-01-05T10:00:04Z"),
        ("RFC3339Milli", "2026-01-05T10:00:04.123Z"),
        ("RFC3339Micro", "2026-01-05T10:00:04.12346Z"),
        ("rfc3339NANO", "2026-01-05T10:00:04.12346Z"),
        ("RFC1123Z", "Mon, 05 Jan 2026 10:00:04 +0000"),
        ("anything else", "Jan  5 10:00:04.123"),
    ],
)
def test_formats_of_hubble(name: str, shown: str) -> None:
    assert times.formatter(name)(TIME) == shown


def test_a_fraction_of_zeros_is_left_out_where_go_leaves_it_out() -> None:
    assert times.formatter("RFC3339Milli")("2026-01-05T10:00:04.000400Z") == "2026-01-05T10:00:04Z"
    assert times.formatter()("2026-01-05T10:00:04Z") == "Jan  5 10:00:04.000"


class Summer(tzinfo):
    """An hour ahead of UTC, and two from April on."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        return timedelta(hours=2 if moment.month >= 4 else 1)

    def dst(self, moment: datetime | None) -> timedelta:
        return self.utcoffset(moment) - timedelta(hours=1)

    def tzname(self, moment: datetime | None) -> str:
        return str(self.utcoffset(moment))


def test_local_time_follows_the_zone() -> None:
    assert times.formatter("RFC3339Milli", Summer())("2026-07-05T22:00:04.5Z") == "2026-07-06T00:00:04.5+02:00"
    assert times.formatter("RFC1123Z", Summer())("2026-07-05T22:00:04Z") == "Mon, 06 Jul 2026 00:00:04 +0200"
    assert times.formatter("StampMilli", Summer())("2026-01-05T22:00:04+01:00") == "Jan  5 22:00:04.000"


def test_many_seconds_do_not_stay_in_memory() -> None:
    write = times.formatter("RFC3339")
    for second in range(9000):
        assert write(times.from_ns(second * times.SECOND)) == times.from_ns(second * times.SECOND)


@pytest.mark.parametrize(
    ("age", "shown"),
    [(3.25, "3.2s ago"), (250, "4m10s ago"), (7800, "2h10m ago"), (180000, "2d2h ago"), (-2, "in 2.0s")],
)
def test_relative_times(age: float, shown: str) -> None:
    now = times.to_ns(TIME)
    then = times.from_ns(now - int(age * times.SECOND))
    assert times.relative(lambda: now)(then) == shown


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("3s", 3 * times.SECOND),
        ("1h43m", 6180 * times.SECOND),
        ("1.5m", 90 * times.SECOND),
        (".5s", times.SECOND // 2),
        ("-2ms", -2_000_000),
        ("+7us", 7_000),
        ("0", 0),
    ],
)
def test_go_durations(text: str, nanos: int) -> None:
    assert times.parse_duration(text) == nanos


@pytest.mark.parametrize("text", ["", "1h43", "s", "5", "1d", "1 s", "--1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        times.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-01-05T09:58:34.123460Z"),
        ("2026-01-05", "2026-01-05T00:00:00Z"),
        ("2026-01-05T10Z", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10+01:00", "2026-01-05T09:00:00Z"),
        ("2026-01-05T10:07Z", "2026-01-05T10:07:00Z"),
        ("2026-01-05T10:07-02:00", "2026-01-05T12:07:00Z"),
        ("2026-01-05T10:07:01Z", "2026-01-05T10:07:01Z"),
        ("2026-01-05T10:07:01.25+00:00", "2026-01-05T10:07:01.250Z"),
        ("Mon, 05 Jan 2026 10:00:04 -0100", "2026-01-05T11:00:04Z"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert times.from_ns(times.parse_moment(text, times.to_ns(TIME))) == moment


@pytest.mark.parametrize("text", ["yesterday", "Jan  5 10:00:04.123", "2026-01-05T10", "2026-02-30T10:00:00Z"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"failed to convert .* to time"):
        times.parse_moment(text, 0)
