"""Files for real: small and read-only file systems, links, owners."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from installer.adapters.host.files import LocalFiles, _link
from installer.domain.errors import BeeyardError

STAMP = "20261123T090000Z"


@pytest.fixture
def files() -> LocalFiles:
    return LocalFiles(lambda: datetime(2026, 11, 23, 9, tzinfo=UTC))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "fixed"
    folder.mkdir()
    (folder / "old").write_text("old")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_new_file_with_folders(files: LocalFiles, tmp_path: Path) -> None:
    path = tmp_path / "a/b/c"
    assert files.write(path, b"data", mode=0o640) is None
    state = files.read(path)
    assert state is not None
    assert (state.data, state.mode, state.uid, state.gid) == (b"data", 0o640, os.geteuid(), os.getegid())
    assert mode_of(tmp_path / "a") == 0o755
    assert names(path.parent) == ["c"]


def test_folders_of_a_private_file_are_private(files: LocalFiles, tmp_path: Path) -> None:
    files.write(tmp_path / "kube/config", b"", mode=0o600)
    assert mode_of(tmp_path / "kube") == 0o700


def test_absent_files(files: LocalFiles, tmp_path: Path) -> None:
    assert files.read(tmp_path / "absent") is None
    (tmp_path / "file").write_text("")
    assert files.read(tmp_path / "file/below") is None
    files.remove(tmp_path / "absent")


def test_backup_keeps_content_and_mode(files: LocalFiles, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    path.chmod(0o600)
    backup = files.write(path, b"new", mode=0o644)
    assert backup == tmp_path / f"config.beeyard-{STAMP}"
    assert (backup.read_bytes(), mode_of(backup)) == (b"old", 0o600)
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o644)
    second = files.write(path, b"newer")
    assert second == tmp_path / f"config.beeyard-{STAMP}.1"
    assert second.read_bytes() == b"new"


def test_a_backup_that_is_there_already_serves(files: LocalFiles, tmp_path: Path) -> None:
    """A run that is killed between backup and write leaves one; the next makes no second."""
    path = tmp_path / "config"
    path.write_bytes(b"old")
    first = files.write(path, b"new")
    path.write_bytes(b"old")
    assert files.write(path, b"new") == first
    path.write_bytes(b"old")
    path.chmod(0o600)
    assert files.write(path, b"new") != first, "it has another mode"


def test_what_a_killed_process_left_is_swept(files: LocalFiles, tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    for name in (f".config.{gone.pid}.abcd_123.beeyard-tmp", f".config.beeyard-{STAMP}.{gone.pid}.x.beeyard-tmp"):
        (tmp_path / name).write_text("half")
    (tmp_path / f".config.{gone.pid}.beeyard-tmp").write_text("linked")
    others = {f".config.{os.getpid()}.abcd_123.beeyard-tmp", f".other.{gone.pid}.x.beeyard-tmp", ".config.mine"}
    for name in others:
        (tmp_path / name).write_text("")
    files.write(tmp_path / "config", b"new")
    assert set(names(tmp_path)) == {"config", *others}


def test_no_backup_wanted(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"old")
    assert files.write(tmp_path / "config", b"new", backup=False) is None
    assert names(tmp_path) == ["config"]


def test_same_content_changes_nothing(files: LocalFiles, tmp_path: Path) -> None:
    path = tmp_path / "config"
    files.write(path, b"data", mode=0o600)
    before = path.stat()
    assert files.write(path, b"data", mode=0o600) is None
    assert path.stat() == before
    assert files.write(path, b"data", mode=0o644) is None, "another mode alone needs no backup"
    assert mode_of(path) == 0o644
    assert names(tmp_path) == ["config"]


@pytest.mark.root
def test_owner_of_file_and_made_folders(files: LocalFiles, tmp_path: Path) -> None:
    path = tmp_path / "home/.kube/config"
    files.write(path, b"data", mode=0o600, owner=(1234, 1235))
    assert [(one.stat().st_uid, one.stat().st_gid) for one in (path, path.parent)] == [(1234, 1235)] * 2


def test_link_is_kept(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.root
def test_link_to_another_users_file(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_bytes(b"root's")
    (tmp_path / "config").symlink_to("shadow")
    with pytest.raises(BeeyardError) as caught:
        files.write(tmp_path / "config", b"mine", owner=(1234, 1234))
    assert caught.value.code == "E-HOST-013"
    assert (tmp_path / "shadow").read_bytes() == b"root's"


def test_loop_of_links(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(BeeyardError) as caught:
        files.write(tmp_path / "one", b"")
    assert caught.value.code in ("E-HOST-010", "E-HOST-011")


def test_a_folder_is_no_file(files: LocalFiles, tmp_path: Path) -> None:
    with pytest.raises(BeeyardError) as reading:
        files.read(tmp_path)
    with pytest.raises(BeeyardError) as writing:
        files.write(tmp_path, b"")
    assert (reading.value.code, writing.value.code) == ("E-HOST-010", "E-HOST-010")


def test_a_fifo_does_not_hang(files: LocalFiles, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BeeyardError, match="cannot be read"):
        files.read(tmp_path / "fifo")


def test_a_file_in_the_way_of_a_folder(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BeeyardError) as caught:
        files.write(tmp_path / "file/below", b"")
    assert caught.value.code == "E-HOST-011"


@pytest.mark.root
def test_no_space_leaves_the_old_file(files: LocalFiles, small: Path) -> None:
    files.write(small / "config", b"old")
    with pytest.raises(BeeyardError) as caught:
        files.write(small / "config", b"x" * 400_000)
    error = caught.value
    assert error.code == "E-HOST-012"
    assert "400000 bytes are needed" in error.why
    assert str(small) in error.fix
    assert (small / "config").read_bytes() == b"old"
    assert [name for name in names(small) if "tmp" in name] == []


@pytest.mark.root
def test_no_space_for_a_large_file(files: LocalFiles, small: Path, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 400_000)
    with pytest.raises(BeeyardError) as caught:
        files.install(tmp_path / "big", small / "bin/big")
    assert caught.value.code == "E-HOST-012"
    assert names(small / "bin") == []


@pytest.mark.root
def test_read_only_file_system(files: LocalFiles, read_only: Path) -> None:
    acts: tuple[Callable[[], object], ...] = (
        lambda: files.write(read_only / "old", b"new"),
        lambda: files.write(read_only / "folder/new", b"new"),
        lambda: files.install(read_only / "old", read_only / "copy"),
        lambda: files.remove(read_only / "old"),
    )
    for act in acts:
        with pytest.raises(BeeyardError) as caught:
            act()
        assert caught.value.code == "E-HOST-011"
        assert "read-only" in caught.value.fix
    assert names(read_only) == ["old"]


@pytest.mark.root
def test_without_rights(files: LocalFiles, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    (locked / "file").write_text("old")
    os.seteuid(65534)
    try:
        with pytest.raises(BeeyardError) as reading:
            files.read(locked / "file")
        with pytest.raises(BeeyardError) as writing:
            files.write(tmp_path / "new", b"")
    finally:
        os.seteuid(0)
    assert (reading.value.code, writing.value.code) == ("E-HOST-010", "E-HOST-011")
    assert "sudo" in writing.value.fix


def test_install_copies_what_has_another_mode(files: LocalFiles, tmp_path: Path) -> None:
    source, path = tmp_path / "download", tmp_path / "bin/k3s"
    source.write_bytes(b"program")
    source.chmod(0o644)
    files.install(source, path)
    assert (path.read_bytes(), mode_of(path), mode_of(source)) == (b"program", 0o755, 0o644)
    assert path.stat().st_ino != source.stat().st_ino


def test_install_links_what_is_alike(files: LocalFiles, tmp_path: Path) -> None:
    source, path = tmp_path / "download", tmp_path / "images/all.tar"
    source.write_bytes(b"images")
    source.chmod(0o644)
    files.install(source, path, mode=0o644)
    assert path.stat().st_ino == source.stat().st_ino
    files.install(source, path, mode=0o644)
    assert names(path.parent) == ["all.tar"]


@pytest.mark.root
def test_installing_a_link_again_leaves_no_second_name(files: LocalFiles, tmp_path: Path) -> None:
    """A rename onto another name of the same file does nothing, which on an overlay cannot be seen beforehand."""
    source, target = tmp_path / "source", tmp_path / "to/target"
    source.write_bytes(b"data")
    source.chmod(0o755)
    with subprocess.Popen(["true"]) as gone:
        pass
    target.parent.mkdir()
    (target.parent / f".target.{gone.pid}.beeyard-tmp").write_text("left")
    files.install(source, target)
    assert _link(source, target)
    assert names(target.parent) == ["target"]


def test_install_never_links_another_users_file(files: LocalFiles, tmp_path: Path) -> None:
    source, path = tmp_path / "download", tmp_path / "k3s"
    source.write_bytes(b"program")
    source.chmod(0o755)
    os.chown(source, 1234, 1234)
    files.install(source, path)
    assert path.stat().st_ino != source.stat().st_ino
    assert path.stat().st_uid == 0


def test_install_replaces_a_running_program(files: LocalFiles, tmp_path: Path) -> None:
    path, new = tmp_path / "program", tmp_path / "new"
    files.install(Path("/bin/sleep").resolve(), path)
    new.write_bytes(b"#!/bin/sh\n")
    with subprocess.Popen([path, "1000"]) as running:
        files.install(new, path)
        assert running.poll() is None
        running.kill()
    assert path.read_bytes() == b"#!/bin/sh\n"


def test_install_of_nothing(files: LocalFiles, tmp_path: Path) -> None:
    with pytest.raises(BeeyardError) as caught:
        files.install(tmp_path / "absent", tmp_path / "k3s")
    assert caught.value.code == "E-HOST-010"
