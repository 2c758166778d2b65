"""Writing bundles: reproducible, sealed, and refused with any byte of them changed."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.adapters.store import bundle_writer
from installer.adapters.store.archive import check_seal
from installer.adapters.store.bundle import open_bundle, read_manifest, verify_bundle
from installer.adapters.store.bundle_archives import BundleArchives
from installer.domain.bundle import dump_manifest
from installer.domain.bundle_seal import LENGTH
from installer.domain.errors import BeeyardError
from installer.domain.images.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, PulledImage
from installer.ports.bundles import FilePart, ImagesPart, Measured

REF = "quay.io/cilium/cilium:v1.20.0"


def quiet(*_: Any) -> None:
    pass


def stored(blobs: Path, data: bytes, kind: str) -> Descriptor:
    digest = hashlib.sha256(data).hexdigest()
    blobs.mkdir(exist_ok=True)
    (blobs / digest).write_bytes(data)
    return Descriptor(f"sha256:{digest}", len(data), kind)


def pulled(blobs: Path) -> PulledImage:
    """An image of two architectures, as a client leaves it in the cache."""
    manifests, parts = {}, {}
    for arch in ("amd64", "arm64"):
        config = stored(blobs, json.dumps({"architecture": arch, "os": "linux"}).encode(), OCI_CONFIG)
        layer = stored(blobs, random.Random(arch).randbytes(40_000), OCI_LAYER)
        content = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.to_dict(),
            "layers": [layer.to_dict()],
        }
        manifests[arch] = stored(blobs, json.dumps(content).encode(), OCI_MANIFEST)
        parts[arch] = (manifests[arch], config, layer)
    entries = [{**manifests[arch].to_dict(), "platform": {"architecture": arch, "os": "linux"}} for arch in manifests]
    root = stored(
        blobs, json.dumps({"schemaVersion": 2, "manifests": entries, "mediaType": OCI_INDEX}).encode(), OCI_INDEX
    )
    return PulledImage(
        f"{REF}@{root.digest}",
        root,
        {arch: (one,) for arch, one in manifests.items()},
        {arch: tuple(sorted({root, *found})) for arch, found in parts.items()},
    )


def made(folder: Path, name: str = "bundle.tar.zst") -> Path:
    """Write a small bundle for two architectures."""
    image = pulled(folder / "blobs")
    k3s = folder / "k3s"
    k3s.write_bytes(random.Random(1).randbytes(300_000))
    parts: list[FilePart | ImagesPart] = [
        FilePart("charts/cilium-1.20.0.tgz", b"chart" * 100),
        FilePart("values/01-site.yaml", b"debug: {enabled: true}\n"),
        FilePart("files/01-x.tmpl", b"template"),
        FilePart("sbom.spdx.json", b"{}"),
    ]
    for arch in ("amd64", "arm64"):
        parts.append(FilePart(f"bin/{arch}/k3s", k3s, program=True))
        parts.append(ImagesPart(f"images/cilium-images-{arch}.tar", (image,), arch, folder / "blobs"))
    measured = bundle_writer.measure(parts, quiet)
    sums = {one.part.name: one.sha256 for one in measured}

    def entry(name: str, /, **more: Any) -> dict[str, Any]:
        return {"file": name, "sha256": sums[name], **more}

    manifest = dump_manifest(
        {
            "format": 2,
            "arch": "amd64,arm64",
            "created": "2026-11-23T00:00:00Z",
            "k3s": [entry(f"bin/{arch}/k3s", version="v1.36.4+k3s1", arch=arch) for arch in ("amd64", "arm64")],
            "images": [
                entry(f"images/cilium-images-{arch}.tar", arch=arch, refs=[image.ref]) for arch in ("amd64", "arm64")
            ],
            "chart": entry("charts/cilium-1.20.0.tgz", name="cilium", version="1.20.0"),
            "values": [entry("values/01-site.yaml")],
            "files": [entry("files/01-x.tmpl", dest="/var/lib/rancher/k3s/x.tmpl", mode="0600")],
            "sbom": entry("sbom.spdx.json"),
        }
    )
    first = bundle_writer.measure([FilePart("bundle.json", manifest)], quiet)
    return bundle_writer.write(folder / name, [*first, *measured], 1_790_000_000, quiet).path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("bundle"))


def refused(path: Path, workdir: Path) -> BeeyardError:
    """Check that neither opening nor verifying takes it, and that nothing is left of it."""
    with pytest.raises(BeeyardError):
        verify_bundle(path)
    with pytest.raises(BeeyardError) as caught:
        open_bundle(path, workdir)
    assert not (workdir / "unpacked").exists()
    return caught.value


def test_the_same_parts_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    assert made(tmp_path, "other.tar.zst").read_bytes() == bundle.read_bytes()


def test_zstd_and_tar_take_it_for_what_it_is(bundle: Path, tmp_path: Path) -> None:
    plain = subprocess.run(["zstd", "-dc", bundle], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names[0] == "bundle.json"
    assert names.index("values/01-site.yaml") < names.index("bin/amd64/k3s")
    assert {(one.uid, one.gid, one.uname, one.mtime, one.isreg()) for one in members} == {
        (0, 0, "", 1_790_000_000, True)
    }
    assert {one.name: one.mode for one in members}["bin/arm64/k3s"] == 0o755
    subprocess.run(["tar", "-x", "--zstd", "-f", bundle, "-C", tmp_path], check=True)
    assert open_bundle(tmp_path, tmp_path / "work").manifest.arches == ("amd64", "arm64")


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_images_are_oci_layouts_that_name_the_index_by_its_digest(bundle: Path, tmp_path: Path, arch: str) -> None:
    opened = open_bundle(bundle, tmp_path)
    with tarfile.open(opened.root / f"images/cilium-images-{arch}.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # files
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    by_tag, by_digest = json.loads(files["index.json"])["manifests"]
    assert by_tag["digest"] == by_digest["digest"]
    assert by_tag["annotations"]["io.containerd.image.name"] == REF
    assert by_digest["annotations"]["io.containerd.image.name"] == f"quay.io/cilium/cilium@{by_digest['digest']}"
    index = json.loads(files[f"blobs/sha256/{by_digest['digest'].removeprefix('sha256:')}"])
    there = [child["platform"]["architecture"] for child in index["manifests"]
             if f"blobs/sha256/{child['digest'].removeprefix('sha256:')}" in files]  # fmt: skip
    assert there == [arch]
    for name, data in files.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]


def test_each_machine_sees_its_own_files(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for machine, arch in (("x86_64", "amd64"), ("aarch64", "arm64")):
        names = os.uname()
        monkeypatch.setattr(os, "uname", lambda names=names, machine=machine: os.uname_result((*names[:4], machine)))
        opened = open_bundle(bundle, tmp_path / machine)
        assert opened.k3s == opened.root / f"bin/{arch}/k3s"
        assert opened.images == (opened.root / f"images/cilium-images-{arch}.tar",)
        assert opened.helm is None
        assert len(opened.image_refs) == 1
        monkeypatch.undo()


def test_it_is_sealed_and_verified_without_unpacking(bundle: Path) -> None:
    manifest, digest, sealed = verify_bundle(bundle)
    assert sealed
    assert digest == hashlib.sha256(read_manifest(bundle)[0]).hexdigest()
    assert manifest.unproven == ()
    assert check_seal(bundle)


def changed(bundle: Path, folder: Path, offset: int, mask: int) -> Path:
    data = bytearray(bundle.read_bytes())
    data[offset] ^= mask
    path = folder / "changed.tar.zst"
    path.write_bytes(data)
    return path


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_any_byte_flipped_anywhere_is_refused(bundle: Path, tmp_path: Path, place: float, mask: int) -> None:
    refused(changed(bundle, tmp_path, int(bundle.stat().st_size * place), mask), tmp_path / "work")


@pytest.mark.parametrize("from_end", [False, True])
def test_every_byte_of_the_first_and_last_headers_is_proven(bundle: Path, tmp_path: Path, from_end: bool) -> None:
    """The zstd frame's header has bits that a decompressor does not look at; the seal is what sees them."""
    size = bundle.stat().st_size
    for step in range(LENGTH + 8):
        offset = size - 1 - step if from_end else step
        refused(changed(bundle, tmp_path, offset, 1 << step % 8), tmp_path / "work")


