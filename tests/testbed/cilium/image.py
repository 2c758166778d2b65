"""Build the one image that plays every Cilium and Hubble component of the testbed.

Two layers: a trimmed Debian with Python, nft, ip, the CNI plugins and the gRPC wheels (slow to make, cached), and our
programs (quick). Which component a container is, is decided by its command alone, so that all refs share the content.
"""

import compileall
import hashlib
import platform
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

from tests.testbed import cache, debian, oci, shell

HERE = Path(__file__).resolve().parent
PACKAGES = ("python3", "nftables", "iproute2", "containernetworking-plugins")
WHEELS = ("grpcio==1.85.1", "protobuf==7.36.2")
SUITE, PYTHON = "bookworm", "3.11"
CNI_PLUGINS = ("ptp", "host-local", "loopback", "portmap")
VERSION = "v1.20.99"
REFS = (
    f"quay.io/cilium/cilium:{VERSION}",
    f"quay.io/cilium/operator-generic:{VERSION}",
    "quay.io/cilium/cilium-envoy:v1.37.5",
    f"quay.io/cilium/hubble-relay:{VERSION}",
    "quay.io/cilium/hubble-ui:v0.13.5",
    "quay.io/cilium/hubble-ui-backend:v0.13.5",
)
PROGRAMS = {
    "cilium-agent": "agent",
    "cilium-dbg": "dbg",
    "cilium": "dbg",
    "cilium-health": "dbg",
    "cilium-operator-generic": "operator_main",
    "cilium-envoy-starter": "envoy",
    "hubble-relay": "relay",
    "hubble-ui": "ui",
    "hubble-ui-backend": "ui",
}
_TRIM = """
boot home media mnt srv tmp/* run/* dev/* root/.bashrc root/.profile var/cache/* var/log/* var/lib/apt
var/lib/dpkg/info var/lib/dpkg/*-old var/lib/systemd usr/share/doc usr/share/man usr/share/locale usr/share/info
usr/share/zoneinfo usr/share/perl5 usr/share/bash-completion usr/share/common-licenses usr/share/keyrings
usr/share/lintian usr/share/bug usr/share/gdb usr/share/doc-base usr/lib/apt usr/bin/apt* usr/bin/perl*
usr/bin/dpkg* usr/bin/gpgv usr/sbin/e2* usr/sbin/mke2fs usr/sbin/fsck* usr/sbin/mkfs* usr/lib/dpkg usr/lib/udev
usr/lib/*-linux-gnu/perl-base usr/lib/*-linux-gnu/gconv usr/lib/*-linux-gnu/libapt* usr/lib/*-linux-gnu/libdb-5*
usr/lib/*-linux-gnu/libgnutls* usr/lib/*-linux-gnu/libunistring* usr/lib/*-linux-gnu/libext2fs*
usr/lib/*-linux-gnu/xtables usr/lib/python3/dist-packages usr/lib/python3.*/lib2to3 usr/lib/python3.*/ensurepip
usr/lib/python3.*/idlelib usr/lib/python3.*/pydoc_data usr/lib/python3.*/distutils usr/lib/python3.*/unittest
"""
TRIM = tuple(_TRIM.split())


def python_layer() -> Path:
    """The uncompressed tar of Debian, Python, nft, ip, CNI plugins and the gRPC wheels."""
    key = _digest([SUITE, PYTHON, platform.machine(), *PACKAGES, *WHEELS, *CNI_PLUGINS, *TRIM])
    out = cache.cache_dir() / f"python-layer-{key}.tar"
    with cache.locked("python-layer"):
        if not out.exists():
            root = cache.cache_dir() / "part-python-layer"
            shutil.rmtree(root, ignore_errors=True)
            _debootstrap(root)
            _wheels(root / "opt/standin/lib")
            _trim(root)
            _finish(root, out)
        cache.drop_older("python-layer", out)
    return out


def archive(out: Path) -> Path:
    """Write the OCI archive with all of Cilium's refs to `out`."""
    layers = [python_layer(), program_layer()]
    stamp, made_of = out.with_name(out.name + ".made-of"), " ".join(layer.name for layer in layers)
    if out.exists() and stamp.exists() and stamp.read_text() == made_of:
        return out
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    oci.write_archive(out, [oci.Image(refs=list(REFS), layers=layers, entrypoint=[], cmd=["/bin/sh"], env=env)])
    stamp.write_text(made_of)
    return out


def program_layer() -> Path:
    """The layer with our programs and the CRDs."""
    sources = sorted([*HERE.glob("standin/*"), *HERE.glob("crds/*.json"), Path(__file__)])
    sources = [s for s in sources if s.is_file()]
    key = _digest([sys.version, *(f"{s.name} {hashlib.sha256(s.read_bytes()).hexdigest()}" for s in sources)])
    out = cache.cache_dir() / f"cilium-layer-{key}.tar"
    with cache.locked("cilium-layer"):
        if not out.exists():
            _program_layer(sources, out)
        cache.drop_older("cilium-layer", out)
    return out


