"""Objects as people edit them, their differences, and merging two people's edits of one object."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml

from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
_SERVER_FIELDS = ("managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ABSENT = object()


class _PlainDumper(yaml.SafeDumper):
    """Writes every value out; aliases are hard to read in a policy."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def clean(raw: Raw) -> dict[str, Any]:
    """Return an object without what the server adds to it."""
    found = copy.deepcopy(dict(raw))
    found.pop("status", None)
    metadata = {key: value for key, value in (found.get("metadata") or {}).items() if key not in _SERVER_FIELDS}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    first: dict[str, Any] = {key: found.pop(key) for key in ("apiVersion", "kind") if key in found}
    found.pop("metadata", None)
    return {**first, "metadata": metadata, **found}


def to_yaml(raw: Raw) -> str:
    """Return an object as YAML, in the order that people write it."""
    return yaml.dump(dict(raw), Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)


def diff(before: Raw | None, after: Raw | None, name: str) -> str:
    """Return a unified diff of two states of an object as YAML; None stands for its absence."""
    old = to_yaml(clean(before)).splitlines() if before is not None else []
    new = to_yaml(clean(after)).splitlines() if after is not None else []
    heads = ("/dev/null" if before is None else f"live/{name}", "/dev/null" if after is None else f"new/{name}")
    return "\n".join(difflib.unified_diff(old, new, *heads, lineterm=""))


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that both changed, each in another way.

    Attributes:
        path: the place.
        base: value that both began with; None where there was none.
        mine: own value.
        theirs: value in the cluster.
    """

    path: Path
    base: Any
    mine: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class Merged:
    """Outcome of a merge.

    Attributes:
        data: the merged object; places in conflict hold the own value.
        conflicts: empty when the two edits do not touch each other.
    """

    data: dict[str, Any]
    conflicts: tuple[Conflict, ...] = ()


def merge(base: Raw, mine: Raw, theirs: Raw) -> Merged:
    """Merge own edits of ``base`` with those that were made in the cluster meanwhile."""
    conflicts: list[Conflict] = []
    data = _merge(clean(base), clean(mine), clean(theirs), (), conflicts)
    assert isinstance(data, dict)
    return Merged(data, tuple(conflicts))


def _merge(base: Any, mine: Any, theirs: Any, path: Path, conflicts: list[Conflict]) -> Any:
    if mine == theirs or theirs == base:
        return mine
    if mine == base:
        return theirs
    if isinstance(mine, dict) and isinstance(theirs, dict):
        own_base = base if isinstance(base, dict) else {}
        merged = {}
        for key in dict.fromkeys([*theirs, *mine]):
            ours, others = mine.get(key, _ABSENT), theirs.get(key, _ABSENT)
            value = _merge(own_base.get(key, _ABSENT), ours, others, (*path, key), conflicts)
            if value is not _ABSENT:
                merged[key] = value
        return merged
    if isinstance(base, list) and isinstance(mine, list) and isinstance(theirs, list):
        found = _merge_lists(base, mine, theirs)
        if found is not None:
            return found
    conflicts.append(Conflict(path, *(None if side is _ABSENT else side for side in (base, mine, theirs))))
    return mine


def _merge_lists(base: Sequence[Any], mine: Sequence[Any], theirs: Sequence[Any]) -> list[Any] | None:
    """Merge edits of a list where they touch different items; None where they touch the same."""
    edits = sorted([*_edits(base, mine), *_edits(base, theirs)], key=lambda edit: (edit[0], edit[1]))
    for one, other in pairwise(edits):
        if one == other:
            continue
        if other[0] < one[1] or (other[0] == one[0] and other[1] == one[1]):
            return None
    merged: list[Any] = []
    at = 0
    for start, end, items in list(dict.fromkeys((start, end, tuple(items)) for start, end, items in edits)):
        merged += base[at:start]
        merged += [json.loads(item) for item in items]
        at = end
    return merged + list(base[at:])


def _edits(base: Sequence[Any], other: Sequence[Any]) -> list[tuple[int, int, list[str]]]:
    """Return the changed ranges of ``base`` with what stands there instead."""
    old, new = ([json.dumps(item, sort_keys=True) for item in side] for side in (base, other))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(a1, a2, new[b1:b2]) for tag, a1, a2, b1, b2 in matcher.get_opcodes() if tag != "equal"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Something that would revert an edit.

    Attributes:
        tool: such as ``Argo CD``.
        name: what of it, such as the release's name.
    """

    tool: str
    name: str

    def __str__(self) -> str:
        return f"{self.tool} ({self.name})" if self.name else self.tool


def owners(raw: Raw) -> list[Owner]:
    """Return who else writes an object: Helm, Argo CD, Flux, Kyverno, or an owning object."""
    metadata = raw.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    found: list[Owner] = []
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "meta.helm.sh/release-name" in annotations:
        found.append(Owner("Helm", str(annotations.get("meta.helm.sh/release-name", ""))))
    if "argocd.argoproj.io/tracking-id" in annotations or "argocd.argoproj.io/instance" in labels:
        tracking = str(annotations.get("argocd.argoproj.io/tracking-id", "")).partition(":")[0]
        found.append(Owner("Argo CD", tracking or str(labels.get("argocd.argoproj.io/instance", ""))))
    flux = [labels.get(f"{toolkit}.toolkit.fluxcd.io/name") for toolkit in ("kustomize", "helm")]
    found += [Owner("Flux", str(name)) for name in flux if name]
    if "generate.kyverno.io/policy-name" in labels:
        found.append(Owner("Kyverno", str(labels["generate.kyverno.io/policy-name"])))
    references = metadata.get("ownerReferences") or ()
    return found + [Owner(str(item.get("kind", "")), str(item.get("name", ""))) for item in references]
