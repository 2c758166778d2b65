"""Where k3s, helm and the chart come from: the network, or a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from installer.ports.web import Download


@dataclass(frozen=True, slots=True)
class K3sAssets:
    """One k3s release for this architecture.

    Attributes:
        version: such as ``v1.36.4+k3s1``.
        binary: the k3s binary (``dest`` is left to the caller).
        images: the air-gap archive, its URL empty where the release has none.
        image_list: list of the images, its URL empty where the release has none with a checksum.
    """

    version: str
    binary: Download
    images: Download
    image_list: Download


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A verified file of a bundle that goes to the host.

    Attributes:
        path: where it lies in the bundle.
        dest: where it goes.
        mode: permission bits.
    """

    path: Path
    dest: Path
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle.

    Attributes:
        root: its folder (or archive, before it is opened).
        digest: sha256 of its ``bundle.json``, which names the checksum of everything in it.
        arch: ``amd64`` or ``arm64``.
        k3s_version: such as ``v1.36.4+k3s1``.
        k3s: the binary.
        images: image archives.
        chart: chart archive.
        chart_version: its version.
        helm: helm binary, None when the bundle has none.
        helm_version: its version.
        values: Helm values files.
        files: further files.
        image_refs: every image in the archives.
        unproven: files without a checksum, which bundles of the first format may have.
    """

    root: Path
    digest: str
    arch: str
    k3s_version: str
    k3s: Path
    images: tuple[Path, ...]
    chart: Path
    chart_version: str
    helm: Path | None = None
    helm_version: str = ""
    values: tuple[Path, ...] = ()
    files: tuple[BundleFile, ...] = ()
    image_refs: tuple[str, ...] = field(default=())
    unproven: tuple[str, ...] = ()


class Sources(Protocol):
    """Resolves versions to files."""

    async def k3s(self, *, channel: str, version: str | None, arch: str) -> K3sAssets:
        """Resolve a k3s release by channel or exact version, with checksums.

        Raises:
            BeeyardError: ``E-K3S-00x``, ``E-WEB-0xx``.
        """
        ...

    async def k3s_version(self, channel: str) -> str:
        """Return the newest version of a channel of k3s.

        Raises:
            BeeyardError: ``E-K3S-00x``, ``E-WEB-0xx``.
        """
        ...

    async def chart(self, repository: str, version: str, sha256: str) -> Download:
        """Find a chart version in a Helm repository; without a known checksum that of the index counts.

        Raises:
            BeeyardError: ``E-HELM-023`` not in the index.
        """
        ...

    async def helm(self, url: str, version: str, arch: str) -> Download:
        """Return helm's archive with its checksum."""
        ...

    async def local_helm(self) -> Path | None:
        """Return a helm on PATH that is new enough (3.14 or later), None where there is none."""
        ...

    async def chart_version(self, archive: Path) -> str:
        """Return the version of a chart archive.

        Raises:
            BeeyardError: ``E-CHART-0xx`` it is not a Cilium chart.
        """
        ...

    async def chart_values(self, archive: Path) -> dict[str, Any]:
        """Return the default values of a chart archive."""
        ...

    def unpack_helm(self, archive: Path, dest: Path) -> Path:
        """Take the helm binary out of its archive."""
        ...

    def read_bundle(self, path: Path) -> Bundle:
        """Read what a bundle says it holds, without checking its files."""
        ...

    async def open_bundle(self, path: Path, workdir: Path, progress: Callable[[str, int, int], None]) -> Bundle:
        """Verify every file of a bundle (``progress`` gets file, bytes done, bytes in all) and return it.

        Raises:
            BeeyardError: ``E-BUNDLE-0xx``.
        """
        ...
