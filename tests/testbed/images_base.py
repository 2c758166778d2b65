"""The images that k3s' own air-gap archive holds: pause, busybox and a stand-in for CoreDNS."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.testbed import golang, oci
from tests.testbed.cache import cache_dir, drop_older, key, locked
from tests.testbed.debian import unpack_debs
from tests.testbed.shell import run, say
from tests.testbed.versions import HERE

PAUSE = "docker.io/rancher/mirrored-pause:3.6"
BUSYBOX = "docker.io/rancher/mirrored-library-busybox:1.37.0"
COREDNS = "docker.io/rancher/mirrored-coredns-coredns:1.12.3"
REFS = (PAUSE, BUSYBOX, COREDNS)
_SOURCES = HERE / "base"
# Debian's busybox links to these; with them it resolves names as other programs do.
_LIBRARIES = ("libc.so.6", "libresolv.so.2")


def archive() -> Path:
    """Return the image archive, built if its inputs changed."""
    inputs = key(_SOURCES, Path(__file__), HERE / "oci.py", HERE / "golang.py", oci.architecture())
    with locked("base"):
        out = cache_dir() / f"base-{inputs}.tar"
        if not out.exists():
            say("building the pause, busybox and coredns images")
            work = cache_dir() / "work-base"
            shutil.rmtree(work, ignore_errors=True)
            oci.write_archive(out, _images(work))
            shutil.rmtree(work)
            drop_older("base", out)
        return out


def _images(work: Path) -> list[oci.Image]:
    return [
        oci.Image([PAUSE], [_go_layer(work, "pause")], ["/pause"]),
        oci.Image([BUSYBOX], [_busybox_layer(work)], [], cmd=["sh"]),
        oci.Image([COREDNS], [_go_layer(work, "coredns")], ["/coredns"]),
    ]


def _go_layer(work: Path, name: str) -> Path:
    golang.build(_SOURCES / name, work / name / name)
    return oci.tree_layer(work / name, work / f"{name}.tar")


def _busybox_layer(work: Path) -> Path:
    debs = unpack_debs(("busybox", "libc6"), work / "debs")
    root = work / "busybox"
    for folder in ("bin", "etc", "root", "lib", "dev", "proc", "sys", "var"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").mkdir(mode=0o777)
    (root / "tmp").chmod(0o1777)
    shutil.copy(debs / "bin" / "busybox", root / "bin" / "busybox")
    _copy_libraries(debs, root)
    for applet in _applets(root):
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    return oci.tree_layer(root, work / "busybox.tar")


def _copy_libraries(debs: Path, root: Path) -> None:
    folder = next(path.parent for path in (debs / "lib").glob("*/libc.so.6"))
    target = root / "lib" / folder.name
    target.mkdir(parents=True)
    for name in _LIBRARIES:
        shutil.copy(folder / name, target / name)
    loader = next(folder.glob("ld-linux-*.so.*"))
    shutil.copy(loader, target / loader.name)
    # Programs name the loader by its fixed place: /lib64 on amd64, /lib on arm64.
    home = root / ("lib64" if oci.architecture() == "amd64" else "lib")
    home.mkdir(exist_ok=True)
    (home / loader.name).symlink_to(f"/lib/{folder.name}/{loader.name}")


def _applets(root: Path) -> list[str]:
    return run(["chroot", str(root), "/bin/busybox", "--list"]).split()
