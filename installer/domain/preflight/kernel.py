"""Checks of what came of trying the kernel's features."""

from __future__ import annotations

from collections.abc import Iterator

from installer.domain.kernel.feature import Weight
from installer.domain.kernel.judgement import Row, judge
from installer.domain.kernel.proof import Verdict
from installer.domain.kernel.settings import SETTINGS
from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.findings import Finding, Level, Wanted


def kernel_rows(facts: HostFacts, wanted: Wanted) -> list[Row]:
    """Return what the kernel's answers mean, a row for each feature; none where it was not tried."""
    if facts.kernel_proof is None:
        return []
    return judge(facts.kernel_proof, wanted.kernel, distribution=" ".join((facts.os_id, *facts.os_like)))


def check_features(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """What was proven missing refuses; what Cilium can do without warns."""
    rows = [row for row in kernel_rows(facts, wanted) if row.wanted_by]
    for row in rows:
        if row.verdict is Verdict.MISSING:
            yield _missing(row, wanted)
        elif row.lacking and row.feature.weight is not Weight.NOTE:
            yield _doubtful(row)
    untried = [row for row in rows if row.verdict is Verdict.UNTRIED and not row.lacking]
    if untried:
        yield _untried(untried, facts)


def _missing(row: Row, wanted: Wanted) -> Finding:
    who = ", ".join(SETTINGS[name].what for name in row.wanted_by)
    title = row.feature.title
    if row.stops:
        level = Level.WARNING if wanted.allow_unsupported else Level.ERROR
        return Finding("E-PRE-050", level, row.feature.id, f"the kernel has no {title}, needed by: {who}", *_why(row))
    level = Level.INFO if row.feature.weight is Weight.NOTE else Level.WARNING
    what = f"the kernel has no {title}: {row.feature.without or 'something else does as well'}"
    return Finding("E-PRE-051", level, row.feature.id, what, *_why(row))


def _doubtful(row: Row) -> Finding:
    what = f"the kernel seems to have no {row.feature.title}, which could not be tried"
    return Finding("E-PRE-052", Level.WARNING, row.feature.id, what, *_why(row))


def _why(row: Row) -> tuple[str, str]:
    return "; ".join(filter(None, (row.evidence, row.testimony))), row.fix


def _untried(rows: list[Row], facts: HostFacts) -> Finding:
    """Say once that features were not tried; without root that is no surprise."""
    first = rows[0]
    names = ", ".join(row.feature.title for row in rows[:3]) + (" …" if len(rows) > 3 else "")
    return Finding(
        "E-PRE-053",
        Level.INFO if facts.uid != 0 else Level.WARNING,
        "kernel",
        f"{len(rows)} features of the kernel could not be tried: {names}",
        first.evidence,
        first.fix or "run `beeyard preflight --kernel` to see what the kernel's configuration says",
    )


CHECKS = (check_features,)
