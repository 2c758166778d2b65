"""Finds what is wrong with Helm values for Cilium before Helm silently accepts it.

Three questions: does the chart of this minor know every key; was a key or value removed, and what took its place; do
the values contradict the k3s cluster they are for. The first two look at the user's own values, the third at the
values as they will be installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from installer.domain.chart_keys import KeyNode, nearest_path, unknown_paths
from installer.domain.releases import Releases, RemovedKey

ABSENT = object()
"""Stands for a value that is not there."""


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class ValueFinding:
    """Something wrong with a value.

    Attributes:
        level: errors stop an install, warnings are shown.
        path: dotted path of the value.
        what: what is wrong, one line.
        fix: what to write instead.
    """

    level: Level
    path: str
    what: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"level": str(self.level), "path": self.path, "what": self.what, "fix": self.fix}

    def __str__(self) -> str:
        return f"{self.path}: {self.what}. {self.fix}".rstrip()


def lint(user: Mapping[str, Any], known: KeyNode, releases: Releases, minor: str) -> list[ValueFinding]:
    """Return what is wrong with the user's own values for a Cilium minor, errors first.

    Args:
        user: the user's values.
        known: keys that the chart knows (``keys/<minor>.txt``, joined with the chart's own values where it is at hand).
        releases: the table of releases.
        minor: Cilium minor, such as ``1.20``.
    """
    removed = releases.removed_in(minor)
    gone = [(rule, tuple(rule.path.split("."))) for rule in removed if value_at(user, rule.path) is not ABSENT]
    found = [_removed(rule, minor) for rule, _ in gone]
    found += [_unknown(path, known) for path in unknown_paths(user, known) if not _covered(path, gone)]
    found += _removed_values(user, releases, minor)
    found += [
        ValueFinding(Level.WARNING, rule.path, f"deprecated since Cilium {rule.since}", f"Use {rule.replacement}.")
        for rule in releases.deprecated_in(minor)
        if value_at(user, rule.path) is not ABSENT
    ]
    return sorted(found, key=lambda finding: finding.level != Level.ERROR)


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, or a marker that equals nothing where there is none."""
    node: Any = values
    for name in path.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return ABSENT
        node = node[name]
    return node


def _covered(path: tuple[str, ...], gone: Sequence[tuple[RemovedKey, tuple[str, ...]]]) -> bool:
    """Return whether an unknown path is already reported as removed (at, above or below it)."""
    return any(path[: len(rule)] == rule[: len(path)] for _, rule in gone)


def _removed(rule: RemovedKey, minor: str) -> ValueFinding:
    what = f"Cilium {minor} does not know this key; it was removed in {rule.since}"
    move = f"Use {rule.replacement}." if rule.replacement else ""
    return ValueFinding(Level.ERROR, rule.path, what, " ".join(filter(None, (move, rule.message))))


def _unknown(path: tuple[str, ...], known: KeyNode) -> ValueFinding:
    near = nearest_path(path, known)
    fix = f"Did you mean {'.'.join(near)}?" if near else "Remove it; Helm would accept and ignore it."
    return ValueFinding(Level.ERROR, ".".join(path), "the chart does not know this key", fix)


def _removed_values(user: Mapping[str, Any], releases: Releases, minor: str) -> Iterator[ValueFinding]:
    for rule in releases.removed_values_in(minor):
        value = value_at(user, rule.path)
        if value in rule.values:
            yield ValueFinding(
                Level.ERROR, rule.path, f"{value!r} is no longer a value since Cilium {rule.since}", rule.message
            )


def take(values: dict[str, Any], path: list[str]) -> None:
    """Remove the value at a path, and maps that are empty then."""
    if len(path) > 1:
        take(values[path[0]], path[1:])
        if values[path[0]]:
            return
    del values[path[0]]


def put(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a path, making the maps on the way."""
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
