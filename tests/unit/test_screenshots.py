"""The table of pictures, and one of them."""

from __future__ import annotations

from pathlib import Path

from installer.tui.areas import AREAS
from scripts.screenshots_taken import SHOTS, _picture


def test_the_table() -> None:
    names = [shot.name for shot in SHOTS]
    assert len(names) == len(set(names))
    assert {shot.area for shot in SHOTS} <= {area.id for area in AREAS}


async def test_a_picture_is_the_same_every_time_and_needs_no_other_server(tmp_path: Path) -> None:
    shot = next(one for one in SHOTS if one.name == "overview-details")
    first, second = [await _picture(shot, shot.services(tmp_path)) for _ in range(2)]
    assert first == second
    assert "font-face" not in first
    assert "cdn" not in first
    assert "E-DIA-029" in first
