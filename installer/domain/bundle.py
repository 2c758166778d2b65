"""The bundle: everything an installation needs, in one folder or archive, each file with its sha256.

Codes of its errors:

- ``E-BUNDLE-001`` it is not there, cannot be read, or has no ``bundle.json``
- ``E-BUNDLE-002`` ``bundle.json`` is malformed
- ``E-BUNDLE-003`` its format is newer than this program
- ``E-BUNDLE-004`` it is for another architecture
- ``E-BUNDLE-005`` it holds a file that ``bundle.json`` does not list
- ``E-BUNDLE-006`` a path leaves the bundle
- ``E-BUNDLE-007`` a file's destination is outside the allowed folders, or its mode is not one
- ``E-BUNDLE-008`` a listed file is missing or changed
- ``E-BUNDLE-009`` the archive holds something else than files and folders
- ``E-BUNDLE-010`` the archive is damaged
- ``E-BUNDLE-011`` the archive does not fit
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from installer.domain.errors import RefusedError
from installer.domain.k3s_release import machine_arch

MANIFEST = "bundle.json"
FORMAT = 1
DESTINATIONS = ("/etc/rancher", "/var/lib/rancher", "/var/lib/beeyard")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1024)]

_MODE = re.compile(r"0?[0-7]{3}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BundleFile(_Part):
    """A file of the bundle.

    Attributes:
        file: path in the bundle, ``/`` between its parts.
        sha256: digest, hex.
    """

    file: Name
    sha256: Sha256


class BundleProgram(BundleFile):
    """A program (k3s, helm).

    Attributes:
        version: its version.
    """

    version: Name


class BundleImages(BundleFile):
    """An archive of container images.

    Attributes:
        refs: names of the images in it.
    """

    refs: tuple[Name, ...] = Field(default=(), strict=False)


class BundleChart(BundleFile):
    """A packed Helm chart.

    Attributes:
        name: its name.
        version: its version.
    """

    name: Name
    version: Name


class BundleTarget(BundleFile):
    """A file to be put on the host.

    Attributes:
        dest: absolute path on the host.
        mode: permission bits, octal.
    """

    dest: Name
    mode: Name = "0644"

    @property
    def permissions(self) -> int:
        """The mode as a number."""
        return int(self.mode, 8)


class BundleManifest(_Part):
    """``bundle.json``.

    Attributes:
        format: number of the format.
        arch: ``amd64`` or ``arm64``.
        created: UTC time.
        k3s: the k3s binary.
        images: image archives.
        chart: Cilium's chart.
        helm: the helm binary, if it comes along.
        values: paths of Helm values files.
        files: further files for the host.
    """

    format: int
    arch: Literal["amd64", "arm64"]
    created: Name
    k3s: BundleProgram
    images: tuple[BundleImages, ...] = Field(default=(), strict=False)
    chart: BundleChart
    helm: BundleProgram | None = None
    values: tuple[Name, ...] = Field(default=(), strict=False)
    files: tuple[BundleTarget, ...] = Field(default=(), strict=False)

    @property
    def verifiable(self) -> tuple[BundleFile, ...]:
        """All entries that carry a digest."""
        helm = (self.helm,) if self.helm else ()
        return (self.k3s, *self.images, self.chart, *helm, *self.files)

    @property
    def listed(self) -> frozenset[str]:
        """Paths of all files that may be in the bundle, the manifest's own among them."""
        return frozenset({MANIFEST, *self.values, *(entry.file for entry in self.verifiable)})


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle and where its files are.

    Attributes:
        root: folder that holds its files.
        manifest: what they are.
    """

    root: Path
    manifest: BundleManifest

    @property
    def k3s(self) -> Path:
        """The k3s binary."""
        return self.root / self.manifest.k3s.file

    @property
    def chart(self) -> Path:
        """Cilium's chart."""
        return self.root / self.manifest.chart.file

    @property
    def helm(self) -> Path | None:
        """The helm binary, if the bundle has one."""
        return self.root / self.manifest.helm.file if self.manifest.helm else None

    @property
    def images(self) -> tuple[Path, ...]:
        """The image archives."""
        return tuple(self.root / entry.file for entry in self.manifest.images)

    @property
    def values(self) -> tuple[Path, ...]:
        """The values files, in their order."""
        return tuple(self.root / name for name in self.manifest.values)

    @property
    def files(self) -> tuple[tuple[Path, BundleTarget], ...]:
        """The files for the host, each with its destination."""
        return tuple((self.root / entry.file, entry) for entry in self.manifest.files)


