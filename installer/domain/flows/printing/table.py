"""Columns as wide as their widest cell, printed when all cells are known: Go's tabwriter with 3 blanks between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from installer.domain.flows.flow import Answer
from installer.domain.flows.printing.coloured import Coloured
from installer.domain.flows.printing.compact import CompactPrinter
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.node_status import lost_source, lost_summary
from installer.domain.flows.printing.options import PrintOptions

_LEAST, _PADDING = 2, 3


def aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Yield a line for each row, all rows having the same number of cells."""
    if not rows:
        return
    widths = [max(_LEAST, max(map(len, cells)) + _PADDING) for cells in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        yield "".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) + row[-1] + "\n"


class TablePrinter:
    """The format ``table``: everything comes with ``end``, without colour."""

    def __init__(self, options: PrintOptions) -> None:
        self._options = replace(options, colour=False)
        self._coloured = Coloured(self._options)
        self._lines = CompactPrinter(self._options)
        self._rows: list[tuple[str, ...]] = []

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def write(self, answer: Answer) -> str:
        """Keep the row and return nothing."""
        row = self._row(answer)
        if row is not None:
            time, node, *rest = row
            self._rows.append((time, node, *rest) if self._options.node_names else (time, *rest))
        return ""

    def status(self, answer: Answer) -> str:
        """Return the line of a node's status that is worth one."""
        return self._lines.status(answer)

    def end(self) -> str:
        """Return all rows; nothing, not even the header, without any."""
        if not self._rows:
            return ""
        header = ("TIMESTAMP", "NODE", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY")
        head = header if self._options.node_names else (header[0], *header[2:])
        return "".join(aligned([head, *self._rows]))

    def _row(self, answer: Answer) -> tuple[str, ...] | None:
        if answer.flow is not None:
            words = self._coloured.words(answer.flow)
            said = (words.source, words.destination, words.type, words.verdict, words.summary)
            return (words.time, words.node, *said)
        lost = answer.lost_events
        if lost is None:
            return None
        summary = clean(lost_summary(lost, self._options, " - "))
        time, node = self._options.time(answer.time), clean(answer.node_name or "-")
        return time, node, clean(lost_source(lost)), "-", "EVENTS LOST", "-", summary
