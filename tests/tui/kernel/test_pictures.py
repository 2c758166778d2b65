"""Pictures of the Kernel screen in the sizes that it has to work in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.tui.kernel.drops import DropTarget
from installer.tui.settings import Settings
from tests.support.cockpit import still
from tests.support.tap import denied
from tests.tui.kernel.conftest import Node, OpenNode

Picture = Callable[[Pilot[Any]], bool]
DARK, LIGHT = Settings(theme="beeyard-dark"), Settings(theme="beeyard-light")


async def marked(node: Node) -> None:
    """Show the drop that a policy denies, and wait for its explanation."""
    await node.start("d")
    await node.until(lambda: node.watch.doctor.heard(denied()))
    drop = next(one for one in node.watch.board.drops.distinct() if one.reason == "TC_INGRESS")
    node.screen.rows.mark(DropTarget(drop.key))
    await node.until(lambda: len(node.watch.explanation(drop)) > 4)
    await still(node.pilot)


@pytest.mark.parametrize(("size", "settings"), [((80, 24), LIGHT), ((120, 36), DARK)], ids=["80x24", "120x36"])
async def test_proof(open_node: OpenNode, picture: Picture, size: tuple[int, int], settings: Settings) -> None:
    async with open_node(size=size, settings=settings) as node:
        await node.press("r")
        await node.sees("6 missing")
        await still(node.pilot)
        assert picture(node.pilot)


@pytest.mark.parametrize(
    ("size", "settings"),
    [((60, 20), DARK), ((80, 24), DARK), ((120, 36), LIGHT), ((200, 60), DARK)],
    ids=["60x20", "80x24", "120x36", "200x60"],
)
async def test_traffic(open_node: OpenNode, picture: Picture, size: tuple[int, int], settings: Settings) -> None:
    async with open_node(size=size, settings=settings) as node:
        await node.start("t")
        await node.until(lambda: node.watch.hubble.word == "there")
        await still(node.pilot)
        assert picture(node.pilot)


@pytest.mark.parametrize(
    ("size", "settings"), [((60, 20), LIGHT), ((120, 36), DARK), ((200, 60), LIGHT)], ids=["60x20", "120x36", "200x60"]
)
async def test_doctor(open_node: OpenNode, picture: Picture, size: tuple[int, int], settings: Settings) -> None:
    async with open_node(size=size, settings=settings) as node:
        await marked(node)
        if size[0] < 80:
            await node.press("enter")
            await still(node.pilot)
        assert picture(node.pilot)


@pytest.mark.parametrize("view", ["v", "c", "n"], ids=["drops", "tcp", "dns"])
async def test_other_views(open_node: OpenNode, picture: Picture, view: str) -> None:
    async with open_node(size=(120, 36), settings=DARK) as node:
        await node.start(view)
        await node.until(lambda: node.watch.hubble.word == "there")
        await still(node.pilot)
        assert picture(node.pilot)


async def test_off(open_node: OpenNode, picture: Picture) -> None:
    async with open_node(size=(80, 24), services={"root": False}) as node:
        await node.press("t")
        await node.sees("It needs root")
        await still(node.pilot)
        assert picture(node.pilot)
