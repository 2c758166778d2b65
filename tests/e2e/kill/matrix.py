"""`scripts/kill_matrix`: every case in a world of its own, several at once, compared with undisturbed installs."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.kill import state
from tests.e2e.kill.cases import CASES, SOURCES, Case, chains
from tests.e2e.kill.figures import Row, report
from tests.e2e.kill.installs import Installs
from tests.support.cluster import run_testbed

_REFERENCES = 2
"""Undisturbed installs of each source; in what they differ, an interrupted one may differ too."""
_LONGEST = 6
"""Interruptions of one install."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the matrix; 0 if every install ends in the state of an undisturbed one."""
    parser = argparse.ArgumentParser(prog="scripts/kill_matrix", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--single", action="store_true", help="one interruption for each install (three times as long)")
    parser.add_argument("--jobs", type=int, default=2, help="worlds side by side (default 2)")
    parser.add_argument("--out", type=Path, help="folder for figures and final states; goes on with what is there")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    given = parser.parse_args(argv)
    chosen = [case for case in CASES if re.search(given.only, case.id)]
    planned = sorted(chains(chosen, 1 if given.single else _LONGEST), key=len, reverse=True)
    if given.list:
        print("\n\n".join("\n".join(case.id for case in chain) for chain in planned))
        return 0
    out = given.out or Path(tempfile.mkdtemp(prefix="kill-matrix-"))
    out.mkdir(parents=True, exist_ok=True)
    return _Matrix(planned, given.jobs, out.resolve()).run()


class _Matrix:
    def __init__(self, planned: list[tuple[Case, ...]], jobs: int, out: Path) -> None:
        self._planned = planned
        self._jobs = jobs
        self._out = out
        bundle = out / "bundle"
        if not bundle.exists():
            shutil.copytree(run_testbed("bundle"), bundle)  # a build meanwhile takes nothing away
        self._installs = Installs(out, bundle)
        self._references: dict[str, list[state.State]] = {}

    def run(self) -> int:
        began = time.monotonic()
        used = [source for source in SOURCES if any(chain[0].point.source == source for chain in self._planned)]
        wanted = [(source, number) for source in used for number in range(1, _REFERENCES + 1)]
        with ThreadPoolExecutor(self._jobs) as pool:
            undisturbed = list(pool.map(lambda one: self._installs.run((), *one), wanted))
            if broken := [row.verdict for row in undisturbed if not row.good]:
                print("\n".join(broken))
                return 1
            for (source, _), row in zip(wanted, undisturbed, strict=True):
                self._references.setdefault(source, []).append(row.outcome.state)
            rows = list(pool.map(self._compared, self._planned))
            again = [
                case for row, chain in zip(rows, self._planned, strict=True) if self._unclear(row) for case in chain
            ]
            rows = [row for row in rows if not self._unclear(row)]
            rows += pool.map(lambda case: self._compared((case,)), again)
        text = report(rows, self._references, time.monotonic() - began)
        (self._out / "figures.md").write_text(text)
        print(text)
        print(f"written to {self._out}", file=sys.stderr)
        return 0 if all(row.good for row in rows) else 1

    def _unclear(self, row: Row) -> bool:
        """Tell whether something is wrong after several interruptions: each is tried by itself then."""
        return not row.good and len(row.outcome.cases) > 1

    def _compared(self, chain: tuple[Case, ...]) -> Row:
        row = self._installs.run(chain, chain[0].point.source)
        if not row.outcome.error:
            row.differences = state.differences(self._references[chain[0].point.source], row.outcome.state)
        names = " + ".join(case.id for case in chain)
        print(f"{names}, {row.seconds:.0f} s: {row.verdict[:3000]}", file=sys.stderr, flush=True)
        return row


if __name__ == "__main__":
    raise SystemExit(main())
