"""What a rule of the table is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from installer.domain.diagnosis.evidence import Evidence, Source
from installer.domain.diagnosis.parts import Part


@dataclass(frozen=True, slots=True)
class Clue:
    """A line to look for.

    Attributes:
        pattern: regular expression searched for in the text, whatever its case; its named groups go into the rule's
            words. Compiled when it is first needed: the cockpit loads the table before its first picture.
        sources: who must have written it; empty for anybody.
        subject: searched for in the subject; None for any.
    """

    pattern: str
    sources: frozenset[Source] = frozenset()
    subject: str | None = None

    def match(self, line: Evidence) -> re.Match[str] | None:
        """Return the match in a line, None where there is none."""
        if self.sources and line.source not in self.sources:
            return None
        if self.subject is not None and not re.search(self.subject, line.subject):
            return None
        return _compiled(self.pattern).search(line.text)

    def is_in(self, lines: Sequence[Evidence]) -> bool:
        """Whether any line has it."""
        return any(self.match(line) for line in lines)


def clue(pattern: str, *sources: Source, subject: str | None = None) -> Clue:
    """Return a clue."""
    return Clue(pattern, frozenset(sources), subject)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """A cause and how it is recognized.

    Attributes:
        code: stable code.
        part: the first thing it breaks; None for the part of the line's subject.
        what: one line; ``{name}`` stands for a named group of the clue, ``{subject}`` for the line's subject.
        fix: what to do, likewise.
        clues: any of them is enough; the line of the first that is found is shown.
        mode: number of the failure mode, 0 for none.
        why: how it comes about.
        also: clues that must be there too, in whatever line.
        unless: clues that speak against it.
        lasting: it counts although its part looks ready, because readiness does not see it.
        lines: how many lines it takes where its part looks ready.
    """

    code: str
    part: Part | None
    what: str
    fix: str
    clues: tuple[Clue, ...]
    mode: int = 0
    why: str = ""
    also: tuple[Clue, ...] = ()
    unless: tuple[Clue, ...] = ()
    lasting: bool = False
    lines: int = 1
