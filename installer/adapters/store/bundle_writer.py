"""Writing a bundle's archive: the same parts give the same bytes, on every machine."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from installer.domain.bundle import MANIFEST
from installer.domain.bundle_seal import seal
from installer.domain.errors import BeeyardError
from installer.domain.images.layout import BLOBS, layout_files
from installer.ports.bundles import FilePart, ImagesPart, Measured, Part, Progress, Written

if TYPE_CHECKING:
    from typing_extensions import Buffer

BUFFER = 1024 * 1024
_LARGE = ("bin/", "images/")
_LEVEL = 3
_WINDOW_LOG = 25
_THREADS = 4
"""Fixed, not the machine's: what the compressor writes must not depend on it."""


def measure(parts: Sequence[Part], progress: Progress) -> list[Measured]:
    """Read every part once and return what its bytes are. Blocks."""
    return [_measured(part, progress) for part in parts]


def ordered(parts: Sequence[Measured]) -> list[Measured]:
    """Return parts in the order of an archive: what a plan reads comes first, what is large comes last."""
    return sorted(parts, key=lambda one: (one.part.name.startswith(_LARGE), one.part.name != MANIFEST, one.part.name))


def write(out: Path, parts: Sequence[Measured], created: int, progress: Progress) -> Written:
    """Write a sealed ``.tar.zst`` with the parts in a lasting order. Blocks.

    Args:
        out: the file; it appears when it is whole.
        parts: what goes in.
        created: UNIX time that every entry gets.
        progress: called with the file, bytes done, bytes in all; what it raises ends the work.

    Raises:
        BeeyardError: ``E-BUNDLE-013``.
    """
    partial = out.with_name(f".{out.name}.part")
    try:
        with _removed_on_failure(partial):
            written = _write(partial, ordered(parts), created, progress)
            partial.replace(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    return Written(out, *written)


def _write(path: Path, parts: Sequence[Measured], created: int, progress: Progress) -> tuple[int, str]:
    import zstandard

    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, threads=_THREADS, write_checksum=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        hashed = _Hashing(raw)
        with zstandard.ZstdCompressor(compression_params=settings).stream_writer(hashed, closefd=False) as packed:
            _tar(packed, parts, created, progress)
        raw.write(seal(hashed.sha256.digest()))
        raw.flush()
        os.fsync(raw.fileno())
        hashed.sha256.update(seal(hashed.sha256.digest()))
        return raw.tell(), hashed.sha256.hexdigest()


def _tar(target: IO[bytes], parts: Sequence[Measured], created: int, progress: Progress) -> None:
    total, done = sum(part.size for part in parts), 0
    for measured in parts:
        program = isinstance(measured.part, FilePart) and measured.part.program
        head = _entry(measured.part.name, measured.size, created, 0o755 if program else 0o644)
        for chunk in _framed(head, _checked(measured)):
            target.write(chunk)
            done += len(chunk)
            progress("archive", min(done, total), total)
    target.write(bytes(tarfile.RECORDSIZE))
    progress("archive", total, total)


def _entry(name: str, size: int, modified: int = 0, mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, modified
    return info


def _measured(part: Part, progress: Progress) -> Measured:
    sha256, sha1, size = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
    total = part.source.stat().st_size if isinstance(part, FilePart) and isinstance(part.source, Path) else 0
    for chunk in chunks(part):
        sha256.update(chunk)
        sha1.update(chunk)
        size += len(chunk)
        progress(part.name, size, total)
    progress(part.name, size, size)
    return Measured(part, size, sha256.hexdigest(), sha1.hexdigest())


def _checked(measured: Measured) -> Iterator[bytes]:
    """Yield a part's bytes once more, and make sure at the end that they are the same."""
    digest = hashlib.sha256()
    for chunk in chunks(measured.part):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != measured.sha256:
        raise BeeyardError(
            f"{measured.part.name} changed while the bundle was written",
            why=f"it had sha256 {measured.sha256}, now {digest.hexdigest()}",
            fix="run the command again, and let nothing else write to the cache meanwhile",
            code="E-BUNDLE-013",
        )


def chunks(part: Part) -> Iterator[bytes]:
    """Yield the bytes of a part."""
    if isinstance(part, ImagesPart):
        yield from _image_chunks(part)
    elif isinstance(part.source, bytes):
        yield part.source
    else:
        yield from _file_chunks(part.source)


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(BUFFER):
            yield chunk


def _image_chunks(part: ImagesPart) -> Iterator[bytes]:
    """Yield an OCI layout as a tar: its two files, then all blobs by digest."""
    for name, data in sorted(layout_files(part.images, part.arch).items()):
        yield from _framed(_entry(name, len(data)), [data])
    blobs = {blob.hex: blob.size for image in part.images for blob in image.blobs.get(part.arch, ())}
    for digest in sorted(blobs):
        yield from _framed(_entry(f"{BLOBS}{digest}", blobs[digest]), _file_chunks(part.blobs / digest))
    yield bytes(tarfile.RECORDSIZE)


def _framed(head: tarfile.TarInfo, content: Iterable[bytes]) -> Iterator[bytes]:
    yield head.tobuf(tarfile.PAX_FORMAT)
    yield from content
    yield bytes(-head.size % tarfile.BLOCKSIZE)


class _Hashing(io.BytesIO):
    """Writes through, and keeps the sha256 of all that was written."""

    def __init__(self, target: IO[bytes]):
        super().__init__()
        self._target = target
        self.sha256 = hashlib.sha256()

    def write(self, data: Buffer, /) -> int:
        """Write all of it."""
        self.sha256.update(data)
        return self._target.write(data)


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _unwritable(out: Path, error: OSError) -> BeeyardError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return BeeyardError(
        f"the bundle {out} cannot be written",
        why=f"{error.filename or out.parent}: {error.strerror or error}",
        fix="free space there, or name another place with -o FILE"
        if full
        else "name another place with -o FILE.tar.zst",
        code="E-BUNDLE-013",
    )
