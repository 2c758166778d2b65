"""Writing a support archive: a tar, packed with zstd or gzip, for its owner's eyes only."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from installer.domain.errors import BeeyardError, UsageError
from installer.domain.sysdump.entry import Entry

ENDINGS = (".tar.zst", ".tar.gz", ".tgz")


def check_target(path: Path) -> Path:
    """Return the path to write to, before anything is collected.

    Raises:
        UsageError: ``E-DUMP-001`` another ending than .tar.zst or .tar.gz, ``E-DUMP-002`` the file is there already,
            ``E-DUMP-003`` its folder is not.
    """
    if not path.name.endswith(ENDINGS):
        raise UsageError(
            f"{path.name} is no name for a sysdump",
            why=f"It must end in one of: {', '.join(ENDINGS)}.",
            fix="Name it so: -o case-7.tar.zst",
            code="E-DUMP-001",
        )
    if path.exists():
        raise UsageError(
            f"{path} is there already",
            why="A file is not overwritten unasked.",
            fix="Name another.",
            code="E-DUMP-002",
        )
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", fix="Make it, or name another place.", code="E-DUMP-003")
    return path


def write_archive(path: Path, entries: Sequence[Entry], *, when: float) -> int:
    """Write the archive, whole or not at all, readable by its owner alone.

    Args:
        path: where; its name decides how it is packed.
        entries: its files; those without content are left out. They lie in a folder of the archive's name.
        when: time of all files, UNIX seconds.

    Returns:
        Its size in bytes.

    Raises:
        BeeyardError: ``E-DUMP-004`` it cannot be written.
    """
    folder = path.name
    for ending in ENDINGS:
        folder = folder.removesuffix(ending)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as raw:
                with _packed(raw, path.name) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
                    for one in entries:
                        _add(tar, f"{folder}/{one.path}", one.data, when)
                raw.flush()
                os.fsync(raw.fileno())
            os.link(part, path)  # never over another file
            return path.stat().st_size
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BeeyardError(
            f"cannot write {path}",
            why=f"{error.strerror or error}; nothing was left behind",
            fix="make room, or name a path that can be written: -o FILE",
            code="E-DUMP-004",
        ) from error


def _add(tar: tarfile.TarFile, name: str, data: bytes, when: float) -> None:
    if not data:
        return
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), int(when), 0o600
    tar.addfile(info, io.BytesIO(data))


@contextmanager
def _packed(raw: IO[bytes], name: str) -> Iterator[Any]:
    if not name.endswith(".zst"):
        with gzip.GzipFile(fileobj=raw, mode="wb", filename="") as packed:
            yield packed
        return
    import zstandard

    with zstandard.ZstdCompressor(level=9).stream_writer(raw, closefd=False) as packed:
        yield packed
