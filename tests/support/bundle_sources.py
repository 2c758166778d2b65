"""Small sources of a bundle for two architectures: files on a server that may misbehave, images in a registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.adapters.web.faulty_server import Site
from tests.support.helm_binary import helm_binary
from tests.support.registry import Registry
from tests.testbed import oci

K3S = "v1.33.4+k3s1"
CHART = "1.20.99"
PAUSE = "docker.io/rancher/mirrored-pause:3.6"
TAG = "v1.20.99"

_IMAGE = (
    '"{{ .Values.image.repository }}:{{ .Values.image.tag }}'
    '{{ if .Values.image.useDigest }}@{{ .Values.image.digest }}{{ end }}"'
)
_RELAY = "{{ .Values.hubble.relay.image.repository }}:{{ .Values.hubble.relay.image.tag }}"


@dataclass(frozen=True, slots=True)
class BundleSources:
    """Where everything comes from.

    Attributes:
        site: release files, the chart repository, helm.
        registry: the images of quay.io.
        agent: digest of the agent's image.
    """

    site: Site
    registry: Registry
    agent: str

    @property
    def arguments(self) -> list[str]:
        """Arguments of ``bundle create`` that take everything from here."""
        values = {
            "downloads.k3s": f"{self.site.url}/k3s",
            "downloads.channels": self.site.url,
            "downloads.chart.repository": f"{self.site.url}/charts",
            "downloads.helm.url": f"{self.site.url}/helm",
        }
        sets = [word for path, value in values.items() for word in ("--set", f"{path}={value}")]
        versions = ["--k3s", K3S, "--cilium", CHART, "--allow-unsupported"]
        return [*versions, *sets, "--mirror", f"quay.io=http://{self.registry.host}"]


def fill(site: Site, registry: Registry, folder: Path) -> BundleSources:
    """Lay everything out."""
    agent = registry.image("cilium/cilium", TAG, data=b"agent")
    for name in ("operator-generic", "hubble-relay"):
        registry.image(f"cilium/{name}", TAG, data=name.encode())
    _k3s(site, folder)
    _chart(site, agent)
    for arch in ("amd64", "arm64"):
        binary = helm_binary().read_bytes() if arch == oci.architecture() else b"helm of another machine"
        name = f"helm-v4.1.4-linux-{arch}.tar.gz"
        data = _packed({f"linux-{arch}/helm": binary})
        site.put(f"/helm/{name}", data)
        site.put(f"/helm/{name}.sha256sum", f"{_sha256(data)}  {name}\n".encode())
    return BundleSources(site, registry, agent)


def _k3s(site: Site, folder: Path) -> None:
    root = folder / "root"
    root.mkdir()
    (root / "pause").write_bytes(b"pause")
    layer = oci.tree_layer(root, folder / "layer.tar")
    oci.write_archive(folder / "airgap.tar", [oci.Image([PAUSE], [layer], ["/pause"])])
    archives = {"amd64": (folder / "airgap.tar").read_bytes(), "arm64": _saved("arm64")}
    base = f"/k3s/{K3S.replace('+', '%2B')}"
    for arch, binary in (("amd64", "k3s"), ("arm64", "k3s-arm64")):
        files = {
            binary: random.Random(arch).randbytes(3_000_000),
            f"k3s-airgap-images-{arch}.tar": archives[arch],
            "k3s-images.txt": f"{PAUSE}\n".encode(),
        }
        for name, data in files.items():
            site.put(f"{base}/{name}", data)
        sums = "".join(f"{_sha256(data)}  {name}\n" for name, data in files.items())
        site.put(f"{base}/sha256sum-{arch}.txt", sums.encode())


def _saved(arch: str) -> bytes:
    """Return the pause image as ``docker save`` writes it."""
    config = json.dumps({"architecture": arch, "os": "linux"}).encode()
    listed = [{"Config": "c.json", "RepoTags": ["rancher/mirrored-pause:3.6"], "Layers": ["1/layer.tar"]}]
    files = {"c.json": config, "1/layer.tar": b"a layer", "manifest.json": json.dumps(listed).encode()}
    return gzip.decompress(_packed(files))


def _chart(site: Site, agent: str) -> None:
    values = {
        "image": {"repository": "quay.io/cilium/cilium", "tag": TAG, "digest": agent, "useDigest": True},
        "hubble": {"relay": {"enabled": False, "image": {"repository": "quay.io/cilium/hubble-relay", "tag": TAG}}},
    }
    pods = {
        "agent": _IMAGE,
        "operator": f"quay.io/cilium/operator-generic:{TAG}",
    }
    documents = [_pod(name, image) for name, image in pods.items()]
    relay = "{{ if .Values.hubble.relay.enabled }}\n" + _pod("relay", _RELAY) + "{{ end }}\n"
    files = {
        "cilium/Chart.yaml": f"apiVersion: v2\nname: cilium\nversion: {CHART}\n".encode(),
        "cilium/values.yaml": yaml.safe_dump(values).encode(),
        "cilium/templates/pods.yaml": "---\n".join([*documents, relay]).encode(),
    }
    data = _packed(files)
    name = f"cilium-{CHART}.tgz"
    site.put(f"/charts/{name}", data)
    entry = {"name": "cilium", "version": CHART, "urls": [name], "digest": _sha256(data)}
    site.put("/charts/index.yaml", yaml.safe_dump({"apiVersion": "v1", "entries": {"cilium": [entry]}}).encode())
    channel = {"id": "stable", "type": "channel", "name": "stable", "latest": K3S}
    site.put("/v1-release/channels", json.dumps({"type": "collection", "data": [channel]}).encode())


def _pod(name: str, image: str) -> str:
    head = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n"
    return f"{head}spec:\n  containers:\n  - name: x\n    image: {image}\n"


def _packed(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
