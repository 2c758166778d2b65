"""Installs with interruptions, each in a world of its own; run as a program, it is what happens in that world."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.e2e.kill.cases import CASES, Case
from tests.e2e.kill.drive import Outcome, carry_out
from tests.e2e.kill.figures import Row
from tests.support.cluster import ROOT

_SECONDS = 900
"""How long an install with all its interruptions may take."""


class Installs:
    """Carries out installs.

    Args:
        out: folder for final states and logs; results that are there already are taken.
        bundle: what is installed.
    """

    def __init__(self, out: Path, bundle: Path) -> None:
        self._out = out
        self._bundle = bundle
        self._number = itertools.count()

    def run(self, chain: tuple[Case, ...], source: str, number: int = 0) -> Row:
        """Carry out an install in a new world, unless its result is there already."""
        names = " ".join(case.id for case in chain)
        known_by = hashlib.sha256(names.encode()).hexdigest()[:12] if chain else f"undisturbed-{number}"
        result, log = (self._out / f"{source}-{known_by}.{kind}" for kind in ("json", "log"))
        if result.exists():
            known = Outcome(**json.loads(result.read_text()))
            if not known.error:
                return Row(known, 0.0)
            result.unlink()
        world = f"kill-{os.getpid()}-{next(self._number)}"
        inside = [sys.executable, "-m", "tests.e2e.kill.installs", names, source, str(self._bundle), str(result)]
        command = [str(ROOT / "scripts/testbed"), "world", world, "--share", str(self._out), "--", *inside]
        began = time.monotonic()
        with (
            log.open("wb") as talk,
            subprocess.Popen(command, stdout=talk, stderr=talk, stdin=subprocess.DEVNULL, cwd=ROOT) as running,
        ):
            try:
                running.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                talk.write(b"it took too long\n")
                running.terminate()
        seconds = time.monotonic() - began
        if not result.exists():
            last = log.read_text(errors="replace")[-800:]
            return Row(Outcome([case.id for case in chain], error=f"no result: {last}"), seconds)
        return Row(Outcome(**json.loads(result.read_text())), seconds)


def main(names: str, source: str, bundle: str, result: str) -> None:
    """Carry out one install in the world that this process is in."""
    cases = [case for name in names.split() for case in CASES if case.id == name]
    outcome = carry_out(cases, source, Path(bundle))
    Path(result).write_text(json.dumps(asdict(outcome), indent=1, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
