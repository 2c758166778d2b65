"""A source of flows that a test plays by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.flows import jsonpb
from installer.domain.flows.feed import Connected, Flows, Told
from installer.domain.flows.flow import Answer, Flow
from installer.services.flow_feed import FeedRequest

MADE = Path("tests/fixtures/hubble/made.jsonl")
RECORDING = Path("tests/fixtures/hubble/flows-cilium-1.16.jsonl")


def recorded(path: Path = MADE) -> list[Answer]:
    """Return the answers of a recording."""
    return [jsonpb.decode(line) for line in path.read_bytes().splitlines()]


def answer(flow: Flow) -> Answer:
    """Return a flow as an answer."""
    return Answer(flow=flow, node_name=flow.node_name, time=flow.time)


class ScriptedFeeds:
    """Tells what ``tell`` is given, to every reader; ``requests`` says what was asked for."""

    def __init__(self, *told: Told) -> None:
        self.requests: list[FeedRequest] = []
        self.closed = 0
        self._first = told
        self._queues: list[asyncio.Queue[Told | BeeyardError | None]] = []

    async def __call__(self, request: FeedRequest, kube: Any) -> AsyncGenerator[Told, None]:
        self.requests.append(request)
        queue: asyncio.Queue[Told | BeeyardError | None] = asyncio.Queue()
        self._queues.append(queue)
        try:
            for told in self._first:
                yield told
            while (item := await queue.get()) is not None:
                if isinstance(item, BeeyardError):
                    raise item
                yield item
        finally:
            self.closed += 1
            self._queues.remove(queue)

    def tell(self, *told: Told | BeeyardError | None) -> None:
        """Tell, fail with an error, or end with None."""
        for queue in self._queues:
            for item in told:
                queue.put_nowait(item)

    def flows(self, answers: Iterable[Answer]) -> None:
        """Tell flows."""
        self.tell(Flows(list(answers)))


def live(answers: Iterable[Answer] = ()) -> ScriptedFeeds:
    """Return a source that answers, and gives some flows to begin with."""
    return ScriptedFeeds(Connected("relay 127.0.0.1:4245"), Flows(list(answers)))
