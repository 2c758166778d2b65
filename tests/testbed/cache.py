"""The testbed's build cache: where things lie, by which inputs, and how to keep it tidy."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_USE_SECONDS = 3600


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


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time build `name`."""
    with (cache_dir() / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def drop_older(prefix: str, keep: Path) -> None:
    """Remove what an older version of this step left in the cache, unless another run may still use it."""
    limit = time.time() - _IN_USE_SECONDS
    for path in cache_dir().glob(f"{prefix}-*"):
        if path != keep and path.stat().st_mtime < limit:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
