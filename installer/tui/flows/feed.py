"""Follows a source for the screen: what it tells goes to the model, the rest becomes words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from installer.domain.errors import BeeyardError
from installer.domain.flows.feed import Connected, Disconnected, Flows, Gap, NodesChanged, Notice, Told
from installer.domain.flows.flow import Answer
from installer.domain.text import human_seconds, one_line
from installer.services.flow_feed import FeedChoice, FeedRequest, FlowFeeds
from installer.tui.flows.model import FlowsModel

if TYPE_CHECKING:
    from installer.ports.cluster import Kube

_NOTES = 200


class Feed:
    """One source at a time.

    Attributes:
        choice: the source chosen.
        word: state, one of ``feed_bar.STATES``.
        trouble: what is wrong and what follows, empty when nothing is.
        notes: what was told besides flows, oldest first.
    """

    def __init__(self, model: FlowsModel) -> None:
        self.choice = FeedChoice()
        self.word = "idle"
        self.trouble = ""
        self.notes: deque[str] = deque(maxlen=_NOTES)
        self._model = model
        self._source = ""
        self._known: frozenset[str] = frozenset()

    @property
    def source(self) -> str:
        """Name of the source."""
        return self._source or self.choice.title

    def wait(self, why: str) -> None:
        """Say that there is nothing to follow yet."""
        self.word, self.trouble, self._source = "idle", why, ""

    async def follow(self, feeds: FlowFeeds, request: FeedRequest, kube: Kube | None) -> None:
        """Take in what the source tells until it ends or fails for good."""
        self.choice, self.word, self.trouble, self._source = request.choice, "connecting", "", ""
        self._known = self._model.recent_uuids()
        try:
            async with aclosing(feeds(request, kube)) as told:
                async for item in told:
                    self._take(item)
                    if request.choice.kind == "file":
                        await self._model.intake.room()
        except BeeyardError as error:
            self.word, self.trouble = "failed", _sentence(error, "S chooses another source, A tries again.")
            self._note(f"{error.code} {error.what}: {error.why}")
        else:
            self.word = "ended"

    def _take(self, told: Told) -> None:
        match told:
            case Flows(answers):
                self._model.intake.offer(self._new(answers))
                if self.word == "connecting":
                    self._live("")
            case Connected(source, again):
                self._live(source)
                self._note(f"reached {source} again" if again else f"reached {source}")
            case Disconnected(error, delay, attempt):
                self.word = "lost"
                self.trouble = _sentence(
                    error, f"Try {attempt + 1} in {human_seconds(delay)}; it comes back by itself."
                )
                self._note(f"lost: {error.what}")
            case Gap():
                self._model.note_gap()
                self._note(_gap(told))
            case NodesChanged():
                self._nodes(told)
            case Notice(code, text, why):
                self._note(" ".join(part for part in (code, text, why) if part))

    def _new(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Leave out what came before the source was opened again: it tells its newest flows once more."""
        if not self._known:
            return answers
        return [answer for answer in answers if answer.flow is None or answer.flow.uuid not in self._known]

    def _live(self, source: str) -> None:
        self.word, self.trouble = "live", ""
        self._source = source or self._source

    def _nodes(self, told: NodesChanged) -> None:
        self._model.store.nodes.update(dict.fromkeys(told.lost, "unavailable"))
        self._model.store.nodes.update(dict.fromkeys(told.back, "connected"))
        words = [f"{', '.join(names)} {what}" for names, what in ((told.lost, "away"), (told.back, "back")) if names]
        self._note(f"nodes: {'; '.join(words)} ({told.connected} of {told.total} answer)")

    def _note(self, text: str) -> None:
        self.notes.append(one_line(text))


def _gap(gap: Gap) -> str:
    span = f"{gap.since or 'the start'} and {gap.until or 'now'}"
    return f"flows between {span} may be missing{f' ({gap.node})' if gap.node else ''}: {gap.reason}"


def _sentence(error: BeeyardError, then: str) -> str:
    why = " ".join(error.why.split())
    return one_line(f"{error.what[:1].upper()}{error.what[1:]}. {then}\n{error.code} {why} {error.fix}").replace(
        "\\x0a", "\n"
    )
