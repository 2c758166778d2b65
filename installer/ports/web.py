"""Downloads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Download:
    """A file to fetch.

    Attributes:
        url: http(s) URL.
        dest: where the finished file goes.
        sha256: expected hex digest; empty only where nothing can tell it beforehand.
        name: for progress and errors, such as ``k3s v1.36.4+k3s1``.
    """

    url: str
    dest: Path
    sha256: str = ""
    name: str = ""


Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all or 0 when unknown)."""


class Downloader(Protocol):
    """Fetches over HTTP(S); TLS is always verified, proxies of the environment are honoured."""

    async def text(self, url: str, *, limit: int = 32 * 1024 * 1024) -> str:
        """Return a small document.

        Raises:
            BeeyardError: ``E-WEB-0xx``, see ``installer.adapters.web``.
        """
        ...

    async def location(self, url: str) -> str:
        """Return where a redirect points to, without following it (empty when it is none)."""
        ...

    async def size(self, url: str) -> int:
        """Return the size in bytes by a HEAD request, 0 when unknown; never raises for a missing length."""
        ...

    async def fetch(self, download: Download, progress: Progress | None = None) -> Path:
        """Fetch a file: resume a partial one, verify its sha256, then rename it into place.

        Raises:
            BeeyardError: ``E-WEB-0xx``.
        """
        ...
