"""Flows to judge: those of the Flows screen where it is open, else of a source of this screen's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, cast

from installer.domain.flows.flow import Answer, Flow
from installer.services.flow_feed import FeedChoice, FeedRequest
from installer.tui.flows.feed import Feed
from installer.tui.flows.model import FlowsModel

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.tui.app import Cockpit

LAST = 5_000
"""Flows of the past asked for, per node."""
MOST = 50_000
"""Newest flows that are judged."""
_PORTION = 250
_TAKING = 0.01
_NO_FLOWS = "Flows come with a cluster whose Hubble Relay answers."


class Observed:
    """Knows where flows come from.

    Args:
        cockpit: the app, whose Flows screen may be open.
    """

    def __init__(self, cockpit: Cockpit):
        self._cockpit = cockpit
        self._own: FlowsModel | None = None
        self._feed: Feed | None = None

    @property
    def model(self) -> FlowsModel | None:
        """The flows, None where there are none yet; a recording that was chosen here goes before the Flows screen."""
        if self._own is not None and self._feed is not None and self._feed.choice.kind == "file":
            return self._own
        screen = next((frame for frame in self._cockpit.frames if frame.AREA == "flows"), None)
        return cast("FlowsModel | None", getattr(screen, "model", None)) or self._own

    @property
    def source(self) -> str:
        """Where they come from, for people."""
        if self.model is None:
            return _NO_FLOWS
        if self.model is self._own and self._feed is not None:
            return self._feed.trouble or self._feed.source
        return "the Flows screen"

    @property
    def loading(self) -> bool:
        """Whether a recording is still being read."""
        return self._feed is not None and self._feed.word in ("connecting",)

    def release(self) -> bool:
        """Forget live flows of the own source when the Flows screen has them too; tell whether there were some."""
        own, feed = self._own, self._feed
        if own is None or feed is None or feed.choice.kind == "file" or self.model is own:
            return False
        self._own = self._feed = None
        return True

    async def follow(self, choice: FeedChoice, kube: Kube | None) -> None:
        """Take in what a source tells until it ends."""
        feeds = self._cockpit.services.flow_feeds
        if feeds is None:
            return
        self._own = FlowsModel(self._cockpit.settings.history)
        self._own.recorded = choice.kind == "file"
        self._feed = Feed(self._own)
        self._feed.choice = choice
        await self._feed.follow(feeds, FeedRequest(choice, last=LAST), kube)

    def take_in(self, now: float) -> None:
        """Move what waits into the own store, for a few milliseconds at most."""
        if self._own is not None:
            end = time.perf_counter() + _TAKING
            while self._own.take_in(_PORTION, now) == _PORTION and time.perf_counter() < end:
                pass

    def since(self, seq: int, limit: int = MOST) -> tuple[list[Answer], int]:
        """Return the answers from a number on, the newest ``limit`` at most, and the number after the last."""
        model = self.model
        if model is None:
            return [], 0
        store = model.store
        start = max(seq, store.first, store.next - limit)
        found = (store.answer(number) for number in range(start, store.next))
        return [answer for answer in found if answer is not None], store.next

    def flows_since(self, seq: int, limit: int) -> tuple[list[Flow], int]:
        """Return up to ``limit`` flows from a number on, and the number after the last one looked at."""
        model = self.model
        if model is None:
            return [], 0
        store = model.store
        start = max(seq, store.first)
        numbers = range(start, min(start + limit, store.next))
        return [flow for number in numbers if (flow := store.flow(number)) is not None], numbers.stop

    def names(self) -> Sequence[str]:
        """Return DNS names of the newest flows."""
        flows, _ = self._newest()
        found = dict.fromkeys(name for flow in flows for name in (*flow.destination_names, *flow.source_names))
        return list(islice(found, 200))

    def _newest(self) -> tuple[list[Flow], int]:
        model = self.model
        return self.flows_since(model.store.next - 2_000, 2_000) if model is not None else ([], 0)

    @property
    def lost(self) -> int:
        """Events that were lost on the way."""
        return self.model.store.losses.total if self.model is not None else 0
