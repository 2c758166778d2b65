"""Files of the host: whole or not at all, on disk when we say so, and with a backup."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from installer.domain.errors import BeeyardError
from installer.ports.host import FileState

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_CHUNK = 1 << 20
_TEMPORARY = ".beeyard-tmp"
_OWNER = re.compile(r"\.(\d+)(\.[a-z0-9_]+)?\.beeyard-tmp$")
"""Finds the process id in the name of a temporary file."""


class LocalFiles:
    """Reads and writes files of this host; implements ``installer.ports.host.Files``.

    A symbolic link is followed and kept, its target is what gets replaced. Writing what is already there changes
    nothing and makes no backup.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Set up.

        Args:
            now: the time for names of backups.
        """
        self._now = now

    def read(self, path: Path) -> FileState | None:
        """Return the file, or None where there is none.

        Raises:
            BeeyardError: ``E-HOST-010`` it cannot be read.
        """
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                return FileState(file.read(), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    def write(
        self, path: Path, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None, backup: bool = True
    ) -> Path | None:
        """Replace a file atomically (temporary file in the same folder, fsync, rename); make parent folders.

        Args:
            path: the file; where it is a symbolic link, the link stays and its target is replaced.
            data: content.
            mode: permission bits.
            owner: user and group id; made parent folders get them too.
            backup: keep a file with other content as ``NAME.beeyard-<UTC time>``.

        Returns:
            The backup's path (mode kept) where a different file was replaced.

        Raises:
            BeeyardError: ``E-HOST-010`` the old file cannot be read, ``E-HOST-011`` not writable,
                ``E-HOST-012`` no space left, ``E-HOST-013`` the link leads to another user's file.
        """
        with _our_errors(path, 0):
            target = path.resolve(strict=False) if path.is_symlink() else path
        old = self.read(target)
        if target != path and owner is not None and old is not None and old.uid != owner[0]:
            raise _foreign_link(path, target)
        if old is not None and _same(old, data, mode, owner):
            return None
        kept: Path | None = None
        with _our_errors(target, len(data)):
            _make_parents(target.parent, owner, private=not mode & 0o077)
            if backup and old is not None and old.data != data:
                kept = self._keep(target)
            with _replacement(target, mode, owner) as file:
                file.write(data)
        return kept

    def install(self, source: Path, path: Path, *, mode: int = 0o755) -> None:
        """Put a (large) file in place atomically: hard link or copy into the target's folder, fsync, rename.

        It is linked only where the source is our own, cannot be written by others and has the mode already; else a
        change of one name would change the other.

        Raises:
            BeeyardError: ``E-HOST-010`` no such source, ``E-HOST-011`` not writable, ``E-HOST-012`` no space left.
        """
        try:
            info = source.stat()
        except OSError as error:
            raise _unreadable(source, error) from error
        with _our_errors(path, info.st_size):
            _make_parents(path.parent, None, private=False)
            if path.exists() and path.samefile(source) and stat.S_IMODE(info.st_mode) == mode:
                return
            linkable = info.st_uid == os.geteuid() and stat.S_IMODE(info.st_mode) == mode and not mode & 0o022
            if not (linkable and _link(source, path)):
                _copy(source, path, mode, info.st_size)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there.

        Raises:
            BeeyardError: ``E-HOST-011`` it cannot be removed.
        """
        with _our_errors(path, 0):
            path.unlink(missing_ok=True)

    def _keep(self, path: Path) -> Path:
        """Keep a copy of a file; the one that is there already serves, say that of a run which was killed here."""
        info, data = path.stat(), path.read_bytes()
        if known := _backup_of(path, info, data):
            return known
        stamp = self._now().strftime("%Y%m%dT%H%M%SZ")
        for suffix in ("", *(f".{number}" for number in range(1, 1000))):
            kept = path.with_name(f"{path.name}.beeyard-{stamp}{suffix}")
            if not kept.exists():
                break
        with _replacement(kept, 0o600, None) as file:
            file.write(data)
        with suppress(PermissionError):
            os.chown(kept, info.st_uid, info.st_gid)
        kept.chmod(stat.S_IMODE(info.st_mode))
        return kept


def _same(old: FileState, data: bytes, mode: int, owner: tuple[int, int] | None) -> bool:
    return old.data == data and old.mode == mode and (owner is None or (old.uid, old.gid) == owner)


