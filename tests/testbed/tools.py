"""Small helpers that all build steps of the testbed share: cache, commands, Debian packages."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
K3S_VERSION = "v1.20.2+k3s1"
CHART_VERSION = "1.20.99"
_LOCK_WAIT = "DPkg::Lock::Timeout=600"


class BuildError(RuntimeError):
    """A build step failed; the message says which and why."""


def say(text: str) -> None:
    """Print progress for people: stdout is kept for results."""
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """Return the folder in which everything that is built lies."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    path = Path(os.environ.get("BEEYARD_CACHE") or home / "beeyard") / "testbed"
    path.mkdir(parents=True, exist_ok=True)
    return path


def delete_cache() -> None:
    """Remove everything that was built."""
    path = cache_dir()
    # Go keeps its module sources read-only.
    subprocess.run(["chmod", "-R", "u+w", str(path)], check=False)
    shutil.rmtree(path)


def key(*parts: Path | str) -> str:
    """Hash the inputs of a build step: texts as they are, files and folders by name and content."""
    digest = hashlib.sha256()
    for part in parts:
        for name, data in _contents(part):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _contents(part: Path | str) -> Iterator[tuple[str, bytes]]:
    if isinstance(part, str):
        yield "text", part.encode()
    elif part.is_file():
        yield part.name, part.read_bytes()
    else:
        for path in sorted(part.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(part).as_posix(), path.read_bytes()


def run(
    argv: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, log: Path | None = None
) -> str:
    """Run a command and return its stdout; a failure shows the end of what it said."""
    merged = {**os.environ, **env} if env else None
    done = subprocess.run(argv, cwd=cwd, env=merged, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    if log:
        log.write_text(text)
    if done.returncode:
        tail = "\n".join(text.splitlines()[-25:])
        raise BuildError(f"`{' '.join(argv)[:200]}` ended with {done.returncode}:\n{tail}")
    return text


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time build `name`."""
    with (cache_dir() / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def drop_older(prefix: str, keep: Path) -> None:
    """Remove what an older version of this step left in the cache."""
    for path in cache_dir().glob(f"{prefix}-*"):
        if path != keep and not path.name.endswith(".lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


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
