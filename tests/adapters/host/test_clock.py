"""The clock of a run."""

from __future__ import annotations

import time

import pytest

from installer.adapters.host.clock import steady


def test_it_does_not_follow_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = steady()
    real = time.time()
    assert abs(clock() - real) < 5
    monkeypatch.setattr(time, "time", lambda: real - 86_400)
    before = clock()
    assert before >= real - 5
    assert clock() >= before
