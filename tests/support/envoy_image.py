"""The real Envoy as an image that containerd imports: the binary of its wheel, and the libraries it wants."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from tests.testbed import oci


def envoy() -> Path | None:
    """Return the path of a real Envoy; None where there is none for this architecture."""
    spec = importlib.util.find_spec("envoy")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "_bin" / "envoy"


def write_image(binary: Path, ref: str, folder: Path) -> Path:
    """Write an image archive.

    Args:
        binary: a real Envoy.
        ref: name of the image.
        folder: where to work.
    """
    root = folder / "root"
    _copy(binary, root / "usr/local/bin/envoy")
    wanted = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    for path in map(Path, re.findall(r"(/\S+)", wanted)):
        _copy(path, root / path.relative_to("/"))
    (root / "tmp").mkdir(mode=0o777)
    layer = oci.tree_layer(root, folder / "layer.tar")
    out = folder / "envoy.tar"
    oci.write_archive(out, [oci.Image([ref], [layer], ["/usr/local/bin/envoy"])])
    return out


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    target.chmod(0o755)
