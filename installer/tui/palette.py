"""The command palette, filled from the actions."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from installer.tui.actions import Action

if TYPE_CHECKING:
    from installer.tui.app import Cockpit


class ActionCommands(Provider):
    """Offers every action that can be used now on this screen, and those that work everywhere."""

    async def discover(self) -> Hits:
        """Offer all."""
        for action in self._actions():
            yield DiscoveryHit(action.title, self._runner(action), help=action.help)

    async def search(self, query: str) -> Hits:
        """Offer those that match."""
        matcher = self.matcher(query)
        for action in self._actions():
            text = f"{action.title}: {action.help}"
            if (score := matcher.match(text)) > 0:
                title = matcher.highlight(action.title)
                yield Hit(score, title, self._runner(action), text=text, help=action.help)

    def _actions(self) -> list[Action]:
        return [action for action, _ in cast("Cockpit", self.app).actions_on(self.screen)]

    def _runner(self, action: Action) -> partial[Coroutine[Any, Any, None]]:
        return partial(cast("Cockpit", self.app).run_registered, action, self.screen)
