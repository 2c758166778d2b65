"""What is known of each supported Cilium minor: ``charts/cilium/releases.yaml`` as models.

Adding a minor is editing that file; nothing here names a version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from installer.domain.errors import BeeyardError, RefusedError, UsageError

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class KernelException(_Model):
    """A distribution whose older kernel is good enough.

    Attributes:
        distribution: ``ID`` or ``ID_LIKE`` of os-release.
        release: lowest ``VERSION_ID``.
        minimum: lowest kernel there.
    """

    distribution: str
    release: str
    minimum: str


class KernelRange(_Model):
    """Kernels that Cilium runs on."""

    minimum: str
    exceptions: tuple[KernelException, ...] = ()

    def required(self, os_ids: tuple[str, ...], os_release: str) -> str:
        """Return the lowest kernel for a distribution (``ID`` and ``ID_LIKE``, ``VERSION_ID``)."""
        for rule in self.exceptions:
            if rule.distribution in os_ids and _numbers(os_release) >= _numbers(rule.release):
                return rule.minimum
        return self.minimum


class KubernetesRange(_Model):
    """Kubernetes versions of a Cilium minor.

    Attributes:
        minimum: what the chart demands.
        tested: minors of upstream's end-to-end tests.
    """

    minimum: str
    tested: tuple[str, ...]


class GatewayApi(_Model):
    """Gateway API release that a Cilium minor works with.

    Attributes:
        version: release, such as ``1.6.1``.
        required: plural names of the resource definitions that the operator insists on.
        files: sha256 of each required definition's file at the release's tag.
        experimental: optional ones that only the experimental channel has.
    """

    version: str
    required: tuple[str, ...]
    files: dict[str, str]
    experimental: tuple[str, ...] = ()


class MinorRelease(_Model):
    """One Cilium minor.

    Attributes:
        default: patch installed when only the minor is named.
        kubernetes: Kubernetes range.
        gateway_api: Gateway API release.
        images: references with digest of the default patch, by component.
        charts: sha256 of the chart archive by version.
    """

    default: str
    kubernetes: KubernetesRange
    gateway_api: GatewayApi = Field(alias="gatewayAPI")
    images: dict[str, str]
    charts: dict[str, str]


class RemovedKey(_Model):
    """A value key that a minor no longer knows.

    Attributes:
        path: dotted key, with everything below it.
        since: first minor without it.
        replacement: key that took its place.
        moves: the value may be moved to the replacement as it is, or in ``format``.
        format: form of a moved value, ``{}`` standing for it.
        message: what to do.
    """

    path: str
    since: str
    replacement: str = ""
    moves: bool = False
    format: str = ""
    message: str = ""


class RemovedValue(_Model):
    """Values that a key no longer takes."""

    path: str
    values: tuple[str, ...]
    since: str
    message: str


class DeprecatedKey(_Model):
    """A key that still works, and the one to use instead."""

    path: str
    since: str
    replacement: str


class ChangedKey(_Model):
    """A key whose default or meaning a minor changed."""

    path: str
    since: str
    message: str


class Support(StrEnum):
    """How well a combination of versions is known to work."""

    TESTED = "tested"
    UNTESTED = "untested"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class KubernetesCheck:
    """Answer to whether a Cilium minor works with a Kubernetes version.

    Attributes:
        support: tested, untested (likely works) or unsupported (the chart refuses).
        what: one line; empty when tested.
        fix: what to do; empty when tested.
    """

    support: Support
    what: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ChartRelease:
    """The chart that a version stands for.

    Attributes:
        version: full chart version, such as ``1.20.0``.
        minor: its minor, such as ``1.20``.
        sha256: digest of the archive; empty where it is not known beforehand.
        images: image references with digest, by component; empty for other patches than the default one.
        data: facts of the minor.
    """

    version: str
    minor: str
    sha256: str
    images: Mapping[str, str]
    data: MinorRelease


class Releases(_Model):
    """The whole table.

    Attributes:
        format: version of the file's format.
        default: minor installed when none is named.
        kernel: kernel range.
        minors: supported minors.
        removed: removed keys of all minors.
        removed_values: values no longer taken.
        deprecated: keys that still work.
        changed: keys whose default or meaning changed.
    """

    format: Literal[1]
    default: str
    kernel: KernelRange
    minors: dict[str, MinorRelease]
    removed: tuple[RemovedKey, ...] = ()
    removed_values: tuple[RemovedValue, ...] = ()
    deprecated: tuple[DeprecatedKey, ...] = ()
    changed: tuple[ChangedKey, ...] = ()

    @property
    def supported(self) -> list[str]:
        """Return the supported minors, oldest first."""
        return sorted(self.minors, key=_numbers)

    def resolve(self, version: str | None = None) -> ChartRelease:
        """Return the chart of a version: none (the default), a minor, or a full version of a supported minor.

        Raises:
            UsageError: ``E-CILIUM-002`` that is no version.
            RefusedError: ``E-CILIUM-001`` not a supported minor.
        """
        wanted = version or self.default
        match = _VERSION.fullmatch(wanted)
        if match is None:
            raise UsageError(
                f"{wanted!r} is no Cilium version",
                fix=f"Name a minor ({', '.join(self.supported)}) or a full version such as {self._newest()}.",
                code="E-CILIUM-002",
            )
        minor = f"{int(match[1])}.{int(match[2])}"
        data = self.minors.get(minor)
        if data is None:
            raise self._unsupported(wanted)
        return _release(data, minor, wanted.removeprefix("v") if match[3] else data.default)

    def find(self, version: str, *, allow_unsupported: bool) -> ChartRelease:
        """Resolve a version, also outside the table where that is allowed.

        Raises:
            UsageError: ``E-CILIUM-002`` that is no version.
            RefusedError: ``E-CILIUM-001`` it is outside the table.
        """
        minor = ".".join(version.removeprefix("v").split(".")[:2])
        return self.beyond_table(version) if allow_unsupported and minor not in self.minors else self.resolve(version)

    def beyond_table(self, version: str) -> ChartRelease:
        """Return the chart of a minor outside the table (``--allow-unsupported``), with the data of the nearest one.

        Raises:
            UsageError: ``E-CILIUM-002`` that is no full version.
        """
        match = _VERSION.fullmatch(version)
        if match is None or match[3] is None:
            raise UsageError(
                f"Cilium {version} is outside the table and names no exact patch",
                fix="Name the full version, such as 1.17.18.",
                code="E-CILIUM-002",
            )
        minor = f"{int(match[1])}.{int(match[2])}"
        return _release(self.minors[self.nearest(minor)], minor, version.removeprefix("v"))

    def nearest(self, minor: str) -> str:
        """Return the supported minor that is nearest to a minor, itself where it is supported."""
        return min(self.supported, key=lambda known: abs(_numbers(known)[1] - _numbers(minor)[1]))

    def _newest(self) -> str:
        return self.minors[self.supported[-1]].default

    def _unsupported(self, wanted: str) -> RefusedError:
        return RefusedError(
            f"Cilium {wanted} is not supported",
            why=f"Values and checks are known for {', '.join(self.supported)}.",
            fix=f"Choose one of them, such as {self._newest()}; --allow-unsupported tries another exact version.",
            code="E-CILIUM-001",
            details={"supported": self.supported},
        )

    def removed_in(self, minor: str) -> list[RemovedKey]:
        """Return the keys that a minor no longer knows."""
        return [key for key in self.removed if not newer(key.since, minor)]

    def removed_values_in(self, minor: str) -> list[RemovedValue]:
        """Return the values that a minor no longer takes."""
        return [value for value in self.removed_values if not newer(value.since, minor)]

    def deprecated_in(self, minor: str) -> list[DeprecatedKey]:
        """Return the keys that still work in a minor but are on their way out."""
        gone = {key.path for key in self.removed_in(minor)}
        return [key for key in self.deprecated if not newer(key.since, minor) and key.path not in gone]

    def changed_between(self, old: str, new: str) -> list[ChangedKey]:
        """Return the keys that changed after minor ``old``, up to and with minor ``new``."""
        return [key for key in self.changed if newer(key.since, old) and not newer(key.since, new)]


def _release(data: MinorRelease, minor: str, version: str) -> ChartRelease:
    images = data.images if version == data.default else {}
    return ChartRelease(version, minor, data.charts.get(version, ""), images, data)


def parse_releases(document: Mapping[str, Any]) -> Releases:
    """Return the table of a parsed ``releases.yaml``.

    Raises:
        BeeyardError: ``E-CILIUM-003`` the file is damaged, with the first complaints.
    """
    try:
        releases = Releases.model_validate(document)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise _damaged("\n".join(lines[:5])) from None
    problems = list(_inconsistencies(releases))
    if problems:
        raise _damaged("\n".join(problems))
    return releases


def _inconsistencies(releases: Releases) -> list[str]:
    found = [] if releases.default in releases.minors else [f"default: {releases.default} is not among the minors"]
    for minor, data in releases.minors.items():
        if data.default not in data.charts:
            found.append(f"minors.{minor}.charts: the default {data.default} has no sha256")
        if set(data.gateway_api.files) != set(data.gateway_api.required):
            found.append(f"minors.{minor}.gatewayAPI: required and files name different definitions")
        found += [
            f"minors.{minor}.charts: {version} is of another minor"
            for version in data.charts
            if not version.startswith(f"{minor}.")
        ]
    return found


def _damaged(why: str) -> BeeyardError:
    return BeeyardError(
        "The table of Cilium releases is damaged",
        why=why,
        fix="Install beeyard again; charts/cilium/releases.yaml is part of it.",
        code="E-CILIUM-003",
    )


def check_kubernetes(release: ChartRelease, kubernetes: str) -> KubernetesCheck:
    """Judge a Kubernetes version (``1.36``, ``v1.36.4+k3s1``) for a Cilium release."""
    version, data = _numbers(kubernetes)[:2], release.data.kubernetes
    minor = ".".join(map(str, version))
    if version < _numbers(data.minimum):
        return KubernetesCheck(
            Support.UNSUPPORTED,
            f"Cilium {release.version} refuses Kubernetes {minor}: its chart demands {data.minimum} or newer",
            f"Choose a k3s release of {data.tested[0]} to {data.tested[-1]}.",
        )
    if minor not in data.tested:
        return KubernetesCheck(
            Support.UNTESTED,
            f"Cilium {release.minor} was not tested by its makers on Kubernetes {minor}",
            f"Tested are {', '.join(data.tested)}; other versions usually work.",
        )
    return KubernetesCheck(Support.TESTED)


def newer(first: str, second: str) -> bool:
    """Return whether minor ``first`` comes after minor ``second``."""
    return _numbers(first)[:2] > _numbers(second)[:2]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[-+]", version)[0]))
