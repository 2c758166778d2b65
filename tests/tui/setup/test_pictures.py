"""How the setup looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.tui.settings import Settings
from tests.support.cockpit import still, wait_for
from tests.support.setup import BUSY, PLAN, World
from tests.tui.conftest import Open
from tests.tui.setup.driving import ready, screen, services

Picture = Callable[[Pilot[Any]], bool]
DARK = [(60, 20), (80, 24), (120, 36), (200, 60)]
LIGHT = [(80, 24), (120, 36)]
LOOKS = [*((size, "beeyard-dark") for size in DARK), *((size, "beeyard-light") for size in LIGHT)]


@pytest.mark.parametrize(("size", "theme"), LOOKS)
async def test_wizard(cockpit: Open, picture: Picture, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    async with cockpit(services(World(facts=BUSY), tmp_path), size=size, settings=Settings(theme=theme)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("cluster")
        await still(pilot)
        assert picture(pilot)


@pytest.mark.parametrize(("size", "theme"), LOOKS)
async def test_plan(cockpit: Open, picture: Picture, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    async with cockpit(services(World(), tmp_path), size=size, settings=Settings(theme=theme)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("plan")
        await wait_for(pilot, lambda: screen(pilot).plan is PLAN)
        await pilot.press("d")
        await still(pilot)
        assert picture(pilot)


async def test_host(cockpit: Open, picture: Picture, tmp_path: Path) -> None:
    async with cockpit(services(World(facts=BUSY), tmp_path)) as pilot:
        await ready(pilot)
        await still(pilot)
        assert picture(pilot)


async def test_features(cockpit: Open, picture: Picture, tmp_path: Path) -> None:
    async with cockpit(services(World(), tmp_path)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("network")
        await pilot.press("tab", "space", "tab", "tab", "tab", "space")  # Gateway API without what it needs
        await still(pilot)
        assert picture(pilot)


async def test_signs_in_ascii(cockpit: Open, picture: Picture, tmp_path: Path) -> None:
    async with cockpit(services(World(facts=BUSY), tmp_path), settings=Settings(ascii=True)) as pilot:
        await ready(pilot)
        await screen(pilot).show_page("cluster")
        await still(pilot)
        assert picture(pilot)
