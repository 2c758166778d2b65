"""Bundles as services see them, off the event loop; implements ``ports.bundles.BundleArchives``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from installer.adapters.store import archive, bundle_writer, image_archive
from installer.adapters.store.bundle import BundleOpener, read_manifest
from installer.ports.bundles import Measured, Part, Progress, Verified, Written


class BundleArchives(BundleOpener):
    """Writes and reads bundles."""

    async def measure(self, parts: Sequence[Part], progress: Progress) -> list[Measured]:
        """Read every part once."""
        return await self.aside(lambda report: bundle_writer.measure(parts, report), progress)

    async def write(self, out: Path, parts: Sequence[Measured], created: int, progress: Progress) -> Written:
        """Write an archive; it appears under its name when it is whole."""
        return await self.aside(lambda report: bundle_writer.write(out, parts, created, report), progress)

    async def inspect(self, path: Path) -> Verified:
        """Read what a bundle says of itself, without proving it."""
        data, manifest = await asyncio.to_thread(read_manifest, path)
        sealed = path.is_file() and await asyncio.to_thread(archive.has_seal, path)
        return Verified(manifest, hashlib.sha256(data).hexdigest(), sealed, _size(path))

    async def verify(self, path: Path, progress: Progress) -> Verified:
        """Prove every byte of a bundle, without unpacking it."""
        manifest, digest, sealed = await self.prove(path, progress)
        return Verified(manifest, digest, sealed, _size(path))

    async def image_names(self, path: Path) -> tuple[str, ...]:
        """Return the names of the images in an archive of images."""
        return await asyncio.to_thread(image_archive.image_names, path)

    async def open_images(self, path: Path, workdir: Path) -> image_archive.ArchivedImages:
        """Open an archive of images for reading its blobs."""
        return await asyncio.to_thread(image_archive.ArchivedImages, path, workdir)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
