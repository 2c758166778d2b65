"""A user's Helm values, brought to the keys of another Cilium minor; every change is told."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from installer.domain.chart_keys import KeyNode, unknown_paths
from installer.domain.releases import Releases, RemovedKey
from installer.domain.values_lint import ABSENT, put, take, value_at


class Done(StrEnum):
    """What was done with a key."""

    MOVED = "moved"
    DROPPED = "dropped"
    DECIDE = "decide"
    """Nothing: somebody has to choose."""
    CHANGED = "changed"
    """Nothing: its default or meaning is another one from now on."""


@dataclass(frozen=True, slots=True)
class KeyNote:
    """What was done with one key.

    Attributes:
        path: dotted key.
        done: what was done.
        text: one line for people.
        since: minor that changed it.
    """

    path: str
    done: Done
    text: str
    since: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"path": self.path, "done": str(self.done), "text": self.text, "since": self.since}

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Migration:
    """Values of another minor.

    Attributes:
        values: the values.
        notes: what was done, in the order of the table.
    """

    values: dict[str, Any] = field(default_factory=dict)
    notes: tuple[KeyNote, ...] = ()

    @property
    def undecided(self) -> list[KeyNote]:
        """Return the keys that somebody has to decide on."""
        return [note for note in self.notes if note.done is Done.DECIDE]

    @property
    def changed(self) -> bool:
        """Whether any value was moved or dropped."""
        return any(note.done in (Done.MOVED, Done.DROPPED) for note in self.notes)


def migrate(
    values: Mapping[str, Any],
    releases: Releases,
    minor: str,
    *,
    known: KeyNode | None = None,
    others: Sequence[Mapping[str, Any]] = (),
) -> Migration:
    """Return values that the chart of a minor understands.

    A renamed key moves; one that is gone without a successor, or was off anyway, is dropped; one whose successor is
    given already is dropped too. Where only somebody who knows the cluster can tell, nothing is done and it is said.

    Args:
        values: the user's values.
        releases: the support table.
        minor: Cilium minor to be.
        known: keys that its chart knows; keys outside that no rule speaks of are to be decided on.
        others: further values that will be in force, where a successor may be given.
    """
    result: dict[str, Any] = copy.deepcopy(_plain(values))
    notes = [_apply(rule, result, others) for rule in releases.removed_in(minor) if _is_there(result, rule.path)]
    notes += _values_gone(result, releases, minor)
    if known is not None:
        told = {note.path for note in notes}
        notes += [
            KeyNote(path, Done.DECIDE, f"the chart of {minor} does not know this key")
            for path in map(".".join, unknown_paths(result, known))
            if not any(path == one or path.startswith(f"{one}.") or one.startswith(f"{path}.") for one in told)
        ]
    return Migration(result, tuple(notes))


def told_changes(values: Mapping[str, Any], releases: Releases, old: str, new: str) -> list[KeyNote]:
    """Return keys whose default or meaning changes between two minors; keys that the user sets are left out."""
    return [
        KeyNote(rule.path, Done.CHANGED, rule.message, rule.since)
        for rule in releases.changed_between(old, new)
        if not _is_there(values, rule.path)
    ]


def carried(release: Mapping[str, Any], composed: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Compare what a release holds with what we would give it now.

    Returns:
        Values that somebody put into the release by hand and that nothing of ours sets (to be kept), and the dotted
        paths of values that differ from ours (ours win).
    """
    kept: dict[str, Any] = {}
    differing: list[str] = []
    _compare(release, composed, (), kept, differing)
    return kept, differing


def _compare(
    release: Mapping[str, Any],
    composed: Mapping[str, Any],
    prefix: tuple[str, ...],
    kept: dict[str, Any],
    differing: list[str],
) -> None:
    for key, value in release.items():
        path = (*prefix, str(key))
        if key not in composed:
            put(kept, list(path), copy.deepcopy(value))
        elif isinstance(value, Mapping) and isinstance(composed[key], Mapping):
            _compare(value, composed[key], path, kept, differing)
        elif value != composed[key]:
            differing.append(".".join(path))


def _apply(rule: RemovedKey, values: dict[str, Any], others: Sequence[Mapping[str, Any]]) -> KeyNote:
    value = value_at(values, rule.path)
    given = bool(rule.replacement) and any(_is_there(one, rule.replacement) for one in (values, *others))
    if rule.moves and not given:
        take(values, rule.path.split("."))
        put(values, rule.replacement.split("."), rule.format.format(value) if rule.format else value)
        return KeyNote(rule.path, Done.MOVED, f"moved to {rule.replacement}. {rule.message}".strip(), rule.since)
    if given:
        take(values, rule.path.split("."))
        return KeyNote(rule.path, Done.DROPPED, f"left out, {rule.replacement} is given", rule.since)
    if not rule.replacement or _is_off(value):
        take(values, rule.path.split("."))
        why = rule.message if not _is_off(value) else "it was off"
        return KeyNote(rule.path, Done.DROPPED, f"left out, Cilium {rule.since} removed it. {why}".strip(), rule.since)
    text = f"Cilium {rule.since} removed it; {rule.replacement} takes its place. {rule.message}".strip()
    return KeyNote(rule.path, Done.DECIDE, text, rule.since)


def _values_gone(values: Mapping[str, Any], releases: Releases, minor: str) -> list[KeyNote]:
    return [
        KeyNote(rule.path, Done.DECIDE, f"{value_at(values, rule.path)!r} is no value now. {rule.message}", rule.since)
        for rule in releases.removed_values_in(minor)
        if value_at(values, rule.path) in rule.values
    ]


def _is_there(values: Mapping[str, Any], path: str) -> bool:
    return value_at(values, path) is not ABSENT


def _is_off(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_off(child) for child in value.values())
    return value in (None, False, "", 0) or value == []


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
