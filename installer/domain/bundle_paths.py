"""Paths in a bundle, and places on the host that it may put files to."""

from __future__ import annotations

from pathlib import PurePosixPath

from installer.domain.errors import RefusedError

DESTINATIONS = ("/etc/rancher", "/var/lib/rancher", "/var/lib/beeyard")


def inside(path: str) -> bool:
    """Whether a path stays within the bundle: relative, in normal form, no backslashes, no control codes."""
    parts = path.split("/")
    plain = path.isprintable() and "\\" not in path
    return plain and bool(path) and not any(part in ("", ".", "..") for part in parts)


def allowed_destination(dest: str) -> bool:
    """Whether a file may be put there: an absolute path in normal form, below one of ``DESTINATIONS``."""
    if not dest.startswith("/") or not inside(dest[1:]):
        return False
    parents = {str(parent) for parent in PurePosixPath(dest).parents}
    return not parents.isdisjoint(DESTINATIONS)


def leaves(name: str) -> RefusedError:
    """Return the error for a path that leaves the bundle."""
    return RefusedError(
        f"the bundle holds a path that leaves it: {name!r}",
        why="paths must be relative, without '..', and no link may lead outside",
        fix="do not use this bundle unless you know who made it",
        code="E-BUNDLE-006",
    )
