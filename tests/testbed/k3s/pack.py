"""Packs the k3s stand-in: one executable that carries the programs of a node behind its own code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, BinaryIO

from tests.testbed import golang, oci
from tests.testbed.cache import cache_dir, drop_older, key, locked
from tests.testbed.debian import unpack_debs
from tests.testbed.kubernetes import build as kubernetes
from tests.testbed.shell import say
from tests.testbed.versions import HERE, K3S_VERSION

_MAGIC = b"BEEYK3S1"
_SOURCES = HERE / "k3s"
_PACKAGES = ("etcd-server", "containerd", "runc", "containernetworking-plugins")
_LIBRARIES = ("golang-gopkg-yaml.v3-dev", "golang-github-klauspost-compress-dev")
_PROGRAMS = (
    "usr/bin/etcd", "usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr", "usr/sbin/runc",
    "usr/lib/cni/bridge", "usr/lib/cni/host-local", "usr/lib/cni/loopback", "usr/lib/cni/portmap", "usr/lib/cni/ptp",
)  # fmt: skip


def binary() -> Path:
    """Return the path of the stand-in's file, built if its inputs changed."""
    kube, programs = kubernetes.binary(), _node_programs()
    inputs = key(_SOURCES, HERE / "golang.py", kube.name, programs.name, K3S_VERSION)
    with locked("k3s"):
        out = cache_dir() / f"k3s-{inputs}"
        if not out.exists():
            say("packing the k3s stand-in")
            _pack(out, kube, programs)
            drop_older("k3s", out)
        return out


def _node_programs() -> Path:
    """Fetch the programs of a node from Debian's packages."""
    inputs = key(*_PACKAGES, *_PROGRAMS, oci.architecture())
    with locked("node"):
        out = cache_dir() / f"node-{inputs}"
        if not out.exists():
            say(f"fetching {', '.join(_PACKAGES)}")
            work = cache_dir() / "work-node"
            shutil.rmtree(work, ignore_errors=True)
            debs = unpack_debs(_PACKAGES, work / "debs")
            (work / "bin").mkdir()
            for name in _PROGRAMS:
                shutil.copy(debs / name, work / "bin" / Path(name).name)
            (work / "bin").rename(out)
            shutil.rmtree(work)
            drop_older("node", out)
        return out


def _pack(out: Path, kube: Path, programs: Path) -> None:
    part = out.with_name("part-k3s")
    golang.build(_SOURCES, part, packages=_LIBRARIES, settings={"version": K3S_VERSION})
    files = {path.name: path for path in sorted(programs.iterdir())} | {"k3s-kube": kube}
    index: dict[str, Any] = {"sha256": _digest(files), "files": []}
    with part.open("ab") as stream:
        for name, path in files.items():
            index["files"].append({"name": name, "offset": stream.tell(), "size": path.stat().st_size})
            _append(stream, path)
        index["files"] += [{"name": name, "link": "k3s-kube"} for name in kubernetes.PROGRAMS]
        text = json.dumps(index).encode()
        stream.write(text + len(text).to_bytes(8, "big") + _MAGIC)
    part.chmod(0o755)
    part.rename(out)


def _digest(files: dict[str, Path]) -> str:
    return key(*(f"{name} {oci.sha256(path)}" for name, path in files.items())) * 4


def _append(stream: BinaryIO, path: Path) -> None:
    with path.open("rb") as source:
        shutil.copyfileobj(source, stream, 1 << 20)
