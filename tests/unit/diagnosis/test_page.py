"""docs/failure-modes.md is what the table says, and every check it names exists."""

from __future__ import annotations

import re
from pathlib import Path

from installer.domain.diagnosis.failure_modes import MODES, mode_of_check, page

ROOT = Path(__file__).parents[3]


def test_the_page_is_in_step() -> None:
    assert (ROOT / "docs/failure-modes.md").read_text() == page(), "run scripts/gen_failure_modes"


def test_checks_named_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "installer/domain/preflight").glob("*.py"))
    known = set(re.findall(r"E-PRE-\d{3}", sources))
    for mode in MODES:
        assert set(mode.checks) <= known, f"mode {mode.number}"


def test_a_check_belongs_to_one_mode() -> None:
    named = [code for mode in MODES for code in mode.checks]
    assert len(named) == len(set(named))
    mode = mode_of_check("E-PRE-043")
    assert mode is not None
    assert mode.number == 3
    assert mode_of_check("E-PRE-999") is None
