"""What becomes of flows once they are here: merged, explained, printed or counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Protocol

from installer.cli.observe.request import JSON, Ask
from installer.cli.observe.streams import Streams
from installer.domain.flows import times
from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.grouping import Group, Grouping, Window, Windows, table
from installer.domain.flows.merge import Merged, Merger
from installer.domain.flows.printing.choice import printer
from installer.domain.flows.printing.compact import CompactPrinter
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.node_status import lost_line

Explainer = Callable[[Flow], list[str]]


class Show(Protocol):
    """Makes text for stdout (``add``, ``tick``, ``end``) and stderr (``aside``)."""

    def begin(self) -> str:
        """Return what comes first."""
        ...

    def add(self, answer: Answer) -> str:
        """Return what an answer gives."""
        ...

    def aside(self, answer: Answer) -> str:
        """Return what an answer without a flow gives for stderr."""
        ...

    def tick(self, now: int) -> str:
        """Return what is due at a time."""
        ...

    def end(self) -> str:
        """Return what comes last."""
        ...


class Printed:
    """Prints every flow."""

    def __init__(self, ask: Ask, explainer: Explainer) -> None:
        self._printer = printer(ask.form, ask.printing)
        self._explain = explainer if ask.explain and ask.form in ("compact", "dict") else None

    def begin(self) -> str:
        """Return the header."""
        return self._printer.begin()

    def add(self, answer: Answer) -> str:
        """Return the lines of an answer."""
        lines = self._printer.write(answer)
        if self._explain is not None and answer.flow is not None:
            lines += "".join(f"    {clean(line)}\n" for line in self._explain(answer.flow))
        return lines

    def aside(self, answer: Answer) -> str:
        """Return the lines of a node's status."""
        return self._printer.status(answer)

    def tick(self, now: int) -> str:
        """Return nothing."""
        del now
        return ""

    def end(self) -> str:
        """Return what the format keeps to the end."""
        return self._printer.end()


class Counted:
    """Counts flows by fields, in windows of time or over all.

    Args:
        ask: fields, length of a window, how many groups.
        live: windows go by the clock, not by the flows' own times.
    """

    def __init__(self, ask: Ask, *, live: bool) -> None:
        self._ask = ask
        self._live = live
        self._lines = CompactPrinter(ask.printing)
        self._windows = Windows(ask.group_by, ask.every) if ask.every else None
        self._all = Grouping(ask.group_by)
        self._now = 0

    def begin(self) -> str:
        """Return the header of csv and tsv."""
        separator = {"csv": ",", "tsv": "\t"}.get(self._ask.form)
        return separator.join(("start", "count", "share", *self._ask.group_by)) + "\n" if separator else ""

    def add(self, answer: Answer) -> str:
        """Count a flow; return the window that it closed."""
        flow = answer.flow
        if flow is None:
            return ""
        if self._windows is None:
            self._all.add(flow)
            return ""
        if not self._live:
            self._now = _moment(flow, self._now)
        return "".join(map(self._window, self._windows.add(flow, self._now)))

    def aside(self, answer: Answer) -> str:
        """Return the lines of a node's status, or of lost events."""
        lost = answer.lost_events
        if lost is not None:
            return lost_line(answer, lost, self._ask.printing, node=True)
        return self._lines.status(answer)

    def tick(self, now: int) -> str:
        """Return the window that has ended."""
        self._now = now
        return "".join(map(self._window, self._windows.advance(now))) if self._windows else ""

    def end(self) -> str:
        """Return the last window, or all."""
        if self._windows is not None:
            return "".join(map(self._window, self._windows.close()))
        return self._groups("", self._all)

    def _window(self, window: Window) -> str:
        start = times.from_ns(window.start)
        if self._ask.form in (*JSON, "csv", "tsv"):
            return self._groups(start, window.grouping)
        time = self._ask.printing.time
        head = f"{time(start)} to {time(times.from_ns(window.end))}: {window.grouping.total} flows\n"
        return head + self._groups(start, window.grouping) + "\n"

    def _groups(self, start: str, grouping: Grouping) -> str:
        groups, form = grouping.groups(self._ask.top), self._ask.form
        if form in JSON:
            rows = [_row(grouping.fields, group) for group in groups]
            return json.dumps({"start": start, "flows": grouping.total, "groups": rows}) + "\n"
        if form in ("csv", "tsv"):
            separator = "," if form == "csv" else "\t"
            return "".join(separator.join(_cells(start, group, separator)) + "\n" for group in groups)
        return "\n".join(table(grouping.fields, groups)) + "\n"


def _row(fields: Sequence[str], group: Group) -> dict[str, object]:
    named = dict(zip(fields, group.values, strict=True))
    return {"count": group.count, "share": round(group.share, 6), **named}


def _cells(start: str, group: Group, separator: str) -> list[str]:
    cells = [start, str(group.count), f"{group.share:.6f}", *map(clean, group.values)]
    return [_quoted(cell) if separator in cell or '"' in cell else cell for cell in cells]


def _quoted(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def _moment(flow: Flow, default: int) -> int:
    try:
        return times.to_ns(flow.time)
    except ValueError:
        return default


class Sink:
    """Takes answers in batches and writes what they give.

    Args:
        ask: what is wanted.
        streams: where it goes.
        live: flows come as they happen.
        explainer: returns lines on why a flow was dropped.
    """

    def __init__(self, ask: Ask, streams: Streams, *, live: bool, explainer: Explainer = lambda _: []) -> None:
        self._streams = streams
        self._show: Show = Counted(ask, live=live) if ask.group_by else Printed(ask, explainer)
        self._merger = Merger() if ask.merge else None
        self._begun = False

    def push(self, answers: Sequence[Answer]) -> None:
        """Take a batch, and write what is settled at once.

        Raises:
            ReaderGoneError: nobody reads the output any more.
            BeeyardError: E-FLOW-027 it cannot be written.
        """
        out = [self._begin()]
        asides: list[str] = []
        add = self._show.add
        for answer in answers if self._merger is None else self._merged(answers, self._merger):
            out.append(add(answer))
            if answer.flow is None:
                asides.append(self._show.aside(answer))
        self._streams.out("".join(out))
        self._streams.err("".join(asides))

    def tick(self, now: int) -> None:
        """Write what is due at a time (UNIX nanoseconds), and what the stream's silence settles."""
        if self._merger is not None and len(self._merger):
            self._streams.out("".join(map(self._show.add, map(_answer, self._merger.flush()))))
        self._streams.out(self._show.tick(now))

    def end(self) -> None:
        """Write what is left."""
        rest = "".join(map(self._show.add, map(_answer, self._merger.flush()))) if self._merger is not None else ""
        self._streams.out(self._begin() + rest + self._show.end())

    def _begin(self) -> str:
        begun, self._begun = self._begun, True
        return "" if begun else self._show.begin()

    def _merged(self, answers: Sequence[Answer], merger: Merger) -> list[Answer]:
        out: list[Answer] = []
        for answer in answers:
            if answer.flow is None:
                out.append(answer)
            else:
                out += map(_answer, merger.push(answer.flow))
        return out


def _answer(merged: Merged) -> Answer:
    return Answer(flow=merged.flow, node_name=merged.flow.node_name, time=merged.flow.time)
