"""How the run screen looks, in four sizes and two themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.events import ReadinessChanged
from tests.support.scripted_run import BEGAN, first_half, snapshot, until_done, until_ready
from tests.tui.run.conftest import Stages

Picture = Callable[[Pilot[Any]], bool]
DARK = [(60, 20), (80, 24), (120, 36), (200, 60)]
LIGHT = [(80, 24), (120, 36)]
CASES = [(size, "beeyard-dark") for size in DARK] + [(size, "beeyard-light") for size in LIGHT]
NAMES = [f"{width}x{height}-{theme[8:]}" for (width, height), theme in CASES]


@pytest.mark.parametrize(("size", "theme"), CASES, ids=NAMES)
async def test_running(stage: Stages, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async with stage(size=size, theme=theme) as on:
        await on.start()
        await on.play(first_half(), at=9.5)
        if size[0] >= 120:
            await on.play(until_ready())
        await on.settled("4 of 7 ready" if size[0] >= 120 else "0.5 s")
        assert picture(on.pilot)


@pytest.mark.parametrize(("size", "theme"), CASES, ids=NAMES)
async def test_failed(stage: Stages, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async with stage(size=size, theme=theme) as on:
        await on.start()
        await on.play([*first_half(), *until_ready(), ReadinessChanged(BEGAN + 79, snapshot(3, failed=3))])
        on.script.fail()
        await on.settled("Save report")
        assert picture(on.pilot)


@pytest.mark.parametrize(("size", "theme"), CASES, ids=NAMES)
async def test_finished(stage: Stages, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async with stage(size=size, theme=theme) as on:
        await on.start()
        await on.play([*first_half(), *until_ready(), *until_done()])
        on.script.finish()
        await on.settled("31 s")
        assert picture(on.pilot)


async def test_a_crowd_in_ascii(stage: Stages, picture: Picture) -> None:
    async with stage(size=(120, 36), ascii_only=True) as on:
        await on.start()
        await on.play([*first_half(), *until_ready(), ReadinessChanged(BEGAN + 79, snapshot(430, 500, failed=450))])
        await on.settled("430 of 500 ready")
        assert picture(on.pilot)
