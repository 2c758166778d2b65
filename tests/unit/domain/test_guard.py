"""SSH sessions, and when they count as reached."""

from __future__ import annotations

import pytest

from installer.domain.guard import Reach, Session, session_of, unreached

WAY = "dev eth0 via 192.0.2.1"
BEFORE = Reach(WAY, connected=True, heard=20)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.9 50000 192.0.2.2 22", Session("192.0.2.9", 50000, "192.0.2.2", 22)),
        ("fe80::1%eth0 50000 fe80::2%eth0 22", Session("fe80::1", 50000, "fe80::2", 22)),
        ("", None),
        ("192.0.2.9 50000 192.0.2.2", None),
        ("UNKNOWN 65535 UNKNOWN x", None),
    ],
)
def test_the_session_of_the_environment(value: str, expected: Session | None) -> None:
    assert session_of({"SSH_CONNECTION": value}) == expected
    assert session_of({}) is None


@pytest.mark.parametrize(
    ("now", "problem"),
    [
        (Reach(WAY, connected=True, heard=900), ""),
        (Reach(WAY, connected=True, heard=1000), ""),
        (Reach(WAY, connected=True, heard=1001), "not heard since the change"),
        (Reach(WAY, connected=True, heard=5000, waiting=3), "3 segments wait"),
        (Reach(WAY, connected=True), ""),
        (Reach("", connected=True, heard=1), "to none"),
        (Reach("dev eth1", connected=True, heard=1), "from dev eth0 via 192.0.2.1 to dev eth1"),
        (Reach(WAY, connected=False), "the SSH connection is gone"),
    ],
)
def test_a_session_is_reached_by_the_same_way_and_heard_since(now: Reach, problem: str) -> None:
    told = unreached(BEFORE, now, 1.0)
    assert problem in told
    assert bool(told) == bool(problem)


def test_a_session_that_was_over_before_says_nothing() -> None:
    assert unreached(Reach(WAY, connected=False), Reach("", connected=False), 1.0) == ""
