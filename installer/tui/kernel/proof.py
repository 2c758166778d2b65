"""What this kernel can do for Cilium."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from installer.domain.kernel.feature import Weight
from installer.domain.kernel.judgement import Row as FeatureRow
from installer.domain.kernel.proof import Verdict
from installer.domain.kernel.settings import SETTINGS
from installer.services.kernel_proof import KernelReport
from installer.tui.flows.columns import Column
from installer.tui.kernel.table import Page, Table, field, lines
from installer.tui.policies.rows import Row, row

_COLUMNS = (
    Column("title", "FEATURE", 24, grow=2),
    Column("answer", "ANSWER", 9),
    Column("needed", "NEEDED HERE BY", 14, grow=2, needs=58),
    Column("note", "WHAT TO DO", 20, grow=3, needs=120),
)
_WORDS = {Verdict.WORKS: "works", Verdict.MISSING: "missing", Verdict.UNTRIED: "not tried"}
_WITNESS = {"for": "speaks for it", "against": "speaks against it", "silent": "says nothing"}
NOT_YET = """\
r tries this kernel: every program type, map, helper, hook and device that Cilium needs is loaded or made, and taken \
away again, in a process and in namespaces of its own. It takes a few seconds and needs root; without it the kernel's \
configuration is what is left to judge by.

Nothing on this host is changed."""


@dataclass(frozen=True, slots=True)
class FeatureTarget:
    """A feature."""

    id: str


def page(report: KernelReport, width: int) -> Page:
    """Return the table: what is missing and needed first."""
    table = Table(_COLUMNS, frozenset(), width)
    proof, rows = report.proof, sorted(report.rows, key=_order)
    count = Counter(one.verdict for one in rows)
    needed = sum(_hurts(one) for one in rows)
    source = f"configuration in {proof.config_source}" if proof.config_source else "no configuration to be read"
    summary = [
        row(
            (f" Linux {proof.release} ", "name"),
            (f"{count[Verdict.WORKS]} work", "good"),
            ", ",
            (f"{count[Verdict.MISSING]} missing", "warning" if count[Verdict.MISSING] else "muted"),
            ", ",
            (f"{count[Verdict.UNTRIED]} not tried", "warning" if count[Verdict.UNTRIED] else "muted"),
            "; needed and missing: ",
            (str(needed), "error" if needed else "good"),
        ),
        row((f" for {report.wanted}; {source}; {proof.seconds:.1f} s", "muted")),
    ]
    if proof.trouble:
        summary += lines(f" The trials ended early: {proof.trouble}", width, "warning", 1)
    return Page(table.head, [_row(table, one) for one in rows], summary)


def _order(one: FeatureRow) -> tuple[bool, bool, bool]:
    return not _hurts(one), not one.lacking, one.verdict is Verdict.WORKS


def _hurts(one: FeatureRow) -> bool:
    return bool(one.wanted_by) and one.lacking and one.feature.weight is not Weight.NOTE


def _style(one: FeatureRow) -> str:
    if one.verdict is Verdict.WORKS:
        return "good"
    return "error" if _hurts(one) else "warning"


def _row(table: Table, one: FeatureRow) -> Row:
    needed = ", ".join(SETTINGS[name].what for name in one.wanted_by)
    return table.row(
        {
            "title": one.feature.title,
            "answer": (_WORDS[one.verdict], _style(one)),
            "needed": needed or ("-", "muted"),
            "note": (one.fix or ("" if one.verdict is Verdict.WORKS else one.evidence), "muted"),
        },
        FeatureTarget(one.feature.id),
    )


def find(report: KernelReport, target: FeatureTarget) -> FeatureRow | None:
    """Return the row of a feature."""
    return next((one for one in report.rows if one.feature.id == target.id), None)


def detail(one: FeatureRow, width: int) -> list[Row]:
    """Return all about a feature: both witnesses, who needs it, what helps."""
    feature = one.feature
    found = [*lines(feature.title, width, "head"), row("")]
    found += field("answer", _WORDS[one.verdict], width, _style(one))
    found += field("tried", one.evidence or "the kernel took it", width)
    found += field(
        "configuration", f"{_WITNESS[str(one.witness)]}{': ' if one.testimony else ''}{one.testimony}", width
    )
    if one.disagrees:
        found += field("note", "trial and configuration contradict each other; the trial counts", width, "warning")
    found += field("purpose", feature.purpose, width)
    found += field("needed here by", _settings(one.wanted_by) or "nothing", width)
    others = [name for name in feature.settings if name not in one.wanted_by]
    found += field("would be needed by", _settings(others), width)
    found += field("without it", feature.without, width)
    found += field("instead", "another feature that works does as well" if one.replaced else "", width)
    return found + field("fix", one.fix, width, "good")


def _settings(names: Sequence[str]) -> str:
    found = (SETTINGS[name] for name in names)
    return ", ".join(f"{one.what} ({one.path})" if one.path else one.what for one in found)
