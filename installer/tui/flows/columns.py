"""The columns of the flow table: which ones fit, and what a flow says in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from installer.domain.flows import sides
from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.text import one_line

GUTTER = 2
"""Cells before the first column: a mark, and a gap in the stream."""

Value = Callable[[Flow], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        id: which.
        title: its heading.
        width: cells it takes at least.
        grow: its part of what is left; 0 stays as it is.
        needs: width of the table from which it is there.
        until: width from which it is not there any more; 0 for always.
    """

    id: str
    title: str
    width: int
    grow: int = 0
    needs: int = 0
    until: int = 0


COLUMNS = (
    Column("time", "TIME", 8, needs=52, until=100),
    Column("time_ms", "TIME", 12, needs=100),
    Column("verdict", "VERDICT", 10),
    Column("source", "SOURCE", 12, grow=3),
    Column("arrow", "", 2),
    Column("destination", "DESTINATION", 12, grow=3),
    Column("protocol", "PROTO", 6, needs=110),
    Column("info", "WHAT", 13, grow=1, needs=72, until=130),
    Column("type", "TYPE", 20, grow=1, needs=130),
    Column("summary", "SUMMARY", 16, grow=2, needs=130),
    Column("node", "NODE", 12, grow=1, needs=170),
)


def layout(width: int, columns: Sequence[Column] = COLUMNS) -> list[Column]:
    """Return the columns that a table of ``width`` cells has, with their widths; one cell lies between two of them."""
    fit = [column for column in columns if column.needs <= width and not 0 < column.until <= width]
    left = max(0, width - GUTTER - sum(column.width + 1 for column in fit) + 1)
    shares = sum(column.grow for column in fit) or 1
    sized = [replace(column, width=column.width + left * column.grow // shares) for column in fit]
    spare = left - sum(column.width for column in sized) + sum(column.width for column in fit)
    last = max((index for index, column in enumerate(sized) if column.grow), default=0)
    sized[last] = replace(sized[last], width=sized[last].width + spare)
    return sized


def header(width: int) -> str:
    """Return the line of headings."""
    return " " * GUTTER + " ".join(column.title.ljust(column.width) for column in layout(width))


def values(time: Value) -> dict[str, Value]:
    """Return what a flow says in each column; ``time`` prints its time with milliseconds."""
    return {
        "time": lambda flow: time(flow)[:8],
        "time_ms": time,
        "verdict": sides.verdict,
        "arrow": text.arrow,
        "protocol": text.protocol,
        "info": info,
        "type": text.flow_type,
        "summary": _summary,
        "node": lambda flow: flow.node_name,
    }


def ends(flow: Flow) -> tuple[str, str]:
    """Return who is left and right of the arrow: source and destination, the other way round for a reply."""
    left, right = text.hosts(flow)
    return (right, left) if flow.is_reply else (left, right)


def info(flow: Flow) -> str:
    """Return what is most worth to know in one short text: why it was dropped, what was asked, else the flags."""
    if flow.verdict in ("DROPPED", "ERROR") and (reason := sides.reason(flow)) and not flow.l7:
        return reason.replace("_", " ").capitalize()
    return text.summary(flow).removeprefix("TCP Flags: ") or text.flow_type(flow)


def _summary(flow: Flow) -> str:
    summary = text.summary(flow)
    if flow.verdict in ("DROPPED", "ERROR") and (reason := sides.reason(flow)) and not flow.l7:
        return f"{reason}  {summary}"
    return summary


def fit(value: str, width: int) -> str:
    """Return a text that takes exactly ``width`` cells and holds no control codes, however hostile it came."""
    clean = value if value.isascii() and value.isprintable() else one_line(value[:4096])
    size = len(clean) if clean.isascii() else cell_len(clean)
    if size <= width:
        return clean + " " * (width - size)
    return set_cell_size(clean, max(0, width - 1)) + "…"[:width]


def fit_end(value: str, width: int, *, client: bool) -> str:
    """Return one end of a flow in ``width`` cells; the name is cut before its port.

    A client's port says little, so it is the first to go.
    """
    head, colon, port = value.rpartition(":")
    if len(value) <= width or not colon or not port.isdigit() or len(port) + 6 > width:
        return fit(value, width)
    if client:
        return fit(head, width)
    return fit(head, width - len(port) - 1).rstrip() + fit(f":{port}", len(port) + 1)