@pytest.mark.parametrize("tail", [b"\0", b"more", b"\x5e\x2a\x4d\x18\0\0\0\0"])
def test_bytes_after_the_seal_are_refused(bundle: Path, tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "longer.tar.zst"
    path.write_bytes(bundle.read_bytes() + tail)
    refused(path, tmp_path / "work")


@pytest.mark.parametrize("cut", [1, LENGTH - 1, LENGTH, LENGTH + 1, 5000, 200_000])
def test_a_shortened_bundle_is_refused(bundle: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "shorter.tar.zst"
    path.write_bytes(bundle.read_bytes()[:-cut])
    refused(path, tmp_path / "work")


def unpacked(bundle: Path, folder: Path) -> Path:
    subprocess.run(["tar", "-x", "--zstd", "-f", bundle, "-C", folder], check=True)
    return folder


def test_an_archive_packed_anew_has_no_seal_and_is_refused_but_its_folder_is_taken(
    bundle: Path, tmp_path: Path
) -> None:
    folder = unpacked(bundle, tmp_path)
    plain = tmp_path.parent / f"{tmp_path.name}.tar"
    with tarfile.open(plain, "w") as tar:
        tar.add(folder, ".")
    packed = plain.with_name(f"{plain.name}.zst")
    packed.write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
    error = refused(packed, tmp_path.parent / "work")
    assert error.code == "E-BUNDLE-012"
    assert verify_bundle(plain)[2] is False
    assert verify_bundle(folder)[2] is False


def test_a_byte_of_any_file_of_a_folder_is_proven_the_manifests_own_too(bundle: Path, tmp_path: Path) -> None:
    folder = unpacked(bundle, tmp_path)
    chance = random.Random(7)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        right = path.read_bytes()
        places = (
            range(0, len(right), 9) if path.name == "bundle.json" else [chance.randrange(len(right)) for _ in range(3)]
        )
        for place in places:
            data = bytearray(right)
            data[place] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
            with pytest.raises(BeeyardError):
                verify_bundle(folder)
        path.write_bytes(right)
    verify_bundle(folder)


def test_a_part_that_changes_while_it_is_written_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"first")
    measured = bundle_writer.measure([FilePart("k3s", source)], quiet)
    source.write_bytes(b"other")
    with pytest.raises(BeeyardError) as caught:
        bundle_writer.write(tmp_path / "out.tar.zst", measured, 0, quiet)
    assert caught.value.code == "E-BUNDLE-013"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BeeyardError) as caught:
        bundle_writer.write(tmp_path / "file/out.tar.zst", [], 0, quiet)
    assert caught.value.code == "E-BUNDLE-013"


