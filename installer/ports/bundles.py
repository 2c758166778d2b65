"""Making bundles, and reading the images in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from installer.domain.bundle import BundleManifest
from installer.domain.bundle_opened import OpenedBundle
from installer.domain.images.layout import NamedImage
from installer.domain.images.manifest import Descriptor, PulledImage

Progress = Callable[[str, int, int], None]
"""Called with (file, bytes done, bytes in all)."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a bundle to be.

    Attributes:
        name: path in the bundle.
        source: the file, or its content.
        program: whether it is a program.
    """

    name: str
    source: Path | bytes
    program: bool = False


@dataclass(frozen=True, slots=True)
class ImagesPart:
    """An archive of images of a bundle to be, in OCI layout.

    Attributes:
        name: path in the bundle.
        images: what is in it.
        arch: the architecture whose part of them it holds.
        blobs: folder with their blobs.
    """

    name: str
    images: tuple[PulledImage, ...]
    arch: str
    blobs: Path


Part = FilePart | ImagesPart


@dataclass(frozen=True, slots=True)
class Measured:
    """A part with what its bytes are.

    Attributes:
        part: the part.
        size: bytes.
        sha256: digest, hex.
        sha1: digest, hex; an SBOM must tell it.
    """

    part: Part
    size: int
    sha256: str
    sha1: str


@dataclass(frozen=True, slots=True)
class Written:
    """A finished bundle.

    Attributes:
        path: where it is.
        size: bytes.
        sha256: digest of the whole file, hex.
    """

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle whose every byte was proven.

    Attributes:
        manifest: what is in it.
        digest: sha256 of its ``bundle.json``, hex.
        sealed: whether its archive carries a seal.
        size: bytes of the archive, 0 for a folder.
    """

    manifest: BundleManifest
    digest: str
    sealed: bool
    size: int


class BundleArchives(Protocol):
    """Writes and reads bundles."""

    async def measure(self, parts: Sequence[Part], progress: Progress) -> list[Measured]:
        """Read every part once."""
        ...

    async def write(self, out: Path, parts: Sequence[Measured], created: int, progress: Progress) -> Written:
        """Write an archive: the same parts and time give the same bytes. It appears under its name when it is whole.

        Raises:
            BeeyardError: ``E-BUNDLE-013``.
        """
        ...

    async def inspect(self, path: Path) -> Verified:
        """Read what a bundle says of itself, without proving it (``sealed`` tells whether there is a seal at all)."""
        ...

    async def verify(self, path: Path, progress: Progress) -> Verified:
        """Prove every byte of a bundle, without unpacking it.

        Raises:
            BeeyardError: ``E-BUNDLE-0xx``.
        """
        ...

    async def open(self, path: Path, workdir: Path, progress: Progress) -> OpenedBundle:
        """Verify a bundle and give access to its files.

        Raises:
            BeeyardError: ``E-BUNDLE-0xx``.
        """
        ...

    async def image_names(self, archive: Path) -> tuple[str, ...]:
        """Return the names of the images in an archive of images.

        Raises:
            BeeyardError: ``E-BUNDLE-015``.
        """
        ...

    async def open_images(self, archive: Path, workdir: Path) -> ArchivedImages:
        """Open an archive of images for reading its blobs.

        Raises:
            BeeyardError: ``E-BUNDLE-015``.
        """
        ...


class ArchivedImages(Protocol):
    """An opened archive of images."""

    @property
    def images(self) -> tuple[NamedImage, ...]:
        """The images, by each of their names."""
        ...

    def has(self, digest: str) -> bool:
        """Whether a blob is in it."""
        ...

    def data(self, digest: str) -> bytes:
        """Return a small blob.

        Raises:
            BeeyardError: ``E-BUNDLE-015`` it is not there, too large, or not what its digest says.
        """
        ...

    def read(self, descriptor: Descriptor, offset: int, length: int) -> AsyncIterator[bytes]:
        """Return a part of a blob in pieces."""
        ...

    def close(self) -> None:
        """Close it."""
        ...
