"""A bundle as a machine sees it: the files for its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.domain.bundle import MANIFEST, BundleManifest, BundleTarget
from installer.domain.errors import RefusedError
from installer.domain.k3s_release import machine_arch

MACHINES = {"amd64": ("amd64", "x86_64"), "arm64": ("arm64", "aarch64")}
"""Words of ``uname -m`` by architecture, Go's own first."""


def arch_here(manifest: BundleManifest, machine: str) -> str:
    """Return the architecture of a machine, or the bundle's first one where it is for others."""
    return next((arch for arch in manifest.arches if machine in MACHINES[arch]), manifest.arches[0])


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle and where its files are, as a machine of one architecture sees it.

    Attributes:
        root: folder that holds its files.
        manifest: what they are.
        arch: the architecture.
    """

    root: Path
    manifest: BundleManifest
    arch: str

    @property
    def k3s(self) -> Path:
        """The k3s binary."""
        return self.root / self.manifest.for_arch(self.manifest.k3s, self.arch)[0].file

    @property
    def chart(self) -> Path:
        """Cilium's chart."""
        return self.root / self.manifest.chart.file

    @property
    def helm(self) -> Path | None:
        """The helm binary, if the bundle has one."""
        return next((self.root / one.file for one in self.manifest.for_arch(self.manifest.helm, self.arch)), None)

    @property
    def images(self) -> tuple[Path, ...]:
        """The image archives."""
        return tuple(self.root / entry.file for entry in self.manifest.for_arch(self.manifest.images, self.arch))

    @property
    def image_refs(self) -> tuple[str, ...]:
        """Names of the images in them."""
        images = self.manifest.for_arch(self.manifest.images, self.arch)
        return tuple(ref for entry in images for ref in entry.refs)

    @property
    def values(self) -> tuple[Path, ...]:
        """The values files, in their order."""
        return tuple(self.root / entry.file for entry in self.manifest.values)

    @property
    def files(self) -> tuple[tuple[Path, BundleTarget], ...]:
        """The files for the host, each with its destination."""
        targets = self.manifest.for_arch(self.manifest.files, self.arch)
        return tuple((self.root / entry.file, entry) for entry in targets)


def check_arch(manifest: BundleManifest, machine: str) -> str:
    """Return the architecture of a machine (``uname -m``'s word, or Go's); refuse a bundle made for other ones.

    Raises:
        RefusedError: ``E-BUNDLE-004``; ``E-K3S-001`` the machine is none that k3s and Cilium support.
    """
    arch = machine_arch(machine).name
    if arch not in manifest.arches:
        raise RefusedError(
            f"the bundle is for {manifest.arch}, this machine is {arch}",
            why=f"{MANIFEST} says arch: {manifest.arch}",
            fix=f"make or fetch a bundle for {arch}",
            code="E-BUNDLE-004",
        )
    return arch
