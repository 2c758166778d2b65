"""Cluster text is made safe for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.text import human_bytes, human_seconds, printable


@given(st.text())
def test_no_control_code_survives(text: str) -> None:
    safe = printable(text)
    assert not any(ord(char) < 32 and char not in "\n\t" for char in safe)
    assert not any(char in safe for char in "\x1b\x7f\x9b\u202e\u2066")


def test_plain_text_is_left_alone() -> None:
    assert printable("größer\t日本語\n") == "größer\t日本語\n"
    assert printable("\x1b[31mred\u202e") == "\\x1b[31mred\\u202e"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1500, "1.5 kB")),
        *((3_000_000, "3.0 MB"), (2.5e9, "2.5 GB"), (2e15, "2000.0 TB")),
    ],
)
def test_bytes(count: float, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (42.4, "42 s"), (185, "3 min 5 s")])
def test_seconds(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text
