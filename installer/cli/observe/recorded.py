"""Flows of a recording."""

from __future__ import annotations

import os

from installer.cli.observe.request import Ask
from installer.cli.observe.sink import Explainer, Sink
from installer.cli.observe.streams import Streams, write_failed
from installer.domain.flows import brief
from installer.domain.flows.printing.choice import print_many, printer
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.recording import BadLine, Reader, Selection
from installer.domain.text import printable
from installer.ports.flows import FlowRequest
from installer.wiring.recordings import FlowFile, Printed, Recording, Totals, can_share, opened, print_shared

MOST_NAMED = 20
"""Bad lines that are named; the others are counted."""


def observe_file(path: str, ask: Ask, streams: Streams, *, processes: int = 0) -> None:
    """Print what is wanted of a recording.

    Args:
        path: file, or ``-`` for stdin.
        ask: what is wanted.
        streams: where it goes.
        processes: 0: as many as there are processors.

    Raises:
        BeeyardError: E-FLOW-023 to -027.
        ReaderGoneError: nobody reads the output any more.
    """
    processes = processes or min(4, len(os.sched_getaffinity(0)))
    if ask.line_by_line and path != "-":
        with opened(path) as recording:
            if can_share(recording, processes) and streams.out_fd is not None and streams.err_fd is not None:
                _Shared(ask, streams, recording).run(processes)
                return
    notes = BadLines(path, streams)
    source = FlowFile(path, notes.add, selection(ask))
    sink = Sink(ask, streams, live=False, explainer=_explainer(ask))
    for batch in source.read(FlowRequest(number=ask.selectors.number, first=ask.selectors.first)):
        sink.push(batch)
    sink.end()
    notes.end()


def _explainer(ask: Ask) -> Explainer:
    if not ask.explain:
        return lambda _: []
    from installer.domain.policy.advice import FlowAdvice

    advice = FlowAdvice()
    if ask.policies:
        from installer.cli.observe.companions import world_of_files

        advice.learn_world(world_of_files(ask.policies))
    return advice.explain


def selection(ask: Ask) -> Selection:
    """Return what is wanted of the lines, and the cheapest way to read them.

    Raises:
        FilterError: a filter that cannot be used.
    """
    brief_is_enough = ask.form == "compact" and ask.line_by_line and ask.where is None and brief.suffices(ask.filters)
    reader = Reader(brief.decode, brief.decode_lines) if brief_is_enough else Reader()
    return Selection(ask.keep(), ask.selectors.since, ask.selectors.until, reader)


class BadLines:
    """Names the first lines that could not be read, and counts the others."""

    def __init__(self, path: str, streams: Streams) -> None:
        self._name = "stdin" if path == "-" else path
        self._streams = streams
        self._count = 0

    def add(self, bad: BadLine) -> None:
        """Take a line."""
        self._streams.err(bad_line(self._name, bad, self._count))
        self._count += 1

    def end(self) -> None:
        """Tell how many were not named."""
        self._streams.err(bad_rest(self._name, self._count))


def bad_line(name: str, bad: BadLine, before: int) -> str:
    """Return the note on a line; empty where enough were named before."""
    return f"{printable(name)}:{bad.number}: left out: {clean(bad.why)}\n" if before < MOST_NAMED else ""


def bad_rest(name: str, count: int) -> str:
    """Return the note on the lines that were not named."""
    return f"{printable(name)}: {count - MOST_NAMED} more lines were left out\n" if count > MOST_NAMED else ""


class _Shared:
    """Prints a large file with several processes."""

    def __init__(self, ask: Ask, streams: Streams, recording: Recording) -> None:
        self._printer = printer(ask.form, ask.printing)
        self._print = print_many(ask.form, ask.printing)
        self._selection = selection(ask)
        self._streams = streams
        self._recording = recording

    def run(self, processes: int) -> None:
        streams = self._streams
        assert streams.out_fd is not None
        assert streams.err_fd is not None
        streams.out(self._printer.begin())
        try:
            totals: Totals = print_shared(
                self._recording, self._work, out=streams.out_fd, err=streams.err_fd, processes=processes
            )
        except OSError as problem:
            raise write_failed(problem) from problem
        streams.out(self._printer.end())
        streams.err(bad_rest(self._recording.name, totals.bad))

    def _work(self, lines: bytes) -> Printed:
        bad: list[BadLine] = []
        answers = self._selection.read(lines, 0, bad)
        out = self._print(answers)
        asides = "".join(self._printer.status(answer) for answer in answers if answer.flow is None)

        def err(first: int, before: int) -> bytes:
            if self._streams.silent:
                return b""
            notes = [
                bad_line(self._recording.name, BadLine(first + item.number, item.why), before + index)
                for index, item in enumerate(bad)
            ]
            return ("".join(notes) + asides).encode(errors="backslashreplace")

        return Printed(out, err, len(answers), len(bad))
