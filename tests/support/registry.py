"""A real registry server on loopback (Debian's docker-registry), and images for it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.domain.images.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.testbed.cache import cache_dir, locked
from tests.testbed.debian import unpack_debs

USER, PASSWORD = "beekeeper", "nectar-and-pollen"
_HTPASSWD = f"{USER}:$2y$05$sgDuzdVTgBC0XZrDv0V5wOy.dEmdt9Ypl7ppZ5ZjWtR46oiSbHOtS\n"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry.

    Attributes:
        host: host and port.
        root: folder of its data.
        auth: value of the Authorization header that it takes from tests, empty for none.
    """

    host: str
    root: Path
    auth: str = ""

    def call(
        self, method: str, path: str, data: bytes | None = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request of a test's own; errors are raised."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.auth:
            named["authorization"] = self.auth
        url = path if path.startswith("http") else f"http://{self.host}/v2/{path}"
        request = urllib.request.Request(url, data=data, method=method, headers=named)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    def blob(self, repository: str, data: bytes) -> dict[str, Any]:
        """Put a blob there; return digest and size."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        _, headers, _ = self.call("POST", f"{repository}/blobs/uploads/", b"")
        place = headers["location"]
        place = place if place.startswith("http") else f"http://{self.host}{place}"
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        self.call("PUT", url, data, content_type="application/octet-stream")
        return {"digest": digest, "size": len(data)}

    def manifest(self, repository: str, content: dict[str, Any], name: str = "") -> dict[str, Any]:
        """Put a manifest there, by its digest or a tag; return what an index says of it."""
        data = json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.call("PUT", f"{repository}/manifests/{name or digest}", data, content_type=content["mediaType"])
        return {"mediaType": content["mediaType"], "digest": digest, "size": len(data)}

    def image(self, repository: str, tag: str, arches: tuple[str, ...] = ("amd64", "arm64"), **files: bytes) -> str:
        """Put an image for some architectures there, with an attestation for each; return its digest."""
        children = []
        for arch in arches:
            made = self.single(repository, arch, "", **files)
            children.append({**made, "platform": {"architecture": arch, "os": "linux"}})
            children.append(self._attestation(repository, made["digest"]))
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        return str(self.manifest(repository, index, tag)["digest"])

    def single(self, repository: str, arch: str, tag: str = "", **files: bytes) -> dict[str, Any]:
        """Put an image for one architecture there."""
        layer = _layer({**files, "arch": arch.encode()})
        config = {
            "architecture": arch,
            "os": "linux",
            "created": "2026-03-04T05:06:07Z",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(_gunzip(layer)).hexdigest()}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, **self.blob(repository, json.dumps(config).encode())},
            "layers": [{"mediaType": _LAYER, **self.blob(repository, layer)}],
        }
        return self.manifest(repository, manifest, tag)

    def _attestation(self, repository: str, digest: str) -> dict[str, Any]:
        statement = self.blob(repository, json.dumps({"about": digest}).encode())
        config = self.blob(repository, b"{}")
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, **config},
            "layers": [{"mediaType": "application/vnd.in-toto+json", **statement}],
        }
        made = self.manifest(repository, manifest)
        return {
            **made,
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {"vnd.docker.reference.digest": digest, "vnd.docker.reference.type": "attestation-manifest"},
        }

    def load(self, archive: Path) -> dict[str, str]:
        """Put the images of an OCI archive there, each in an index beside one for another architecture.

        Returns:
            The digests of the indexes by name.
        """
        digests: dict[str, str] = {}
        homes: dict[str, str] = {}
        with tarfile.open(archive) as tar:
            for entry in json.loads(_member(tar, "index.json"))["manifests"]:
                name = entry["annotations"]["io.containerd.image.name"]
                repository, _, tag = name.partition("/")[2].rpartition(":")
                content = json.loads(_blob(tar, entry["digest"]))
                for part in (content["config"], *content["layers"]):
                    self._bring(repository, part["digest"], homes, tar)
                self.call(
                    "PUT",
                    f"{repository}/manifests/{entry['digest']}",
                    _blob(tar, entry["digest"]),
                    content_type=entry["mediaType"],
                )
                mine = {key: entry[key] for key in ("mediaType", "digest", "size", "platform")}
                other = "arm64" if mine["platform"]["architecture"] == "amd64" else "amd64"
                theirs = self.single(repository, other, "", name=name.encode())
                children = [mine, {**theirs, "platform": {"architecture": other, "os": "linux"}}]
                index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
                digests[name] = str(self.manifest(repository, index, tag)["digest"])
        return digests

    def _bring(self, repository: str, digest: str, homes: dict[str, str], tar: tarfile.TarFile) -> None:
        """Put a blob there, from another repository of the registry where it is in one."""
        if home := homes.get(digest):
            status, _, _ = self.call("POST", f"{repository}/blobs/uploads/?mount={digest}&from={home}", b"")
            assert status == 201
            return
        self.blob(repository, _blob(tar, digest))
        homes[digest] = repository

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""
        try:
            return self.call("HEAD", f"{repository}/blobs/{digest}")[0] == 200
        except urllib.error.HTTPError:
            return False

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository."""
        return sorted(json.loads(self.call("GET", f"{repository}/tags/list")[2])["tags"] or [])

    def get(self, repository: str, name: str) -> tuple[str, dict[str, Any]]:
        """Return a manifest's digest and content."""
        accept = ", ".join((OCI_INDEX, OCI_MANIFEST))
        _, headers, body = self.call("GET", f"{repository}/manifests/{name}", accept=accept)
        return headers["docker-content-digest"], json.loads(body)

    def blob_file(self, digest: str) -> Path:
        """Return the file in which the registry keeps a blob."""
        digest = digest.removeprefix("sha256:")
        return self.root / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"


@dataclass
class Options:
    """How a registry is run.

    Attributes:
        password: it wants user and password.
        more: further configuration.
    """

    password: bool = False
    more: dict[str, Any] = field(default_factory=dict)


def binary() -> Path:
    """Return Debian's registry server: the installed one, else unpacked from its package, which starts no service."""
    if found := shutil.which("docker-registry"):
        return Path(found)
    with locked("docker-registry"):
        out = cache_dir() / "docker-registry"
        if not out.exists():
            work = cache_dir() / "work-docker-registry"
            shutil.rmtree(work, ignore_errors=True)
            unpack_debs(("docker-registry",), work)
            (work / "usr/bin/docker-registry").rename(out)
            shutil.rmtree(work)
        return out


@contextmanager
def running(folder: Path, options: Options | None = None) -> Iterator[Registry]:
    """Run a registry on a free port of loopback for as long as the context lasts."""
    chosen = options or Options()
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "data"
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "text"},
        "storage": {"filesystem": {"rootdirectory": str(root)}},
        "http": {"addr": "127.0.0.1:0", "relativeurls": True, "secret": "of this test"},
        **chosen.more,
    }
    if chosen.password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "hive", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen([binary(), "serve", str(folder / "config.yml")], stdout=out, stderr=out)
    try:
        auth = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode() if chosen.password else ""
        yield Registry(_address(process, log), root, auth)
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the registry tells where it listens."""
    while True:
        if match := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text()):
            return match[1]
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        time.sleep(0.02)


def _layer(files: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def _gunzip(data: bytes) -> bytes:
    return gzip.decompress(data)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    source = tar.extractfile(name)
    assert source is not None
    return source.read()


def _blob(tar: tarfile.TarFile, digest: str) -> bytes:
    return _member(tar, f"blobs/sha256/{digest.removeprefix('sha256:')}")
