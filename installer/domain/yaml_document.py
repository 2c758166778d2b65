"""YAML text to plain data, with the place of every key; duplicate keys are errors that name the line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from installer.domain.errors import UsageError

Path = tuple[str | int, ...]
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed YAML document.

    Attributes:
        data: plain data; None for an empty text.
        marks: place of each key and list item by path.
    """

    data: Any
    marks: dict[Path, Mark] = field(default_factory=dict)


def parse(text: str, name: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the YAML.
        name: file name for errors.

    Raises:
        UsageError: ``E-YAML-001`` not YAML, ``E-YAML-002`` duplicate key, ``E-YAML-003`` several documents.
    """
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        marks: dict[Path, Mark] = {}
        if node is not None:
            _walk(node, (), marks, name)
        data = None if node is None else loader.construct_document(node)
    except yaml.composer.ComposerError as error:
        raise UsageError(
            f"{_place(name, error)} holds more than one YAML document"
            if "single document" in str(error)
            else f"{_place(name, error)} is not valid YAML",
            why=str(error.problem or error),
            fix="Keep one document in the file.",
            code="E-YAML-003",
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(
            f"{_place(name, error)} is not valid YAML",
            why=getattr(error, "problem", None) or str(error),
            fix="Mend the line; indentation is by spaces, never by tabs.",
            code="E-YAML-001",
        ) from error
    finally:
        loader.dispose()
    return Document(data, marks)


def _place(name: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


def _walk(node: yaml.Node, path: Path, marks: dict[Path, Mark], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            word = str(key.value)
            mark = Mark(key.start_mark.line + 1, key.start_mark.column + 1)
            if word in seen and word != "<<":
                raise UsageError(
                    f"{name}:{mark.line}:{mark.column}: key {word!r} stands twice",
                    why="YAML would silently take the later one.",
                    fix="Remove one of the two.",
                    code="E-YAML-002",
                )
            seen.add(word)
            marks[(*path, word)] = mark
            _walk(value, (*path, word), marks, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            marks[(*path, index)] = Mark(value.start_mark.line + 1, value.start_mark.column + 1)
            _walk(value, (*path, index), marks, name)
