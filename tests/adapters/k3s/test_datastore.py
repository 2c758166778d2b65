"""The datastore on real files: a real SQLite database with a write-ahead log, and a tree like etcd's."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from installer.adapters.k3s.datastore import ASIDE, LocalDatastore
from installer.domain.errors import BeeyardError
from installer.ports.datastore import DatastoreKind

STORE = LocalDatastore()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory whose database was not closed: a part of it is in its log only, as after a kill."""
    folder = tmp_path / "k3s/server/db"
    folder.mkdir(parents=True)
    pid = os.fork()
    if pid == 0:
        database = sqlite3.connect(folder / "state.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("CREATE TABLE kine (name TEXT)")
        database.execute("INSERT INTO kine VALUES ('before')")
        os._exit(0)  # no checkpoint: what was written is in the log only
    assert os.waitpid(pid, 0)[1] == 0
    assert (folder / "state.db-wal").stat().st_size > 0
    return tmp_path / "k3s"


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT name FROM kine")]


def add(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO kine VALUES (?)", (name,))


def test_a_copy_holds_what_was_in_the_log_only(data: Path, tmp_path: Path) -> None:
    assert STORE.kind(data) is DatastoreKind.SQLITE
    assert STORE.size(data) > 0
    STORE.copy(data, tmp_path / "copy")
    assert names(tmp_path / "copy/state.db") == ["before"]
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["state.db"]


def test_putting_back_keeps_what_was_written_since(data: Path, tmp_path: Path) -> None:
    STORE.copy(data, tmp_path / "copy")
    add(data / "server/db/state.db", "after")
    aside = STORE.put_back(data, tmp_path / "copy")
    assert aside == data / "server/db" / ASIDE
    assert names(data / "server/db/state.db") == ["before"]
    assert names(aside / "state.db") == ["before", "after"]
    assert not (data / "server/db/state.db-wal").exists()


def test_putting_back_goes_on_after_a_kill_between_its_two_renames(data: Path, tmp_path: Path) -> None:
    STORE.copy(data, tmp_path / "copy")
    add(data / "server/db/state.db", "after")
    STORE.put_back(data, tmp_path / "copy")
    (data / "server/db/state.db").unlink()  # as if it had been moved aside and nothing had taken its place
    aside = STORE.put_back(data, tmp_path / "copy")
    assert aside is not None
    assert names(data / "server/db/state.db") == ["before"]
    assert names(aside / "state.db") == ["before", "after"]


def test_an_etcd_is_copied_whole_with_its_modes(tmp_path: Path) -> None:
    member = tmp_path / "k3s/server/db/etcd/member"
    (member / "wal").mkdir(parents=True)
    (member / "wal/0.wal").write_bytes(b"log")
    (member / "wal/0.wal").chmod(0o600)
    (tmp_path / "k3s/server/db/snapshots").mkdir()
    assert STORE.kind(tmp_path / "k3s") is DatastoreKind.ETCD
    assert STORE.size(tmp_path / "k3s") == 3
    STORE.copy(tmp_path / "k3s", tmp_path / "copy")
    (member / "wal/0.wal").write_bytes(b"newer")
    STORE.put_back(tmp_path / "k3s", tmp_path / "copy")
    assert (member / "wal/0.wal").read_bytes() == b"log"
    assert (member / "wal/0.wal").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "k3s/server/db" / ASIDE / "etcd/member/wal/0.wal").read_bytes() == b"newer"
    assert (tmp_path / "k3s/server/db/snapshots").is_dir()


def test_a_cluster_with_its_state_elsewhere_has_nothing_to_copy(tmp_path: Path) -> None:
    assert STORE.kind(tmp_path) is DatastoreKind.NONE
    assert STORE.size(tmp_path) == 0
    (tmp_path / "copy").mkdir()
    assert STORE.put_back(tmp_path, tmp_path / "copy") is None


def test_a_database_that_cannot_be_read_is_an_error_and_leaves_no_half_copy(data: Path, tmp_path: Path) -> None:
    for path in (data / "server/db").iterdir():
        path.write_bytes(b"this is no database at all" * 200)
    with pytest.raises(BeeyardError) as error:
        STORE.copy(data, tmp_path / "copy")
    assert error.value.code == "E-K3S-030"
    assert not (tmp_path / "copy").exists()


def test_a_copy_replaces_an_older_one_whole(data: Path, tmp_path: Path) -> None:
    STORE.copy(data, tmp_path / "copy")
    add(data / "server/db/state.db", "after")
    STORE.copy(data, tmp_path / "copy")
    assert names(tmp_path / "copy/state.db") == ["before", "after"]
