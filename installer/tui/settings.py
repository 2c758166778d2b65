"""The user's settings, checked: what is wrong in them is told and replaced by the default, the rest is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from installer.tui.theme import NAMES

HISTORY = (1_000, 500_000)
"""Least and most flows that are kept in memory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user can choose. The file has the same names.

    Attributes:
        theme: name of the theme.
        ascii: draw with ASCII only.
        history: flows kept in memory.
        area: area shown at start, empty for the one that fits.
        context: context used last.
        keymap: keys by id of action, several separated by commas.
        filters: saved flow filters by name.
    """

    theme: str = "beeyard-dark"
    ascii: bool = False
    history: int = 100_000
    area: str = ""
    context: str = ""
    keymap: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """Return what differs from the defaults, to be written."""
        default = Settings()
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in found.items()
            if value != getattr(default, name)
        }


def read_settings(data: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Check settings as they were written.

    Returns:
        The settings, and one line for each thing that was not understood.
    """
    settings, problems = Settings(), []
    for name, value in data.items():
        wrong = _wrong(str(name), value)
        if wrong:
            problems.append(f"{name}: {wrong}")
        else:
            settings = replace(settings, **{name: value})
    return settings, problems


def _wrong(name: str, value: Any) -> str:
    """Say what is wrong with a setting, empty when nothing is."""
    kinds: dict[str, tuple[type, str]] = {
        "theme": (str, "a name"),
        "ascii": (bool, "true or false"),
        "history": (int, "a number"),
        "area": (str, "a name"),
        "context": (str, "a name"),
        "keymap": (dict, "a mapping of action to keys"),
        "filters": (dict, "a mapping of name to filter"),
    }
    if name not in kinds:
        return "there is no such setting"
    kind, words = kinds[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"it must be {words}"
    if isinstance(value, dict) and not all(isinstance(text, str) for pair in value.items() for text in pair):
        return "it must hold text only"
    if name == "theme" and value not in NAMES:
        return f"there is no theme {value!r}; there are {', '.join(NAMES)}"
    if isinstance(value, int) and name == "history" and not HISTORY[0] <= value <= HISTORY[1]:
        return f"it must be between {HISTORY[0]} and {HISTORY[1]}"
    return ""
