"""The fewest stable labels that select some identities and none of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.domain.policy.labels import LabelSet

PREFERRED = (
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "name",
    "component",
    "role",
    "tier",
)
"""Keys that say what a workload is, the most telling first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Labels for a selector.

    Attributes:
        labels: key and value; empty when nothing stable is common.
        exact: whether none of the others is selected.
    """

    labels: tuple[tuple[str, str], ...]
    exact: bool


def choose_labels(wanted: Sequence[LabelSet], others: Iterable[LabelSet]) -> Choice:
    """Choose labels that all of ``wanted`` carry.

    Args:
        wanted: identities to select, of one namespace, at least one.
        others: identities of the same namespace that should stay out.
    """
    common = _own(wanted[0])
    for labels in wanted[1:]:
        common &= _own(labels)
    outside = list(others)
    chosen: list[tuple[str, str]] = []
    for pair in sorted(common, key=_rank):
        left = _selected(outside, chosen)
        if chosen and not left:
            break
        if not chosen or len(_selected(left, [pair])) < len(left):
            chosen.append(pair)
    for pair in list(chosen):
        fewer = [one for one in chosen if one != pair]
        if fewer and len(_selected(outside, fewer)) == len(_selected(outside, chosen)):
            chosen = fewer
    return Choice(tuple(chosen), not _selected(outside, chosen))


def _selected(labels: Sequence[LabelSet], chosen: Sequence[tuple[str, str]]) -> list[LabelSet]:
    return [one for one in labels if all(value in one.values("k8s", key) for key, value in chosen)]


def _own(labels: LabelSet) -> set[tuple[str, str]]:
    return {
        (key, value)
        for key, value in labels.pairs()
        if not key.startswith("io.") and value in labels.values("k8s", key)
    }


def _rank(pair: tuple[str, str]) -> tuple[int, str]:
    return (PREFERRED.index(pair[0]) if pair[0] in PREFERRED else len(PREFERRED), pair[0])