def _make_parents(folder: Path, owner: tuple[int, int] | None, *, private: bool) -> None:
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(mode=0o700 if private else 0o755, exist_ok=True)
        if owner is not None:
            os.chown(made, *owner)


def _backup_of(path: Path, info: os.stat_result, data: bytes) -> Path | None:
    """Return a backup that holds just what the file holds, with its mode and owner."""
    for kept in sorted(path.parent.glob(f"{glob.escape(path.name)}.beeyard-*"), reverse=True):
        there = kept.lstat()
        alike = (there.st_mode, there.st_uid, there.st_gid, there.st_size)
        if alike == (info.st_mode, info.st_uid, info.st_gid, info.st_size) and kept.read_bytes() == data:
            return kept
    return None


def _temporary_prefix(path: Path) -> str:
    return f".{path.name[:100]}."


def _sweep(path: Path) -> None:
    """Remove the temporary files that killed processes have left beside a file."""
    for left in path.parent.glob(f"{glob.escape(_temporary_prefix(path))}*{_TEMPORARY}"):
        found = _OWNER.search(left.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            left.unlink(missing_ok=True)


@contextmanager
def _replacement(path: Path, mode: int, owner: tuple[int, int] | None) -> Iterator[BinaryIO]:
    """Give a temporary file beside ``path`` that takes its place when the block ends well, and vanishes when not."""
    _sweep(path)
    prefix = f"{_temporary_prefix(path)}{os.getpid()}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=_TEMPORARY)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link(source: Path, path: Path) -> bool:
    """Hard link ``source`` to ``path`` atomically; False where the file systems differ or know no links."""
    _sweep(path)
    temporary = path.with_name(f"{_temporary_prefix(path)}{os.getpid()}{_TEMPORARY}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(source)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            return False
        raise
    with source.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    temporary.unlink(missing_ok=True)  # the target was such a link already: then a rename does nothing
    _sync_folder(path.parent)
    return True


def _copy(source: Path, path: Path, mode: int, size: int) -> None:
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with source.open("rb") as origin, _replacement(path, mode, None) as file:
        shutil.copyfileobj(origin, file, _CHUNK)


@contextmanager
def _our_errors(path: Path, size: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # a loop of symbolic links, before Python 3.13
        raise _not_writable(path, OSError(errno.ELOOP, os.strerror(errno.ELOOP))) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _no_space(path, size, error) from error
        raise _not_writable(path, error) from error


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _unreadable(path: Path, error: OSError) -> BeeyardError:
    return BeeyardError(
        f"{path} cannot be read",
        why=str(error.strerror),
        fix=f"look at it with: ls -ld {path}",
        code="E-HOST-010",
        details={"path": str(path)},
    )


def _not_writable(path: Path, error: OSError) -> BeeyardError:
    fixes = {
        errno.EROFS: "the file system is mounted read-only: remount it read-write, or choose another path",
        errno.EACCES: "run beeyard with sudo",
        errno.EPERM: f"run beeyard with sudo; as root, see whether the file is locked: lsattr -d {path}",
        errno.EISDIR: "move the folder of that name away",
        errno.ENOTDIR: "move the file that stands where a folder must be",
    }
    return BeeyardError(
        f"{path} cannot be written",
        why=str(error.strerror),
        fix=fixes.get(error.errno or 0, f"look at the file system of {path.parent}: dmesg | tail"),
        code="E-HOST-011",
        details={"path": str(path), "errno": errno.errorcode.get(error.errno or 0, "")},
    )


def _no_space(path: Path, size: int, error: OSError) -> BeeyardError:
    folder = _existing(path.parent)
    free = shutil.disk_usage(folder).free
    return BeeyardError(
        f"no space left to write {path}",
        why=f"{error.strerror}: {size} bytes are needed, {free} bytes are free",
        fix=f"free space on the file system of {folder} (df -h {folder}; df -i {folder}) and run again",
        code="E-HOST-012",
        details={"path": str(path), "needed": size, "free": free},
    )


def _foreign_link(path: Path, target: Path) -> BeeyardError:
    return BeeyardError(
        f"{path} is a link to another user's file",
        why=f"it leads to {target}, which would change hands",
        fix=f"replace the link by a file of your own, or name another path than {path}",
        code="E-HOST-013",
        details={"path": str(path), "target": str(target)},
    )
