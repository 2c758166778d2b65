"""Result of the network proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing proven, refuted, or not checked.

    Attributes:
        id: stable name, such as ``policy-denies``.
        title: what was to be shown.
        outcome: how it ended.
        detail: evidence, or the reason why it was not checked.
        fix: what to do where it failed.
        seconds: time it took.
    """

    id: str
    title: str
    outcome: Outcome
    detail: str = ""
    fix: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "id": self.id,
            "title": self.title,
            "outcome": str(self.outcome),
            "detail": self.detail,
            **({"fix": self.fix} if self.fix else {}),
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class Report:
    """All checks of one proof.

    Attributes:
        checks: in order.
        seconds: time of the whole.
    """

    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing failed and something was proven."""
        outcomes = [check.outcome for check in self.checks]
        return Outcome.FAILED not in outcomes and Outcome.PASSED in outcomes

    def count(self, outcome: Outcome) -> int:
        """Return how many checks ended so."""
        return sum(check.outcome is outcome for check in self.checks)

    @property
    def summary(self) -> str:
        """One line for people."""
        return ", ".join(f"{self.count(outcome)} {outcome}" for outcome in Outcome if self.count(outcome))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "ok": self.ok,
            "summary": self.summary,
            "seconds": round(self.seconds, 3),
            "checks": [check.to_dict() for check in self.checks],
        }
