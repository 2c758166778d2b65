"""The sources of the Flows screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from installer.domain.errors import ConnectError
from installer.domain.flows.feed import Notice, Told
from installer.ports.flows import FlowRequest
from installer.services.flow_feed import FeedRequest

if TYPE_CHECKING:
    from installer.domain.flows.recording import BadLine
    from installer.ports.cluster import Kube
    from installer.services.flows import FlowFeed

BAD_LINE = "E-FLOW-062"
"""Code of the notice on a line of a recording that holds no answer."""


def open_feed(request: FeedRequest, kube: Kube | None) -> AsyncGenerator[Told, None]:
    """Open a source; see ``services.flow_feed.FlowFeeds``."""
    if request.choice.kind == "file":
        return _recording(request)
    if request.choice.kind == "tap":
        from installer.wiring.tap_feed import open_tap

        return open_tap(kube, filters=request.filters)
    wanted = FlowRequest(filters=request.filters, number=request.last, follow=True)
    return _hubble(request.choice.target, kube).events(wanted)


def _hubble(server: str, kube: Kube | None) -> FlowFeed:
    from installer.services.flows import FeedOptions
    from installer.wiring.flows import ServerChoice, feed_of

    options = FeedOptions(patient=True)
    if server:
        return ServerChoice(server).feed(options)
    if kube is None:
        raise ConnectError(
            "there is no cluster to take flows from", fix="Connect to one, or name a server.", code="E-FLOW-063"
        )
    return feed_of(kube, options=options)


async def _recording(request: FeedRequest) -> AsyncGenerator[Told, None]:
    from installer.adapters.flowfile.source import FlowFile
    from installer.services.replay import replay

    bad: list[BadLine] = []
    file = FlowFile(str(Path(request.choice.target).expanduser()), bad.append)
    wanted = FlowRequest(filters=request.filters)
    speed = request.choice.speed
    async with aclosing(replay(file, wanted, speed=speed, now=time.monotonic, pause=asyncio.sleep)) as told:
        async for item in told:
            yield item
            while bad:
                line = bad.pop(0)
                yield Notice(BAD_LINE, f"line {line.number} holds no flow", line.why)
