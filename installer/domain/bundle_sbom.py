"""The bundle's list of parts: an SPDX 2.3 document as JSON.

It names no mirror and no URL, so that a bundle made by way of another mirror has the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from installer.domain.images.manifest import PulledImage
from installer.domain.images.reference import parse_reference

NAME = "sbom.spdx.json"

_DOCUMENT = "SPDXRef-DOCUMENT"
_BUNDLE = "SPDXRef-Package-bundle"


@dataclass(frozen=True, slots=True)
class SbomFile:
    """A file of the bundle.

    Attributes:
        name: path in it.
        sha256: digest, hex.
        sha1: digest, hex.
    """

    name: str
    sha256: str
    sha1: str


@dataclass(frozen=True, slots=True)
class Component:
    """Software in the bundle.

    Attributes:
        name: its name.
        version: its version.
        file: path of the file that holds it.
        purl: package URL.
        sha256: digest of it (of an image: of its manifest), hex; empty where it is not told.
        arch: architecture, empty for all.
        purpose: SPDX' word for what it is.
    """

    name: str
    version: str
    file: str
    purl: str
    sha256: str = ""
    arch: str = ""
    purpose: str = "APPLICATION"


def program(name: str, project: str, version: str, file: SbomFile, arch: str) -> Component:
    """Return the component of a program that is released at a project on GitHub."""
    return Component(name, version, file.name, f"pkg:github/{project}@{quote(version, safe='')}", file.sha256, arch)


def chart(name: str, version: str, file: SbomFile) -> Component:
    """Return the component of a Helm chart."""
    return Component(name, version, file.name, f"pkg:helm/{name}@{version}", file.sha256, purpose="ARCHIVE")


def image(pulled: PulledImage, arch: str, file: str) -> Component:
    """Return the component of an image of one architecture, by its manifest's digest."""
    ref = parse_reference(pulled.ref)
    digest = pulled.manifests[arch][0].hex
    return _image(pulled.ref, file, arch, f"@sha256%3A{digest}", digest, ref.tag)


def named_image(name: str, arch: str, file: str) -> Component:
    """Return the component of an image in an archive that does not tell its digest."""
    return _image(name, file, arch, "", "", parse_reference(name).tag)


def _image(name: str, file: str, arch: str, version: str, sha256: str, tag: str) -> Component:
    ref = parse_reference(name)
    facts = {"arch": arch, "repository_url": ref.name, **({"tag": tag} if tag else {})}
    query = "&".join(f"{key}={quote(value, safe='/:')}" for key, value in sorted(facts.items()))
    purl = f"pkg:oci/{ref.repository.rpartition('/')[2]}{version}?{query}"
    return Component(ref.name, tag or ref.digest, file, purl, sha256, arch, "CONTAINER")


def document(
    name: str, creator: str, created: str, files: Sequence[SbomFile], components: Iterable[Component]
) -> bytes:
    """Return the document.

    Args:
        name: name of the bundle.
        creator: the program that makes it, with its version.
        created: UTC time, RFC 3339.
        files: all files of the bundle but the manifest and this document.
        components: what is in them.
    """
    ordered = sorted(files, key=lambda file: file.name)
    places = {file.name: f"SPDXRef-File-{number}" for number, file in enumerate(ordered, 1)}
    packages = [_package(number, component) for number, component in enumerate(sorted_components(components), 1)]
    code = hashlib.sha1("".join(sorted(file.sha1 for file in ordered)).encode(), usedforsecurity=False).hexdigest()
    bundle = {
        "SPDXID": _BUNDLE,
        "name": name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": code},
        "hasFiles": list(places.values()),
    }
    unique = hashlib.sha256("".join(file.sha256 for file in ordered).encode()).hexdigest()
    content = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{unique}",
        "creationInfo": {"created": created, "creators": [f"Tool: {creator}"]},
        "documentDescribes": [_BUNDLE],
        "packages": [bundle, *(package for package, _ in packages)],
        "files": [_file(file, places[file.name]) for file in ordered],
        "relationships": [
            _relation(_DOCUMENT, "DESCRIBES", _BUNDLE),
            *(_relation(_BUNDLE, "CONTAINS", place) for place in places.values()),
            *(_relation(_BUNDLE, "CONTAINS", str(package["SPDXID"])) for package, _ in packages),
            *(
                _relation(places[component.file], "CONTAINS", str(package["SPDXID"]))
                for package, component in packages
                if component.file in places
            ),
        ],
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def sorted_components(components: Iterable[Component]) -> list[Component]:
    """Return each component once, in a lasting order."""
    return sorted(set(components), key=lambda one: (one.name, one.version, one.arch, one.purl, one.file))


def _package(number: int, component: Component) -> tuple[dict[str, Any], Component]:
    word = re.sub(r"[^A-Za-z0-9.-]+", "-", component.name.rpartition("/")[2])
    entry: dict[str, Any] = {
        "SPDXID": f"SPDXRef-Package-{number}-{word}",
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "primaryPackagePurpose": component.purpose,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": component.purl}
        ],
    }
    if component.sha256:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": component.sha256}]
    if component.arch:
        entry["comment"] = f"for {component.arch}"
    return entry, component


def _file(file: SbomFile, place: str) -> dict[str, Any]:
    return {
        "SPDXID": place,
        "fileName": f"./{file.name}",
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": file.sha1},
            {"algorithm": "SHA256", "checksumValue": file.sha256},
        ],
        "licenseConcluded": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
