"""The figures of a matrix: one line for each interruption, and what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.e2e.kill import state
from tests.e2e.kill.cases import CASES
from tests.e2e.kill.drive import Outcome
from tests.e2e.kill.faults import FAULTS

_BY_NAME = {case.id: case for case in CASES}


@dataclass(slots=True)
class Row:
    """An install with its interruptions, and what came of it."""

    outcome: Outcome
    seconds: float
    differences: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        outcome = self.outcome
        return not (self.differences or outcome.lost or outcome.error or outcome.changes)

    @property
    def verdict(self) -> str:
        """Everything that is wrong."""
        left = f"{self.outcome.changes} changes left" if self.outcome.changes else ""
        wrong = [self.outcome.error, left, *self.outcome.lost, *self.differences]
        return "; ".join(part for part in wrong if part) or "as undisturbed"


def report(rows: list[Row], references: Mapping[str, list[state.State]], seconds: float) -> str:
    """Return the figures as Markdown."""
    resumed = sorted(row.outcome.resumed for row in rows if not row.outcome.error) or [0.0]
    counts = {
        "interruptions": sum(len(row.outcome.cases) for row in rows),
        "installs": len(rows),
        "differences in the final state": sum(len(row.differences) for row in rows),
        "lost user files": sum(len(row.outcome.lost) for row in rows),
        "did not finish": sum(bool(row.outcome.error) for row in rows),
        "changes left": sum(row.outcome.changes for row in rows),
    }
    silent = {source: len(state.varying(found)) for source, found in references.items()}
    facts = [
        "# The kill matrix",
        ", ".join(f"{number} {what}" for what, number in counts.items()) + f"; {seconds / 60:.1f} minutes.",
        f"The run after the last interruption took {resumed[0]:.1f} s at least, {resumed[len(resumed) // 2]:.1f} s in "
        f"the middle, {resumed[-1]:.1f} s at most.",
        f"Facts compared: {max((len(row.outcome.state) for row in rows), default=0)} of each final state; left out, "
        f"because undisturbed installs differ in them: {silent}.",
        "",
        "| install | step | point | what happened | run ended | resumed in | differences | lost |",
        "|---|---|---|---|---|---|---|---|",
        *(line for number, row in enumerate(rows, 1) for line in _lines(number, row)),
    ]
    for number, row in enumerate(rows, 1):
        if not row.good:
            facts += ["", f"## Install {number}: {', '.join(row.outcome.cases)}", row.outcome.error]
            facts += [f"- {line}" for line in (*row.outcome.lost, *row.differences[:50])]
    return "\n".join(facts) + "\n"


def _lines(number: int, row: Row) -> list[str]:
    one, lines = row.outcome, []
    for place, name in enumerate(one.cases):
        case, last = _BY_NAME[name], place == len(one.cases) - 1
        code = one.ended[place] if place < len(one.ended) else None
        ended = "?" if code is None else f"signal {-code}" if code < 0 else f"exit {code}"
        cells = [str(number), case.point.step, case.point.name, FAULTS[case.fault].says, ended]
        wrong = one.error or (f"{one.changes} changes left" if one.changes else str(len(row.differences)))
        cells += [f"{one.resumed:.1f} s", wrong, str(len(one.lost))] if last else ["next line", "", ""]
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "/")[:300] for cell in cells) + " |")
    return lines