def _program_layer(sources: list[Path], out: Path) -> None:
    root = cache.cache_dir() / "part-cilium-layer"
    shutil.rmtree(root, ignore_errors=True)
    package, crds, binaries = root / "opt/standin/app/standin", root / "opt/standin/crds", root / "usr/bin"
    for folder in (package, crds, binaries):
        folder.mkdir(parents=True)
    for source in sources:
        if source.parent.name == "standin":
            shutil.copy(source, package)
        elif source.suffix == ".json":
            shutil.copy(source, crds)
    if f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON:
        _compile(package)
    for name, module in PROGRAMS.items():
        _script(binaries / name, f'STANDIN_ARGV0={name} exec /usr/bin/python3 -s -m standin.{module} "$@"')
    shutil.copy(package / "init.sh", binaries / "cilium-init")
    (binaries / "cilium-init").chmod(0o755)
    oci.tree_layer(root, out)
    shutil.rmtree(root)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _mirror() -> str:
    """The Debian mirror this machine already uses; updates and security come from elsewhere."""
    for line in debian._debian_sources():
        uri, release, _ = line.split(" ", 2)
        if "-" not in release:
            return uri
    raise shell.BuildError("no Debian mirror among the apt sources of this machine")


def _debootstrap(root: Path) -> None:
    debian.apt_install(["debootstrap"])
    shell.say(f"making a small Debian {SUITE} for the images of Cilium")
    include = f"--include={','.join(PACKAGES)}"
    shell.run(["debootstrap", "--variant=minbase", include, SUITE, str(root), _mirror()])


def _wheels(target: Path) -> None:
    """Install the wheels for the image's Python, whatever the host's is."""
    arch = {"x86_64": "x86_64", "aarch64": "aarch64"}[platform.machine()]
    if shutil.which("uv"):
        pip = ["uv", "pip", "install", "--quiet", "--python-platform", f"{arch}-unknown-linux-gnu"]
    else:
        if subprocess.run([sys.executable, "-m", "pip", "--version"], check=False, capture_output=True).returncode:
            debian.apt_install(["python3-pip"])
        pip = [
            shutil.which("pip3") or "pip3",
            "install",
            "--quiet",
            "--no-compile",
            "--platform",
            f"manylinux2014_{arch}",
        ]
    subprocess.run(
        [*pip, "--only-binary", ":all:", "--python-version", PYTHON, "--target", str(target), *WHEELS],
        check=True,
        stdout=sys.stderr,
    )


def _trim(root: Path) -> None:
    kept = {name: (root / "usr/lib/cni" / name).read_bytes() for name in CNI_PLUGINS}
    for pattern in (*TRIM, "usr/lib/cni"):
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    (root / "opt/cni/bin").mkdir(parents=True)
    for name, data in kept.items():
        (root / "opt/cni/bin" / name).write_bytes(data)
        (root / "opt/cni/bin" / name).chmod(0o755)
    for folder in ("tmp", "run", "dev", "proc", "sys", "var/log"):
        (root / folder).mkdir(exist_ok=True)
    for path in root.glob("etc/machine-id"):
        path.write_bytes(b"")


def _finish(root: Path, out: Path) -> None:
    """Precompile (the layer has one fixed mtime, so only hash-based .pyc stay valid), add the module path, pack."""
    for path in root.rglob("__pycache__"):
        shutil.rmtree(path)
    code = "import compileall,py_compile;m=py_compile.PycInvalidationMode.UNCHECKED_HASH;"
    code += (
        "[compileall.compile_dir(d,quiet=2,invalidation_mode=m) for d in ('/usr/lib/python3.11','/opt/standin/lib')]"
    )
    subprocess.run(["chroot", str(root), "/usr/bin/python3", "-B", "-c", code], check=False, stdout=sys.stderr)
    site = root / f"usr/local/lib/python{PYTHON}/dist-packages"
    site.mkdir(parents=True, exist_ok=True)
    (site / "standin.pth").write_text("/opt/standin/app\n/opt/standin/lib\n")
    oci.tree_layer(root, out)
    shutil.rmtree(root)


def _compile(package: Path) -> None:
    """Compile with the path the files will have, by the host's Python (same minor version as the image's)."""
    compileall.compile_dir(
        package,
        quiet=2,
        stripdir=str(package.parents[3]),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


if __name__ == "__main__":
    sys.stdout.write(f"{archive(Path(sys.argv[1]))}\n")
