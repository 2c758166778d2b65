"""Flows of the tap on the command line."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import Any

from installer.cli.observe.companions import beside, follow_policies, hear_hubble, world_of_files
from installer.cli.observe.request import JSON, Ask
from installer.cli.observe.sink import Sink
from installer.cli.observe.streams import Streams
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.flows.flow import Answer
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.times import SECOND, from_ns
from installer.domain.tap.compare import Comparison, Missing, Result
from installer.domain.tap.directory import Directory
from installer.domain.tap.doctor import Doctor
from installer.ports.flows import FlowRequest
from installer.wiring.flows import ServerChoice
from installer.wiring.tap import Names, TapOptions, TapSource, named, tap_source

TICK_SECONDS = 0.2
GRACE_SECONDS = 3.0
"""How late Hubble may tell what the kernel saw."""


@dataclass(frozen=True, slots=True)
class TapAsk:
    """One call of ``tap``.

    Attributes:
        ask: filters, format, counting.
        options: what is watched.
        hubble: which Hubble and which cluster stand beside it.
        seconds: how long; None for as long as nobody ends it.
        reasons: the kernel's reasons of drops that are wanted, in capitals; empty for all that comes.
    """

    ask: Ask
    options: TapOptions
    hubble: ServerChoice
    seconds: float | None = None
    reasons: frozenset[str] = frozenset()

    def keeps(self, answer: Answer) -> bool:
        """Tell whether an answer passes the expression and the reasons; losses always do."""
        flow, where = answer.flow, self.ask.where
        if flow is None:
            return True
        if self.reasons and str(flow.drop_reason_desc) not in self.reasons:
            return False
        return where is None or where.matches(flow)


class _Run:
    """The tap, the names, and what stands beside them."""

    def __init__(self, wanted: TapAsk, streams: Streams) -> None:
        self.wanted = wanted
        self.streams = streams
        self.directory = Directory()
        self.source: TapSource = tap_source(wanted.options, self.directory, self._tell)
        self.troubles: list[BeeyardError] = []

    async def batches(self, companions: dict[str, Coroutine[Any, Any, None]]) -> AsyncGenerator[Sequence[Answer], None]:
        """Yield what the tap tells and the filters let pass, up to the end or the first Ctrl-C."""
        wanted, ask = self.wanted, self.wanted.ask
        on_interrupt(self.source.stopping.set)
        until = None if wanted.seconds is None else time.time() + wanted.seconds
        names = Names(kubeconfig=wanted.hubble.kubeconfig, context=wanted.hubble.context)
        request = FlowRequest(ask.filters, follow=True, until=until)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(beside(companions, self._trouble))
            await stack.enter_async_context(named(self.directory, names, self._unnamed))
            told = await stack.enter_async_context(aclosing(self.source.batches(request)))
            async for answers in told:
                yield [answer for answer in answers if wanted.keeps(answer)]

    def _tell(self, notes: Sequence[str]) -> None:
        for note in notes:
            self.streams.err(f"beeyard: {clean(note)}\n")

    def _trouble(self, what: str, problem: BeeyardError) -> None:
        self.troubles.append(problem)
        self.streams.err(f"beeyard: no {what}: {clean(problem.what)}\n")

    def _unnamed(self, problem: BeeyardError) -> None:
        self.streams.err(f"beeyard: pods are not named: {clean(problem.what)}\n")


def observe_tap(wanted: TapAsk, streams: Streams) -> None:
    """Print what the tap sees; Ctrl-C ends it after the counts up to then.

    Raises:
        BeeyardError: E-BPF-*, E-FLOW-027.
        ReaderGoneError: nobody reads the output any more.
    """
    asyncio.run(_observe(_Run(wanted, streams)))


async def _observe(run: _Run) -> None:
    doctor, wanted = Doctor(), run.wanted
    sink = Sink(wanted.ask, run.streams, live=True, explainer=doctor.explain)
    companions: dict[str, Coroutine[Any, Any, None]] = {}
    if wanted.ask.explain:
        if wanted.ask.policies:
            doctor.learn_world(world_of_files(wanted.ask.policies))
        else:
            companions["policies"] = follow_policies(wanted.hubble, doctor.learn_world)
        companions["flows of Hubble"] = hear_hubble(wanted.hubble, lambda flows: _learn(doctor, flows))
    ticker = asyncio.ensure_future(_tick(sink))
    try:
        async with aclosing(run.batches(companions)) as batches:
            async for answers in batches:
                if ticker.done():
                    ticker.result()
                sink.push(answers)
    finally:
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker
    sink.end()


def _learn(doctor: Doctor, flows: Any) -> None:
    for flow in flows:
        doctor.learn_flow(flow)


async def _tick(sink: Sink) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        sink.tick(time.time_ns())


def compare_tap(wanted: TapAsk, streams: Streams) -> Result:
    """Watch with the tap and with Hubble at once, and print what only one of them told.

    Raises:
        BeeyardError: E-BPF-*; Hubble is out of reach.
        ReaderGoneError: nobody reads the output any more.
    """
    result = asyncio.run(_compare(_Run(wanted, streams)))
    streams.out(_comparison(result, as_json=wanted.ask.form in JSON))
    return result


async def _compare(run: _Run) -> Result:
    comparison = Comparison(run.directory.is_pod)
    heard: list[int] = []

    def take(flows: Any) -> None:
        heard.append(time.time_ns())
        comparison.hubble(flows)

    async with aclosing(run.batches({"flows of Hubble": hear_hubble(run.wanted.hubble, take)})) as batches:
        async for answers in batches:
            comparison.kernel(answer.flow for answer in answers if answer.flow is not None)
            if run.troubles:
                raise run.troubles[0]
    if run.troubles:
        raise run.troubles[0]
    if not heard:
        raise ConnectError(
            "Hubble told no flow in this time",
            why="There is nothing to compare with.",
            fix="Try beeyard hubble status, or watch longer: --for 1m.",
            code="E-BPF-022",
        )
    until = time.time_ns() - int(GRACE_SECONDS * SECOND)
    return comparison.result(from_ns(heard[0]), from_ns(until))


def _comparison(result: Result, *, as_json: bool) -> str:
    sides = {"onlyKernel": result.only_kernel, "onlyHubble": result.only_hubble}
    if as_json:
        listed = {name: [one.line for one in missing] for name, missing in sides.items()}
        return json.dumps({"both": result.both, **listed}) + "\n"
    lines = [f"{result.both} connections of pods were told by both"]
    for title, missing in (("the kernel", result.only_kernel), ("Hubble", result.only_hubble)):
        lines += [f"{len(missing)} only by {title}{':' if missing else ''}", *(_line(one) for one in missing)]
    return "\n".join(lines) + "\n"


def _line(missing: Missing) -> str:
    return f"  {clean(missing.line)}"


def on_interrupt(stop: Callable[[], None]) -> None:
    """Stop politely at the first Ctrl-C; the second interrupts."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    loop.add_signal_handler(signal.SIGINT, first)
