"""Charts as files: what is in an archive, and what a repository's index says of it.

An archive is only ever read, member by member; nothing of it is written to disk.
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import yaml

from installer.domain.errors import BeeyardError

_MEMBER_LIMIT = 8 * 1024 * 1024
_MEMBERS_LIMIT = 20_000
_CHUNK = 1024 * 1024


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
    """Safe and, where libyaml is there, fast; a plain ``=`` is a string, not YAML 1.1's "value"."""


YamlLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """What beeyard reads of a chart.

    Attributes:
        metadata: ``Chart.yaml``.
        values: ``values.yaml``, empty when there is none.
    """

    metadata: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChartEntry:
    """One version of a chart in a repository's index.

    Attributes:
        version: chart version.
        urls: absolute URLs of the archive.
        digest: sha256 of the archive, empty when the index does not tell.
    """

    version: str
    urls: tuple[str, ...]
    digest: str


def read_chart(path: Path) -> ChartFiles:
    """Read ``Chart.yaml`` and ``values.yaml`` of a chart archive (blocking).

    Raises:
        BeeyardError: ``E-HELM-020`` no such file, ``E-HELM-021`` no readable chart archive.
    """
    wanted = {"Chart.yaml": b"", "values.yaml": b""}
    try:
        with tarfile.open(path, "r:gz") as archive:
            _collect(archive, wanted)
    except FileNotFoundError:
        raise missing_chart(path) from None
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        raise _unreadable(path, str(error)) from None
    if not wanted["Chart.yaml"]:
        raise _unreadable(path, "it holds no <name>/Chart.yaml")
    metadata, values = (_mapping(path, name, text) for name, text in wanted.items())
    if not metadata.get("name") or not metadata.get("version"):
        raise _unreadable(path, "its Chart.yaml has no name or no version")
    return ChartFiles({**metadata, "version": str(metadata["version"])}, values)


def _collect(archive: tarfile.TarFile, wanted: dict[str, bytes]) -> None:
    """Fill in the wanted files of the chart's top folder; links and files of subcharts are left out."""
    for number, member in enumerate(archive):
        if number > _MEMBERS_LIMIT:
            raise ValueError(f"it has more than {_MEMBERS_LIMIT} members")
        parts = member.name.split("/")
        if len(parts) != 2 or parts[0] in ("", ".", "..") or parts[1] not in wanted or not member.isreg():
            continue
        if member.size > _MEMBER_LIMIT:
            raise ValueError(f"{member.name} is larger than {_MEMBER_LIMIT} bytes")
        stream = archive.extractfile(member)
        wanted[parts[1]] = stream.read() if stream else b""


def _mapping(path: Path, name: str, text: bytes) -> dict[str, Any]:
    try:
        document = yaml.load(text, YamlLoader)  # noqa: S506  # a safe loader
    except yaml.YAMLError as error:
        raise _unreadable(path, f"{name}: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _unreadable(path, f"{name} is no mapping")
    return document


def missing_chart(path: Path) -> BeeyardError:
    """Return the error for a chart file that is not there."""
    return BeeyardError(
        f"There is no chart file {path}",
        fix="Name an existing chart archive (.tgz), or leave the choice to beeyard.",
        code="E-HELM-020",
    )


def _unreadable(path: Path, why: str) -> BeeyardError:
    return BeeyardError(
        f"{path} is no readable chart archive",
        why=why,
        fix="Fetch the chart again; it is the .tgz of a Helm repository.",
        code="E-HELM-021",
    )


def chart_sha256(path: Path) -> str:
    """Return the sha256 of a chart archive (blocking).

    Raises:
        BeeyardError: ``E-HELM-020`` no such file.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        raise missing_chart(path) from None
    return digest.hexdigest()


def find_chart(index: str, version: str, *, chart: str = "cilium", base: str = "") -> ChartEntry:
    """Find a version of a chart in the text of a repository's ``index.yaml`` (blocking).

    Args:
        index: text of ``index.yaml``.
        version: exact version.
        chart: name of the chart.
        base: URL of the repository, for relative URLs in the index.

    Raises:
        BeeyardError: ``E-HELM-022`` no index, ``E-HELM-023`` the chart or version is not in it.
    """
    entries = _entries(index, chart)
    versions = [str(entry.get("version", "")) for entry in entries if isinstance(entry, dict)]
    for entry in entries:
        if isinstance(entry, dict) and str(entry.get("version", "")).removeprefix("v") == version.removeprefix("v"):
            urls = tuple(urljoin(f"{base.rstrip('/')}/", str(url)) if base else str(url) for url in entry["urls"])
            return ChartEntry(version.removeprefix("v"), urls, str(entry.get("digest") or "").removeprefix("sha256:"))
    raise BeeyardError(
        f"The chart repository has no {chart} {version}",
        why=f"It has {len(versions)} versions, such as {', '.join(versions[:5])}." if versions else "",
        fix="Choose a version that it has, or another repository (spec.downloads.chart.repository).",
        code="E-HELM-023",
    )


def _entries(index: str, chart: str) -> list[Any]:
    try:
        document = yaml.load(index, YamlLoader)  # noqa: S506  # a safe loader
        entries = document["entries"]
        return list(entries.get(chart) or [])
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise BeeyardError(
            "The chart repository's index.yaml cannot be read",
            why=str(error)[:500],
            fix="Check spec.downloads.chart.repository: <repository>/index.yaml must be a Helm index.",
            code="E-HELM-022",
        ) from None
