"""A file on its way: ``<dest>.part`` with what is needed to continue it in ``<dest>.part.json``."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.redact import mask_url
from installer.ports.web import Download

BUFFER = 1024 * 1024
"""Bytes handled at once; the upper bound of what a transfer keeps in memory, times two."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a partial file are from.

    Attributes:
        url: URL, its password masked.
        sha256: digest that was expected.
        etag: strong entity tag, or empty.
        modified: Last-Modified, or empty.
        total: size of the whole file, 0 when unknown.
    """

    url: str = ""
    sha256: str = ""
    etag: str = ""
    modified: str = ""
    total: int = 0

    @property
    def validator(self) -> str:
        """Value for If-Range; empty where the server gave none that can be trusted."""
        return self.etag or self.modified


class PartialFile:
    """An open, locked partial file. Blocking: call it in threads, except ``close``.

    Attributes:
        size: bytes received so far.
        resumed: what is there comes from more than one answer, so that a wrong digest may be due to the seam.
        origin: where the bytes are from.
    """

    def __init__(self, download: Download):
        self._download = download
        self._path = download.dest.with_name(download.dest.name + ".part")
        self._note = self._path.with_name(self._path.name + ".json")
        self._busy = threading.Lock()
        self._fd = -1
        self._hash = hashlib.sha256()
        self.size = 0
        self.resumed = False
        self.origin = Origin()

    def open(self) -> None:
        """Open or create the file, lock it, and read what it holds already.

        Raises:
            BeeyardError: ``E-WEB-011`` not writable, ``E-WEB-013`` another process has it.
        """
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = self._open_locked()
            self.origin = self._read_origin()
            if os.fstat(self._fd).st_size and self._continues():
                self._take_over()
            else:
                self._truncate()

    def _open_locked(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            fd = os.open(self._path, flags, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(fd):
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise self._taken() from None
            os.close(fd)

    def _is_current(self, fd: int) -> bool:
        """Whether the name still means this file (its last owner may just have renamed it into place)."""
        with suppress(FileNotFoundError):
            return self._path.stat().st_ino == os.fstat(fd).st_ino
        return False

    def _continues(self) -> bool:
        wanted = (mask_url(self._download.url), self._download.sha256.lower())
        provable = bool(self.origin.validator or self._download.sha256)
        return (self.origin.url, self.origin.sha256) == wanted and provable

    def _take_over(self) -> None:
        while chunk := os.read(self._fd, BUFFER):
            self._hash.update(chunk)
            self.size += len(chunk)
        self.resumed = True
        if self.origin.total and self.size > self.origin.total:
            self._truncate()

    def _truncate(self) -> None:
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.size = 0
        self.resumed = False

    def go_on(self) -> None:
        """Say that what follows was asked for separately from what is there."""
        self.resumed = True

    def restart(self) -> None:
        """Drop what was received."""
        with self._translated():
            self._truncate()

    def note(self, etag: str, modified: str, total: int) -> None:
        """Remember where the bytes that follow are from.

        Raises:
            BeeyardError: ``E-WEB-007`` the rest does not fit on the disk.
        """
        strong = "" if etag.startswith("W/") else etag
        url, sha256 = mask_url(self._download.url), self._download.sha256.lower()
        with self._translated():
            missing = total - self.size
            if missing > shutil.disk_usage(self._path.parent).free:
                raise OSError(errno.ENOSPC, f"{missing} more bytes are needed")
            self.origin = Origin(url, sha256, strong, modified, total)
            fresh = self._note.with_name(self._note.name + ".new")
            fresh.write_text(json.dumps(asdict(self.origin)))
            fresh.replace(self._note)

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append bytes.

        Raises:
            BeeyardError: ``E-WEB-007`` no space left (the partial file is removed: a full disk hurts the host).
        """
        with self._busy, self._translated():
            rest = memoryview(chunk)
            while rest:
                written = os.write(self._fd, rest)
                self._hash.update(rest[:written])
                self.size += written
                rest = rest[written:]

    @property
    def complete(self) -> bool:
        """Whether the announced size is reached."""
        return 0 < self.origin.total == self.size

    @property
    def digest(self) -> str:
        """sha256 of what is there, lower-case hex."""
        return self._hash.hexdigest()

    def finish(self) -> Path:
        """Bring the file to the disk and under its name."""
        dest = self._download.dest
        with self._busy, self._translated():
            os.fsync(self._fd)
            self._path.replace(dest)
            self._note.unlink(missing_ok=True)
            _sync_folder(dest.parent)
        return dest

    def discard(self) -> None:
        """Remove the file and its note."""
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def close(self) -> None:
        """Close and unlock; an empty partial file is removed."""
        with self._busy:
            if self._fd < 0:
                return
            if not self.size and self._is_current(self._fd):
                self.discard()
            os.close(self._fd)
            self._fd = -1

    def _read_origin(self) -> Origin:
        try:
            stored = json.loads(self._note.read_text())
            if all(type(stored[field.name]) is type(field.default) for field in fields(Origin)):
                return Origin(**stored)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return Origin()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_SPACE:
                self.discard()
                raise _no_space(self._download, error) from error
            raise _not_writable(self._download, error) from error

    def _taken(self) -> RefusedError:
        return RefusedError(
            f"{self._download.name or self._download.dest.name} is being downloaded already",
            why=f"another process holds {self._path}",
            fix="wait for it to end, or end it",
            code="E-WEB-013",
        )


def _no_space(download: Download, error: OSError) -> BeeyardError:
    folder = download.dest.parent
    return BeeyardError(
        f"no space left for {download.name or download.dest.name}",
        why=f"{folder}: {error.strerror}; {shutil.disk_usage(folder).free // 1024**2} MiB are free now",
        fix=f"free space on the file system of {folder} and run again (the partial file has been removed)",
        code="E-WEB-007",
    )


def _not_writable(download: Download, error: OSError) -> BeeyardError:
    return BeeyardError(
        f"{download.name or download.dest.name} cannot be written",
        why=f"{error.filename or download.dest}: {error.strerror}",
        fix="run as root, or check the folder and its file system",
        code="E-WEB-011",
    )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
