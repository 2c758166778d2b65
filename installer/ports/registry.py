"""Registries of container images (OCI distribution API)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from installer.domain.images.manifest import Descriptor, PulledImage
from installer.domain.images.mirrors import Mirrors, Target
from installer.domain.images.reference import ImageRef

BlobProgress = Callable[[str, int, int], None]
"""Called with (blob's digest, bytes done, bytes in all)."""


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """A manifest that is to be put into a registry.

    Attributes:
        data: its bytes.
        descriptor: what names it.
        tag: tag that it gets, empty for its digest.
    """

    data: bytes
    descriptor: Descriptor
    tag: str = ""


class BlobReader(Protocol):
    """Gives the bytes of a blob from some place on, as often as it is asked."""

    def __call__(self, descriptor: Descriptor, offset: int, length: int) -> AsyncIterator[bytes]:
        """Return so many bytes in pieces."""
        ...


class Registries(Protocol):
    """Pulls from registries and their mirrors, and pushes to one. Everything is proven by its digest."""

    async def pull(
        self, ref: ImageRef, arches: Sequence[str], mirrors: Mirrors, folder: Path, progress: BlobProgress
    ) -> PulledImage:
        """Fetch an image for some architectures; blobs go to ``folder`` under the hex form of their digest.

        What lies there already and is right is not fetched again; what came half is continued.

        Raises:
            BeeyardError: ``E-REG-0xx``, ``E-WEB-0xx``.
        """
        ...

    async def push_blob(
        self, target: Target, repository: str, descriptor: Descriptor, read: BlobReader, progress: BlobProgress
    ) -> bool:
        """Bring a blob into a registry; return False where it is there already.

        Raises:
            BeeyardError: ``E-REG-003``, ``-008``, ``E-WEB-0xx``.
        """
        ...

    async def push_manifest(self, target: Target, repository: str, manifest: PushedManifest) -> None:
        """Put a manifest into a registry whose blobs are there.

        Raises:
            BeeyardError: ``E-REG-003``, ``-008``, ``E-WEB-0xx``.
        """
        ...
