"""Releases of k3s: versions and their order, architectures, asset names, checksum lists. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import total_ordering

from installer.domain.errors import BeeyardError, RefusedError, UsageError

_VERSION = re.compile(
    r"v?(?P<major>\d{1,4})\.(?P<minor>\d{1,4})\.(?P<patch>\d{1,4})"
    r"(?:-(?P<pre>[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*))?\+(?P<build>k3s(?:\d{1,4}|-[0-9a-f]{4,40}))"
)
_OUTPUT = re.compile(r"^k3s version (?P<version>v\S+)", re.MULTILINE)
_SUM_LINE = re.compile(r"(?P<sha>[0-9a-fA-F]{64})\s+\*?(?P<name>\S+)")
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")


IMAGE_LIST = "k3s-images.txt"
"""Name of the list of k3s' own images among a release's assets."""


@total_ordering
@dataclass(frozen=True, slots=True)
class K3sVersion:
    """A version of k3s, such as ``v1.33.4+k3s1``; ordered, the build number counting (unlike in semver).

    Attributes:
        major: Kubernetes major.
        minor: Kubernetes minor.
        patch: Kubernetes patch.
        pre: pre-release such as ``rc1``, empty for a release.
        build: ``k3s1``, or ``k3s-<commit>`` of a build that was never released.
    """

    major: int
    minor: int
    patch: int
    pre: str
    build: str

    def __str__(self) -> str:
        pre = f"-{self.pre}" if self.pre else ""
        return f"v{self.major}.{self.minor}.{self.patch}{pre}+{self.build}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, K3sVersion):
            return NotImplemented
        return self._key() < other._key()

    def _key(self) -> tuple[object, ...]:
        number = int(self.build[3:]) if self.build[3:].isdigit() else 0
        pre = (1, ()) if not self.pre else (0, _natural(self.pre))
        return (self.major, self.minor, self.patch, pre, number, self.build)

    @property
    def kubernetes(self) -> str:
        """The Kubernetes version without the build, such as ``1.33.4``."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def url_part(self) -> str:
        """The version as one part of a URL's path (``+`` is ``%2B``)."""
        return str(self).replace("+", "%2B")


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which rc10 comes after rc9."""
    parts = re.findall(r"\d+|[^\d.]+", text)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def parse_version(text: str) -> K3sVersion:
    """Parse a version of k3s; the leading ``v`` may be missing.

    Raises:
        UsageError: ``E-K3S-002``.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is not a version of k3s",
            why="a version looks like v1.36.4+k3s1: Kubernetes' version, then +k3s and a number",
            fix="take one from https://github.com/k3s-io/k3s/releases, or a channel: stable, latest, v1.36",
            code="E-K3S-002",
        )
    major, minor, patch = (int(match[part]) for part in ("major", "minor", "patch"))
    return K3sVersion(major, minor, patch, match["pre"] or "", match["build"])


def is_version(text: str) -> bool:
    """Whether the text is a version rather than a channel's name."""
    return _VERSION.fullmatch(text.strip()) is not None


def check_channel(text: str) -> str:
    """Return a channel's name if it can be one.

    Raises:
        UsageError: ``E-K3S-002`` it can be neither a channel nor a version.
    """
    channel = text.strip()
    if not _CHANNEL.fullmatch(channel) or re.fullmatch(r"v?\d+\.\d+\.\d+.*", channel):
        parse_version(text)
    return channel


def parse_version_output(text: str) -> K3sVersion:
    """Parse what ``k3s --version`` prints: ``k3s version v1.36.4+k3s1 (0a1b2c3d)`` and more lines.

    Raises:
        BeeyardError: ``E-K3S-006`` it is something else.
    """
    match = _OUTPUT.search(text)
    if match is None or not is_version(match["version"]):
        raise BeeyardError(
            "the k3s binary does not tell its version",
            why=f"k3s --version printed: {text.strip()[:200] or 'nothing'}",
            fix="check that the file is k3s for this machine; fetch it again",
            code="E-K3S-006",
        )
    return parse_version(match["version"])


