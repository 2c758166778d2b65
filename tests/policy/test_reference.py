"""The reference table of verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.domain.policy.cases import read_case, run_case

FOLDER = Path(__file__).parent / "cases"
CASES = [
    pytest.param(raw, id=f"{path.stem}-{raw['id']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for raw in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)  # safe, and fast
]


@pytest.mark.parametrize("raw", CASES)
def test_verdict(raw: dict[str, Any]) -> None:
    result = run_case(read_case(raw, "case"))
    assert result.got == result.expect, result.why


def test_the_reference_table_is_whole() -> None:
    assert len(yaml.load((FOLDER / "reference.yaml").read_text(), Loader=yaml.CSafeLoader)) == 132
