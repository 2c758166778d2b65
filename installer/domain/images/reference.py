"""Names of images, as containerd and the charts write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from installer.domain.errors import UsageError

DOCKER_HUB = "docker.io"

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::\d{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?",
    re.ASCII,
)
_LONGEST = 512


@dataclass(frozen=True, slots=True, order=True)
class ImageRef:
    """The full name of an image.

    Attributes:
        host: registry, such as ``quay.io``.
        repository: path there, such as ``cilium/cilium``.
        tag: tag, empty where only the digest names it.
        digest: ``sha256:`` and 64 hex digits, or empty.
    """

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"

    @property
    def name(self) -> str:
        """Registry and path without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def store_names(self) -> tuple[str, ...]:
        """Names in containerd's image store: by tag, and by digest as Kubernetes looks it up (``name@digest``)."""
        tagged = (f"{self.name}:{self.tag}",) if self.tag else ()
        return (*tagged, *((f"{self.name}@{self.digest}",) if self.digest else ()))


def parse_reference(text: str) -> ImageRef:
    """Parse a reference; short names become full ones as containerd does it (``busybox`` is of ``docker.io/library``).

    Raises:
        UsageError: ``E-REG-001``.
    """
    match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST else None
    host, repository = _split(match["name"]) if match else ("", "")
    if match is None or repository != repository.lower():
        raise UsageError(
            f"{text[:_LONGEST]!r} is not a reference of an image",
            why="a reference looks like quay.io/cilium/cilium:v1.20.0 or quay.io/cilium/cilium@sha256:…",
            fix="correct it where it comes from: the Helm values, or k3s' list of images",
            code="E-REG-001",
        )
    tag, digest = match["tag"] or "", match["digest"] or ""
    return ImageRef(host, repository, tag or ("" if digest else "latest"), digest)


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return DOCKER_HUB, name if slash else f"library/{name}"
    if first in ("index.docker.io", "registry-1.docker.io"):
        first = DOCKER_HUB
    return first, rest if first != DOCKER_HUB or "/" in rest else f"library/{rest}"
