"""Manifests of images: read, judged, and the part that an architecture needs. Nothing of them is ever rewritten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.errors import BeeyardError

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
"""Value of the Accept header: with another one a registry may translate a manifest, and its digest changes."""

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest manifest taken."""

MOST_BLOBS = 1000
"""Entries of the longest manifest or index taken."""

CREATED_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_BLOB = 64 * 1024**3
_ATTESTED = "vnd.docker.reference.digest"


@dataclass(frozen=True, slots=True, order=True)
class Descriptor:
    """What names a blob.

    Attributes:
        digest: ``sha256:`` and 64 hex digits.
        size: bytes.
        media_type: what it is.
    """

    digest: str
    size: int
    media_type: str

    @property
    def hex(self) -> str:
        """The digest without its algorithm."""
        return self.digest.removeprefix("sha256:")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Child:
    """An entry of an index.

    Attributes:
        descriptor: the manifest.
        os: operating system.
        architecture: Go's word, such as ``arm64``.
        variant: such as ``v8``, or empty.
        attests: digest of the manifest that it says something about, empty for images.
    """

    descriptor: Descriptor
    os: str = ""
    architecture: str = ""
    variant: str = ""
    attests: str = ""

    def runs_on(self, arch: str) -> bool:
        """Whether it is the Linux image of an architecture."""
        return self.os == "linux" and self.architecture == arch and self.variant in ("", "v8") and not self.attests


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests, one an architecture."""

    children: tuple[Child, ...] = ()

    def wanted(self, arches: Sequence[str], ref: str) -> dict[str, tuple[Descriptor, ...]]:
        """Return by architecture its manifest and the attestations of it.

        Raises:
            BeeyardError: ``E-REG-006`` there is none for an architecture.
        """
        return {arch: self._for(arch, ref) for arch in arches}

    def _for(self, arch: str, ref: str) -> tuple[Descriptor, ...]:
        found = next((child.descriptor for child in self.children if child.runs_on(arch)), None)
        if found is None:
            raise not_for(ref, arch, (child.architecture for child in self.children if child.os == "linux"))
        return (found, *(child.descriptor for child in self.children if child.attests == found.digest))


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image of one architecture.

    Attributes:
        config: its configuration.
        layers: its layers, the lowest first.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...] = ()

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Configuration and layers."""
        return (self.config, *self.layers)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an image's configuration tells.

    Attributes:
        architecture: Go's word.
        created: RFC 3339 time, empty where it is not told.
    """

    architecture: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image as it was fetched: every blob is in the cache, proven.

    Attributes:
        ref: its name.
        root: index or manifest that the name stands for.
        manifests: by architecture its manifest, then the attestations of it.
        blobs: by architecture everything that it takes, the root included, sorted by digest.
        created: newest time that a configuration tells, or empty.
    """

    ref: str
    root: Descriptor
    manifests: Mapping[str, tuple[Descriptor, ...]] = field(default_factory=dict)
    blobs: Mapping[str, tuple[Descriptor, ...]] = field(default_factory=dict)
    created: str = ""


def parse_manifest(data: bytes, media_type: str, ref: str) -> Index | Manifest:
    """Read an index or a manifest; what it says it is counts for more than the header it came with.

    Raises:
        BeeyardError: ``E-REG-005``.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise malformed(ref, f"not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("schemaVersion") != 2:
        raise malformed(ref, "it is not of schema version 2")
    kind = content.get("mediaType") or media_type
    if kind in INDEXES:
        return Index(tuple(_child(entry, ref) for entry in _entries(content, "manifests", ref)))
    if kind in MANIFESTS:
        layers = tuple(descriptor(entry, ref) for entry in _entries(content, "layers", ref))
        return Manifest(descriptor(content.get("config"), ref), layers)
    raise malformed(ref, f"its media type is {str(kind)[:100]!r}")


def media_type_of(data: bytes, header: str) -> str:
    """Return the media type of a manifest that was parsed before: its own word, else the header's."""
    return str(json.loads(data).get("mediaType") or header)


def descriptor(entry: object, ref: str) -> Descriptor:
    """Read a descriptor.

    Raises:
        BeeyardError: ``E-REG-005``.
    """
    content = entry if isinstance(entry, dict) else {}
    digest, size = content.get("digest"), content.get("size")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise malformed(ref, f"{str(digest)[:100]!r} is no sha256 digest")
    if type(size) is not int or not 0 <= size <= _LARGEST_BLOB:
        raise malformed(ref, f"{digest} has size {str(size)[:40]!r}")
    return Descriptor(digest, size, str(content.get("mediaType") or ""))


def parse_facts(data: bytes) -> Facts:
    """Read an image's configuration; what cannot be read is left empty."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return Facts()
    if not isinstance(content, dict):
        return Facts()
    return Facts(str(content.get("architecture") or ""), str(content.get("created") or ""))


def not_for(ref: str, arch: str, there: Iterable[str]) -> BeeyardError:
    """Return the error for an image that an architecture lacks."""
    return BeeyardError(
        f"the image {ref} does not exist for {arch}",
        why=f"it is there for {', '.join(sorted(set(there))) or 'nothing that it tells'}",
        fix=f"leave {arch} out of --arch, or take a version or a mirror that has it",
        code="E-REG-006",
    )


def malformed(ref: str, why: str) -> BeeyardError:
    """Return the error for a manifest that cannot be used."""
    return BeeyardError(
        f"the manifest of {ref} cannot be used",
        why=why,
        fix="check the mirror or proxy between; images must have OCI or Docker schema 2 manifests",
        code="E-REG-005",
    )


def _entries(content: dict[str, Any], key: str, ref: str) -> list[Any]:
    entries = content.get(key)
    if not isinstance(entries, list) or len(entries) > MOST_BLOBS:
        raise malformed(ref, f"its {key} are missing, or more than {MOST_BLOBS}")
    return entries


def _child(entry: Any, ref: str) -> Child:
    found = descriptor(entry, ref)
    platform = entry.get("platform") if isinstance(entry.get("platform"), dict) else {}
    annotations = entry.get("annotations") if isinstance(entry.get("annotations"), dict) else {}
    words = {name: str(platform.get(name) or "") for name in ("os", "architecture", "variant")}
    return Child(found, attests=str(annotations.get(_ATTESTED) or ""), **words)