def parse_manifest(data: bytes) -> BundleManifest:
    """Read ``bundle.json`` and judge every path in it.

    Raises:
        RefusedError: ``E-BUNDLE-002``, ``-003``, ``-006``, ``-007``.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed([f"not JSON: {error}"]) from error
    _check_format(content)
    try:
        manifest = BundleManifest.model_validate(content)
    except ValidationError as error:
        raise _malformed(list(_complaints(error))) from error
    _check_paths(manifest)
    return manifest


def check_arch(manifest: BundleManifest, machine: str) -> None:
    """Refuse a bundle made for another machine than this (``uname -m``'s word, or Go's).

    Raises:
        RefusedError: ``E-BUNDLE-004``; ``E-K3S-001`` the machine is none that k3s and Cilium support.
    """
    arch = machine_arch(machine).name
    if manifest.arch != arch:
        raise RefusedError(
            f"the bundle is for {manifest.arch}, this machine is {arch}",
            why=f"{MANIFEST} says arch: {manifest.arch}",
            fix=f"make or fetch a bundle for {arch}",
            code="E-BUNDLE-004",
        )


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


def _check_format(content: object) -> None:
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise _malformed(["format: a number is expected"])
    if number > FORMAT:
        raise RefusedError(
            f"the bundle has format {number}, this beeyard knows formats up to {FORMAT}",
            why="it was made by a newer beeyard",
            fix="upgrade beeyard, or make the bundle with this one",
            code="E-BUNDLE-003",
        )


def _complaints(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False, include_input=False):
        yield f"{'.'.join(map(str, item['loc'])) or MANIFEST}: {item['msg']}"


def _check_paths(manifest: BundleManifest) -> None:
    names = [entry.file for entry in manifest.verifiable] + list(manifest.values)
    for name in names:
        if not inside(name):
            raise leaves(name)
    _check_clashes([*names, MANIFEST])
    for target in manifest.files:
        _check_target(target)
    twice = [dest for dest, count in Counter(target.dest for target in manifest.files).items() if count > 1]
    if twice:
        raise _malformed([f"files: {dest} is a destination twice" for dest in twice])


def _check_clashes(names: list[str]) -> None:
    """Refuse names that are listed twice, or are a file and another's folder at once."""
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    wrong = sorted({name for name, count in Counter(names).items() if count > 1 or name in folders})
    if wrong:
        raise _malformed([f"{name} is listed twice" for name in wrong])


def _check_target(target: BundleTarget) -> None:
    if allowed_destination(target.dest) and _MODE.fullmatch(target.mode):
        return
    reason = f"dest {target.dest!r}, mode {target.mode!r}"
    raise RefusedError(
        f"the bundle wants to put {target.file!r} where or how it may not",
        why=f"{reason}; allowed are paths below {', '.join(DESTINATIONS)} and modes without special bits",
        fix="do not use this bundle unless you know who made it",
        code="E-BUNDLE-007",
    )


def leaves(name: str) -> RefusedError:
    """Return the error for a path that leaves the bundle."""
    return RefusedError(
        f"the bundle holds a path that leaves it: {name!r}",
        why="paths must be relative, without '..', and no link may lead outside",
        fix="do not use this bundle unless you know who made it",
        code="E-BUNDLE-006",
    )


def _malformed(complaints: list[str]) -> RefusedError:
    return RefusedError(
        f"the bundle's {MANIFEST} is malformed",
        why="\n".join(complaints[:10]),
        fix="make the bundle again, with beeyard",
        code="E-BUNDLE-002",
    )
