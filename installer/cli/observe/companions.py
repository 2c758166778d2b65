"""What stands beside a stream of flows on the command line: Hubble and the policies, as far as they are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from installer.domain.errors import BeeyardError
from installer.domain.flows.feed import Flows
from installer.domain.flows.flow import Flow
from installer.ports.flows import FlowRequest
from installer.wiring.flows import ServerChoice

if TYPE_CHECKING:
    from installer.domain.policy.advice import FlowAdvice
    from installer.domain.policy.world import World

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


async def follow_policies(choice: ServerChoice, take: Callable[[World], None]) -> None:
    """Give the cluster's pods and policies, now and whenever they change, until it is cancelled.

    Raises:
        BeeyardError: the API is out of reach.
    """
    from installer.services.policies.follow import follow_world
    from installer.wiring.cluster import LazyKubes

    kube = await LazyKubes().open(choice.kubeconfig, choice.context)
    try:
        async with aclosing(follow_world(kube)) as seen:
            async for now in seen:
                take(now.world)
    finally:
        await kube.close()


def world_of_files(names: Sequence[str]) -> World:
    """Return a world with the policies of files and folders, and nothing else known.

    Raises:
        UsageError: ``E-POL-003``, ``E-POL-004``: they have errors, or cannot be read.
    """
    from installer.cli.commands.policy.common import usable
    from installer.domain.policy.world import World

    return World(objects=tuple(usable(names)))


@asynccontextmanager
async def advised(
    advice: FlowAdvice, choice: ServerChoice, names: Sequence[str], on_trouble: Trouble
) -> AsyncIterator[None]:
    """Keep an advice's policies current while the context is open; it opens once they are known, or out of reach."""
    if names:
        advice.learn_world(world_of_files(names))
        yield
        return
    known = asyncio.Event()

    def take(world: World) -> None:
        advice.learn_world(world)
        known.set()

    def trouble(what: str, problem: BeeyardError) -> None:
        on_trouble(what, problem)
        known.set()

    async with beside({"policies": follow_policies(choice, take)}, trouble):
        await known.wait()
        yield


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
