"""A Policies screen on the shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.flows.flow import Answer
from installer.domain.policy.inventory import Key
from installer.tui.areas import AREAS
from installer.tui.policies.editor import PolicyEditor
from installer.tui.policies.screen import PoliciesScreen
from installer.tui.policies.tree import PolicyTarget
from tests.support.cockpit import text_of, wait_for
from tests.support.policies import PolicyKube, shop, shop_flow, shop_services
from tests.tui.conftest import Open

POLICIES = tuple(area for area in AREAS if area.id in ("setup", "policies"))
API: Key = ("CiliumNetworkPolicy", "shop", "api")
SEEN = [
    *(shop_flow("frontend", "api", second=second) for second in range(20)),
    *(shop_flow("cart", "api", second=second) for second in range(5)),
]


@dataclass
class Shop:
    """What a test needs.

    Attributes:
        pilot: drives the app.
        kube: the cluster.
    """

    pilot: Pilot[int]
    kube: PolicyKube

    @property
    def screen(self) -> PoliciesScreen:
        found = next(frame for frame in self.pilot.app.frames if isinstance(frame, PoliciesScreen))  # type: ignore[attr-defined]
        return found

    @property
    def editor(self) -> PolicyEditor:
        found = self.screen.editor
        assert found is not None
        return found

    @property
    def text(self) -> str:
        return text_of(self.pilot.app)

    async def until(self, condition: Callable[[], object]) -> None:
        await wait_for(self.pilot, condition)

    async def sees(self, *words: str) -> None:
        await wait_for(self.pilot, lambda: all(word in self.text for word in words))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def open(self, key: Key = API) -> PolicyEditor:
        """Open a policy from the tree and wait until it was looked at."""
        self.screen.tree_view.mark(PolicyTarget(key))
        await self.press("enter")
        await self.until(lambda: self.screen.draft is not None and self.screen.draft.id == "/".join(key))
        await self.checked()
        return self.editor

    async def write(self, text: str) -> None:
        """Put another text in place and wait until it was looked at."""
        self.screen.replace_text(text)
        await self.checked(text)

    async def checked(self, text: str = "") -> None:
        """Wait until a text, by default the one that is there, was looked at."""
        wanted = text or self.editor.text

        def is_done() -> bool:
            found = self.screen.checked
            return found is not None and found.deep and found.text == wanted

        await self.until(is_done)

    async def edit(self, old: str, new: str) -> None:
        assert old in self.editor.text
        await self.write(self.editor.text.replace(old, new, 1))


OpenShop = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.fixture
def open_shop(cockpit: Open, tmp_path: Path) -> OpenShop:
    """Open the screen: ``async with open_shop(kube, size=(80, 24)) as shop``."""

    @asynccontextmanager
    async def opened(
        kube: PolicyKube | None = None,
        *,
        answers: Sequence[Answer] = SEEN,
        size: tuple[int, int] = (80, 24),
        **more: Any,
    ) -> AsyncIterator[Shop]:
        kube = kube or shop()
        services = shop_services(kube, tmp_path, answers)
        async with cockpit(services, size=size, area="policies", areas=POLICIES, **more) as pilot:
            found = Shop(pilot, kube)
            await found.until(lambda: found.screen.tree_view.target is not None)
            yield found

    return opened
