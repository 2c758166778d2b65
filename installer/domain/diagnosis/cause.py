"""What a diagnosis says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from installer.domain.diagnosis.parts import Part


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something does not work.

    Attributes:
        code: stable code: ``E-DIA-…`` of a rule, ``E-PRE-…`` of a check of the host, or that of a problem that no rule
            explains.
        mode: number of the failure mode (see ``failure_modes``), 0 for none of them.
        part: the first thing it breaks.
        what: one line.
        why: how it comes about, may be empty.
        evidence: the line that proves it, may be empty.
        where: where that line was read.
        subject: object concerned, may be empty.
        fix: what to do, a command where there is one.
        count: how many lines say so.
        follows: code of the cause that explains it, empty where nothing does.
    """

    code: str
    part: Part
    what: str
    fix: str
    mode: int = 0
    why: str = ""
    evidence: str = ""
    where: str = ""
    subject: str = ""
    count: int = 1
    follows: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; without a failure mode there is no ``mode``."""
        return {
            "code": self.code,
            **({"mode": self.mode} if self.mode else {}),
            "part": str(self.part),
            "what": self.what,
            "why": self.why,
            "evidence": self.evidence,
            "where": self.where,
            "subject": self.subject,
            "fix": self.fix,
            "lines": self.count,
            **({"follows": self.follows} if self.follows else {}),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Cause:
        """Return the cause of its JSON form."""
        return Cause(
            code=data["code"],
            part=Part(data["part"]),
            what=data["what"],
            fix=data["fix"],
            mode=data.get("mode", 0),
            why=data["why"],
            evidence=data["evidence"],
            where=data["where"],
            subject=data["subject"],
            count=data["lines"],
            follows=data.get("follows", ""),
        )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All causes found, ranked.

    Attributes:
        causes: those that nothing else explains, the one to mend first at the top.
        consequences: what follows from one of them and will go with it.
    """

    causes: tuple[Cause, ...] = ()
    consequences: tuple[Cause, ...] = field(default=())

    @property
    def cause(self) -> Cause | None:
        """The one to mend first, None where nothing was found."""
        return self.causes[0] if self.causes else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "cause": self.causes[0].to_dict() if self.causes else None,
            "others": [one.to_dict() for one in self.causes[1:]],
            "consequences": [one.to_dict() for one in self.consequences],
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Diagnosis:
        """Return the diagnosis of its JSON form."""
        found = [data["cause"]] if data["cause"] else []
        return Diagnosis(
            tuple(map(Cause.from_dict, [*found, *data["others"]])),
            tuple(map(Cause.from_dict, data["consequences"])),
        )
