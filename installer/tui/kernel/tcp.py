"""Connections of TCP by client and server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from installer.domain.flows.printing import text
from installer.domain.tap.board_tcp import RESET_RECEIVED, RESET_SENT, RETRANSMIT, Key, Pair, Pairs
from installer.domain.tap.latency import Latency
from installer.domain.tap.measures import Wanted
from installer.tui.flows.columns import Column
from installer.tui.kernel import words
from installer.tui.kernel.table import Page, Table, field, lines
from installer.tui.policies.rows import Row, row

SECONDS = 30
SHOWN = 300
BAR = 24
"""Cells of the longest bar."""
_COLUMNS = (
    Column("client", "CLIENT", 12, grow=3),
    Column("server", "SERVER", 12, grow=3),
    Column("opened", "OPENED", 7),
    Column("median", "P50", 8, needs=74),
    Column("late", "P99", 8, needs=92),
    Column("failed", "FAILED", 6, needs=66),
    Column("retransmits", "RETRANS", 7),
    Column("resets", "RESETS", 6, needs=58),
    Column("last", "LAST STEP", 18, grow=1, needs=120),
)
_NUMBERS = frozenset(("opened", "median", "late", "failed", "retransmits", "resets"))


@dataclass(frozen=True, slots=True)
class PairTarget:
    """A client and a server."""

    key: Key


def page(pairs: Pairs, now: float, width: int, wanted: Wanted | None, *, ascii_only: bool) -> Page:
    """Return the pairs, those with troubles first, below what they come to."""
    table = Table(_COLUMNS, _NUMBERS, width)
    found = pairs.pairs(wanted)
    rows = [_row(table, one) for one in found[:SHOWN]]
    if len(found) > SHOWN:
        rows.append(row((f" {len(found) - SHOWN:,} more; a filter shows them", "muted")))
    return Page(table.head, rows, _summary(pairs, found, now, width, ascii_only=ascii_only))


def _summary(pairs: Pairs, found: Sequence[Pair], now: float, width: int, *, ascii_only: bool) -> list[Row]:
    connecting = Latency.sum(one.connecting for one in found)
    second = int(now)
    spread = words.spread(connecting, ascii_only=ascii_only)
    told = words.percentiles(connecting) or "no connection was made yet"
    series = [
        words.spark(one.series(second, SECONDS), ascii_only=ascii_only) for one in (pairs.retransmits, pairs.resets)
    ]
    lost = [
        (f" retransmits {pairs.retransmits.total:,} ", "warning" if pairs.retransmits.rate(second) else ""),
        (series[0] if width >= 100 else "", "cut"),
        (f"  resets {pairs.resets.total:,} ", "warning" if pairs.resets.rate(second) else ""),
        (series[1] if width >= 100 else "", "cut"),
    ]
    return [row(" connect ", (spread, "key"), f"  {told}" if spread else told), Row(tuple(lost))]


def _row(table: Table, one: Pair) -> Row:
    client, server = _sides(one)
    events = one.events
    opened = max(events["tcp-connect"], events["tcp-accept"])
    resets = events[RESET_SENT] + events[RESET_RECEIVED]
    return table.row(
        {
            "client": client,
            "server": server,
            "opened": f"{opened:,}",
            "median": words.duration(one.connecting.percentile(0.5)),
            "late": words.duration(one.connecting.percentile(0.99)),
            "failed": _bad(events["tcp-connect-failed"]),
            "retransmits": _bad(events[RETRANSMIT]),
            "resets": _bad(resets),
            "last": (one.flow.summary.partition(";")[0], "muted"),
        },
        PairTarget(one.key),
    )


def _bad(number: int) -> tuple[str, str]:
    return f"{number:,}", "error" if number else "muted"


def _sides(one: Pair) -> tuple[str, str]:
    """Return client without and server with its port."""
    bare = text.bare_hosts(one.flow)
    client, server = bare if one.from_client else bare[::-1]
    return client, text.with_port(server, str(one.key[2]))


def detail(one: Pair, width: int) -> list[Row]:
    """Return all about a pair."""
    client, server = _sides(one)
    found = [*lines(f"{client} -> {server} TCP", width, "head"), row("")]
    found += field("connecting", words.percentiles(one.connecting), width)
    found += _bars(one.connecting, width)
    found += field("lives", words.percentiles(one.lives), width)
    for name, number in sorted(one.events.items()):
        found += field(name.removeprefix("tcp-").replace("-", " "), f"{number:,}", width)
    found += field("last", f"{one.flow.time} {one.flow.summary}", width)
    found += field("addresses", f"{one.key[0]} -> {text.with_port(one.key[1], str(one.key[2]))}", width)
    return [*found, row(""), *_advice(one, width), *lines("o shows them in Flows.", width, "muted")]


def _bars(latency: Latency, width: int) -> list[Row]:
    """Return a histogram, a row for each doubling."""
    octaves = latency.octaves()
    longest = max((number for _, number in octaves), default=0)
    room = max(4, min(BAR, width - 26))
    return [
        row(
            f"  to {words.duration(bound):>8} ",
            ("#" * -(-number * room // longest), "key"),
            (f" {number:,}", "muted"),
        )
        for bound, number in octaves
    ]


def _advice(one: Pair, width: int) -> list[Row]:
    """Return what the numbers hint at."""
    said = []
    if one.events["tcp-connect-failed"]:
        said.append(
            "fix  Nobody accepts: is the server listening there, and do policies let it through? v shows drops."
        )
    if one.events[RETRANSMIT]:
        said.append(
            "fix  Segments get lost or come late: look at Drops, at the interfaces (ip -s link) and at the MTU."
        )
    return [line for text_ in said for line in lines(text_, width, "good", 2)]
