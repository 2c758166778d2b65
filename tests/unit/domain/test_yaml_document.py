"""YAML with places; duplicate keys and other traps are errors that name the line."""

from __future__ import annotations

import pytest

from installer.domain.errors import UsageError
from installer.domain.yaml_document import Mark, parse


def test_marks_of_keys_and_items() -> None:
    document = parse("a:\n  b: 1\n  c:\n    - x\n    - y\n", "f")
    assert document.data == {"a": {"b": 1, "c": ["x", "y"]}}
    assert document.marks[("a", "b")] == Mark(2, 3)
    assert document.marks[("a", "c", 1)] == Mark(5, 7)


def test_empty_text_is_none() -> None:
    assert parse("", "f").data is None


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: 1\na: 2\n", "E-YAML-002", "f:2:1"),
        ("a:\n\tb: 1\n", "E-YAML-001", "f:2:"),
        ("a: [1\n", "E-YAML-001", "f:2:1"),
        ("a: 1\n---\nb: 2\n", "E-YAML-003", "f:2:1"),
        ("a: *nowhere\n", "E-YAML-003", "f:1:4"),
        ("a: \x07\n", "E-YAML-001", "f"),
    ],
)
def test_bad_yaml_names_the_line(text: str, code: str, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "f")
    assert caught.value.code == code
    assert caught.value.what.startswith(place)
