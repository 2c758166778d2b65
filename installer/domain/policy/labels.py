"""Identity labels and the selectors over them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NAMESPACE = "io.kubernetes.pod.namespace"
NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels."
CLUSTER = "io.cilium.k8s.policy.cluster"
SERVICE_ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
ANY = "any"

_EXCLUDED = re.compile(
    r"io\.kubernetes|kubernetes\.io|.*beta\.kubernetes\.io|k8s\.io|topology\.kubernetes\.io|pod-template-hash|"
    r"pod-template-generation|controller-revision-hash|controller-uid|annotation|etcd_node|"
    r"batch\.kubernetes\.io/(?:controller-uid|job-completion-index)|statefulset\.kubernetes\.io/pod-name|"
    r"apps\.kubernetes\.io/pod-index"
)
_INCLUDED = re.compile(
    r"io\.kubernetes\.pod\.namespace|io\.cilium\.k8s\.namespace\.labels|app\.kubernetes\.io|"
    r"io\.cilium\.k8s\.policy\.(?:cluster|serviceaccount)"
)


def is_identity_label(key: str) -> bool:
    """Whether Cilium's default filter lets a pod label into the identity; the longer match wins (R7)."""
    out, kept = _EXCLUDED.match(key), _INCLUDED.match(key)
    return out is None or (kept is not None and kept.end() >= out.end())


def split_key(key: str) -> tuple[str, str]:
    """Split ``k8s:app`` into source and key; without a source it is ``any`` (R8)."""
    source, colon, rest = key.partition(":")
    return (source, rest) if colon and source.isalnum() else (ANY, key)


def split_label(label: str) -> tuple[str, str, str]:
    """Split ``k8s:app=web`` into source, key and value."""
    key, _, value = label.partition("=")
    source, name = split_key(key)
    return source, name, value


class LabelSet:
    """The labels of one identity, by key.

    Args:
        labels: as Hubble and CiliumEndpoint tell them: ``k8s:app=web``, ``reserved:host``.

    Attributes:
        labels: the same, sorted.
        is_world: whether it is outside the cluster.
    """

    __slots__ = ("_by_key", "is_world", "labels")

    def __init__(self, labels: Iterable[str]):
        self.labels = tuple(sorted(set(labels)))
        self._by_key: dict[str, dict[str, str]] = {}
        for label in self.labels:
            source, key, value = split_label(label)
            self._by_key.setdefault(key, {})[source] = value
        self.is_world = any(self.reserved(name) for name in ("world", "world-ipv4", "world-ipv6"))

    def values(self, source: str, key: str) -> Sequence[str]:
        """Return the values of a key: of one source, or of every source for ``any``."""
        found = self._by_key.get(key)
        if found is None:
            return ()
        if source == ANY:
            return tuple(found.values())
        return (found[source],) if source in found else ()

    def has_key(self, key: str) -> bool:
        """Whether a key is there, whatever its source."""
        return key in self._by_key

    def reserved(self, name: str) -> bool:
        """Whether ``reserved:<name>`` is there."""
        return "reserved" in self._by_key.get(name, ())

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Yield every key with each of its values."""
        for key, by_source in self._by_key.items():
            for value in by_source.values():
                yield key, value

    @property
    def namespace(self) -> str:
        """Namespace of a pod, empty for everything else."""
        return self._by_key.get(NAMESPACE, {}).get("k8s", "")

    @property
    def cluster(self) -> str:
        """Name of the cluster that a pod is of."""
        return self._by_key.get(CLUSTER, {}).get("k8s", "")


@lru_cache(maxsize=65536)
def label_set(labels: tuple[str, ...]) -> LabelSet:
    """Return the parsed labels, kept for the next one who asks."""
    return LabelSet(labels)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition of a selector.

    Attributes:
        source: label source, ``any`` for every one.
        key: label key.
        operator: ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``.
        values: values of In and NotIn.
    """

    source: str
    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: LabelSet) -> bool:
        """Tell whether labels meet it; NotIn and DoesNotExist are met by a missing label (R9)."""
        found = labels.values(self.source, self.key)
        if self.operator == "Exists":
            return bool(found)
        if self.operator == "DoesNotExist":
            return not found
        hit = any(value in self.values for value in found)
        return hit if self.operator == "In" else not hit

    def __str__(self) -> str:
        key = self.key if self.source == ANY else f"{self.source}:{self.key}"
        if self.operator == "In" and len(self.values) == 1:
            (value,) = self.values
            return key if self.source == "reserved" else f"{key}={value}"
        if self.operator in ("In", "NotIn"):
            return f"{key} {'in' if self.operator == 'In' else 'not in'} ({', '.join(sorted(self.values))})"
        return f"{key} exists" if self.operator == "Exists" else f"no {key}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All conditions must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: LabelSet) -> bool:
        """Tell whether labels meet every condition."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def mentions(self, key: str) -> bool:
        """Whether the key is named with source ``k8s`` or none."""
        return any(item.key == key and item.source in (ANY, "k8s") for item in self.requirements)

    def mentions_prefix(self, prefix: str) -> bool:
        """Whether a key begins so."""
        return any(item.key.startswith(prefix) for item in self.requirements)

    def mentions_source(self, source: str) -> bool:
        """Whether a label of that source is named."""
        return any(item.source == source for item in self.requirements)

    def with_requirement(self, requirement: Requirement) -> Selector:
        """Return it with one more condition."""
        return Selector((*self.requirements, requirement))

    def without(self, source: str, key: str) -> Selector:
        """Return it without the conditions on one label."""
        return Selector(tuple(item for item in self.requirements if (item.source, item.key) != (source, key)))

    @property
    def pivot(self) -> tuple[str, str] | None:
        """A key and value that every match has, where there is one: selectors are indexed by it."""
        for item in self.requirements:
            if item.operator == "In" and len(item.values) == 1:
                (value,) = item.values
                return item.key, value
        return None

    def __str__(self) -> str:
        return ", ".join(map(str, self.requirements)) or "everything"


def equals(source: str, key: str, value: str) -> Requirement:
    """Return the condition that a label has a value."""
    return Requirement(source, key, "In", frozenset((value,)))


def selector(raw: Mapping[str, Any] | None, *, prefix: str = "", source: str | None = None) -> Selector:
    """Read a label selector.

    Args:
        raw: ``{"matchLabels": {...}, "matchExpressions": [...]}``, None for an empty one.
        prefix: put before every key (namespace labels, R12).
        source: source of every key; by default it is read from the key (R8).
    """
    found: list[Requirement] = []
    data = raw or {}
    for key, value in (data.get("matchLabels") or {}).items():
        of, name = _key(key, prefix, source)
        found.append(equals(of, name, "" if value is None else str(value)))
    for item in data.get("matchExpressions") or []:
        of, name = _key(str(item.get("key", "")), prefix, source)
        values = frozenset(str(value) for value in item.get("values") or ())
        found.append(Requirement(of, name, str(item.get("operator", "")), values))
    return Selector(tuple(found))


def _key(key: str, prefix: str, source: str | None) -> tuple[str, str]:
    of, name = (source, key) if source else split_key(key)
    return of, prefix + name
