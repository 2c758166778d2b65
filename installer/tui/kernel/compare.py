"""What the kernel saw and Hubble did not, and the other way round."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.tap.compare import Key, Missing, key_of
from installer.domain.tap.measures import Wanted
from installer.services.kernel_watch import GRACE, Compared
from installer.tui.flows.columns import Column
from installer.tui.kernel import words
from installer.tui.kernel.table import Page, Table, field, lines
from installer.tui.policies.rows import Row, row

SHOWN = 200
"""Connections of each side in the list."""
_COLUMNS = (
    Column("side", "ONLY", 6),
    Column("since", "SINCE", 8, needs=64),
    Column("source", "FROM", 12, grow=2),
    Column("destination", "TO", 12, grow=2),
    Column("protocol", "PROTO", 6, needs=54),
    Column("verdict", "VERDICT", 10, needs=84),
    Column("summary", "WHAT", 16, grow=2, needs=110),
)


@dataclass(frozen=True, slots=True)
class MissingTarget:
    """A connection that only one side told."""

    side: str
    key: Key | None


def page(compared: Compared | None, waiting: str, width: int, wanted: Wanted | None) -> Page:
    """Return the comparison.

    Args:
        compared: what came of it, None as long as there is none.
        waiting: why there is none.
        width: cells.
        wanted: the connections to show.
    """
    if compared is None:
        return Page("", lines(waiting, width, "warning"))
    table = Table(_COLUMNS, frozenset(), width)
    result = compared.result
    kernel, hubble = (_wanted(found, wanted) for found in (result.only_kernel, result.only_hubble))
    since = time.strftime("%H:%M:%S", time.gmtime(compared.since))
    summary = row(
        f" since {since} UTC: both told {result.both:,} connections of pods, ",
        (f"only the kernel {len(kernel):,}", "warning" if kernel else "good"),
        ", ",
        (f"only Hubble {len(hubble):,}", "warning" if hubble else "good"),
    )
    rows = [_row(table, "kernel", one) for one in kernel[-SHOWN:]]
    rows += [_row(table, "Hubble", one) for one in hubble[-SHOWN:]]
    if not rows:
        rows = lines(" Both told the same.", width, "good")
    return Page(table.head, rows, [summary])


def _wanted(found: Sequence[Missing], wanted: Wanted | None) -> list[Missing]:
    return [one for one in found if wanted is None or wanted(one.flow)]


def _row(table: Table, side: str, one: Missing) -> Row:
    source, destination = words.ends(one.flow)
    return table.row(
        {
            "side": (side, "warning"),
            "since": one.since[11:19],
            "source": source,
            "destination": destination,
            "protocol": text.protocol(one.flow),
            "verdict": text.verdict(one.flow),
            "summary": (one.flow.summary, "muted"),
        },
        MissingTarget(side, key_of(one.flow)),
    )


def find(compared: Compared, target: MissingTarget) -> Flow | None:
    """Return the flow of a row."""
    found = compared.result.only_kernel if target.side == "kernel" else compared.result.only_hubble
    return next((one.flow for one in found if key_of(one.flow) == target.key), None)


def detail(side: str, flow: Flow, width: int) -> list[Row]:
    """Return what a connection that only one side told may mean."""
    found = [*lines(words.title(flow), width, "head"), row("")]
    found += field("told by", "the kernel, not by Hubble" if side == "kernel" else "Hubble, not by the kernel", width)
    found += field("verdict", text.verdict(flow), width)
    found += field("first", flow.time, width)
    found += field("what", flow.summary, width)
    if side == "kernel":
        why = (
            "Hubble lost events (its ring was full), its agent was away, or the packets took a way without Cilium's "
            "programs: host network, another interface, a pod that Cilium does not manage."
        )
    else:
        why = (
            "The connection is another node's, it was forwarded without a socket of this node, or the tap's table was "
            "full (lost, above)."
        )
    found += field("may be", why, width)
    note = f"What is younger than {GRACE:.0f} s is not compared yet. o shows both in Flows."
    return [*found, row(""), *lines(note, width, "muted")]
