"""The tap of this host as the screens want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING

from installer.domain.flows.feed import Connected, Flows, Notice, Told
from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import FilterSet
from installer.ports.flows import FlowRequest

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.services.kernel_watch import TapWish

TAP_NOTE = "E-BPF-021"
"""Code of the notices with which the tap begins."""
_ROOM = 64
"""Portions that may wait for the screen."""
_PORTION = 250
"""Answers told at once: a few milliseconds of a screen's time."""


async def open_tap(
    kube: Kube | None, wish: TapWish | None = None, filters: FilterSet | None = None
) -> AsyncGenerator[Told, None]:
    """Start the tap and tell what it tells; closing the generator detaches it.

    Args:
        kube: names the pods, None for no names.
        wish: what is watched; None: everything but drops that are no losses.
        filters: what is told.

    Raises:
        RefusedError: ``E-BPF-001`` to ``-009``.
        BeeyardError: ``E-BPF-010`` its process ended.
    """
    await asyncio.to_thread(import_module, "installer.wiring.tap")  # slow, and a screen is waiting
    from installer.domain.tap.directory import Directory
    from installer.wiring.tap import Names, TapOptions, named, tap_source

    told: asyncio.Queue[Told | None] = asyncio.Queue()
    room = asyncio.Semaphore(_ROOM)
    directory = Directory()

    def ready(notes: Sequence[str]) -> None:
        told.put_nowait(Connected(source.name))
        for note in notes:
            told.put_nowait(Notice(TAP_NOTE, note))

    options = TapOptions(routine=wish.routine, interval=wish.interval) if wish is not None else TapOptions()
    source = tap_source(options, directory, ready)
    request = FlowRequest(filters=filters or FilterSet(), follow=True)

    async def pump() -> None:
        try:
            async with aclosing(source.batches(request)) as batches:
                async for answers in batches:
                    for portion in _portions(answers):
                        await room.acquire()
                        told.put_nowait(Flows(portion))
                    await asyncio.sleep(0)  # a frame that is there already is read without a pause
        finally:
            told.put_nowait(None)

    names = Names(kube) if kube is not None else None
    async with named(
        directory, names, lambda problem: told.put_nowait(Notice(problem.code, problem.what, problem.why))
    ):
        pumping = asyncio.ensure_future(pump())
        try:
            while (item := await told.get()) is not None:
                if isinstance(item, Flows):
                    room.release()
                yield item
            await pumping
        finally:
            pumping.cancel()
            await asyncio.wait([pumping])


def _portions(answers: Sequence[Answer]) -> list[Sequence[Answer]]:
    return [answers[start : start + _PORTION] for start in range(0, len(answers), _PORTION)]
