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
- ``E-BUNDLE-012`` the archive or ``bundle.json`` is not as it was sealed
- ``E-BUNDLE-013`` the bundle cannot be written
- ``E-BUNDLE-014`` (exit 2) what is to be bundled cannot be
- ``E-BUNDLE-015`` an archive of images in it cannot be read

Format 2, which ``beeyard bundle create`` writes, says more than format 1: it may hold several architectures (``arch``
is ``amd64,arm64``, entries name theirs, ``k3s`` and ``helm`` are lists), values files have checksums, an SBOM comes
along, and ``bundle.json`` proves itself by ``digest``. Format 1 is read as before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from installer.domain.bundle_paths import DESTINATIONS, allowed_destination, inside, leaves
from installer.domain.errors import RefusedError

MANIFEST = "bundle.json"
FORMAT = 2
PROVEN = 2
"""First format in which every byte is proven."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1024)]

_MODE = re.compile(r"0?[0-7]{3}")


def _as_list(value: Any) -> Any:
    """Return a list of one for what stands alone."""
    return [] if value is None else value if isinstance(value, list | tuple) else [value]


def _as_entry(value: Any) -> Any:
    """Return an entry for a values file that is only named (format 1)."""
    return {"file": value} if isinstance(value, str) else value


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


class _ForArch(BundleFile):
    """A file of one architecture, or of all.

    Attributes:
        arch: the architecture, None for all.
    """

    arch: Literal["amd64", "arm64"] | None = None


class BundleProgram(_ForArch):
    """A program (k3s, helm).

    Attributes:
        version: its version.
    """

    version: Name


class BundleValues(_Part):
    """A file with Helm values.

    Attributes:
        file: path in the bundle.
        sha256: digest, hex; empty only in format 1.
    """

    file: Name
    sha256: Sha256 | Literal[""] = ""


class BundleImages(_ForArch):
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


class BundleTarget(_ForArch):
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


Programs = Annotated[tuple[BundleProgram, ...], BeforeValidator(_as_list), Field(strict=False)]
Arch = TypeVar("Arch", bound=_ForArch)


class BundleManifest(_Part):
    """``bundle.json``.

    Attributes:
        format: number of the format.
        arch: ``amd64``, ``arm64``, or both with a comma.
        created: UTC time.
        k3s: the k3s binaries, one an architecture.
        images: image archives.
        chart: Cilium's chart.
        helm: the helm binaries, if they come along.
        values: Helm values files.
        files: further files for the host.
        sbom: list of all parts (SPDX).
        digest: sha256 of ``bundle.json`` itself, without this field.
    """

    format: int
    arch: Annotated[str, StringConstraints(pattern=r"^(amd64|arm64|amd64,arm64)$")]
    created: Name
    k3s: Programs
    images: tuple[BundleImages, ...] = Field(default=(), strict=False)
    chart: BundleChart
    helm: Programs = ()
    values: tuple[Annotated[BundleValues, BeforeValidator(_as_entry)], ...] = Field(default=(), strict=False)
    files: tuple[BundleTarget, ...] = Field(default=(), strict=False)
    sbom: BundleFile | None = None
    digest: Sha256 | None = None

    @property
    def arches(self) -> tuple[str, ...]:
        """The architectures."""
        return tuple(self.arch.split(","))

    @property
    def verifiable(self) -> tuple[BundleFile, ...]:
        """All entries that carry a digest."""
        values = tuple(BundleFile(file=one.file, sha256=one.sha256) for one in self.values if one.sha256)
        sbom = (self.sbom,) if self.sbom else ()
        return (*self.k3s, *self.images, self.chart, *self.helm, *values, *self.files, *sbom)

    @property
    def unproven(self) -> tuple[str, ...]:
        """Files without a digest; format 1 has them."""
        return tuple(one.file for one in self.values if not one.sha256)

    @property
    def listed(self) -> frozenset[str]:
        """Paths of all files that may be in the bundle, the manifest's own among them."""
        return frozenset({MANIFEST, *self.unproven, *(entry.file for entry in self.verifiable)})

    def for_arch(self, entries: tuple[Arch, ...], arch: str) -> tuple[Arch, ...]:
        """Return the entries that a machine of an architecture takes."""
        return tuple(entry for entry in entries if entry.arch in (None, arch))


def dump_manifest(content: dict[str, Any]) -> bytes:
    """Return the one form that ``bundle.json`` of format 2 has, its own digest put in."""
    bare = {key: value for key, value in content.items() if key != "digest"}
    return _canonical({**bare, "digest": hashlib.sha256(_canonical(bare)).hexdigest()})


def _canonical(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def parse_manifest(data: bytes) -> BundleManifest:
    """Read ``bundle.json`` and judge every path in it.

    Raises:
        RefusedError: ``E-BUNDLE-002``, ``-003``, ``-006``, ``-007``, ``-012``.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed([f"not JSON: {error}"]) from error
    _check_format(content)
    if content["format"] >= PROVEN and dump_manifest(content) != data:
        raise broken_seal(f"{MANIFEST} is not as it was written: its digest says so")
    try:
        manifest = BundleManifest.model_validate(content)
    except ValidationError as error:
        raise _malformed(list(_complaints(error))) from error
    _check_paths(manifest)
    _check_arches(manifest)
    return manifest


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
    names = [entry.file for entry in manifest.verifiable] + list(manifest.unproven)
    for name in names:
        if not inside(name):
            raise leaves(name)
    _check_clashes([*names, MANIFEST])
    for target in manifest.files:
        _check_target(target)
    for arch in manifest.arches:
        targets = manifest.for_arch(manifest.files, arch)
        twice = [dest for dest, count in Counter(target.dest for target in targets).items() if count > 1]
        if twice:
            raise _malformed([f"files: {dest} is a destination twice" for dest in twice])


def _check_arches(manifest: BundleManifest) -> None:
    """Refuse a bundle that lacks k3s for an architecture, mixes versions, or leaves files unproven where it may not."""
    complaints = []
    for arch in manifest.arches:
        if len(manifest.for_arch(manifest.k3s, arch)) != 1:
            complaints.append(f"k3s: one binary is expected for {arch}")
        if len(manifest.for_arch(manifest.helm, arch)) > 1:
            complaints.append(f"helm: more than one binary for {arch}")
        places = Counter(PurePosixPath(one.file).name for one in manifest.for_arch(manifest.images, arch))
        complaints += [f"images: {name} is there twice for {arch}" for name, count in places.items() if count > 1]
    for name, programs in (("k3s", manifest.k3s), ("helm", manifest.helm)):
        if len({program.version for program in programs}) > 1:
            complaints.append(f"{name}: its versions differ")
    if manifest.format >= PROVEN:
        complaints += [f"values: {name} has no sha256" for name in manifest.unproven]
    if complaints:
        raise _malformed(complaints)


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


def broken_seal(why: str) -> RefusedError:
    """Return the error for an archive or a manifest that is not as it was made."""
    return RefusedError(
        "the bundle was changed or is damaged",
        why=why,
        fix="copy or download it again, and compare its sha256 with the one that `bundle create` printed",
        code="E-BUNDLE-012",
    )


def _malformed(complaints: list[str]) -> RefusedError:
    return RefusedError(
        f"the bundle's {MANIFEST} is malformed",
        why="\n".join(complaints[:10]),
        fix="make the bundle again, with beeyard",
        code="E-BUNDLE-002",
    )
