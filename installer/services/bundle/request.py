"""What is to be bundled, and what making bundles works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from installer.domain.events import Event
from installer.domain.images.mirrors import Mirrors
from installer.domain.images.reference import ImageRef
from installer.domain.releases import Releases
from installer.domain.spec import ClusterSpec
from installer.ports.bundles import BundleArchives
from installer.ports.helm import Helm
from installer.ports.registry import Registries
from installer.ports.sources import Sources
from installer.ports.web import Downloader

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file that an install is to put on the host.

    Attributes:
        source: the file.
        dest: absolute path on the host.
        mode: permission bits, octal.
    """

    source: Path
    dest: str
    mode: str = "0644"


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """What is to be bundled.

    Attributes:
        spec: the cluster that the bundle is for: versions, features, sources.
        arches: architectures, sorted.
        cache: folder where downloads are kept for the next time.
        mirrors: where images are pulled from.
        out: the bundle, None for a name of its own in the working folder.
        values: Helm values files that come along.
        files: files for the host that come along.
        images: further images.
        epoch: UNIX time that the bundle tells as its own, None for the newest of its images.
        allow_unsupported: versions outside the support table are taken.
        machine: this machine, by the word of ``uname -m``; helm is run on it.
    """

    spec: ClusterSpec
    arches: tuple[str, ...]
    cache: Path
    mirrors: Mirrors = field(default_factory=Mirrors)
    out: Path | None = None
    values: tuple[Path, ...] = ()
    files: tuple[HostFile, ...] = ()
    images: tuple[ImageRef, ...] = ()
    epoch: int | None = None
    allow_unsupported: bool = False
    machine: str = "x86_64"


@dataclass(frozen=True, slots=True)
class BundleTools:
    """The adapters that bundles are made with."""

    downloader: Downloader
    sources: Sources
    registries: Registries
    archives: BundleArchives
    helm: Callable[[Path], Helm]
    assets: Callable[[str], Path]
    table: Releases
    now: Callable[[], float]
    creator: str


@dataclass(frozen=True, slots=True)
class BundleMade(Event):
    """A bundle is finished.

    Attributes:
        path: where it is.
        size: bytes.
        sha256: digest of the whole file, hex.
        facts: versions, architectures and counts.
    """

    name: ClassVar[str] = "bundle-made"
    path: str
    size: int
    sha256: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BundlePushed(Event):
    """A bundle's images are in a registry.

    Attributes:
        registry: where they are.
        images: for each: name, target, digest, whether the digest is the one it had.
        blobs: how many blobs were sent.
        skipped: how many were there already.
        registries: content of k3s' registries.yaml that pulls from there.
    """

    name: ClassVar[str] = "bundle-pushed"
    registry: str
    images: list[dict[str, Any]]
    blobs: int
    skipped: int
    registries: dict[str, Any]
