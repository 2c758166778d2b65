"""``beeyard observe`` against what the real hubble prints, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.cli.main import run
from installer.domain.flows.filter_flag_table import EXTENSIONS
from tests.support.golden import FOLDER, Case, cases, recorded

DEVIATIONS = {
    **{number: extension.reason for extension in EXTENSIONS for number in extension.golden},
    "018": "stderr begins with a line of our own on what is asked for, instead of hubble's",
}
"""Cases that differ on purpose, with the reason."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("made.jsonl", "flows-cilium-1.16.jsonl"):
        (folder / name).write_bytes(recorded(name))
    return folder


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_like_hubble(
    case: Case, recordings: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    code = run(["observe", "--input-file", str(recordings / case.recording), *case.options])
    out, err = capfdbinary.readouterr()
    if case.number == "018":
        assert err.split(b"\n", 1)[1] == case.err.split(b"\n", 1)[1]
        err = case.err
    elif case.number in DEVIATIONS:
        assert (code, err) == (0, b"")
        return
    assert (code, out, err) == (case.code, case.out, case.err)


def test_all_cases_are_there() -> None:
    assert len(cases()) == 98
    assert len(list((FOLDER / "golden").glob("*.out"))) == 98
