"""Questions of DNS by name and type."""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.flows.printing import text
from installer.domain.tap.board_dns import PATIENCE, Key, Question, Questions
from installer.domain.tap.dns import RCODES
from installer.domain.tap.latency import Latency
from installer.domain.tap.measures import Wanted
from installer.tui.flows.columns import Column
from installer.tui.kernel import words
from installer.tui.kernel.table import Page, Table, field, lines
from installer.tui.policies.rows import Row, row

SHOWN = 300
_COLUMNS = (
    Column("name", "NAME", 16, grow=3),
    Column("type", "TYPE", 5, needs=58),
    Column("asked", "ASKED", 6),
    Column("answered", "ANSWERED", 8, needs=84),
    Column("median", "P50", 8, needs=70),
    Column("longest", "LONGEST", 8, needs=100),
    Column("failed", "FAILED", 14, needs=48),
    Column("answer", "ANSWER", 14, grow=2, needs=92),
)
_NUMBERS = frozenset(("asked", "answered", "median", "longest"))


@dataclass(frozen=True, slots=True)
class QuestionTarget:
    """A name and a type."""

    key: Key


def page(questions: Questions, width: int, wanted: Wanted | None, *, ascii_only: bool) -> Page:
    """Return the questions, those with troubles first, below what they come to."""
    table = Table(_COLUMNS, _NUMBERS, width)
    found = questions.questions(wanted)
    rows = [_row(table, one) for one in found[:SHOWN]]
    if len(found) > SHOWN:
        rows.append(row((f" {len(found) - SHOWN:,} more; a filter shows them", "muted")))
    latency = Latency.sum(one.latency for one in found)
    asked, bad = sum(one.asked for one in found), sum(one.troubles for one in found)
    summary = row(
        f" asked {asked:,}  ",
        (f"failed {bad:,}  ", "error" if bad else ""),
        (words.spread(latency, ascii_only=ascii_only), "key"),
        f"  {words.percentiles(latency)}",
    )
    return Page(table.head, rows, [summary])


def failures(one: Question) -> str:
    """Return ``NXDOMAIN 3, no answer 1``."""
    said = [f"{RCODES.get(code, str(code))} {number:,}" for code, number in one.failures.most_common()]
    return ", ".join(said + ([f"no answer {one.silent:,}"] if one.silent else []))


def _row(table: Table, one: Question) -> Row:
    return table.row(
        {
            "name": (one.key[0], "name"),
            "type": one.key[1],
            "asked": f"{one.asked:,}",
            "answered": f"{one.answered:,}",
            "median": words.duration(one.latency.percentile(0.5)),
            "longest": words.duration(one.latency.largest),
            "failed": (failures(one), "error"),
            "answer": (", ".join(one.answer), "muted"),
        },
        QuestionTarget(one.key),
    )


def detail(one: Question, width: int) -> list[Row]:
    """Return all about a question."""
    name, kind = one.key
    found = [*lines(f"{name} {kind}", width, "head"), row("")]
    asker = text.hosts(one.flow)[1 if one.flow.is_reply else 0]
    for label, said in (
        ("asked", f"{one.asked:,}" + (f", {one.again:,} of them again" if one.again else "")),
        ("answered", f"{one.answered:,}"),
        ("failed", failures(one)),
        ("latency", words.percentiles(one.latency)),
        ("answer", ", ".join(one.answer)),
        ("servers", ", ".join(f"{address} ({number:,})" for address, number in one.servers.most_common(4))),
        ("asked last by", asker),
        ("last", f"{one.flow.time} {one.flow.summary}"),
    ):
        found += field(label, said, width, "error" if label == "failed" else "")
    if one.silent:
        said = f"fix  Nothing came for {PATIENCE:.0f} s: does the server run, and does a policy allow port 53?"
        found += [row(""), *lines(said, width, "good", 2)]
    return [*found, row(""), *lines("o shows them in Flows.", width, "muted")]
