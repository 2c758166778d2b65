"""Where in a document a cursor stands, by indentation alone: the text need not be valid YAML (it is being typed)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from installer.domain.yaml_document import Path

_LINE = re.compile(r"^( *)((?:-(?: +|$))*)(.*)$")
_KEY = re.compile(r"""^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^#:\s][^#]*?)\s*:(?:\s+(.*)|$)""")
_SEPARATOR = re.compile(r"^---(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Place:
    """What stands around a cursor.

    Attributes:
        path: mapping or list that the cursor is in, as far as the lines above tell.
        key: key whose value is being typed; empty while a key or a list item is.
        prefix: what has been typed of the word, up to the cursor.
        column: column at which the word begins.
        siblings: keys of the same mapping with their plain values (empty for mappings and lists).
        fields: every plain value of the document, by path.
    """

    path: Path
    key: str = ""
    prefix: str = ""
    column: int = 0
    siblings: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[Path, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Kind of the document, empty where it has none yet."""
        return self.fields.get(("kind",), "")


@dataclass(slots=True)
class _Step:
    column: int
    part: str | int


def place_at(lines: Sequence[str], row: int, column: int) -> Place:
    """Return the place of a cursor (both counted from 0)."""
    first, last = _document(lines, row)
    reader = _Reader()
    for number in range(first, row):
        reader.read(lines[number])
    before = lines[row][:column] if row < len(lines) else ""
    path, key, prefix, start = reader.cursor(before)
    for number in range(row + 1, last):
        reader.read(lines[number])
    own = len(path) + 1
    siblings = {
        str(at[-1]): value
        for at, value in reader.fields.items()
        if len(at) == own and at[:-1] == path and at != (*path, key)
    }
    return Place(path, key, prefix, start, siblings, reader.fields)


def _document(lines: Sequence[str], row: int) -> tuple[int, int]:
    first = next(
        (number + 1 for number in range(min(row, len(lines)) - 1, -1, -1) if _SEPARATOR.match(lines[number])), 0
    )
    last = next((number for number in range(row + 1, len(lines)) if _SEPARATOR.match(lines[number])), len(lines))
    return first, last


class _Reader:
    """Follows the indentation line by line."""

    def __init__(self) -> None:
        self.fields: dict[Path, str] = {}
        self._steps: list[_Step] = []

    def read(self, line: str) -> None:
        """Take in a whole line."""
        column, rest = self._enter(line)
        if not rest or rest.startswith("#"):
            return
        found = _KEY.match(rest)
        if found:
            self._key(column, found.group(1).strip("\"'"), _plain(found.group(2) or ""))

    def cursor(self, before: str) -> tuple[Path, str, str, int]:
        """Return path, key, prefix and its column for the part of a line before the cursor; the line is taken in."""
        column, rest = self._enter(before, is_cursor=True)
        found = _KEY.match(rest)
        if found is None or not (found.group(2) is not None or rest.endswith(" ")):
            self._leave(column)
            return self._path, "", rest, len(before) - len(rest)
        name, value = found.group(1).strip("\"'"), found.group(2) or ""
        self._leave(column)
        path = self._path
        self._key(column, name, "")
        return path, name, value, len(before) - len(value)

    def _enter(self, line: str, *, is_cursor: bool = False) -> tuple[int, str]:
        """Take in indentation and dashes; return column and text of what follows."""
        found = _LINE.match(line.rstrip() if not is_cursor else line)
        assert found is not None
        indent, dashes, rest = found.group(1), found.group(2), found.group(3)
        for offset, char in enumerate(dashes):
            if char == "-":
                self._item(len(indent) + offset)
        return len(indent) + len(dashes), rest

    def _item(self, column: int) -> None:
        steps = self._steps
        while steps and steps[-1].column > column:
            steps.pop()
        if steps and isinstance(steps[-1].part, int) and steps[-1].column == column:
            steps[-1] = _Step(column, steps[-1].part + 1)
        else:
            steps.append(_Step(column, 0))

    def _leave(self, column: int) -> None:
        while self._steps and self._steps[-1].column >= column:
            self._steps.pop()

    def _key(self, column: int, name: str, value: str) -> None:
        self._leave(column)
        self.fields[(*self._path, name)] = value
        self._steps.append(_Step(column, name))

    @property
    def _path(self) -> Path:
        return tuple(step.part for step in self._steps)


def _plain(value: str) -> str:
    text = value.partition(" #")[0].strip()
    return text.strip("\"'") if text[:1] not in "[{|>&*" else ""
