"""Recorded evidence: what logs, events and the host said when something was wrong, and the cause behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.domain.diagnosis import Evidence, Source

FOLDER = Path(__file__).with_name("evidence")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One file.

    Attributes:
        name: its name without ending.
        expect: code of the cause.
        evidence: its lines.
    """

    name: str
    expect: str
    evidence: tuple[Evidence, ...]

    @property
    def number(self) -> int:
        """Number of the failure mode, above 30 for causes beyond them."""
        return int(self.name[:2])


def load(path: Path) -> Recorded:
    """Read a file: ``expect: CODE``, then sections ``== SOURCE | WHERE | SUBJECT`` with their lines."""
    expect, lines = "", []
    source, where, subject = Source.HOST, "", ""
    for line in path.read_text().splitlines():
        if line.startswith("expect: "):
            expect = line.removeprefix("expect: ")
        elif line.startswith("== "):
            word, where, subject = (part.strip() for part in line.removeprefix("== ").split("|"))
            source = Source(word)
        elif not line.startswith("#"):
            lines.append(Evidence(source, where, line.strip(), subject))
    return Recorded(path.stem, expect, tuple(lines))


RECORDED = tuple(load(path) for path in sorted(FOLDER.glob("*.txt")))
