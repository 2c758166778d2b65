"""Archives of images: the OCI layout that beeyard writes, and the two forms it reads (OCI layout, ``docker save``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from installer.domain.errors import RefusedError
from installer.domain.images.manifest import (
    CREATED_NAME,
    MOST_BLOBS,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    PulledImage,
    descriptor,
)
from installer.domain.images.reference import parse_reference

LAYOUT = "oci-layout"
INDEX = "index.json"
DOCKER_LIST = "manifest.json"
BLOBS = "blobs/sha256/"


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image of an archive in OCI layout.

    Attributes:
        name: its full name, by tag or by digest.
        root: index or manifest.
    """

    name: str
    root: Descriptor


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image of an archive as ``docker save`` writes it.

    Attributes:
        names: its full names.
        config: path of its configuration in the archive.
        layers: paths of its layers.
    """

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]


def layout_files(images: Iterable[PulledImage], arch: str) -> dict[str, bytes]:
    """Return the files beside the blobs of an OCI layout: containerd finds each image under all its names.

    An image that is named by digest gets the name ``name@digest``, for that is what Kubernetes looks up. The index or
    manifest that the digest stands for is in the layout as it is, whatever other architectures it names.
    """
    entries = [entry for image in images if arch in image.blobs for entry in _entries(image)]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return {LAYOUT: _json({"imageLayoutVersion": "1.0.0"}), INDEX: _json(index)}


def _entries(image: PulledImage) -> list[dict[str, Any]]:
    ref = parse_reference(image.ref)
    return [
        {
            **image.root.to_dict(),
            "annotations": {CREATED_NAME: name, **({} if "@" in name else {REF_NAME: ref.tag})},
        }
        for name in ref.store_names
    ]


def parse_index(data: bytes, archive: str) -> tuple[NamedImage, ...]:
    """Read ``index.json``: the images that have a full name.

    Raises:
        RefusedError: ``E-BUNDLE-015``.
        BeeyardError: ``E-REG-005``.
    """
    content = _object(data, archive)
    entries = content.get("manifests") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) > MOST_BLOBS:
        raise unreadable(archive, f"{INDEX} has no list of manifests")
    found = []
    for entry in entries:
        annotations = entry.get("annotations") if isinstance(entry, dict) else None
        name = annotations.get(CREATED_NAME) if isinstance(annotations, Mapping) else None
        if isinstance(name, str):
            found.append(NamedImage(name, descriptor(entry, name)))
    return tuple(found)


def parse_saved(data: bytes, archive: str) -> tuple[SavedImage, ...]:
    """Read ``manifest.json`` of an archive that ``docker save`` wrote.

    Raises:
        RefusedError: ``E-BUNDLE-015``.
    """
    content = _object(data, archive)
    try:
        return tuple(
            SavedImage(
                tuple(str(parse_reference(str(tag))) for tag in entry["RepoTags"] or ()),
                str(entry["Config"]),
                tuple(map(str, entry["Layers"])),
            )
            for entry in content
        )
    except (KeyError, TypeError) as error:
        raise unreadable(archive, f"{DOCKER_LIST} is not as docker writes it: {error}") from error


def saved_manifest(config: Descriptor, layers: Iterable[Descriptor]) -> bytes:
    """Return a manifest for an image that ``docker save`` wrote, which has none."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor(config.digest, config.size, OCI_CONFIG).to_dict(),
            "layers": [Descriptor(layer.digest, layer.size, OCI_LAYER).to_dict() for layer in layers],
        }
    )


def joint_index(manifests: Mapping[str, Descriptor]) -> bytes:
    """Return an index over manifests by architecture, for a name that they share."""
    entries = [
        {**manifests[arch].to_dict(), "platform": {"architecture": arch, "os": "linux"}} for arch in sorted(manifests)
    ]
    return _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def unreadable(archive: str, why: str) -> RefusedError:
    """Return the error for an archive of images that cannot be read."""
    return RefusedError(
        f"{archive} is not a usable archive of images",
        why=why,
        fix="it must be an OCI layout or what `docker save` writes, as .tar, .tar.gz or .tar.zst",
        code="E-BUNDLE-015",
    )


def _object(data: bytes, archive: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unreadable(archive, f"not JSON: {error}") from error


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
