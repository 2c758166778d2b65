"""Recipes: policies to begin with. A file each, whose marks ``# set: key`` say what is meant to be changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from installer.domain.errors import UsageError

_MARK = re.compile(r"^(?P<head>\s*(?:- )*(?:[\w./:-]+: )?)(?P<value>\S.*?)\s*# set: (?P<key>[\w-]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe.

    Attributes:
        name: name of its file without ending.
        summary: its first sentence.
        text: the file.
        settings: what can be set, with the value that stands there.
    """

    name: str
    summary: str
    text: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def write(self, chosen: Mapping[str, str]) -> str:
        """Return the recipe with other values, its comments kept, the marks gone.

        Raises:
            UsageError: ``E-POL-018`` it has no such setting.
        """
        for key in chosen:
            if key not in self.settings:
                raise UsageError(
                    f"recipe {self.name} has nothing called {key!r} to set",
                    fix=f"It has {', '.join(self.settings)}.",
                    code="E-POL-018",
                )

        def put(found: re.Match[str]) -> str:
            value = found["value"]
            wanted = chosen.get(found["key"])
            return found["head"] + (value if wanted is None else _scalar(wanted, quoted=value.startswith('"')))

        return _MARK.sub(put, self.text)


def read_recipe(name: str, text: str) -> Recipe:
    """Read a recipe."""
    comment = " ".join(line.lstrip("# ") for line in text.split("\n\n", 1)[0].splitlines() if line.startswith("#"))
    settings: dict[str, str] = {}
    for found in _MARK.finditer(text):
        settings.setdefault(found["key"], found["value"].strip('"'))
    return Recipe(name, re.split(r"(?<=\.)\s", comment, maxsplit=1)[0], text, settings)


def read_cookbook(folder: Path) -> dict[str, Recipe]:
    """Return the recipes of a folder by name."""
    return {path.stem: read_recipe(path.stem, path.read_text()) for path in sorted(folder.glob("*.yaml"))}


def _scalar(value: str, *, quoted: bool) -> str:
    """Return a value as YAML reads it back: a string."""
    if quoted:
        return json.dumps(value, ensure_ascii=False)
    try:
        plain = yaml.safe_load(f"a: {value}") == {"a": value} and "#" not in value
    except yaml.YAMLError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)
