"""What stands beside the tap on the command line: Hubble and the cluster's policies, as far as they are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.flows.feed import Flows
from installer.domain.flows.flow import Flow
from installer.domain.policy.world import World
from installer.ports.flows import FlowRequest
from installer.wiring.flows import ServerChoice

Trouble = Callable[[str, BeeyardError], None]


async def hear_hubble(choice: ServerChoice, take: Callable[[Iterable[Flow]], None]) -> None:
    """Give the flows of a Hubble until it is cancelled.

    Raises:
        BeeyardError: it is out of reach at the start.
    """
    from installer.services.flows import FeedOptions

    async with aclosing(choice.feed(FeedOptions(mask=())).events(FlowRequest(follow=True))) as told:
        async for item in told:
            if isinstance(item, Flows):
                take(answer.flow for answer in item.answers if answer.flow is not None)


async def read_policies(choice: ServerChoice, take: Callable[[World], None]) -> None:
    """Give the cluster's pods and policies, once.

    Raises:
        BeeyardError: the API is out of reach.
    """
    from installer.services.policies.world import read_world
    from installer.wiring.cluster import LazyKubes

    kube = await LazyKubes().open(choice.kubeconfig, choice.context)
    try:
        take(await read_world(kube))
    finally:
        await kube.close()


@asynccontextmanager
async def beside(companions: dict[str, Coroutine[Any, Any, None]], on_trouble: Trouble) -> AsyncIterator[None]:
    """Run companions, by what they bring, while the context is open; their troubles are told and end nothing."""

    async def run(what: str, companion: Coroutine[Any, Any, None]) -> None:
        try:
            await companion
        except BeeyardError as problem:
            on_trouble(what, problem)

    tasks = [asyncio.ensure_future(run(what, companion)) for what, companion in companions.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
