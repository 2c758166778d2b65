"""Formats of ours with one row a flow: ``wide``, ``csv``, ``tsv`` and ``custom-columns=HEADER:PATH,...``.

Unlike ``table`` they print as flows come, so they follow too. Lost events have no place in a row of a flow and go to
stderr, with their node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from installer.domain.errors import UsageError
from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.printing import colours
from installer.domain.flows.printing.coloured import Coloured
from installer.domain.flows.printing.compact import CompactPrinter
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.fields import COLUMNS, NONE, Value, column, drop_reason, shown, tcp_flags
from installer.domain.flows.printing.node_status import lost_line
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.printing.text import deciding_policies, protocol

_GAP = 2
_MOST = 60


class _Rows:
    """What the formats of this module share: the lines on stderr."""

    def __init__(self, options: PrintOptions) -> None:
        self._options = options
        self._lines = CompactPrinter(options)

    def end(self) -> str:
        """Return nothing."""
        return ""

    def status(self, answer: Answer) -> str:
        """Return the line of a node's status that is worth one, or of lost events."""
        lost = answer.lost_events
        return self._lines.status(answer) if lost is None else lost_line(answer, lost, self._options, node=True)


class _Aligned(_Rows):
    """Columns that start with a good width and grow with what they hold, so that a stream stays readable."""

    def __init__(self, options: PrintOptions, headers: Sequence[str], widths: Sequence[int]) -> None:
        super().__init__(options)
        self._headers = headers
        self._widths = [max(len(header), width) for header, width in zip(headers, widths, strict=True)]

    def begin(self) -> str:
        """Return the header."""
        return self._line(self._headers, self._headers)

    def _line(self, cells: Sequence[str], painted: Sequence[str]) -> str:
        parts = []
        for index, cell in enumerate(cells[:-1]):
            width = self._widths[index] = max(self._widths[index], min(len(cell), _MOST))
            parts.append(painted[index] + " " * (max(width - len(cell), 0) + _GAP))
        return "".join(parts) + painted[-1] + "\n"


class WidePrinter(_Aligned):
    """The format ``wide``: what ``compact`` tells, and node, protocol, flags, direction, reason, policies."""

    def __init__(self, options: PrintOptions) -> None:
        headers = ("TIME", "NODE", "SOURCE", "IDENTITY", "", "DESTINATION", "IDENTITY", "PROTO", "FLAGS", "DIRECTION")
        rest = ("TYPE", "VERDICT", "REASON", "POLICIES", "SUMMARY")
        widths = (19, 10, 32, 9, 2, 32, 9, 6, 7, 9, 22, 10, 13, 12, 0)
        super().__init__(options, headers + rest, widths)
        self._plain = Coloured(replace(options, colour=False))

    def write(self, answer: Answer) -> str:
        """Return the row of a flow."""
        flow = answer.flow
        if flow is None:
            return ""
        cells = self._cells(flow)
        return self._line(cells, self._painted(cells, flow) if self._options.colour else cells)

    def _cells(self, flow: Flow) -> list[str]:
        words = self._plain.words(flow)
        left, right = (words.source, words.source_id[1:-1]), (words.destination, words.destination_id[1:-1])
        arrow = "<>" if flow.is_reply is None else "->"
        if flow.is_reply:
            left, right, arrow = right, left, "<-"
        policies = ",".join(f"{policy.namespace}/{policy.name}".lstrip("/") for policy in deciding_policies(flow))
        return [
            words.time,
            words.node,
            *left,
            arrow,
            *right,
            protocol(flow),
            tcp_flags(flow),
            clean(shown(flow.traffic_direction)),
            words.type,
            words.verdict,
            clean(drop_reason(flow)),
            clean(policies),
            words.summary,
        ]

    def _painted(self, cells: list[str], flow: Flow) -> list[str]:
        paints = {2: colours.CYAN, 5: colours.CYAN, 3: colours.MAGENTA, 6: colours.MAGENTA}
        paints[11] = colours.verdict_colour(flow.verdict)
        return [colours.paint(cell, paints.get(index, "")) for index, cell in enumerate(cells)]


class SeparatedPrinter(_Rows):
    """The formats ``csv`` (RFC 4180) and ``tsv``: all columns, named in the first line."""

    def __init__(self, options: PrintOptions, separator: str) -> None:
        super().__init__(options)
        self._separator = separator
        self._values = tuple(COLUMNS.values())

    def begin(self) -> str:
        """Return the header."""
        return self._separator.join(COLUMNS) + "\n"

    def write(self, answer: Answer) -> str:
        """Return the row of a flow."""
        flow = answer.flow
        if flow is None:
            return ""
        return self._separator.join(self._quoted(clean(shown(value(flow)))) for value in self._values) + "\n"

    def _quoted(self, cell: str) -> str:
        if self._separator == "\t" or not any(char in cell for char in ',"'):
            return cell
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'


class CustomColumnsPrinter(_Aligned):
    """The format ``custom-columns``, as kubectl has it: ``HEADER:PATH,...``."""

    def __init__(self, options: PrintOptions, specification: str) -> None:
        pairs = [_pair(part) for part in specification.split(",")]
        super().__init__(options, [header for header, _ in pairs], [12] * len(pairs))
        self._values: list[Value] = [value for _, value in pairs]

    def write(self, answer: Answer) -> str:
        """Return the row of a flow."""
        flow = answer.flow
        if flow is None:
            return ""
        cells = [clean(shown(value(flow), NONE)) for value in self._values]
        return self._line(cells, cells)


def _pair(part: str) -> tuple[str, Value]:
    header, colon, path = part.partition(":")
    if not colon or not header or not path:
        raise UsageError(
            f"custom-columns cannot read {part!r}",
            why="A column is HEADER:PATH.",
            fix="For example -o custom-columns=FROM:source.pod_name,TO:destination.pod_name,VERDICT:verdict.",
            code="E-FLOW-022",
        )
    return header, column(path)
