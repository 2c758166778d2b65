"""Writes OCI-layout archives that containerd imports, without a container tool.

Bytes are deterministic: the same layers give the same digests on every machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

CREATED = "1970-01-01T00:00:00Z"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK = 1 << 20
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class Image:
    """One image: the names it goes by, its layers (uncompressed tar files) and how it starts."""

    refs: list[str]
    layers: list[Path]
    entrypoint: list[str]
    cmd: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"


def architecture() -> str:
    """Return this machine's architecture in OCI's words."""
    return _ARCH.get(platform.machine(), platform.machine())


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def tree_layer(root: Path, out: Path) -> Path:
    """Pack a directory as an uncompressed layer: sorted, owned by root, times at zero."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in _walk(root):
            _add_path(tar, path, path.relative_to(root).as_posix())
    part.replace(out)
    return out


def write_archive(out: Path, images: list[Image]) -> dict[str, str]:
    """Write one OCI-layout tar with all `images`; return the manifest digest of each ref."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    digests: dict[str, str] = {}
    index: list[dict[str, Any]] = []
    with part.open("wb") as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        blobs = _Blobs(tar)
        for image in images:
            descriptor = _write_image(blobs, image)
            for ref in image.refs:
                digests[ref] = str(descriptor["digest"])
                index.append({**descriptor, "annotations": _names(ref)})
        _add_bytes(tar, "index.json", _json({"schemaVersion": 2, "manifests": index}))
    part.replace(out)
    return digests


class _Blobs:
    """Stores each blob once."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._stored: set[str] = set()
        self._files: dict[Path, str] = {}

    def put_bytes(self, data: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._stored:
            self._stored.add(digest)
            _add_bytes(self._tar, f"blobs/sha256/{digest}", data)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    def put_file(self, path: Path, media: str) -> dict[str, Any]:
        digest = self._files.get(path) or self._files.setdefault(path, sha256(path))
        size = path.stat().st_size
        if digest not in self._stored:
            self._stored.add(digest)
            with path.open("rb") as stream:
                _add_stream(self._tar, f"blobs/sha256/{digest}", stream, size)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": size}


def _write_image(blobs: _Blobs, image: Image) -> dict[str, Any]:
    layers = [blobs.put_file(layer, LAYER) for layer in image.layers]
    config = {
        "created": CREATED,
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint,
            "Cmd": image.cmd,
            "Env": [f"{name}={value}" for name, value in sorted(_env(image).items())],
            "WorkingDir": image.workdir,
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "history": [{"created": CREATED, "created_by": "beeyard testbed"} for _ in layers],
    }
    described = blobs.put_bytes(_json(config), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}
    descriptor = blobs.put_bytes(_json(manifest), MANIFEST)
    return {**descriptor, "platform": {"architecture": architecture(), "os": "linux"}}


def _env(image: Image) -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **image.env}


def _names(ref: str) -> dict[str, str]:
    tag = ref.rpartition("/")[2].partition(":")[2] or "latest"
    return {"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": tag}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _walk(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        found += [Path(folder, name) for name in folders + files]
    return sorted(found)


def _clean(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.pax_headers = {}
    return info


def _add_path(tar: tarfile.TarFile, path: Path, name: str) -> None:
    info = _clean(tar.gettarinfo(path, name))
    if info.islnk():
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
    if not info.isreg():
        tar.addfile(info)
        return
    with path.open("rb") as stream:
        tar.addfile(info, stream)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    _add_stream(tar, name, io.BytesIO(data), len(data))


def _add_stream(tar: tarfile.TarFile, name: str, stream: BinaryIO, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, stream)
