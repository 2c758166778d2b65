"""The list of parts against what SPDX 2.3 demands of a document."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from installer.domain import bundle_sbom
from installer.domain.bundle_sbom import SbomFile
from installer.domain.images.manifest import Descriptor, PulledImage

SHA, SHA1 = "ab" * 32, "cd" * 20
MANIFEST = Descriptor(f"sha256:{'12' * 32}", 5, "")
ROOT = Descriptor(f"sha256:{'34' * 32}", 5, "")
IMAGE = PulledImage(f"quay.io/cilium/cilium:v1.20.0@{ROOT.digest}", ROOT, {"arm64": (MANIFEST,)}, {"arm64": (ROOT,)})


def document() -> dict[str, Any]:
    files = [SbomFile(name, SHA, SHA1) for name in ("images/c.tar", "bin/arm64/k3s", "charts/c.tgz")]
    components = [
        bundle_sbom.program("k3s", "k3s-io/k3s", "v1.36.4+k3s1", files[1], "arm64"),
        bundle_sbom.chart("cilium", "1.20.0", files[2]),
        bundle_sbom.image(IMAGE, "arm64", "images/c.tar"),
        bundle_sbom.named_image("docker.io/rancher/mirrored-pause:3.6", "arm64", "images/c.tar"),
    ]
    data = bundle_sbom.document("beeyard-bundle", "beeyard-0.1.0", "2026-11-23T00:00:00Z", files, components)
    assert data == bundle_sbom.document(
        "beeyard-bundle", "beeyard-0.1.0", "2026-11-23T00:00:00Z", files[::-1], components[::-1]
    )
    found: dict[str, Any] = json.loads(data)
    return found


def test_it_is_an_spdx_document() -> None:
    found = document()
    assert (found["spdxVersion"], found["dataLicense"], found["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert re.fullmatch(r"https://\S+", found["documentNamespace"])
    assert "#" not in found["documentNamespace"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["creationInfo"]["created"])
    assert found["creationInfo"]["creators"] == ["Tool: beeyard-0.1.0"]
    ids = [one["SPDXID"] for one in (*found["packages"], *found["files"])]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
    known = {*ids, "SPDXRef-DOCUMENT"}
    for relation in found["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= known
    assert {
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-Package-bundle",
    } in found["relationships"]


def test_files_have_the_checksums_that_the_format_demands() -> None:
    found = document()
    for file in found["files"]:
        sums = {one["algorithm"]: one["checksumValue"] for one in file["checksums"]}
        assert sums == {"SHA1": SHA1, "SHA256": SHA}
        assert file["fileName"].startswith("./")
    bundle = found["packages"][0]
    code = hashlib.sha1((SHA1 * 3).encode(), usedforsecurity=False).hexdigest()
    assert bundle["packageVerificationCode"] == {"packageVerificationCodeValue": code}
    assert len(bundle["hasFiles"]) == 3


def test_components_have_package_urls_and_lie_in_their_files() -> None:
    found = document()
    urls = {
        one["name"]: one["externalRefs"][0]["referenceLocator"] for one in found["packages"] if "externalRefs" in one
    }
    assert urls == {
        "k3s": "pkg:github/k3s-io/k3s@v1.36.4%2Bk3s1",
        "cilium": "pkg:helm/cilium@1.20.0",
        "quay.io/cilium/cilium": f"pkg:oci/cilium@sha256%3A{'12' * 32}"
        "?arch=arm64&repository_url=quay.io/cilium/cilium&tag=v1.20.0",
        "docker.io/rancher/mirrored-pause": "pkg:oci/mirrored-pause"
        "?arch=arm64&repository_url=docker.io/rancher/mirrored-pause&tag=3.6",
    }
    names = {one["SPDXID"]: one.get("name") or one["fileName"] for one in (*found["packages"], *found["files"])}
    inside = {
        (names[one["spdxElementId"]], names[one["relatedSpdxElement"]])
        for one in found["relationships"]
        if one["spdxElementId"].startswith("SPDXRef-File")
    }
    assert ("./images/c.tar", "quay.io/cilium/cilium") in inside
    assert ("./bin/arm64/k3s", "k3s") in inside
