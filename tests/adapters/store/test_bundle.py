"""Bundles on a real disk: sound ones, and ones made to do harm."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from installer.adapters.store import archive as archive_module
from installer.adapters.store.bundle import BundleOpener, open_bundle, read_manifest
from installer.domain.errors import BeeyardError, RefusedError

FILES = {
    "k3s": random.Random(1).randbytes(3_000_000),
    "helm": b"helm",
    "images/k3s.tar": random.Random(2).randbytes(1_000_000),
    "charts/cilium.tgz": b"chart",
    "values/site.yaml": b"{}\n",
    "files/x.tmpl": b"template",
}


def manifest(**changes: Any) -> bytes:
    def entry(name: str, /, **more: Any) -> dict[str, Any]:
        return {"file": name, "sha256": hashlib.sha256(FILES[name]).hexdigest(), **more}

    content = {
        "format": 1,
        "arch": "amd64",
        "created": "2026-11-23T00:00:00Z",
        "k3s": entry("k3s", version="v1.36.4+k3s1"),
        "helm": entry("helm", version="v4.1.4"),
        "images": [entry("images/k3s.tar", refs=["docker.io/rancher/mirrored-pause:3.6"])],
        "chart": entry("charts/cilium.tgz", name="cilium", version="1.20.0"),
        "values": ["values/site.yaml"],
        "files": [entry("files/x.tmpl", dest="/var/lib/rancher/k3s/x.tmpl", mode="0600")],
    }
    return json.dumps(content | changes).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name, data in {**FILES, "bundle.json": manifest()}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "k3s").chmod(0o755)
    return root


def packed(folder: Path, path: Path, *, top: str = ".") -> Path:
    with tarfile.open(path, "w") as tar:
        tar.add(folder, top)
    return path


def compressed(path: Path) -> Path:
    data = path.read_bytes()
    half = len(data) // 2
    frames = [zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:])]
    out = path.with_name(path.name + ".zst")
    out.write_bytes(b"".join(frames))
    return out


def refusal(path: Path, workdir: Path) -> BeeyardError:
    with pytest.raises(BeeyardError) as caught:
        open_bundle(path, workdir)
    assert not (workdir / "unpacked").exists()
    return caught.value


def test_a_folder_is_used_in_place(folder: Path, tmp_path: Path) -> None:
    bundle = open_bundle(folder, tmp_path / "work")
    assert bundle.root == folder
    assert bundle.k3s == folder / "k3s"
    assert bundle.helm == folder / "helm"
    assert bundle.values == (folder / "values/site.yaml",)
    assert bundle.images == (folder / "images/k3s.tar",)
    ((path, target),) = bundle.files
    assert (path, target.permissions) == (folder / "files/x.tmpl", 0o600)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("top", [".", "beeyard-bundle"])
@pytest.mark.parametrize("zstd", [False, True])
def test_an_archive_is_unpacked(folder: Path, tmp_path: Path, top: str, zstd: bool) -> None:
    path = packed(folder, tmp_path / "bundle.tar", top=top)
    path = compressed(path) if zstd else path
    (tmp_path / "work" / "unpacked" / "left over").mkdir(parents=True)
    bundle = open_bundle(path, tmp_path / "work")
    assert bundle.root.is_relative_to(tmp_path / "work")
    assert bundle.k3s.read_bytes() == FILES["k3s"]
    assert os.access(bundle.k3s, os.X_OK)
    assert not os.access(bundle.chart, os.X_OK)
    assert read_manifest(path) == (manifest(), bundle.manifest)


def test_reading_checks_no_file(folder: Path) -> None:
    (folder / "k3s").unlink()
    data, parsed = read_manifest(folder)
    assert data == manifest()
    assert parsed.k3s[0].version == "v1.36.4+k3s1"


@pytest.mark.parametrize("name", sorted(set(FILES) - {"values/site.yaml"}))
@pytest.mark.parametrize("zstd", [False, True])
def test_a_flipped_byte_is_found_and_named(folder: Path, tmp_path: Path, name: str, zstd: bool) -> None:
    data = bytearray(FILES[name])
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    path = compressed(packed(folder, tmp_path / "b.tar")) if zstd else folder
    error = refusal(path, tmp_path / "work")
    assert error.code == "E-BUNDLE-008"
    assert name in error.what


def test_all_that_is_wrong_is_named_at_once(folder: Path, tmp_path: Path) -> None:
    for name in ("k3s", "helm"):
        (folder / name).write_bytes(b"changed")
    assert all(name in refusal(folder, tmp_path).why for name in ("k3s", "helm"))


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).unlink()
    error = refusal(folder, tmp_path / "work")
    assert (error.code, error.exit_code) == ("E-BUNDLE-008", 5)
    assert name in error.what


@pytest.mark.parametrize("name", ["extra", "images/extra.tar", ".hidden", "new/folder/file"])
@pytest.mark.parametrize("as_archive", [False, True])
def test_an_unlisted_file_is_refused(folder: Path, tmp_path: Path, name: str, as_archive: bool) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"?")
    error = refusal(packed(folder, tmp_path / "b.tar") if as_archive else folder, tmp_path / "work")
    assert error.code == "E-BUNDLE-005"
    assert name in error.what


def test_a_link_that_leads_outside_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(FILES["helm"])
    (folder / "helm").unlink()
    (folder / "helm").symlink_to(tmp_path / "outside")
    assert refusal(folder, tmp_path / "work").code == "E-BUNDLE-006"


def test_a_folder_that_is_a_link_outside_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "images").rename(tmp_path / "images")
    (folder / "images").symlink_to(tmp_path / "images")
    assert refusal(folder, tmp_path / "work").code == "E-BUNDLE-006"


def test_a_manifest_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "bundle.json").rename(tmp_path / "bundle.json")
    (folder / "bundle.json").symlink_to(tmp_path / "bundle.json")
    assert refusal(folder, tmp_path / "work").code == "E-BUNDLE-006"


def test_a_link_within_the_bundle_is_fine(folder: Path, tmp_path: Path) -> None:
    (folder / "values" / "site.yaml").unlink()
    (folder / "values" / "site.yaml").symlink_to("../helm")
    assert open_bundle(folder, tmp_path).values[0].read_bytes() == b"helm"


def test_the_bundle_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert open_bundle(tmp_path / "link", tmp_path).root == folder


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir(), lambda path: path.symlink_to("k3s-missing")])
def test_what_is_no_file_is_refused(folder: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    (folder / "helm").unlink()
    make(folder / "helm")
    assert refusal(folder, tmp_path / "work").code in ("E-BUNDLE-009", "E-BUNDLE-008", "E-BUNDLE-001")


def member(name: str, **attributes: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def hostile(path: Path, *members: tarfile.TarInfo, zstd: bool = False, form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"x" * info.size) if info.size else None)
    return compressed(path) if zstd else path


@pytest.mark.parametrize("zstd", [False, True])
@pytest.mark.parametrize(
    ("info", "code"),
    [
        (member("../evil", size=1), "E-BUNDLE-006"),
        (member("/tmp/evil", size=1), "E-BUNDLE-006"),
        (member("a/../../evil", size=1), "E-BUNDLE-006"),
        (member("a\\..\\evil", size=1), "E-BUNDLE-006"),
        (member("../evil", type=tarfile.DIRTYPE), "E-BUNDLE-006"),
        (member("link", type=tarfile.SYMTYPE, linkname="/etc"), "E-BUNDLE-009"),
        (member("link", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "E-BUNDLE-009"),
        (member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "E-BUNDLE-009"),
        (member("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0), "E-BUNDLE-009"),
        (member("pipe", type=tarfile.FIFOTYPE), "E-BUNDLE-009"),
    ],
)
def test_hostile_archives(tmp_path: Path, info: tarfile.TarInfo, code: str, zstd: bool) -> None:
    path = hostile(tmp_path / "b.tar", member("k3s", size=10), info, zstd=zstd)
    assert refusal(path, tmp_path / "work").code == code
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "work" / "evil").exists()


def test_a_link_and_a_file_through_it(tmp_path: Path) -> None:
    link = member("images", type=tarfile.SYMTYPE, linkname=str(tmp_path))
    path = hostile(tmp_path / "b.tar", link, member("images/evil", size=1))
    assert refusal(path, tmp_path / "work").code == "E-BUNDLE-009"
    assert not (tmp_path / "evil").exists()


def test_the_same_path_twice(tmp_path: Path) -> None:
    path = hostile(tmp_path / "b.tar", member("k3s", size=1), member("k3s", size=2))
    assert refusal(path, tmp_path / "work").code == "E-BUNDLE-010"


def test_a_file_that_is_a_folder_too(tmp_path: Path) -> None:
    path = hostile(tmp_path / "b.tar", member("k3s", size=1), member("k3s/x", size=2))
    assert refusal(path, tmp_path / "work").code == "E-BUNDLE-010"


def test_a_header_that_never_ends(tmp_path: Path) -> None:
    """A pax header of a gigabyte of zeros, a few KiB when compressed."""
    header = member("x", type=tarfile.XHDTYPE, size=1024**3).tobuf(tarfile.USTAR_FORMAT)
    compressor = zstandard.ZstdCompressor().compressobj()
    path = tmp_path / "b.tar.zst"
    with path.open("wb") as file:
        file.write(compressor.compress(header))
        for _ in range(64):
            file.write(compressor.compress(bytes(1024**2)))
        file.write(compressor.flush())
    error = refusal(path, tmp_path / "work")
    assert error.code == "E-BUNDLE-010"
    assert "header" in error.why


def test_a_file_larger_than_the_disk(tmp_path: Path) -> None:
    info = member("k3s", size=archive_module.MAX_BYTES - 1)
    path = tmp_path / "b.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert refusal(path, tmp_path / "work").code in ("E-BUNDLE-011", "E-BUNDLE-010")
    path.write_bytes(member("k3s", size=archive_module.MAX_BYTES + 1).tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert refusal(path, tmp_path / "work").code == "E-BUNDLE-011"


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 20)
    path = hostile(tmp_path / "b.tar", *[member(f"f{n}") for n in range(21)])
    assert refusal(path, tmp_path / "work").code == "E-BUNDLE-011"


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x28\xb5\x2f\xfdtorn", b"\x28\xb5\x2f\xfd", bytes(1024)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(content)
    assert refusal(path, tmp_path / "work").code in ("E-BUNDLE-010", "E-BUNDLE-001")
    with pytest.raises(RefusedError):
        read_manifest(path)


@pytest.mark.parametrize("zstd", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_archive(folder: Path, tmp_path: Path, zstd: bool, share: float) -> None:
    path = packed(folder, tmp_path / "b.tar")
    path = compressed(path) if zstd else path
    os.truncate(path, int(path.stat().st_size * share))
    assert refusal(path, tmp_path / "work").code in ("E-BUNDLE-010", "E-BUNDLE-001", "E-BUNDLE-008")


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing.tar", "empty", "pipe"):
        assert refusal(tmp_path / name, tmp_path / "work").code == "E-BUNDLE-001"


@pytest.mark.root
def test_a_device_in_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "helm").unlink()
    os.mknod(folder / "helm", 0o600 | 0o020000, os.makedev(1, 3))
    assert refusal(folder, tmp_path / "work").code == "E-BUNDLE-009"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", mount], check=True)


@pytest.mark.root
@pytest.mark.parametrize("reserve", [True, False])
def test_a_disk_that_is_too_small(
    folder: Path, tmp_path: Path, small_disk: Path, reserve: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reserve:
        monkeypatch.setattr(archive_module, "_RESERVE", -(1024**4))
    error = refusal(packed(folder, tmp_path / "b.tar"), small_disk)
    assert error.code == "E-BUNDLE-011"
    assert list(small_disk.iterdir()) == []


async def test_progress_comes_by_file_on_the_loop(folder: Path, tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    threads = set()

    def progress(name: str, done: int, total: int) -> None:
        threads.add(threading.current_thread())
        seen[name] = (done, total)

    path = compressed(packed(folder, tmp_path / "b.tar"))
    await BundleOpener().open(path, tmp_path / "work", progress)
    await asyncio.sleep(0)
    assert seen["k3s"] == (len(FILES["k3s"]), len(FILES["k3s"]))
    assert seen["b.tar.zst"] == (path.stat().st_size, path.stat().st_size)
    assert threads == {threading.main_thread()}


async def test_a_cancelled_opening_stops(folder: Path, tmp_path: Path) -> None:
    path = packed(folder, tmp_path / "b.tar")
    begun = asyncio.Event()
    task = asyncio.ensure_future(BundleOpener().open(path, tmp_path / "work", lambda *_: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
