"""Archives of images as files: OCI layouts, and what ``docker save`` writes; plain, gzip or zstd."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import posixpath
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from installer.domain.images.layout import (
    BLOBS,
    DOCKER_LIST,
    INDEX,
    NamedImage,
    SavedImage,
    parse_index,
    parse_saved,
    saved_manifest,
    unreadable,
)
from installer.domain.images.manifest import LARGEST, OCI_MANIFEST, Descriptor

_BUFFER = 1024 * 1024
_MOST = 64 * 1024**3
_MEMBERS = 100_000
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"


def image_names(path: Path) -> tuple[str, ...]:
    """Return the names of the images in an archive, sorted. Blocks.

    Raises:
        RefusedError: ``E-BUNDLE-015``.
    """
    lists: dict[str, bytes] = {}
    with _reading(path), _plain(path) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        for member in _members(tar):
            if member.name.removeprefix("./") in (INDEX, DOCKER_LIST):
                lists[member.name.removeprefix("./")] = _small(tar, member)
    found = [image.name for image in parse_index(lists[INDEX], path.name)] if INDEX in lists else []
    if not found and DOCKER_LIST in lists:
        found = [name for image in parse_saved(lists[DOCKER_LIST], path.name) for name in image.names]
    if not found:
        raise unreadable(path.name, f"neither {INDEX} nor {DOCKER_LIST} names an image")
    return tuple(sorted(set(found)))


class ArchivedImages:
    """An archive of images whose blobs can be read from any place; implements ``ports.bundles.ArchivedImages``.

    Args:
        path: the archive; a compressed one is unpacked below ``workdir`` until it is closed.
        workdir: folder for that.

    Raises:
        RefusedError: ``E-BUNDLE-015``.
    """

    def __init__(self, path: Path, workdir: Path):
        self._name = path.name
        self._held = ExitStack()
        self._blobs: dict[str, tuple[int, int]] = {}
        self._made: dict[str, bytes] = {}
        scratch = self._held.enter_context(tempfile.TemporaryDirectory(dir=workdir))
        try:
            with _reading(path):
                self._file = self._held.enter_context(_seekable(path, Path(scratch)).open("rb"))
                with tarfile.open(fileobj=self._file, mode="r:") as tar:
                    self.images = self._look(tar)
        except BaseException:
            self.close()
            raise

    def _look(self, tar: tarfile.TarFile) -> tuple[NamedImage, ...]:
        places: dict[str, tarfile.TarInfo] = {}
        for member in _members(tar):
            name = member.name.removeprefix("./")
            places[name] = member
            if member.isreg() and name.startswith(BLOBS):
                self._blobs[f"sha256:{name.removeprefix(BLOBS)}"] = (member.offset_data, member.size)
        named = parse_index(_small(tar, places[INDEX]), self._name) if INDEX in places else ()
        if named or DOCKER_LIST not in places:
            return named
        saved = parse_saved(_small(tar, places[DOCKER_LIST]), self._name)
        return tuple(one for image in saved for one in self._from_saved(image, places))

    def _from_saved(self, image: SavedImage, places: dict[str, tarfile.TarInfo]) -> Iterator[NamedImage]:
        config = self._add(image.config, places)
        data = saved_manifest(config, [self._add(layer, places) for layer in image.layers])
        root = Descriptor(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), OCI_MANIFEST)
        self._made[root.digest] = data
        return (NamedImage(name, root) for name in image.names)

    def _add(self, name: str, places: dict[str, tarfile.TarInfo]) -> Descriptor:
        """Take a file of the archive as a blob; older archives hold a layer once and link to it."""
        member = places.get(name)
        if member is not None and member.issym():
            member = places.get(posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname)))
        if member is None or not member.isreg():
            raise unreadable(self._name, f"{name!r} is missing")
        digest = hashlib.sha256()
        for chunk in self._pieces(member.offset_data, member.size):
            digest.update(chunk)
        found = Descriptor(f"sha256:{digest.hexdigest()}", member.size, "")
        self._blobs[found.digest] = (member.offset_data, member.size)
        return found

    def has(self, digest: str) -> bool:
        """Whether a blob is in it."""
        return digest in self._made or digest in self._blobs

    def data(self, digest: str) -> bytes:
        """Return a small blob whose digest is right."""
        if digest in self._made:
            return self._made[digest]
        start, size = self._blobs.get(digest, (0, LARGEST + 1))
        if size > LARGEST:
            raise unreadable(self._name, f"{digest} is missing or too large")
        data = b"".join(self._pieces(start, size))
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise unreadable(self._name, f"{digest} is not what its digest says")
        return data

    async def read(self, descriptor: Descriptor, offset: int, length: int) -> AsyncIterator[bytes]:
        """Return a part of a blob in pieces."""
        if descriptor.digest in self._made:
            yield self._made[descriptor.digest][offset : offset + length]
            return
        start, size = self._blobs.get(descriptor.digest, (0, -1))
        if size != descriptor.size:
            raise unreadable(self._name, f"{descriptor.digest} is missing, or has another size than told")
        while length > 0:
            chunk = await asyncio.to_thread(self._piece, start + offset, min(_BUFFER, length))
            yield chunk
            offset, length = offset + len(chunk), length - len(chunk)

    def _pieces(self, start: int, size: int) -> Iterator[bytes]:
        while size > 0:
            chunk = self._piece(start, min(_BUFFER, size))
            yield chunk
            start, size = start + len(chunk), size - len(chunk)

    def _piece(self, start: int, size: int) -> bytes:
        chunk = os.pread(self._file.fileno(), size, start)
        if not chunk:
            raise unreadable(self._name, "it ends too early")
        return chunk

    def close(self) -> None:
        """Close it and remove what was unpacked."""
        self._held.close()


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(tar):
        total += member.size
        if number >= _MEMBERS or member.size < 0 or total > _MOST:
            raise tarfile.ReadError("it holds more than any images do")
        yield member


def _small(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member) if member.isreg() and member.size <= LARGEST else None
    if source is None:
        raise tarfile.ReadError(f"{member.name} is no plain file, or too large")
    return source.read()


def _seekable(path: Path, folder: Path) -> Path:
    """Return the archive uncompressed."""
    with path.open("rb") as raw:
        if not raw.read(4).startswith((_ZSTD, _GZIP)):
            return path
    target = folder / "images.tar"
    with _plain(path) as plain, target.open("wb") as file:
        while chunk := plain.read(_BUFFER):
            file.write(chunk)
            if file.tell() > _MOST:
                raise tarfile.ReadError("it unpacks to more than any images take")
    return target


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic == _ZSTD:
            import zstandard

            decompressor = zstandard.ZstdDecompressor(max_window_size=128 * 1024**2)
            try:
                with decompressor.stream_reader(raw, read_across_frames=True, closefd=False) as plain:
                    yield plain
            except zstandard.ZstdError as error:
                raise tarfile.ReadError(str(error)) from error
        elif magic.startswith(_GZIP):
            with gzip.open(raw) as unzipped:
                yield cast(IO[bytes], unzipped)
        else:
            yield raw


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise unreadable(path.name, str(error)) from error
