"""When a flow had its last packet, from 32 bits of ticks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from installer.adapters.bpf.child.drain import TICK, last_packet

YEARS = 5 * 365 * 86400 * 10**9 // TICK


@given(
    began=st.integers(0, 2**40),
    life=st.integers(0, YEARS),
    silence=st.integers(0, 2**31 - 2),
    first=st.integers(0, 10**18),
    skew=st.integers(-1, 1),
)
def test_ticks_that_went_round_are_told_apart_by_the_clock(
    began: int, life: int, silence: int, first: int, skew: int
) -> None:
    last = began + life
    now = first + (life + silence + skew) * TICK
    assert last_packet(first, began, last & 0xFFFFFFFF, now) == first + life * TICK
