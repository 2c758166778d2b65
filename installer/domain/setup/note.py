"""What is to be said about an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.domain.errors import BeeyardError
from installer.domain.preflight import Finding, Level

if TYPE_CHECKING:
    from installer.domain.spec_checks import SpecProblem


_FLAG = "--allow-unsupported"
_SWITCH = "“Allow unsupported versions” (Cluster, More)"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to say beside a question.

    Attributes:
        level: errors stand in the way of the plan.
        what: one line.
        evidence: the fact that proves it.
        fix: what to do.
        code: stable code, may be empty.
        value: an answer that would do, may be empty.
    """

    level: Level
    what: str
    evidence: str = ""
    fix: str = ""
    code: str = ""
    value: str = ""

    @classmethod
    def of_finding(cls, finding: Finding) -> Note:
        """Return the note of a preflight finding."""
        return cls(
            finding.level,
            finding.what,
            finding.evidence,
            finding.way.replace(_FLAG, _SWITCH),
            finding.code,
            finding.value,
        )

    @classmethod
    def of_problem(cls, problem: SpecProblem) -> Note:
        """Return the note of a contradiction in the specification."""
        return cls(Level.ERROR, problem.what, fix=problem.fix, code="E-CONFIG-002")

    @classmethod
    def of_error(cls, error: BeeyardError, level: Level = Level.ERROR) -> Note:
        """Return the note of an error."""
        return cls(level, error.what, error.why, error.fix.replace(_FLAG, _SWITCH), error.code)
