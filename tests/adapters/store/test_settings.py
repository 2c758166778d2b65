from __future__ import annotations

from pathlib import Path

import pytest

from installer.adapters.store.settings import SettingsFile
from installer.domain.errors import BeeyardError


def test_no_file_is_no_settings(tmp_path: Path) -> None:
    stored = SettingsFile(tmp_path / "settings.yaml").load()
    assert (dict(stored.data), stored.problem) == ({}, None)


def test_written_and_read_again(tmp_path: Path) -> None:
    store = SettingsFile(tmp_path / "new" / "settings.yaml")
    store.save({"theme": "beeyard-light", "filters": {"mine": "a: [b]"}})
    assert store.load().data == {"theme": "beeyard-light", "filters": {"mine": "a: [b]"}}
    assert store.path.read_text().startswith("# Settings of beeyard")
    assert [path.name for path in store.path.parent.iterdir()] == ["settings.yaml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    link = tmp_path / "settings.yaml"
    link.symlink_to(tmp_path / "dotfiles" / "mine.yaml")
    SettingsFile(link).save({"ascii": True})
    assert link.is_symlink()
    assert "ascii: true" in (tmp_path / "dotfiles" / "mine.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"theme: [x\nascii: {", "line 2"),
        (b"- a\n", "it holds a list, not a mapping"),
        (b"\xff\xfe", "it is not text"),
        (b"!!python/object:os.system x", "could not determine a constructor"),
    ],
)
def test_a_broken_file_is_kept_aside_and_told(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "settings.yaml"
    for name in ("settings.yaml.broken", "settings.yaml.broken-2"):
        path.write_bytes(content)
        stored = SettingsFile(path).load()
        assert not stored.data
        assert stored.problem is not None
        assert stored.problem.code == "E-SET-001"
        assert why in stored.problem.why
        assert not path.exists()
        assert (tmp_path / name).read_bytes() == content
        assert name in stored.problem.fix


def test_what_cannot_be_read_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.mkdir()
    problem = SettingsFile(path).load().problem
    assert problem is not None
    assert problem.code == "E-SET-002"
    assert path.is_dir()


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BeeyardError) as caught:
        SettingsFile(tmp_path / "file" / "settings.yaml").save({})
    assert caught.value.code == "E-SET-003"
