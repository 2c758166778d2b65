"""The testbed's bundle under other version numbers, for upgrades: what is built is copied with its versions replaced.

The older one is a Cilium minor back, the newer one a k3s minor ahead, and the broken one is the newer one with a k3s
that tells its version and then ends.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testbed import oci
from tests.testbed.cache import cache_dir, drop_older, key, locked
from tests.testbed.versions import CHART_VERSION, K3S_VERSION

OLDER_CHART = "1.19.99"
NEWER_K3S = "v1.21.3+k3s1"
BROKEN_K3S = "v1.21.4+k3s1"
_ONLY_NEWER = b"datapath-mode: veth\n"
"""A line of the chart's ConfigMap that the older chart lacks, so that an upgrade changes it."""
_BROKEN = f"""#!/bin/sh
[ "$1" = --version ] || {{ echo "level=fatal msg=\\"this k3s is broken\\"" >&2; exit 1; }}
echo "k3s version {BROKEN_K3S} (testbed)"
"""


def older(bundle: Path) -> Path:
    """Return the bundle with Cilium a minor back."""
    return _made("older", bundle, _older)


def newer(bundle: Path) -> Path:
    """Return the bundle with k3s a minor ahead."""
    return _made("newer", bundle, _newer)


def broken(bundle: Path) -> Path:
    """Return the bundle with a newer k3s that does not stay up."""
    return _made("broken", bundle, _broken)


def _made(name: str, bundle: Path, change: Callable[[Path, dict[str, Any]], None]) -> Path:
    with locked(f"bundle-{name}"):
        out = cache_dir() / f"upgrade-{name}-{key(Path(__file__), bundle.name)}"
        if not out.exists():
            part = cache_dir() / f"part-upgrade-{name}"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(bundle, part, copy_function=_link)
            manifest = json.loads((part / "bundle.json").read_text())
            change(part, manifest)
            _put(part / "bundle.json", json.dumps(manifest, indent=2).encode())
            part.rename(out)
            drop_older(f"upgrade-{name}", out)
        return out


def _older(folder: Path, manifest: dict[str, Any]) -> None:
    chart = manifest["chart"]
    data = _chart((folder / chart["file"]).read_bytes())
    (folder / chart["file"]).unlink()
    chart |= {"version": OLDER_CHART, "file": f"charts/cilium-{OLDER_CHART}.tgz"}
    _put(folder / chart["file"], data)
    chart["sha256"] = oci.sha256(folder / chart["file"])
    images = next(one for one in manifest["images"] if "cilium" in one["file"])
    _put(folder / images["file"], _images(folder / images["file"]))
    images["refs"] = [ref.replace(CHART_VERSION, OLDER_CHART) for ref in images["refs"]]
    images["sha256"] = oci.sha256(folder / images["file"])


def _chart(data: bytes) -> bytes:
    """Return the chart with another version everywhere in it."""
    raw = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as source,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as target,
    ):
        for member in source:
            text = _content(source, member).replace(CHART_VERSION.encode(), OLDER_CHART.encode())
            text = text.replace(_ONLY_NEWER, b"")
            member.size = len(text)
            target.addfile(member, io.BytesIO(text))
    return raw.getvalue()


def _images(path: Path) -> bytes:
    """Return the archive with the same images under other tags."""
    raw = io.BytesIO()
    with (
        tarfile.open(path) as source,
        tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in source:
            data = _content(source, member)
            if member.name == "index.json":
                data = data.replace(CHART_VERSION.encode(), OLDER_CHART.encode())
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream else b""


def _newer(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace the version in the programs, and the digest that names the folder they are unpacked to."""
    old, new = K3S_VERSION.encode(), NEWER_K3S.encode()
    data = (folder / "k3s").read_bytes()
    size = int.from_bytes(data[-16:-8], "big")
    digest = json.loads(data[-16 - size : -16])["sha256"]
    data = data.replace(old, new).replace(digest.encode(), (key(digest, NEWER_K3S) * 4).encode())
    _place_k3s(folder, manifest, NEWER_K3S, data)


def _broken(folder: Path, manifest: dict[str, Any]) -> None:
    _place_k3s(folder, manifest, BROKEN_K3S, _BROKEN.encode())


def _place_k3s(folder: Path, manifest: dict[str, Any], version: str, data: bytes) -> None:
    _put(folder / "k3s", data, 0o755)
    manifest["k3s"] |= {"version": version, "sha256": oci.sha256(folder / "k3s")}


def _put(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file under its name without touching what was linked there."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
