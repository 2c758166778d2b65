"""What the kernel drops: by reason, and each drop with its explanation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from installer.domain.flows.printing import text
from installer.domain.tap.board_drops import DistinctDrop, Drops, Key, ReasonSum
from installer.domain.tap.measures import Wanted
from installer.domain.tap.reasons import meaning
from installer.domain.text import one_line
from installer.tui.flows.columns import Column
from installer.tui.kernel import words
from installer.tui.kernel.table import Page, Table, field, lines
from installer.tui.policies.rows import Row, row

SECONDS = 30
"""Seconds in a sparkline."""
SHOWN = 300
"""Drops in the list."""
LISTED = 12
"""Drops listed below a reason."""
_REASONS = (
    Column("reason", "REASON", 20, grow=1),
    Column("rate", "NOW/s", 7),
    Column("packets", "PACKETS", 8),
    Column("series", "LAST 30 s", SECONDS, needs=76),
    Column("meaning", "WHAT IT MEANS", 20, grow=3, needs=104),
)
_DROPS = (
    Column("source", "FROM", 12, grow=2),
    Column("destination", "TO", 12, grow=2),
    Column("protocol", "PROTO", 6, needs=84),
    Column("packets", "PACKETS", 8),
    Column("reason", "REASON", 16, needs=68),
    Column("why", "WHY", 24, grow=4, needs=110),
)
_NUMBERS = frozenset(("rate", "packets"))
_STYLES = {"why": "", "fix": "good", "hubble": "key", "policies": "name", "where": ""}

Explanation = Callable[[DistinctDrop], Sequence[str]]


@dataclass(frozen=True, slots=True)
class ReasonTarget:
    """A reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class DropTarget:
    """A distinct drop."""

    key: Key


def reasons_page(drops: Drops, now: float, width: int, wanted: Wanted | None, *, ascii_only: bool) -> Page:
    """Return the reasons, those of most packets now first."""
    table = Table(_REASONS, _NUMBERS, width)
    rows = [_reason(table, one, ascii_only=ascii_only) for one in drops.by_reason(now, SECONDS, wanted)]
    return Page(table.head, rows)


def _reason(table: Table, one: ReasonSum, *, ascii_only: bool) -> Row:
    known = meaning(one.reason)
    return table.row(
        {
            "reason": (one.reason, "name"),
            "rate": (words.rate(one.rate), "error" if one.rate else "muted"),
            "packets": f"{one.packets:,}",
            "series": (words.spark(list(one.series), ascii_only=ascii_only), "cut"),
            "meaning": known.text if known is not None else "",
        },
        ReasonTarget(one.reason),
    )


def reason_detail(one: ReasonSum, width: int, *, ascii_only: bool) -> list[Row]:
    """Return all about a reason."""
    known = meaning(one.reason)
    found = [*lines(one.reason, width, "head"), row("")]
    found += field("why", known.text if known is not None else "the kernel's word is all that is known", width)
    found += field("fix", known.fix if known is not None else "", width, "good")
    found += field("packets", f"{one.packets:,}, {words.rate(one.rate)} a second now", width)
    found.append(row((words.spark(list(one.series), ascii_only=ascii_only), "cut")))
    found += [row(""), row((f"between {len(one.drops):,} pairs", "head"))]
    for drop in one.drops[:LISTED]:
        found += lines(f"{drop.packets.total:,}  {words.title(drop.flow)} in {drop.place or '?'}", width, indent=2)
    return [*found, row(""), *lines("d explains each of them, o shows them in Flows.", width, "muted")]


def drops_page(drops: Drops, explanation: Explanation, width: int, wanted: Wanted | None) -> Page:
    """Return each distinct drop, the newest first."""
    table = Table(_DROPS, _NUMBERS, width)
    found = drops.distinct(wanted)
    rows = [_drop(table, one, explanation(one)) for one in found[:SHOWN]]
    more = len(found) - SHOWN
    return Page(table.head, [*rows, *([row((f" {more:,} more; a filter shows them", "muted"))] if more > 0 else [])])


def _drop(table: Table, one: DistinctDrop, told: Sequence[str]) -> Row:
    source, destination = words.ends(one.flow)
    word, said = _short(one, told)
    return table.row(
        {
            "source": source,
            "destination": destination,
            "protocol": text.protocol(one.flow),
            "packets": f"{one.packets.total:,}",
            "reason": one.reason,
            "why": (said, "name" if word == "policies" else ""),
        },
        DropTarget(one.key),
    )


def _short(one: DistinctDrop, told: Sequence[str]) -> tuple[str, str]:
    """Return the part of an explanation that says most, and whose word it is."""
    parts = [_split(line) for line in told]
    denies = any(word == "fix" for word, _ in parts[_first_of_policies(parts) :])
    for wanted in ("policies", "hubble", "why"):
        said = next((text for word, text in parts if word == wanted), "")
        if said and (wanted != "policies" or denies):
            return wanted, said
    known = meaning(one.reason)
    return "why", known.text if known is not None else ""


def _first_of_policies(parts: Sequence[tuple[str, str]]) -> int:
    return next((index for index, (word, _) in enumerate(parts) if word == "policies"), len(parts))


def _split(line: str) -> tuple[str, str]:
    word, colon, rest = line.partition(": ")
    return (word, rest) if colon and word in _STYLES else ("", line)


def drop_detail(one: DistinctDrop, told: Sequence[str], width: int, *, denied: bool, drafts: bool) -> list[Row]:
    """Return all about a drop.

    Args:
        one: the drop.
        told: its explanation.
        width: cells.
        denied: a policy denies it.
        drafts: there is a screen that drafts policies.
    """
    flow = one.flow
    found = [*lines(words.title(flow), width, "head"), row("")]
    found += lines(f"DROPPED {one.reason}", width, "error")
    hints = [
        "P drafts the change of policies that lets it through." if denied and drafts else "",
        "o shows it in Flows.",
    ]
    found += [*lines(" ".join(filter(None, hints)), width, "muted"), row("")]
    for line in told or ("looking for the cause ...",):
        word, said = _split(line)
        found += field(word, said, width, _STYLES[word]) if word else lines(line, width)
    found.append(row(""))
    for name, said in (
        ("packets", f"{one.packets.total:,}, {words.size(one.bytes)}"),
        ("first", _clock(one.since)),
        ("last", _clock(one.last)),
        ("place", f"{one.place} in the kernel" if one.place else ""),
        ("interface", flow.interface.name if flow.interface is not None else ""),
        ("namespace", f"network namespace {one.measures.netns}" if one.measures.netns else ""),
        ("addresses", f"{flow.ip.source} -> {flow.ip.destination}" if flow.ip is not None else ""),
        ("sender", words.who(flow.source)),
        ("receiver", words.who(flow.destination)),
        ("flags", flow.summary.partition(";")[0] if "Flags" in flow.summary else ""),
    ):
        found += field(name, said, width)
    return found


def _clock(seconds: float) -> str:
    return one_line(time.strftime("%H:%M:%S UTC", time.gmtime(seconds)))
