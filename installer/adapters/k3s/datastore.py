"""k3s' datastore as files: SQLite (kine) or the data of an embedded etcd with one member."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from installer.domain.errors import BeeyardError
from installer.ports.datastore import DatastoreKind

_SQLITE = "state.db"
_ETCD = "etcd"
_BESIDE = ("-wal", "-shm", "-journal")
ASIDE = "upgrade-failed"
"""Folder beside the datastore that keeps what a taken back upgrade had written."""


class LocalDatastore:
    """Copies and puts back the datastore of this host; implements ``ports.datastore.Datastore``."""

    def kind(self, data_dir: Path) -> DatastoreKind:
        """Return which one is there."""
        folder = _folder(data_dir)
        if (folder / _ETCD / "member").is_dir():
            return DatastoreKind.ETCD
        return DatastoreKind.SQLITE if (folder / _SQLITE).is_file() else DatastoreKind.NONE

    def size(self, data_dir: Path) -> int:
        """Return its size in bytes, 0 where there is none."""
        kind, folder = self.kind(data_dir), _folder(data_dir)
        if kind is DatastoreKind.ETCD:
            return sum(path.stat().st_size for path in (folder / _ETCD).rglob("*") if path.is_file())
        return (folder / _SQLITE).stat().st_size if kind is DatastoreKind.SQLITE else 0

    def copy(self, data_dir: Path, folder: Path) -> None:
        """Copy it into a folder, whole and proven or not at all; k3s must not run.

        Raises:
            BeeyardError: ``E-K3S-030`` it cannot be copied.
        """
        part, source = folder.with_name(f".{folder.name}.part"), _folder(data_dir)
        with _copying(source):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o700, parents=True)
            if self.kind(data_dir) is DatastoreKind.ETCD:
                _copy_tree(source / _ETCD, part / _ETCD)
            elif self.kind(data_dir) is DatastoreKind.SQLITE:
                _copy_sqlite(source / _SQLITE, part / _SQLITE)
            _sync(part)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
            _sync(folder.parent)

    def put_back(self, data_dir: Path, folder: Path) -> Path | None:
        """Put a copy in place; what was there is kept and its place returned. May be called again after a kill.

        Raises:
            BeeyardError: ``E-K3S-031`` it cannot be put back.
        """
        place = _folder(data_dir)
        name = next((one for one in (_ETCD, _SQLITE) if (folder / one).exists()), None)
        if name is None:
            return None
        fresh, aside = place / f".{name}.restore", place / ASIDE
        with _putting_back(place):
            _discard(fresh)
            if name == _ETCD:
                _copy_tree(folder / name, fresh)
            else:
                shutil.copy2(folder / name, fresh)
                _sync(fresh)
            if (place / name).exists():  # else a kill came between: it is aside already
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir(mode=0o700)
            for one in (name, *(f"{name}{suffix}" for suffix in _BESIDE)):
                if (place / one).exists():
                    (place / one).rename(aside / one)
            fresh.rename(place / name)
            _sync(place)
        return aside


def _folder(data_dir: Path) -> Path:
    return data_dir / "server/db"


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy by SQLite's own backup, which takes in what is still in the write-ahead log, and check the copy."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        answer = new.execute("PRAGMA integrity_check").fetchone()[0]
        if answer != "ok":
            raise OSError(f"the copy is not sound: {answer}")
    target.chmod(source.stat().st_mode & 0o777)
    _sync(target)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    for path in [*target.rglob("*"), target]:
        _sync(path)


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _copying(source: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error, sqlite3.Error) as error:
        raise BeeyardError(
            f"the datastore in {source} cannot be copied",
            why=str(error),
            fix="Make room or mend it, then run again; without a copy k3s could not be taken back.",
            code="E-K3S-030",
        ) from error


@contextmanager
def _putting_back(place: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as error:
        raise BeeyardError(
            f"the copy of the datastore cannot be put back into {place}",
            why=str(error),
            fix="Make room and run `beeyard upgrade --rollback`; the copy is kept.",
            code="E-K3S-031",
        ) from error
