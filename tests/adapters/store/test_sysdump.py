"""The support archive as a file: its name, its mode, and that nothing is overwritten or left behind."""

from __future__ import annotations

import stat
import tarfile
from pathlib import Path

import pytest

from installer.adapters.store.sysdump import check_target, write_archive
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.sysdump.entry import Entry

ENTRIES = [
    Entry("index.html", "page", b"<p>"),
    Entry("host/none.txt", "nothing", b"", error="no"),
    Entry("a/b", "b", b"x"),
]


@pytest.mark.parametrize(
    ("name", "code"), [("case.zip", "E-DUMP-001"), ("there.tar.gz", "E-DUMP-002"), ("none/case.tgz", "E-DUMP-003")]
)
def test_names_and_files_in_the_way(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "there.tar.gz").write_text("mine")
    with pytest.raises(UsageError) as caught:
        check_target(tmp_path / name)
    assert caught.value.code == code


def test_it_is_its_owners_alone_and_holds_what_has_content(tmp_path: Path) -> None:
    path = check_target(tmp_path / "case.tar.gz")
    assert write_archive(path, ENTRIES, when=1_700_000_000) == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["case/index.html", "case/a/b"]
        assert {one.mode for one in tar.getmembers()} == {0o600}
    assert [one.name for one in tmp_path.iterdir()] == ["case.tar.gz"]


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "case.tar.zst"
    path.write_text("mine")
    with pytest.raises(BeeyardError) as caught:
        write_archive(path, ENTRIES, when=0)
    assert caught.value.code == "E-DUMP-004"
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["case.tar.zst"]
