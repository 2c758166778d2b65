"""The stylesheet that parses nothing twice."""

from __future__ import annotations

import pytest
from textual.css.stylesheet import StylesheetParseError

from installer.tui.stylesheet import KEPT, KeepingStylesheet

SOURCE = "Label { color: $ink; } .a Label { color: red; }"


def made(ink: str = "blue", source: str = SOURCE) -> KeepingStylesheet:
    sheet = KeepingStylesheet(variables={"ink": ink})
    sheet.add_source(source, read_from=("here", ""))
    return sheet


def test_rules_are_parsed_once() -> None:
    first, second = made(), made()
    assert first.rules
    assert all(one is other for one, other in zip(first.rules, second.rules, strict=True))


def test_other_variables_give_other_rules() -> None:
    sheet = made("blue")
    blue = sheet.css
    sheet.set_variables({"ink": "green"})
    sheet.reparse()
    assert sheet.css != blue
    assert sheet.css == made("green").css
    sheet.set_variables({"ink": "blue"})
    assert sheet.css == blue


def test_a_new_source_counts_at_once() -> None:
    sheet = made()
    before = len(sheet.rules)
    sheet.add_source("Button { color: $ink; }", read_from=("there", ""))
    sheet.reparse()
    assert len(sheet.rules) == before + 1
    assert "Button" in sheet.rules_map


def test_what_cannot_be_parsed_is_told_each_time() -> None:
    for _ in range(2):
        with pytest.raises(StylesheetParseError):
            made(source="Label { colour-of: nothing; }").reparse()


def test_not_more_than_some_themes_are_kept() -> None:
    for number in range(KEPT + 3):
        assert made(f"rgb(0,0,{number})").rules
    assert len(KeepingStylesheet._kept) == KEPT
