"""Streams of packets, those with most bytes first."""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.tap.board_traffic import MOST, Key, Stream, Traffic
from installer.domain.tap.measures import Wanted
from installer.domain.text import one_line
from installer.tui.flows.columns import Column, fit_end
from installer.tui.kernel import words
from installer.tui.kernel.table import Page, Table, field, lines
from installer.tui.policies.rows import Row, row

SHOWN = 300
"""Streams in the list."""
_COLUMNS = (
    Column("source", "FROM", 12, grow=3),
    Column("destination", "TO", 12, grow=3),
    Column("direction", "DIR", 3, needs=66),
    Column("protocol", "PROTO", 6, needs=58),
    Column("state", "STATE", 7, needs=90),
    Column("rate", "BYTES/s", 9),
    Column("packets", "PKT/s", 8, needs=74),
    Column("total", "BYTES", 9, needs=100),
    Column("process", "PROCESS", 14, grow=1, needs=112),
)
_NUMBERS = frozenset(("rate", "packets", "total"))
_DIRECTIONS = {"EGRESS": "out", "INGRESS": "in"}


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """A stream."""

    key: Key


def page(traffic: Traffic, now: float, width: int, wanted: Wanted | None = None) -> Page:
    """Return the streams that are sent most now."""
    table = Table(_COLUMNS, _NUMBERS, width)
    top, number = traffic.top(now, SHOWN, wanted)
    rows = [_row(table, one, traffic, now) for one in top]
    if number > len(top):
        rows.append(row((f" {number - len(top):,} more; a filter shows them", "muted")))
    if traffic.forgotten:
        rows.append(row((f" the last {MOST:,} are kept here, {traffic.forgotten:,} older ones are not", "muted")))
    return Page(table.head, rows)


def _row(table: Table, one: Stream, traffic: Traffic, now: float) -> Row:
    packets, size = traffic.rate(one, now)
    style = "" if traffic.is_live(one, now) else "muted"
    source, destination = words.ends(one.flow)
    reply = bool(one.flow.is_reply)
    state = "error" if one.state == "reset" else style
    cells = {
        "source": fit_end(source, table.width("source"), client=not reply),
        "destination": fit_end(destination, table.width("destination"), client=reply),
        "direction": _direction(one.flow),
        "protocol": text.protocol(one.flow),
        "state": one.state,
        "rate": words.size(size),
        "packets": words.rate(packets),
        "total": words.size(one.bytes),
        "process": process(one),
    }
    styles = {"state": state, "rate": "name" if size else style}
    return table.row({name: (cell, styles.get(name, style)) for name, cell in cells.items()}, StreamTarget(one.key))


def _direction(flow: Flow) -> str:
    return _DIRECTIONS.get(str(flow.traffic_direction), "")


def process(one: Stream) -> str:
    """Return ``curl[123]``; empty where not known."""
    told = one.measures
    return f"{one_line(told.process)}[{told.pid}]" if told.pid else ""


def detail(one: Stream, traffic: Traffic, now: float, width: int) -> list[Row]:
    """Return all about a stream."""
    packets, size = traffic.rate(one, now)
    flow = one.flow
    source, destination = (f"{end} ({ip})" for end, ip in zip(words.ends(flow), _addresses(flow), strict=True))
    found = [*lines(words.title(flow), width, "head"), row("")]
    for name, said in (
        ("from", source),
        ("which is", words.who(flow.source)),
        ("to", destination),
        ("which is", words.who(flow.destination)),
        ("direction", f"{_direction(flow)} of the socket; {'an answer' if flow.is_reply else 'asks'}"),
        ("now", f"{words.size(size)}/s, {words.rate(packets)} packets/s"),
        ("in all", f"{words.size(one.bytes)}, {one.packets:,} packets"),
        ("state", one.state),
        ("flags", flow.summary.partition(";")[0].removeprefix("TCP Flags: ") if one.state else ""),
        ("process", process(one)),
        ("namespace", f"network namespace {one.measures.netns}" if one.measures.netns else ""),
        ("cgroup", str(flow.cgroup_id)),
        ("first", one.measures.first_seen),
        ("last", flow.time),
    ):
        found += field(name, said, width)
    return [*found, row(""), *lines("o shows both directions in Flows.", width, "muted")]


def _addresses(flow: Flow) -> tuple[str, str]:
    return (flow.ip.source, flow.ip.destination) if flow.ip is not None else ("", "")
