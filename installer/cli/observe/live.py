"""Flows, agent events and debug events of a server."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from installer.cli.observe.request import EVERYTHING, Ask, Selectors
from installer.cli.observe.sink import Sink
from installer.cli.observe.streams import Streams
from installer.domain.errors import BeeyardError
from installer.domain.flows.agent_event import AgentAnswer, DebugAnswer
from installer.domain.flows.feed import Connected, Disconnected, Flows, Gap, NodesChanged, Notice, Told
from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import FilterSet
from installer.domain.flows.mask import with_needed
from installer.domain.flows.printing.choice import event_printer
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.times import SECOND
from installer.ports.flows import FlowRequest
from installer.ports.hubble import AGENT_SOCKET, EventRequest
from installer.wiring.flows import ServerChoice

if TYPE_CHECKING:
    from installer.domain.policy.advice import FlowAdvice

TICK_SECONDS = 0.2


def observe_server(choice: ServerChoice, ask: Ask, streams: Streams) -> None:
    """Print what is wanted of a server's flows; Ctrl-C ends it like the end of the stream.

    Raises:
        BeeyardError: E-HUBBLE-*, E-KUBE-*, E-FLOW-027.
        ReaderGoneError: nobody reads the output any more.
    """
    if ask.explain:
        from installer.domain.policy.advice import FlowAdvice

        advice = FlowAdvice()
        sink = Sink(ask, streams, live=ask.selectors.follow, explainer=advice.explain)
        printing = _advised(choice, ask, streams, sink, advice)
    else:
        sink = Sink(ask, streams, live=ask.selectors.follow)
        printing = _observe(choice, ask, streams, sink)
    try:
        asyncio.run(printing)
    except KeyboardInterrupt:
        sink.end()


async def _advised(choice: ServerChoice, ask: Ask, streams: Streams, sink: Sink, advice: FlowAdvice) -> None:
    from installer.cli.observe.companions import advised

    def trouble(what: str, problem: BeeyardError) -> None:
        streams.err(f"beeyard: no {what}: {clean(problem.what)}\n")

    async with advised(advice, choice, ask.policies, trouble):
        await _observe(choice, ask, streams, sink)


async def _observe(choice: ServerChoice, ask: Ask, streams: Streams, sink: Sink) -> None:
    from installer.services.flows import FeedOptions

    options = FeedOptions() if ask.mask is None else FeedOptions(mask=with_needed(ask.mask) if ask.mask else ())
    keep = None if ask.where is None else ask.where.matches
    last = _last_of(ask)
    held: deque[Answer] | None = deque(maxlen=last) if last else None
    ticker = asyncio.ensure_future(_tick(sink)) if ask.selectors.follow else None
    try:
        async with aclosing(choice.feed(options).events(flow_request(ask))) as events:
            async for told in events:
                if ticker is not None and ticker.done():
                    ticker.result()
                if isinstance(told, Flows):
                    answers = told.answers
                    if keep is not None:
                        answers = [answer for answer in answers if answer.flow is None or keep(answer.flow)]
                    if held is None:
                        sink.push(answers)
                    else:
                        held.extend(answers)
                else:
                    streams.err(said(told))
    finally:
        if ticker is not None:
            ticker.cancel()
    if held:
        sink.push(tuple(held))
    sink.end()


async def _tick(sink: Sink) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        sink.tick(time.time_ns())


def _last_of(ask: Ask) -> int:
    """Return how many of the newest are kept here, where only we can tell which pass."""
    selectors = ask.selectors
    counted = 0 < selectors.number < EVERYTHING and not selectors.first and not selectors.follow
    return selectors.number if counted and not _by_server(ask) else 0


def _by_server(ask: Ask) -> bool:
    return ask.where is None or (ask.where.exact_on_server and not ask.filters.whitelist)


def flow_request(ask: Ask) -> FlowRequest:
    """Return what a server is asked for; as much of an expression as servers can judge goes with it."""
    selectors, filters = ask.selectors, ask.filters
    if ask.where is not None:
        pushed = ask.where.pushdown()
        filters = FilterSet(filters.whitelist or pushed.whitelist, filters.blacklist + pushed.blacklist)
    return FlowRequest(
        filters=filters,
        number=EVERYTHING if _last_of(ask) else selectors.number,
        first=selectors.first,
        follow=selectors.follow,
        since=None if selectors.since is None else selectors.since / SECOND,
        until=None if selectors.until is None else selectors.until / SECOND,
    )


def said(told: Told) -> str:
    """Return the line on stderr for what happened to the stream; empty for what needs none."""
    match told:
        case Connected(source=source, again=True):
            line = f"connected again to {source}"
        case Disconnected(error=error, delay=delay, attempt=attempt):
            why = f": {error.why}" if error.why else ""
            line = f"connection lost: {error.what}{why}; try {attempt} in {delay:g} s"
        case Gap(since=since, until=until, node=node, reason=reason):
            where = f" of {node}" if node else ""
            line = f"flows{where} may be missing from {since or 'an unknown time'} to {until or 'now'}: {reason}"
        case NodesChanged(lost=lost, back=back, connected=connected, total=total):
            parts = [f"lost {', '.join(lost)}"] if lost else []
            parts += [f"{', '.join(back)} there again"] if back else []
            line = f"nodes: {'; '.join(parts)} ({connected} of {total} answer)"
        case Notice(text=text, why=why):
            line = f"{text}: {why}" if why else text
        case _:
            return ""
    return f"beeyard: {clean(line)}\n"


def observe_events(
    choice: ServerChoice, kind: str, selectors: Selectors, form: str, printing: PrintOptions, streams: Streams
) -> None:
    """Print agent events or debug events; without an address, those of the agent of this host where there is one.

    Args:
        choice: the server.
        kind: ``agent-events`` or ``debug-events``.
        selectors: which part of the past and the future.
        form: output format.
        printing: how they are printed.
        streams: where they go.

    Raises:
        BeeyardError: E-HUBBLE-*, E-KUBE-*, E-FLOW-020, E-FLOW-027.
    """
    printer = event_printer(form, printing)
    request = EventRequest(
        number=selectors.number,
        follow=selectors.follow,
        since=None if selectors.since is None else selectors.since / SECOND,
        until=None if selectors.until is None else selectors.until / SECOND,
    )
    if not choice.server and Path(AGENT_SOCKET.removeprefix("unix://")).exists():
        choice = ServerChoice(AGENT_SOCKET)

    async def run() -> None:
        async with choice.open() as hubble:
            events: AsyncGenerator[Sequence[AgentAnswer | DebugAnswer], None] = (
                hubble.agent_events(request) if kind == "agent-events" else hubble.debug_events(request)
            )
            async with aclosing(events) as batches:
                async for batch in batches:
                    streams.out("".join(map(printer.write, batch)))

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
    streams.out(printer.end())
