"""Files that a user asked for: written whole or not at all, never over another one unasked."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from installer.domain.errors import BeeyardError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_export(path: Path, chunks: Iterable[bytes], *, overwrite: bool = False) -> int:
    """Write a file and return its size in bytes.

    Raises:
        UsageError: ``E-EXPORT-001`` there is a file of that name.
        BeeyardError: ``E-EXPORT-002`` the disk is full, ``E-EXPORT-003`` it cannot be written.
    """
    try:
        return _write(path.expanduser(), chunks, overwrite=overwrite)
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already", why="a file is not overwritten unasked", fix="name another", code="E-EXPORT-001"
        ) from error
    except OSError as error:
        full = error.errno in _FULL
        raise BeeyardError(
            f"cannot write {path}",
            why=f"{error.strerror or error}; nothing was left behind",
            fix="make room, or name a path on another disk" if full else "name a path that can be written",
            code="E-EXPORT-002" if full else "E-EXPORT-003",
        ) from error


def _write(path: Path, chunks: Iterable[bytes], *, overwrite: bool) -> int:
    if path.exists() and not overwrite:
        raise FileExistsError(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            size = sum(file.write(chunk) for chunk in chunks)
            file.flush()
            os.fsync(file.fileno())
        if not overwrite:
            path.open("xb").close()
        part.replace(path)
        return size
    finally:
        part.unlink(missing_ok=True)
