"""Use of Kubernetes APIs that the version to be no longer serves, as the API server itself counts it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"^apiserver_requested_deprecated_apis\{(?P<labels>[^}]*)\}\s+(?P<value>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class DeprecatedUse:
    """An API that somebody asked for since the API server started.

    Attributes:
        api: such as ``policy/v1beta1``.
        resource: such as ``poddisruptionbudgets``.
        removed: Kubernetes minor that no longer serves it, such as ``1.25``.
    """

    api: str
    resource: str
    removed: str

    def __str__(self) -> str:
        return f"{self.resource} of {self.api}, gone in Kubernetes {self.removed}"


def read_metrics(text: str) -> list[DeprecatedUse]:
    """Return the deprecated APIs in use from the API server's metrics; lines that make no sense are left out."""
    found = set()
    for line in _LINE.finditer(text):
        labels = dict(_LABEL.findall(line["labels"]))
        removed = labels.get("removed_release", "")
        if re.fullmatch(r"\d+\.\d+", removed) and _number(line["value"]) > 0:
            group = f"{labels['group']}/" if labels.get("group") else ""
            found.add(DeprecatedUse(f"{group}{labels.get('version', '')}", labels.get("resource", ""), removed))
    return sorted(found, key=str)


def gone(uses: list[DeprecatedUse], kubernetes: str) -> list[DeprecatedUse]:
    """Return what a Kubernetes version (``1.25`` or longer) no longer serves."""
    return [use for use in uses if _minor(use.removed) <= _minor(kubernetes)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _minor(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)
