"""Unpacking a bundle's archive, which may have been made to do harm."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from installer.domain.bundle import MANIFEST, broken_seal
from installer.domain.bundle_paths import inside, leaves
from installer.domain.bundle_seal import LENGTH, sealed_digest
from installer.domain.errors import BeeyardError, RefusedError

BUFFER = 1024 * 1024
MAX_MEMBERS = 10_000
MAX_BYTES = 64 * 1024**3

_RESERVE = 64 * 1024**2
"""Bytes that stay free on the disk."""

_HEADERS = 16 * 1024**2
"""Bytes that may be read beyond the content of a file: headers that claim more are none of ours."""

_MAX_WINDOW = 128 * 1024**2
"""Largest zstd window taken (``--long=27``); so much memory it needs."""

_ZSTD = b"\x28\xb5\x2f\xfd"

Tick = Callable[[int], None]
"""Called with the position in the archive, in bytes; may raise to stop."""


def read_manifest(archive: Path, limit: int) -> bytes:
    """Return the manifest of an archive without unpacking it; empty where it has none.

    Raises:
        RefusedError: ``E-BUNDLE-009``, ``-010``.
        BeeyardError: ``E-BUNDLE-001`` unreadable, ``E-BUNDLE-011`` too large.
    """
    with _reading(archive, archive) as (tar, stream, _raw):
        for member in _members(tar, stream):
            parts = member.name.removeprefix("./").split("/")
            if parts[-1] == MANIFEST and len(parts) <= 2:
                return _content(tar, member).read(limit)
    return b""


def read_files(archive: Path, names: frozenset[str], limit: int) -> dict[str, bytes]:
    """Return some small files of an archive without unpacking it; what is missing or larger is left out.

    Raises:
        RefusedError: ``E-BUNDLE-006``, ``-009``, ``-010``.
        BeeyardError: ``E-BUNDLE-001`` unreadable, ``E-BUNDLE-011`` too large.
    """
    found: dict[str, bytes] = {}
    with _reading(archive, archive) as (tar, stream, _raw):
        for member in _members(tar, stream):
            name = _name(member)
            wanted = name if name in names else name.partition("/")[2]
            if wanted in names and wanted not in found and member.size <= limit:
                found[wanted] = _content(tar, member).read()
            if len(found) == len(names):
                break
    return found


def check_seal(archive: Path, tick: Tick = lambda _position: None) -> bool:
    """Prove an archive by the seal at its end, in one pass over its bytes; return False where it has no seal.

    Raises:
        RefusedError: ``E-BUNDLE-012`` the archive is not as it was sealed.
        BeeyardError: ``E-BUNDLE-001`` unreadable.
    """
    try:
        with archive.open("rb") as raw:
            end = raw.seek(0, io.SEEK_END) - LENGTH
            raw.seek(max(0, end))
            wanted = sealed_digest(raw.read())
            raw.seek(0)
            if wanted is None:
                return False
            digest = hashlib.sha256()
            while chunk := raw.read(min(BUFFER, end - raw.tell())):
                digest.update(chunk)
                tick(raw.tell())
    except OSError as error:
        raise _failed(archive, archive, error) from error
    if digest.digest() != wanted:
        raise broken_seal(f"{archive} has sha256 {digest.hexdigest()} before its seal, sealed was {wanted.hex()}")
    return True


def has_seal(archive: Path) -> bool:
    """Whether an archive ends with a seal, be it right or wrong."""
    with archive.open("rb") as raw:
        raw.seek(max(0, raw.seek(0, io.SEEK_END) - LENGTH))
        return sealed_digest(raw.read()) is not None


def is_compressed(archive: Path) -> bool:
    """Whether it is compressed; only then it can be sealed."""
    with archive.open("rb") as raw:
        return raw.read(len(_ZSTD)) == _ZSTD


def digests(archive: Path, tick: Tick = lambda _position: None) -> dict[str, str]:
    """Return the sha256 (hex) of every file of an archive by its path, without writing anything to the disk.

    Raises:
        RefusedError: ``E-BUNDLE-006``, ``-009``, ``-010``.
        BeeyardError: ``E-BUNDLE-001`` unreadable, ``E-BUNDLE-011`` too large.
    """
    found: dict[str, str] = {}
    with _reading(archive, archive) as (tar, stream, raw):
        for member in _members(tar, stream):
            name = _name(member)
            if member.isdir():
                continue
            if name in found:
                raise tarfile.ReadError(f"it holds a path twice: {name!r}")
            digest, source = hashlib.sha256(), _content(tar, member)
            while chunk := source.read(BUFFER):
                digest.update(chunk)
                tick(raw.tell())
            found[name] = digest.hexdigest()
    return found


def unpack(archive: Path, folder: Path, tick: Tick = lambda _position: None) -> None:
    """Unpack a ``.tar`` or ``.tar.zst`` (told apart by content) into a new folder: plain files and folders only.

    Raises:
        RefusedError: ``E-BUNDLE-006``, ``-009``, ``-010``.
        BeeyardError: ``E-BUNDLE-001`` unreadable, ``E-BUNDLE-011`` too large.
    """
    with _reading(archive, folder) as (tar, stream, raw):
        folder.mkdir(parents=True, mode=0o700)
        for member in _members(tar, stream):
            _unpack_member(tar, member, folder, lambda: tick(raw.tell()))


@contextmanager
def _reading(archive: Path, place: Path) -> Iterator[tuple[tarfile.TarFile, _BoundedStream, BinaryIO]]:
    """Open an archive; whatever goes wrong with it or at that place becomes an error of ours."""
    try:
        with archive.open("rb") as raw, _plain(raw) as plain:
            stream = _BoundedStream(plain)
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                yield tar, stream, raw
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise _damaged(archive, str(error)) from error
    except OSError as error:
        raise _failed(archive, place, error) from error


@contextmanager
def _plain(raw: BinaryIO) -> Iterator[IO[bytes]]:
    """Yield the archive decompressed, if it is compressed."""
    magic = raw.read(len(_ZSTD))
    raw.seek(0)
    if magic != _ZSTD:
        yield raw
        return
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    try:
        with decompressor.stream_reader(raw, read_across_frames=True, closefd=False) as plain:
            yield plain
    except zstandard.ZstdError as error:
        raise tarfile.ReadError(str(error)) from error


class _BoundedStream(io.RawIOBase):
    """Reads forward only, and no more than was allowed: a header cannot make us read without end."""

    def __init__(self, source: IO[bytes]):
        self._source = source
        self._position = 0
        self._allowed = _HEADERS

    def allow(self, count: int) -> None:
        """Set the number of bytes that may be read from here on."""
        self._allowed = count

    def read(self, size: int | None = -1) -> bytes:
        """Read exactly ``size`` bytes, fewer only at the end."""
        if size is None or not 0 <= size <= self._allowed:
            raise tarfile.ReadError("a header claims to be larger than headers are")
        self._allowed -= size
        pieces = []
        while size and (piece := self._source.read(size)):
            pieces.append(piece)
            size -= len(piece)
            self._position += len(piece)
        return b"".join(pieces)

    def seekable(self) -> bool:
        """Return True: forward it goes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go forward to a position."""
        if whence != io.SEEK_SET or offset < self._position:
            raise tarfile.ReadError("the archive cannot be read from front to end")
        if self._source.seekable():
            self._position = self._source.seek(offset)
        while self._position < offset:
            if not self.read(min(BUFFER, offset - self._position)):
                break
        return self._position


def _members(tar: tarfile.TarFile, stream: _BoundedStream) -> Iterator[tarfile.TarInfo]:
    count = total = 0
    while (member := tar.next()) is not None:
        if member.size < 0:
            raise tarfile.ReadError(f"{member.name!r} has a negative size")
        count, total = count + 1, total + member.size
        if count > MAX_MEMBERS or total > MAX_BYTES:
            raise _too_large(f"more than {MAX_MEMBERS} files, or more than {MAX_BYTES // 1024**3} GiB")
        stream.allow(member.size + _HEADERS)
        yield member


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, tick: Callable[[], None]) -> None:
    path = folder / _name(member)
    if path == folder:
        return
    (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True, mode=0o700)
    if member.isdir():
        return
    source = _content(tar, member)
    free = shutil.disk_usage(folder).free
    if member.size > free - _RESERVE:
        raise _too_large(f"{member.name} takes {member.size} bytes; {free} are free, {_RESERVE} of them must stay so")
    _write(source, path, 0o755 if member.mode & 0o100 else 0o644, tick)


def _name(member: tarfile.TarInfo) -> str:
    """Return the path of a member, ``.`` for the top folder."""
    name = member.name.removeprefix("./").rstrip("/")
    if member.isdir() and name in ("", "."):
        return "."
    if not inside(name):
        raise leaves(member.name)
    return name


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member) if member.isreg() and not member.issparse() else None
    if source is None:
        raise _not_plain(member)
    return source


def _write(source: IO[bytes], path: Path, mode: int, tick: Callable[[], None]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as target:
        while chunk := source.read(BUFFER):
            target.write(chunk)
            tick()


def _not_plain(member: tarfile.TarInfo) -> RefusedError:
    kind = "a link" if member.issym() or member.islnk() else "neither a plain file nor a folder"
    return RefusedError(
        f"the bundle's archive holds {kind}: {member.name!r}",
        why=f"entry of type {member.type!r}" + (f", to {member.linkname!r}" if member.linkname else ""),
        fix="make it of plain files: tar --dereference --hard-dereference -cf bundle.tar -C FOLDER .",
        code="E-BUNDLE-009",
    )


def _damaged(archive: Path, why: str) -> RefusedError:
    return RefusedError(
        "the bundle's archive is damaged",
        why=f"{archive}: {why}",
        fix="copy or download it again; it must be a .tar or a .tar.zst",
        code="E-BUNDLE-010",
    )


def _too_large(why: str) -> BeeyardError:
    return BeeyardError(
        "the bundle does not fit",
        why=why,
        fix="free space, or unpack it elsewhere yourself and name that folder: --bundle FOLDER",
        code="E-BUNDLE-011",
    )


def _failed(archive: Path, folder: Path, error: OSError) -> BeeyardError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _too_large(f"{folder}: {error.strerror}")
    if error.errno == errno.EEXIST:
        return _damaged(archive, f"it holds a path twice: {error.filename}")
    return BeeyardError(
        "the bundle cannot be unpacked",
        why=f"{error.filename or archive}: {error.strerror or error}",
        fix="check that the file can be read and the folder can be written",
        code="E-BUNDLE-001",
    )
