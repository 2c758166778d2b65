"""Files of a support archive."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, or what was to become one.

    Attributes:
        path: where it is in the archive, with ``/``.
        title: what it is.
        data: its content, empty where there is none.
        seconds: time it took to collect.
        error: why it is missing or not whole, empty where nothing is wrong.
    """

    path: str
    title: str
    data: bytes = b""
    seconds: float = 0.0
    error: str = ""

    @property
    def group(self) -> str:
        """The folder it is in, empty for the top."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands at the top of the index page.

    Attributes:
        made: time, for people.
        lines: facts such as versions: name and value.
        findings: causes and warnings: code and words.
        entries: all files.
    """

    made: str
    lines: tuple[tuple[str, str], ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    entries: tuple[Entry, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "made": self.made,
            "summary": dict(self.lines),
            "findings": [{"code": code, "what": what} for code, what in self.findings],
            "files": [
                {"path": one.path, "bytes": len(one.data), **({"error": one.error} if one.error else {})}
                for one in self.entries
            ],
        }


def part(name: str) -> str:
    """Return a name as a part of a path in the archive: nothing that could lead elsewhere."""
    return _UNSAFE.sub("_", name).lstrip(".") or "_"
