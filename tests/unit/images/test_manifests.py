from __future__ import annotations

import json
from typing import Any

import pytest

from installer.domain.errors import BeeyardError
from installer.domain.images.layout import joint_index
from installer.domain.images.manifest import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Facts,
    Index,
    Manifest,
    media_type_of,
    parse_facts,
    parse_manifest,
)


def digest(word: str) -> str:
    return f"sha256:{word * 64}"


def child(word: str, os: str = "linux", arch: str = "amd64", **more: Any) -> dict[str, Any]:
    platform = {"os": os, "architecture": arch, **({"variant": more.pop("variant")} if "variant" in more else {})}
    return {"mediaType": OCI_MANIFEST, "digest": digest(word), "size": 7, "platform": platform, **more}


def index(*children: dict[str, Any], kind: str = OCI_INDEX) -> Index:
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": children}).encode()
    parsed = parse_manifest(data, "", "x")
    assert isinstance(parsed, Index)
    return parsed


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_INDEX])
def test_each_architecture_gets_its_linux_image_and_what_attests_it(kind: str) -> None:
    about = {"annotations": {"vnd.docker.reference.digest": digest("b")}}
    found = index(
        child("a", os="windows"),
        child("b"),
        child("c", arch="arm", variant="v7"),
        child("d", arch="arm64", variant="v8"),
        child("e", os="unknown", arch="unknown", **about),
        kind=kind,
    )
    wanted = found.wanted(("amd64", "arm64"), "x")
    assert [one.digest for one in wanted["amd64"]] == [digest("b"), digest("e")]
    assert [one.digest for one in wanted["arm64"]] == [digest("d")]


def test_an_architecture_that_is_missing_is_named_with_those_that_are_there() -> None:
    with pytest.raises(BeeyardError) as caught:
        index(child("a", arch="s390x"), child("b", os="windows")).wanted(("arm64",), "quay.io/x:1")
    assert caught.value.code == "E-REG-006"
    assert caught.value.why.endswith("s390x")


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_without_a_media_type_is_what_the_header_says(kind: str) -> None:
    layer = {"mediaType": "y", "digest": digest("2"), "size": 3}
    data = json.dumps({"schemaVersion": 2, "config": {"digest": digest("1"), "size": 2}, "layers": [layer]}).encode()
    parsed = parse_manifest(data, kind, "x")
    assert isinstance(parsed, Manifest)
    assert [blob.size for blob in parsed.blobs] == [2, 3]
    assert media_type_of(data, kind) == kind


def test_facts_of_a_configuration() -> None:
    data = b'{"architecture": "arm64", "created": "2026-03-04T05:06:07Z"}'
    assert parse_facts(data) == Facts("arm64", "2026-03-04T05:06:07Z")
    for nonsense in (b"", b"[]", b"not JSON"):
        assert parse_facts(nonsense) == Facts()


def test_a_joint_index_names_the_platforms_in_a_lasting_order() -> None:
    manifests = {"arm64": Descriptor(digest("1"), 5, OCI_MANIFEST), "amd64": Descriptor(digest("2"), 6, OCI_MANIFEST)}
    data = joint_index(manifests)
    assert data == joint_index(dict(reversed(manifests.items())))
    parsed = parse_manifest(data, "", "x")
    assert isinstance(parsed, Index)
    assert [(one.architecture, one.descriptor.size) for one in parsed.children] == [("amd64", 6), ("arm64", 5)]
