"""Opening a bundle: nothing of it is used before every file in it is proven."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from installer.adapters.store import archive
from installer.domain.bundle import (
    MANIFEST,
    PROVEN,
    BundleFile,
    BundleManifest,
    broken_seal,
    parse_manifest,
)
from installer.domain.bundle_opened import OpenedBundle, arch_here
from installer.domain.bundle_paths import leaves
from installer.domain.errors import RefusedError

Progress = Callable[[str, int, int], None]
"""Called with (file, bytes done, bytes in all)."""

T = TypeVar("T")

_MANIFEST_LIMIT = 4 * 1024 * 1024
_SMALL_LIMIT = 16 * 1024 * 1024
"""Bytes of the largest file that is read before a bundle is opened: values, and files for the host."""

_THREADS = 4
_REPORT_EVERY = 16
"""Buffers hashed between two calls of the progress function."""


def read_manifest(path: Path) -> tuple[bytes, BundleManifest]:
    """Return ``bundle.json`` of a folder or archive, as it is and parsed; its files are not looked at.

    Raises:
        RefusedError: ``E-BUNDLE-001`` to ``-010``.
    """
    if _is_folder(path):
        data = _read_manifest(path.resolve())
    else:
        data = archive.read_manifest(path, _MANIFEST_LIMIT)
        if not data:
            raise _unreadable(path, f"there is no {MANIFEST} in it")
    return data, parse_manifest(data)


def read_small(path: Path, manifest: BundleManifest, folder: Path) -> None:
    """Put values and files for the host, which a plan shows, from an archive into a folder, proven. Blocks.

    Raises:
        RefusedError: ``E-BUNDLE-008`` one is missing or changed; others as for ``read_manifest``.
    """
    entries: dict[str, str] = {entry.file: entry.sha256 for entry in manifest.values}
    entries |= {entry.file: entry.sha256 for entry in manifest.files}
    if not entries:
        return
    found = archive.read_files(path, frozenset(entries), _SMALL_LIMIT)
    complaints = [f"{name} is missing or too large" for name in entries if name not in found]
    complaints += [
        f"{name} is not what {MANIFEST} lists"
        for name, data in found.items()
        if entries[name] and hashlib.sha256(data).hexdigest() != entries[name]
    ]
    if complaints:
        raise _spoiled(complaints)
    for name, data in found.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def open_bundle(path: Path, workdir: Path, progress: Progress = lambda _file, _done, _total: None) -> OpenedBundle:
    """Open a folder (used in place) or an archive (unpacked below ``workdir``) and verify all of it. Blocks.

    Args:
        path: folder, ``.tar`` or ``.tar.zst``.
        workdir: where an archive is unpacked; what an earlier run left there is removed.
        progress: called from other threads; what it raises ends the work.

    Raises:
        RefusedError: ``E-BUNDLE-001`` to ``-010``.
        BeeyardError: ``E-BUNDLE-011``.
    """
    if _is_folder(path):
        return _verified(path.resolve(), progress)
    return _open_archive(path, workdir / "unpacked", progress)


def verify_bundle(
    path: Path, progress: Progress = lambda _file, _done, _total: None
) -> tuple[BundleManifest, str, bool]:
    """Verify all of a bundle without unpacking it. Blocks.

    Returns:
        Its manifest, the sha256 of its ``bundle.json``, and whether its archive is sealed.

    Raises:
        RefusedError: ``E-BUNDLE-001`` to ``-010``, ``-012``.
        BeeyardError: ``E-BUNDLE-011``.
    """
    if _is_folder(path):
        data = _read_manifest(path.resolve())
        return _verified(path.resolve(), progress).manifest, hashlib.sha256(data).hexdigest(), False
    sealed = _check_seal(path, progress)
    data, manifest = read_manifest(path)
    _refuse_unsealed(path, manifest, sealed)
    size = path.stat().st_size
    found = archive.digests(path, lambda position: progress(path.name, position, size))
    top = _top(found)
    _compare({name.removeprefix(top): digest for name, digest in found.items()}, manifest, data)
    return manifest, hashlib.sha256(data).hexdigest(), sealed


def _compare(found: dict[str, str], manifest: BundleManifest, data: bytes) -> None:
    if unlisted := sorted(found.keys() - manifest.listed):
        raise _unlisted(unlisted[0])
    wanted = {entry.file: entry.sha256 for entry in manifest.verifiable}
    wanted[MANIFEST] = hashlib.sha256(data).hexdigest()
    complaints = [f"{name} is missing" for name in sorted(manifest.listed - found.keys())]
    complaints += [
        f"{name} has sha256 {found[name]}, listed is {digest}"
        for name, digest in sorted(wanted.items())
        if name in found and found[name] != digest
    ]
    if complaints:
        raise _spoiled(complaints)


def _top(found: dict[str, str]) -> str:
    """Return the folder that holds everything, with its slash; empty where the manifest lies at the top."""
    tops = {name.partition("/")[0] for name in found}
    only = f"{next(iter(tops))}/" if len(tops) == 1 else ""
    return only if f"{only}{MANIFEST}" in found else ""


def _check_seal(path: Path, progress: Progress) -> bool:
    size = path.stat().st_size
    return archive.check_seal(path, lambda position: progress(f"{path.name} (seal)", position, size))


def _refuse_unsealed(path: Path, manifest: BundleManifest, sealed: bool) -> None:
    """Refuse an archive that should have a seal; one that somebody packed without compression never had one."""
    if not sealed and manifest.format >= PROVEN and archive.is_compressed(path):
        raise broken_seal(
            f"{path} ends without the seal that `bundle create` puts there: something was cut off or added"
        )


class BundleOpener:
    """Opens bundles off the event loop."""

    async def open(self, path: Path, workdir: Path, progress: Progress) -> OpenedBundle:
        """Do what ``open_bundle`` does; progress comes on the event loop; a cancelled call stops soon."""
        return await self.aside(lambda report: open_bundle(path, workdir, report), progress)

    async def prove(self, path: Path, progress: Progress) -> tuple[BundleManifest, str, bool]:
        """Do what ``verify_bundle`` does, in the same way."""
        return await self.aside(lambda report: verify_bundle(path, report), progress)

    async def aside(self, work: Callable[[Progress], T], progress: Progress) -> T:
        """Do work that blocks in a thread; its progress comes on the event loop, and it stops soon when cancelled."""
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def report(file: str, done: int, total: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            loop.call_soon_threadsafe(progress, file, done, total)

        try:
            return await asyncio.to_thread(work, report)
        finally:
            stopped.set()


class _StoppedError(Exception):
    """The caller has gone."""


def _is_folder(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise _unreadable(path, "it is neither a folder nor a file")
    return stat.S_ISDIR(mode)


def _open_archive(path: Path, folder: Path, progress: Progress) -> OpenedBundle:
    try:
        if folder.exists():
            shutil.rmtree(folder)
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, f"{error.filename}: {error.strerror}") from error
    sealed = _check_seal(path, progress)
    try:
        archive.unpack(path, folder, lambda position: progress(path.name, position, size))
        opened = _verified(_root_in(folder), progress)
        _refuse_unsealed(path, opened.manifest, sealed)
        return opened
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _root_in(folder: Path) -> Path:
    """Return the folder with the manifest: the archive's top, or the only folder there."""
    entries = list(folder.iterdir())
    only = entries[0] if len(entries) == 1 else folder
    return only if (only / MANIFEST).is_file() else folder


