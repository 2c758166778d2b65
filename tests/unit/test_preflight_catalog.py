"""The table of findings, its documentation and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from installer.domain.preflight.catalog import RULES, table
from installer.domain.preflight.fixes import SAFE

ROOT = Path(__file__).parents[2]
CODES = [rule.code for rule in RULES]


def test_every_code_is_in_the_table_once() -> None:
    folder = ROOT / "installer/domain/preflight"
    sources = [path for path in folder.rglob("*.py") if path.name not in ("catalog.py", "fixes.py")]
    used = {code for path in sources for code in re.findall(r"E-PRE-\d{3}", path.read_text())}
    assert set(CODES) == used
    assert sorted(set(CODES)) == CODES


def test_all_safe_fixes_are_of_findings() -> None:
    assert set(CODES) >= SAFE


def test_the_page_has_this_very_table() -> None:
    page = (ROOT / "docs/preflight.md").read_text()
    assert page.endswith(table()), "run scripts/gen_preflight_docs"
