"""What validation has to say, with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from installer.domain.yaml_document import Mark, Path


class Level(StrEnum):
    """How bad it is: an error keeps the object from working as written."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class QuickFix:
    """A change of the object that certainly mends a finding.

    Attributes:
        title: what it does, for people.
        path: place of the change.
        value: new value; None: the key or item is removed.
        rename: new name of the last key of ``path`` instead of a new value.
    """

    title: str
    path: Path
    value: Any = None
    rename: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell.

    Attributes:
        level: how bad.
        code: stable code: ``P-YAML-*``, ``P-SCHEMA-*``, ``P-RULE-*`` (Cilium's own checks), ``P-LINT-*``.
        text: one sentence.
        path: place in the object.
        fix: what to do, may be empty.
        quick: a certain mending, where there is one.
        mark: place in the file, filled in by ``place``.
        file: name of the file.
        object: ``kind namespace/name``.
    """

    level: Level
    code: str
    text: str
    path: Path = ()
    fix: str = ""
    quick: QuickFix | None = None
    mark: Mark | None = None
    file: str = ""
    object: str = ""

    @property
    def where(self) -> str:
        """``file:line:column``, as far as known."""
        if self.mark is None:
            return self.file
        return f"{self.file}:{self.mark.line}:{self.mark.column}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form without empty fields."""
        found: dict[str, Any] = {"level": str(self.level), "code": self.code, "text": self.text, "file": self.file}
        if self.mark is not None:
            found |= {"line": self.mark.line, "column": self.mark.column}
        found |= {"path": path_text(self.path), "object": self.object, "fix": self.fix}
        return {key: value for key, value in found.items() if value not in ("", None)}


def path_text(path: Path) -> str:
    """Return ``spec.ingress[0].fromEndpoints``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def place(marks: Mapping[Path, Mark], path: Path) -> Mark | None:
    """Return the place of a path, or of its nearest parent that has one."""
    for length in range(len(path), -1, -1):
        found = marks.get(path[:length])
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class Report:
    """All findings on some documents, in the order of the files."""

    findings: tuple[Finding, ...] = field(default=())

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Only the errors."""
        return tuple(item for item in self.findings if item.level is Level.ERROR)