def _verified(root: Path, progress: Progress) -> OpenedBundle:
    try:
        manifest = parse_manifest(_read_manifest(root))
        _check_listing(root, manifest)
        _check_digests(root, manifest.verifiable, progress)
    except OSError as error:
        raise _unreadable(root, f"{error.filename or root}: {error.strerror or error}") from error
    return OpenedBundle(root, manifest, arch_here(manifest, os.uname().machine))


def _read_manifest(root: Path) -> bytes:
    path = root / MANIFEST
    if path.is_symlink():
        raise leaves(MANIFEST)
    if not path.is_file():
        raise _unreadable(root, f"there is no {MANIFEST}")
    with path.open("rb") as file:
        data = file.read(_MANIFEST_LIMIT + 1)
    if len(data) > _MANIFEST_LIMIT:
        raise _unreadable(root, f"{MANIFEST} is larger than {_MANIFEST_LIMIT} bytes")
    return data


def _check_listing(root: Path, manifest: BundleManifest) -> None:
    """Refuse what is not listed, what leads outside, and what is no file; then what is listed and not there."""
    found = set()
    for entry in _entries(root):
        name = Path(entry.path).relative_to(root).as_posix()
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
            raise leaves(name)
        if name not in manifest.listed:
            raise _unlisted(name)
        if not stat.S_ISREG(Path(entry.path).stat().st_mode):
            raise _not_a_file(name)
        found.add(name)
    if missing := sorted(manifest.listed - found):
        raise _spoiled([f"{name} is missing" for name in missing])


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a folder but the folders themselves; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
            else:
                yield entry


def _check_digests(root: Path, entries: tuple[BundleFile, ...], progress: Progress) -> None:
    def judge(entry: BundleFile) -> str:
        path = root / entry.file
        size = path.stat().st_size
        got = _digest(path, lambda done: progress(entry.file, done, size))
        return "" if got == entry.sha256 else f"{entry.file} has sha256 {got}, listed is {entry.sha256}"

    workers = min(_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="beeyard-verify") as pool:
        complaints = [complaint for complaint in pool.map(judge, entries) if complaint]
    if complaints:
        raise _spoiled(complaints)


def _digest(path: Path, report: Callable[[int], None]) -> str:
    digest, buffer = hashlib.sha256(), bytearray(archive.BUFFER)
    view, done = memoryview(buffer), 0
    with path.open("rb", buffering=0) as file:
        for turn in itertools.count():
            size = file.readinto(buffer)
            if not size:
                break
            digest.update(view[:size])
            done += size
            if turn % _REPORT_EVERY == 0:
                report(done)
    report(done)
    return digest.hexdigest()


def _unreadable(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{path} cannot be opened as a bundle",
        why=why,
        fix=f"name a folder with {MANIFEST} in it, or a .tar or .tar.zst of such a folder",
        code="E-BUNDLE-001",
    )


def _unlisted(name: str) -> RefusedError:
    return RefusedError(
        f"the bundle holds a file that is not listed: {name!r}",
        why=f"{MANIFEST} does not name it, so nothing proves it",
        fix="remove the file, or make the bundle again",
        code="E-BUNDLE-005",
    )


def _not_a_file(name: str) -> RefusedError:
    return RefusedError(
        f"{name!r} in the bundle is no plain file",
        why="devices, pipes, sockets and folders cannot be verified",
        fix="make the bundle again",
        code="E-BUNDLE-009",
    )


def _spoiled(complaints: list[str]) -> RefusedError:
    return RefusedError(
        f"the bundle is incomplete or changed: {complaints[0].split(' ', 1)[0]}",
        why="\n".join(complaints),
        fix="copy or download the bundle again; if that does not help, make it again",
        code="E-BUNDLE-008",
    )