@dataclass(frozen=True, slots=True)
class Arch:
    """An architecture that k3s and Cilium both support.

    Attributes:
        name: ``amd64`` or ``arm64``.
        binary: name of k3s' binary among the release's assets.
    """

    name: str
    binary: str

    @property
    def sums(self) -> str:
        """Name of the checksum list."""
        return f"sha256sum-{self.name}.txt"

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the air-gap image archive, the smallest first."""
        return tuple(f"k3s-airgap-images-{self.name}{suffix}" for suffix in (".tar.zst", ".tar.gz", ".tar"))


_AMD64 = Arch("amd64", "k3s")
_ARM64 = Arch("arm64", "k3s-arm64")
_SUPPORTED = {"x86_64": _AMD64, "amd64": _AMD64, "aarch64": _ARM64, "arm64": _ARM64}
_NO_CILIUM = "k3s exists for {arch}, but Cilium's images are built for amd64 and arm64 only"
_NO_K3S = "neither k3s nor Cilium is built for {arch}"
_HALF_BUILT = ("armv7", "armhf", "arm", "s390x")


def machine_arch(machine: str) -> Arch:
    """Return the architecture of a machine by the word of ``uname -m`` (Go's word is taken as well).

    Raises:
        RefusedError: ``E-K3S-001`` with the reason.
    """
    word = machine.strip().lower()
    if word in _SUPPORTED:
        return _SUPPORTED[word]
    reason = _NO_CILIUM if word in _HALF_BUILT or word.startswith("armv7") else _NO_K3S
    raise RefusedError(
        f"this machine's architecture, {machine}, is not supported",
        why=reason.format(arch=machine),
        fix="use an x86_64 or aarch64 machine with a 64-bit system",
        code="E-K3S-001",
    )


@dataclass(frozen=True, slots=True)
class K3sRelease:
    """What is to be fetched of one release.

    Attributes:
        version: its version.
        arch: its architecture.
        binary_url: URL of the binary.
        images_url: URL of the air-gap image archive, empty where the release has none.
        sums: sha256 (lower-case hex) by file name.
        list_url: URL of the list of k3s' images, empty where the release has none.
    """

    version: K3sVersion
    arch: Arch
    binary_url: str
    images_url: str
    sums: Mapping[str, str]
    list_url: str = ""

    @property
    def binary_sha256(self) -> str:
        """Checksum of the binary."""
        return self.sums[self.arch.binary]

    @property
    def images_name(self) -> str:
        """File name of the image archive, empty where there is none."""
        return self.images_url.rpartition("/")[2]

    @property
    def images_sha256(self) -> str:
        """Checksum of the image archive, empty where there is none."""
        return self.sums.get(self.images_name, "")


def make_release(version: K3sVersion, arch: Arch, base: str, sums: Mapping[str, str]) -> K3sRelease:
    """Put a release together from its checksum list.

    Args:
        version: its version.
        arch: architecture wanted.
        base: URL below which the folder of each version lies.
        sums: sha256 by file name.

    Raises:
        BeeyardError: ``E-K3S-004`` the list has no checksum for the binary.
    """
    if arch.binary not in sums:
        raise BeeyardError(
            f"the checksum list of k3s {version} names no {arch.binary}",
            why=f"{arch.sums} holds {', '.join(sorted(sums)[:8]) or 'no checksum at all'}",
            fix="a mirror or a proxy may have put its own page in place of the list: open its URL in a browser",
            code="E-K3S-004",
        )
    folder = release_folder(base, version)
    images = next((name for name in arch.images if name in sums), "")
    images_url, list_url = (f"{folder}/{name}" if name in sums else "" for name in (images, IMAGE_LIST))
    return K3sRelease(version, arch, f"{folder}/{arch.binary}", images_url, dict(sums), list_url)


def release_folder(base: str, version: K3sVersion) -> str:
    """Return the URL of a release's folder."""
    return f"{base.rstrip('/')}/{version.url_part}"


def parse_sums(text: str) -> dict[str, str]:
    """Parse a checksum list (``<sha256>  <name>`` lines); other lines are left out.

    A name listed twice with different sums is left out too: nothing could be proven with it.
    """
    sums: dict[str, str] = {}
    torn: set[str] = set()
    for line in text.splitlines():
        match = _SUM_LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, sha = match["name"].rpartition("/")[2], match["sha"].lower()
        if sums.setdefault(name, sha) != sha:
            torn.add(name)
    return {name: sha for name, sha in sums.items() if name not in torn}
