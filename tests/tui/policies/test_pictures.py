"""Pictures of the Policies screen in the sizes that it has to work in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.tui.policies.tree import PolicyTarget
from installer.tui.settings import Settings
from tests.tui.policies.conftest import API, OpenShop, Shop

Picture = Callable[[Pilot[Any]], bool]
THEMES = {"dark": "beeyard-dark", "light": "beeyard-light"}


def settings(theme: str) -> Settings:
    return Settings(theme=THEMES[theme])


async def edited(shop: Shop, view: str) -> None:
    """Open the policy, break something, and show a view of it."""
    await shop.open()
    await shop.edit("app: cart", "app: carts")
    await shop.until(lambda: shop.screen.observed.model is not None and len(shop.screen.observed.model.store) == 25)
    shop.screen.tick()
    shop.editor.go_to_line(15, 14)
    shop.screen.show_view(view)


@pytest.mark.parametrize(("size", "theme"), [((60, 20), "dark"), ((80, 24), "dark")], ids=["60x20-dark", "80x24-dark"])
async def test_policies(open_shop: OpenShop, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async with open_shop(size=size, settings=settings(theme)) as shop:
        shop.screen.tree_view.mark(PolicyTarget(API))
        await shop.sees("cnp", "unprotected")
        assert picture(shop.pilot)


@pytest.mark.parametrize(
    ("size", "theme"),
    [((60, 20), "dark"), ((80, 24), "light"), ((120, 36), "dark"), ((120, 36), "light"), ((200, 60), "dark")],
    ids=["60x20-dark", "80x24-light", "120x36-dark", "120x36-light", "200x60-dark"],
)
async def test_impact(open_shop: OpenShop, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async with open_shop(size=size, settings=settings(theme)) as shop:
        await edited(shop, "impact")
        await shop.sees("CUT", "25 of 25")
        assert picture(shop.pilot)


async def test_text_with_a_problem_and_proposals(open_shop: OpenShop, picture: Picture) -> None:
    async with open_shop(size=(80, 24)) as shop:
        await edited(shop, "text")
        await shop.sees("no pod has app=carts")
        shop.editor.go_to_line(15, 14)
        await shop.press("ctrl+space")
        await shop.sees("3 pods")
        shop.editor.cursor_blink = False
        assert picture(shop.pilot)


async def test_effect(open_shop: OpenShop, picture: Picture) -> None:
    async with open_shop(size=(80, 24)) as shop:
        await edited(shop, "effect")
        await shop.sees("FROM", "shop/frontend")
        assert picture(shop.pilot)


async def test_the_question_before_applying(open_shop: OpenShop, picture: Picture) -> None:
    async with open_shop(size=(80, 24)) as shop:
        await edited(shop, "text")
        await shop.press("f9")
        await shop.sees("5 cut", "Cancel")
        assert picture(shop.pilot)
