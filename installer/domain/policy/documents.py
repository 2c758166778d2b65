"""Files of policies: several documents, each parsed for itself, so that a bad one does not hide the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from installer.domain.policy.findings import Finding, Level
from installer.domain.yaml_document import Loader, Mark, Path

MAX_DOCUMENT = 3_000_000
"""Characters; the API takes objects of 1.5 MB at most."""
MAX_NODES = 300_000
"""Nodes after aliases are followed; more is no policy but an attack on the reader."""
MAX_DEPTH = 200
"""Levels of nesting; readers of YAML call themselves once for each, and the stack is not endless."""
_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One YAML document of a file.

    Attributes:
        file: name of the file.
        line: line on which it begins, from 1.
        text: its text.
        data: plain data; None where it could not be read.
        marks: place of each key and list item in the file, by path; the empty path is its beginning.
        problems: why it could not be read, or what YAML readers would silently drop.
    """

    file: str
    line: int
    text: str
    data: Any = None
    marks: Mapping[Path, Mark] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()


def read_documents(text: str, file: str) -> list[SourceDocument]:
    """Read every document of a file; empty ones are left out, a ``List`` becomes its items.

    Args:
        text: YAML or JSON.
        file: its name.
    """
    found: list[SourceDocument] = []
    for start, end, line in parts_of(text):
        found += _items(_read(text[start:end], file, line))
    return found


def parts_of(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield where each document that is not empty begins and ends, and the line that it begins on."""
    start, line = 0, 1
    for separator in _SEPARATOR.finditer(text):
        if text[start : separator.start()].strip():
            yield start, separator.start(), line
        line += text.count("\n", start, separator.start())
        start = separator.end()
    if text[start:].strip():
        yield start, len(text), line


def _read(text: str, file: str, line: int) -> SourceDocument:
    if len(text) > MAX_DOCUMENT:
        why = f"the document has {len(text):,} characters; the API takes objects of 1.5 MB at most"
        return _broken(text, file, line, Mark(line, 1), "P-YAML-004", why)
    if _is_too_deep(text):
        return _broken(text, file, line, Mark(line, 1), "P-YAML-003", "it is nested too deeply")
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return SourceDocument(file, line, text)
        walk = _Walk(file, line)
        walk.visit(node, ())
        data = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = Mark(mark.line + line, mark.column + 1) if mark else Mark(line, 1)
        why = str(getattr(error, "problem", None) or error).splitlines()[0]
        return _broken(text, file, line, at, "P-YAML-001", f"it is not YAML: {why}", _yaml_fix(text, at.line - line))
    except (ValueError, RecursionError) as error:
        return _broken(text, file, line, Mark(line, 1), "P-YAML-003", str(error) or "it is nested too deeply")
    finally:
        loader.dispose()
    return SourceDocument(file, line, text, data, walk.marks, tuple(walk.problems))


def _is_too_deep(text: str) -> bool:
    """Tell whether nesting would exhaust the stack, by reading tokens first where a text could be so deep at all."""
    if text.count("[") + text.count("{") + text.count("- ") <= MAX_DEPTH and f"\n{' ' * MAX_DEPTH}" not in text:
        return False
    depth = 0
    try:
        for event in yaml.parse(text, Loader=Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    return True
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return False  # told by the one who reads it
    return False


def _yaml_fix(text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 <= line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return "Indent with spaces, never with tabs."
    return "Mend the line; often it is the indentation, a missing colon or a quote."


def _broken(text: str, file: str, line: int, mark: Mark, code: str, why: str, fix: str = "") -> SourceDocument:
    problem = Finding(Level.ERROR, code, why, fix=fix, mark=mark, file=file)
    return SourceDocument(file, line, text, problems=(problem,), marks={(): mark})


class _Walk:
    """Collects marks and duplicate keys."""

    def __init__(self, file: str, line: int):
        self._file = file
        self._line = line
        self._nodes = 0
        self.marks: dict[Path, Mark] = {}
        self.problems: list[Finding] = []

    def visit(self, node: yaml.Node, path: Path) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError(f"its aliases expand to more than {MAX_NODES:,} values")
        if not path:
            self.marks[()] = self._mark(node)
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.marks[(*path, index)] = self._mark(value)
                self.visit(value, (*path, index))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            word = str(key.value)
            mark = self._mark(key)
            at = (*path, word)
            if word in seen and word != "<<":
                text = f"key {word!r} stands twice; the API server refuses it"
                self.problems.append(
                    Finding(Level.ERROR, "P-YAML-002", text, at, "Remove one of the two.", mark=mark, file=self._file)
                )
            seen.add(word)
            self.marks[at] = mark
            self.visit(value, at)

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(node.start_mark.line + self._line, node.start_mark.column + 1)


def _items(document: SourceDocument) -> list[SourceDocument]:
    """Take a ``List`` apart; everything else stays whole."""
    data = document.data
    if data is None and not document.problems:
        return []
    if not (
        isinstance(data, dict) and str(data.get("kind", "")).endswith("List") and isinstance(data.get("items"), list)
    ):
        return [document]
    found = []
    for index, item in enumerate(data["items"]):
        prefix = ("items", index)
        marks = {path[2:]: mark for path, mark in document.marks.items() if path[:2] == prefix}
        problems = tuple(one for one in document.problems if one.path[:2] == prefix)
        text = json.dumps(item, indent=2, default=str)
        found.append(SourceDocument(document.file, document.line, text, item, marks, problems))
    return found
