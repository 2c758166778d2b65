from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.adapters.store.exports import write_export
from installer.domain.errors import BeeyardError, UsageError


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert write_export(path, iter([b"a\n", b"bc\n"])) == 5
    assert path.read_bytes() == b"a\nbc\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert left(tmp_path) == ["out.jsonl"]


def test_another_file_is_overwritten_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(UsageError) as caught:
        write_export(path, iter([b"new"]))
    assert caught.value.code == "E-EXPORT-001"
    assert path.read_text() == "mine"
    write_export(path, iter([b"new"]), overwrite=True)
    assert path.read_text() == "new"
    assert left(tmp_path) == ["out.csv"]


def test_a_source_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise ValueError

    with pytest.raises(ValueError):
        write_export(tmp_path / "x", broken())
    assert left(tmp_path) == []


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(BeeyardError) as caught:
        write_export(tmp_path / "none" / "x", iter([b"a"]))
    assert caught.value.code == "E-EXPORT-003"


@pytest.mark.root
def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    try:
        with pytest.raises(BeeyardError) as caught:
            write_export(tmp_path / "x", iter([b"a" * 8192] * 100))
        assert caught.value.code == "E-EXPORT-002"
        assert "No space left" in caught.value.why
        assert left(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
