"""Archives of images in both forms, plain and compressed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from installer.adapters.store.image_archive import ArchivedImages, image_names
from installer.domain.errors import BeeyardError
from installer.domain.images.manifest import Descriptor, Manifest, parse_manifest
from tests.testbed import oci

REF = "docker.io/rancher/mirrored-pause:3.6"


def plain(data: bytes) -> bytes:
    return data


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def layout(folder: Path) -> bytes:
    """An OCI layout as the testbed writes it."""
    root = folder / "root"
    root.mkdir()
    (root / "pause").write_bytes(b"program" * 1000)
    layer = oci.tree_layer(root, folder / "layer.tar")
    oci.write_archive(folder / "oci.tar", [oci.Image([REF], [layer], ["/pause"])])
    return (folder / "oci.tar").read_bytes()


def saved(_folder: Path) -> bytes:
    """What ``docker save`` writes, a layer being there once and linked to."""
    raw = io.BytesIO()
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    files = {"abc.json": config, "1/layer.tar": b"a layer" * 5000}
    listed = [
        {"Config": "abc.json", "RepoTags": ["rancher/mirrored-pause:3.6"], "Layers": ["1/layer.tar", "2/layer.tar"]}
    ]
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in {**files, "manifest.json": json.dumps(listed).encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("2/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../1/layer.tar"
        tar.addfile(link)
    return raw.getvalue()


async def content(archive: ArchivedImages, blob: Descriptor, offset: int, length: int) -> bytes:
    return b"".join([piece async for piece in archive.read(blob, offset, length)])


@pytest.mark.parametrize("make", [layout, saved])
@pytest.mark.parametrize("pack", [plain, gzip.compress, zstd])
async def test_images_are_found_and_read(
    make: Callable[[Path], bytes], pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "images.tar"
    path.write_bytes(pack(make(tmp_path)))
    assert image_names(path) == (REF,)
    archive = ArchivedImages(path, tmp_path)
    try:
        (image,) = archive.images
        assert image.name == REF
        manifest = parse_manifest(archive.data(image.root.digest), image.root.media_type, REF)
        assert isinstance(manifest, Manifest)
        for blob in manifest.blobs:
            assert archive.has(blob.digest)
            data = await content(archive, blob, 0, blob.size)
            assert f"sha256:{hashlib.sha256(data).hexdigest()}" == blob.digest
            assert await content(archive, blob, 5, 7) == data[5:12]
        assert not archive.has(f"sha256:{'0' * 64}")
        with pytest.raises(BeeyardError):
            archive.data(f"sha256:{'0' * 64}")
    finally:
        archive.close()


def test_a_blob_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    data = layout(tmp_path)
    path = tmp_path / "images.tar"
    place = data.index(b'{"config":{"digest"')  # the manifest
    path.write_bytes(data[:place] + b" " + data[place + 1 :])
    archive = ArchivedImages(path, tmp_path)
    with pytest.raises(BeeyardError) as caught:
        archive.data(archive.images[0].root.digest)
    archive.close()
    assert caught.value.code == "E-BUNDLE-015"


@pytest.mark.parametrize(
    "data", [b"", b"no archive at all", gzip.compress(b"neither", mtime=0), zstd(b"nor this")[:-3], bytes(1024)]
)
def test_what_is_no_archive_of_images(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    path.write_bytes(data)
    with pytest.raises(BeeyardError) as caught:
        image_names(path)
    assert caught.value.code == "E-BUNDLE-015"


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("index.json", b"[]"),
        ("index.json", b'{"manifests": [5]}'),
        ("index.json", b"not JSON"),
        ("manifest.json", b'[{"RepoTags": ["a:1"]}]'),
        ("manifest.json", b"{}"),
        ("manifest.json", b'[{"RepoTags": ["NOT A NAME"], "Config": "c", "Layers": []}]'),
    ],
)
def test_lists_that_make_no_sense(name: str, listed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(listed)
        tar.addfile(info, io.BytesIO(listed))
    with pytest.raises(BeeyardError) as caught:
        image_names(path)
    assert caught.value.code in ("E-BUNDLE-015", "E-REG-001")


def test_a_layer_that_is_missing(tmp_path: Path) -> None:
    entries: dict[str, Any] = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["../../etc/passwd"]}
    path = tmp_path / "images.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in {"manifest.json": json.dumps([entries]).encode(), "c.json": b"{}"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(BeeyardError) as caught:
        ArchivedImages(path, tmp_path)
    assert caught.value.code == "E-BUNDLE-015"
    assert [one.name for one in tmp_path.iterdir()] == ["images.tar"]
