"""`scripts/kill_matrix`: every case in a world of its own, several at once, compared with undisturbed installs."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.e2e.kill import state
from tests.e2e.kill.cases import CASES, SOURCES, Case
from tests.e2e.kill.drive import Outcome, carry_out
from tests.support.cluster import ROOT, run_testbed

_REFERENCES = 2
"""Undisturbed installs of each source; in what they differ, an interrupted one may differ too."""
_CASE_SECONDS = 600


@dataclass(slots=True)
class Row:
    """A case and what came of it."""

    outcome: Outcome
    seconds: float
    differences: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        outcome = self.outcome
        return not (self.differences or outcome.lost or outcome.error or outcome.changes)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the matrix; 0 if every case ends in the state of an undisturbed install."""
    parser = argparse.ArgumentParser(prog="scripts/kill_matrix", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--jobs", type=int, default=2, help="worlds side by side (default 2)")
    parser.add_argument("--out", type=Path, help="folder for the figures and every final state (default: a new one)")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--one", nargs=3, metavar=("CASE", "BUNDLE", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    chosen = [case for case in CASES if re.search(given.only, case.id)]
    if given.list:
        print("\n".join(case.id for case in chosen))
        return 0
    if given.one:
        return _one(*given.one)
    out = given.out or Path(tempfile.mkdtemp(prefix="kill-matrix-"))
    out.mkdir(parents=True, exist_ok=True)
    return _Matrix(chosen, given.jobs, out.resolve()).run()


def _one(name: str, bundle: str, result: str) -> int:
    """Carry out one case in the world that this process is in."""
    case = next((case for case in CASES if case.id == name), None)
    outcome = carry_out(case, name.partition("-")[0], Path(bundle))
    Path(result).write_text(json.dumps(asdict(outcome), indent=1, sort_keys=True))
    return 0


class _Matrix:
    def __init__(self, cases: list[Case], jobs: int, out: Path) -> None:
        self._cases = cases
        self._jobs = jobs
        self._out = out
        self._bundle = str(out / "bundle")
        if not Path(self._bundle).exists():
            shutil.copytree(run_testbed("bundle"), self._bundle)  # a build meanwhile takes nothing away
        self._done = 0
        self._number = itertools.count()

    def run(self) -> int:
        began = time.monotonic()
        used = [source for source in SOURCES if any(case.point.source == source for case in self._cases)]
        names = [f"{source}-undisturbed-{number}" for source in used for number in range(1, _REFERENCES + 1)]
        with ThreadPoolExecutor(self._jobs) as pool:
            references = dict(zip(names, pool.map(self._row, names), strict=True))
            broken = [row for row in references.values() if not row.good]
            if broken:
                print(_table(broken))
                return 1
            states = {
                source: [references[name].outcome.state for name in names if name.startswith(source)] for source in used
            }
            rows = list(pool.map(lambda case: self._compared(case, states[case.point.source]), self._cases))
        silent = {source: sorted(state.varying(found)) for source, found in states.items()}
        text = _report(rows, silent, time.monotonic() - began)
        (self._out / "figures.md").write_text(text)
        (self._out / "varying.json").write_text(json.dumps(silent, indent=1))
        print(text)
        print(f"written to {self._out}", file=sys.stderr)
        return 0 if all(row.good for row in rows) else 1

    def _compared(self, case: Case, references: list[state.State]) -> Row:
        row = self._row(case.id)
        if not row.outcome.error:
            row.differences = state.differences(references[0], row.outcome.state, state.varying(references))
        self._done += 1
        verdict = "as undisturbed" if row.good else "; ".join([row.outcome.error, *row.outcome.lost, *row.differences])
        print(
            f"{self._done}/{len(self._cases)} {case.id} {row.seconds:.0f} s: {verdict[:2000]}",
            file=sys.stderr,
            flush=True,
        )
        return row

    def _row(self, name: str) -> Row:
        """Carry out a case in a new world."""
        result, log = self._out / f"{name}.json", self._out / f"{name}.log"
        result.unlink(missing_ok=True)
        world = f"kill-{os.getpid()}-{next(self._number)}"
        inside = [sys.executable, "-m", "tests.e2e.kill.matrix", "--one", name, self._bundle, str(result)]
        command = [str(ROOT / "scripts/testbed"), "world", world, "--share", str(self._out), "--", *inside]
        began = time.monotonic()
        with log.open("wb") as talk:
            try:
                subprocess.run(
                    command,
                    stdout=talk,
                    stderr=talk,
                    stdin=subprocess.DEVNULL,
                    cwd=ROOT,
                    timeout=_CASE_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                talk.write(b"it took too long\n")
        seconds = time.monotonic() - began
        if not result.exists():
            last = log.read_text(errors="replace")[-800:]
            return Row(Outcome(name, "", "", "", error=f"no result: {last}"), seconds)
        return Row(Outcome(**json.loads(result.read_text())), seconds)


def _table(rows: list[Row]) -> str:
    lines = [
        "| step | point | what happened | first run ended | resumed in | differences | lost |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        one = row.outcome
        ended = f"signal {-one.ended}" if one.ended < 0 else f"exit {one.ended}"
        wrong = one.error or (f"{one.changes} changes left" if one.changes else len(row.differences))
        cells = [one.step, one.point or one.id, one.how, ended, f"{one.resumed:.1f} s", str(wrong), str(len(one.lost))]
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "/")[:300] for cell in cells) + " |")
    return "\n".join(lines)


def _report(rows: list[Row], silent: dict[str, list[str]], seconds: float) -> str:
    bad = [row for row in rows if not row.good]
    resumed = sorted(row.outcome.resumed for row in rows if not row.outcome.error) or [0.0]
    compared = {source: len(keys) for source, keys in silent.items()}
    counts = {
        "interruptions": len(rows),
        "differences in the final state": sum(len(row.differences) for row in rows),
        "lost user files": sum(len(row.outcome.lost) for row in rows),
        "did not finish": sum(bool(row.outcome.error) for row in rows),
        "changes left": sum(row.outcome.changes for row in rows),
    }
    facts = [
        "# The kill matrix",
        ", ".join(f"{number} {what}" for what, number in counts.items()) + f"; {seconds / 60:.1f} minutes.",
        f"Resumed in {resumed[0]:.1f} s at least, {resumed[len(resumed) // 2]:.1f} s in the middle, "
        f"{resumed[-1]:.1f} s at most.",
        f"Facts compared: {max((len(row.outcome.state) for row in rows), default=0)} in each final state; left out, "
        f"because undisturbed installs differ in them: {compared}.",
        "",
        _table(rows),
    ]
    for row in bad:
        facts += ["", f"## {row.outcome.id}", row.outcome.error]
        facts += [f"- {line}" for line in (*row.outcome.lost, *row.differences[:50])]
    return "\n".join(facts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
