"""A mirror of every source of an install, made from a bundle, with checksums as upstream has them."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import yaml

VERSION = "v1.20.2+k3s1"
ARCHIVE = "k3s-airgap-images-amd64.tar"


def sha256(path: Path) -> str:
    """Return a file's checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fill(root: Path, bundle: Path) -> None:
    """Lay out k3s' release files, the channel server's answer, a chart repository and helm's archive."""
    release = root / "k3s" / VERSION
    release.mkdir(parents=True)
    (release / "k3s").symlink_to(bundle / "k3s")
    (release / ARCHIVE).symlink_to(bundle / "images" / ARCHIVE)
    sums = [f"{sha256(release / name)}  {name}" for name in ("k3s", ARCHIVE)]
    (release / "sha256sum-amd64.txt").write_text("\n".join(sums) + "\n")
    channel = {"id": "stable", "type": "channel", "name": "stable", "latest": VERSION}
    (root / "v1-release").mkdir()
    (root / "v1-release/channels").write_text(json.dumps({"type": "collection", "data": [channel]}))
    chart = next((bundle / "charts").iterdir())
    entry = {"name": "cilium", "version": "1.20.99", "urls": [chart.name], "digest": sha256(chart)}
    (root / "charts").mkdir()
    (root / "charts" / chart.name).symlink_to(chart)
    (root / "charts/index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": {"cilium": [entry]}}))
    helm = root / "helm/helm-v4.1.4-linux-amd64.tar.gz"
    helm.parent.mkdir()
    with tarfile.open(helm, "w:gz", compresslevel=1) as tar:
        tar.add(bundle / "helm", "linux-amd64/helm")
    helm.with_name(helm.name + ".sha256sum").write_text(f"{sha256(helm)}  {helm.name}\n")


def sources(url: str) -> list[str]:
    """Return the arguments with which an install takes everything from a mirror."""
    values = {
        "downloads.k3s": f"{url}/k3s",
        "downloads.channels": url,
        "downloads.chart.repository": f"{url}/charts",
        "downloads.helm.url": f"{url}/helm",
        "cilium.version": "1.20.99",
    }
    return [word for path, value in values.items() for word in ("--set", f"{path}={value}")]
