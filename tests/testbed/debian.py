"""Takes programs and sources from Debian's archive, with the apt sources of the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.testbed.shell import BuildError, run, say

_LOCK_WAIT = "DPkg::Lock::Timeout=600"


def apt_install(packages: Iterable[str]) -> None:
    """Install the packages that are missing on the build host."""
    missing = [name for name in packages if not _installed(name)]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    argv = ["apt-get", "-o", _LOCK_WAIT, "install", "-y", "-q", "--no-install-recommends", *missing]
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(argv, env=env)
    except BuildError:
        run(["apt-get", "-o", _LOCK_WAIT, "-q", "update"])
        run(argv, env=env)


def _installed(package: str) -> bool:
    argv = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout == "installed"


def unpack_debs(packages: Iterable[str], into: Path) -> Path:
    """Download Debian packages and unpack them below `into`, without installing (and starting) them."""
    names = list(packages)
    debs = into.with_name(into.name + ".debs")
    debs.mkdir(parents=True, exist_ok=True)
    argv = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names]
    try:
        run(argv, cwd=debs)
    except BuildError:
        run(["apt-get", "-o", _LOCK_WAIT, "-q", "update"])
        run(argv, cwd=debs)
    into.mkdir(parents=True, exist_ok=True)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg-deb", "-x", str(deb), str(into)])
    shutil.rmtree(debs)
    return into


def apt_source(package: str, into: Path) -> Path:
    """Download and unpack a Debian source package with the machine's own apt sources; return its folder."""
    into.mkdir(parents=True, exist_ok=True)
    lists = into / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    listing = into / "sources.list"
    listing.write_text("".join(f"deb-src {line}\n" for line in _debian_sources()))
    options = ["-q", "-o", f"Dir::Etc::SourceList={listing}", "-o", "Dir::Etc::SourceParts=/dev/null"]
    options += ["-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root"]
    run(["apt-get", *options, "update"])
    run(["apt-get", *options, "source", "--download-only", package], cwd=into)
    described = max(into.glob("*.dsc"))
    folder = into / package
    run(["dpkg-source", "-x", str(described), str(folder)], cwd=into)
    return folder


def _debian_sources() -> list[str]:
    """Return `uri release component` of the Debian repositories that this machine uses."""
    argv = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI) $(RELEASE) $(COMPONENT)"]
    found = _origin_lines(run([*argv, "Created-By: Packages"]))
    if not found:
        run(["apt-get", "-o", _LOCK_WAIT, "-q", "update"])
        found = _origin_lines(run([*argv, "Created-By: Packages"]))
    if not found:
        raise BuildError("apt knows no Debian repository: the testbed builds from Debian's packages")
    return found


def _origin_lines(text: str) -> list[str]:
    lines = [line.partition("|") for line in text.splitlines()]
    return sorted({target for origin, _, target in lines if origin == "Debian"})
