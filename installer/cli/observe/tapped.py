"""Flows of the tap on the command line."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from installer.cli.observe.request import Ask
from installer.cli.observe.sink import Sink
from installer.cli.observe.streams import Streams
from installer.domain.errors import BeeyardError
from installer.domain.flows.printing.escape import clean
from installer.domain.tap.directory import Directory
from installer.ports.flows import FlowRequest
from installer.wiring.tap import Names, TapOptions, named, tap_source

TICK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class TapAsk:
    """One call of ``tap``.

    Attributes:
        ask: filters, format, counting.
        options: what is watched.
        names: where names of pods come from.
        seconds: how long; None for as long as nobody ends it.
    """

    ask: Ask
    options: TapOptions
    names: Names
    seconds: float | None = None


def observe_tap(wanted: TapAsk, streams: Streams) -> None:
    """Print what the tap sees; Ctrl-C ends it after the counts up to then.

    Raises:
        BeeyardError: E-BPF-*, E-FLOW-027.
        ReaderGoneError: nobody reads the output any more.
    """
    sink = Sink(wanted.ask, streams, live=True)
    asyncio.run(_observe(wanted, streams, sink))


async def _observe(wanted: TapAsk, streams: Streams, sink: Sink) -> None:
    directory = Directory()
    source = tap_source(wanted.options, directory, lambda notes: tell(notes, streams))
    on_interrupt(source.stopping.set)
    ask = wanted.ask
    until = None if wanted.seconds is None else time.time() + wanted.seconds
    keep = None if ask.where is None else ask.where.matches
    ticker = asyncio.ensure_future(_tick(sink))
    try:
        async with (
            named(directory, wanted.names, lambda problem: without_pods(problem, streams)),
            aclosing(source.batches(FlowRequest(ask.filters, follow=True, until=until))) as batches,
        ):
            async for answers in batches:
                if ticker.done():
                    ticker.result()
                kept = answers if keep is None else [one for one in answers if one.flow is None or keep(one.flow)]
                sink.push(kept)
    finally:
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker
    sink.end()


async def _tick(sink: Sink) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        sink.tick(time.time_ns())


def on_interrupt(stop: Callable[[], None]) -> None:
    """Stop politely at the first Ctrl-C; the second interrupts."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    loop.add_signal_handler(signal.SIGINT, first)


def tell(notes: Sequence[str], streams: Streams) -> None:
    """Say what the tap has to say of itself."""
    for note in notes:
        streams.err(f"beeyard: {clean(note)}\n")


def without_pods(problem: BeeyardError, streams: Streams) -> None:
    """Say that pods have no names."""
    streams.err(f"beeyard: pods are not named: {clean(problem.what)}\n")