def test_what_stands_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out.tar.zst"
    out.write_text("old")
    part = FilePart("k3s", b"new")
    wrong = [Measured(part, 3, "0" * 64, "")]
    with pytest.raises(BeeyardError):
        bundle_writer.write(out, wrong, 0, quiet)
    assert out.read_text() == "old"
    bundle_writer.write(out, bundle_writer.measure([part], quiet), 0, quiet)
    assert check_seal(out)


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("/etc/passwd"),
        tarfile.TarInfo("values/01-site.yaml"),
    ],
    ids=lambda member: member.name,
)
def test_a_sealed_archive_is_not_trusted_for_its_seal(bundle: Path, tmp_path: Path, member: tarfile.TarInfo) -> None:
    """A seal proves that nothing changed on the way, not that whoever made it meant well."""
    folder = unpacked(bundle, tmp_path)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.add(folder, ".")
        tar.addfile(member)
    path = tmp_path.parent / f"evil-{tmp_path.name}.tar.zst"
    packed = zstandard.ZstdCompressor().compress(raw.getvalue())
    from installer.domain.bundle_seal import seal

    path.write_bytes(packed + seal(hashlib.sha256(packed).digest()))
    assert check_seal(path)
    refused(path, tmp_path.parent / "work")
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_when_verified(bundle: Path, tmp_path: Path, kind: bytes) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo("k3s")
        info.type, info.linkname = kind, "bin/amd64/k3s"
        tar.addfile(info)
        tar.add(unpacked(bundle, tmp_path), ".")
    path = tmp_path.parent / f"{tmp_path.name}.tar"
    path.write_bytes(raw.getvalue())
    assert refused(path, tmp_path.parent / "work").code == "E-BUNDLE-009"


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from installer.adapters.store import archive

    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo("k3s")
        info.size = 50_000_000
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    path = tmp_path / "bomb.tar.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(raw.getvalue()))
    assert path.stat().st_size < 10_000
    assert refused(path, tmp_path / "work").code == "E-BUNDLE-011"


async def test_the_event_loop_hears_of_the_progress(bundle: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    archives = BundleArchives()
    found = await archives.verify(bundle, lambda *row: told.append(row))
    assert (found.sealed, found.size) == (True, bundle.stat().st_size)
    assert told[-1][1] <= told[-1][2]
    copy = shutil.copy(bundle, tmp_path)
    assert (await archives.inspect(Path(copy))).digest == found.digest
