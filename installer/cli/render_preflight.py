"""What preflight found, as plain text. A verdict is always a word."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from installer.domain.kernel.feature import Weight
from installer.domain.kernel.judgement import Row
from installer.domain.kernel.proof import KernelProof, Verdict
from installer.domain.kernel.settings import SETTINGS
from installer.domain.preflight import Finding, Level
from installer.domain.text import printable
from installer.services.preflight import Examination

_WIDTH = 100
_WORDS = {Verdict.WORKS: "works", Verdict.MISSING: "missing", Verdict.UNTRIED: "not tried"}


def render(found: Examination, *, kernel: bool) -> str:
    """Return the findings, and the table of the kernel's features where asked for."""
    parts = ["\n".join(_findings(found.findings))]
    if kernel and found.proof is not None:
        parts.append("\n".join(_kernel(found.rows, found.proof)))
    return printable("\n\n".join(parts))


def _findings(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        yield from _wrapped(f"{finding.level!s:<8} {finding.code}  ", finding.what)
        mended = "beeyard preflight --fix does it" if finding.fixable else ""
        for name, text in (("found", finding.evidence), ("fix", finding.fix), ("safe", mended)):
            if text:
                yield from _wrapped(f"{name:>16}: ", text)
    count = Counter(finding.level for finding in findings)
    stops = count[Level.ERROR]
    verdict = f"{stops} errors stand in the way" if stops else "Nothing stands in the way"
    yield f"{verdict}; {count[Level.WARNING]} warnings."


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    ) or [head]


def _kernel(rows: list[Row], proof: KernelProof) -> Iterator[str]:
    source = f"configuration in {proof.config_source}" if proof.config_source else "no configuration to be read"
    yield f"Kernel {proof.release}: {len(rows)} features tried in {proof.seconds:.1f} s; {source}"
    if proof.trouble:
        yield from _wrapped("The trials ended early: ", proof.trouble)
    if proof.loaded:
        yield from _wrapped("The kernel loaded modules for it: ", ", ".join(proof.loaded))
    width = max(len(row.feature.title) for row in rows)
    yield f"  {'FEATURE':<{width}}  ANSWER     NEEDED HERE BY"
    for row in rows:
        yield from _row(row, width)
    yield from _reasons(rows)
    yield _sum(rows)


def _reasons(rows: list[Row]) -> Iterator[str]:
    """Tell once why features were not tried, whatever their number."""
    untried = [row for row in rows if row.verdict is Verdict.UNTRIED]
    fixes = {row.evidence: row.fix for row in untried if not row.lacking}
    for evidence, number in Counter(row.evidence for row in untried).items():
        yield from _wrapped(f"  not tried ({number}): ", evidence)
        if fix := fixes.get(evidence):
            yield from _wrapped("      fix: ", fix)


def _row(row: Row, width: int) -> Iterator[str]:
    head = f"  {row.feature.title:<{width}}  {_WORDS[row.verdict]:<9}  "
    yield from _wrapped(head, ", ".join(SETTINGS[name].what for name in row.wanted_by) or "-")
    if row.verdict is Verdict.WORKS and not row.disagrees:
        return
    for name, text in _details(row):
        yield from _wrapped(f"      {name}: ", text)


def _details(row: Row) -> Iterator[tuple[str, str]]:
    lacks = row.lacking
    missing = row.verdict is Verdict.MISSING
    yield from (
        (name, text)
        for name, text in (
            ("found", row.evidence if missing else ""),
            ("configuration", row.testimony),
            (
                "note",
                "the trial and the configuration contradict each other; the trial counts" if row.disagrees else "",
            ),
            ("for", row.feature.purpose if lacks else ""),
            ("needed by", _settings(row) if lacks and not row.wanted_by else ""),
            ("without it", row.feature.without if lacks else ""),
            ("fix", row.fix if lacks else ""),
        )
        if text
    )


def _settings(row: Row) -> str:
    found = (SETTINGS[name] for name in row.feature.settings)
    return ", ".join(f"{one.what} ({one.path})" if one.path else one.what for one in found)


def _sum(rows: list[Row]) -> str:
    count = Counter(row.verdict for row in rows)
    needed = sum(bool(row.wanted_by) and row.lacking and row.feature.weight is not Weight.NOTE for row in rows)
    return (
        f"{count[Verdict.WORKS]} work, {count[Verdict.MISSING]} are missing, {count[Verdict.UNTRIED]} could not be "
        f"tried. Needed here and missing: {needed}."
    )
