"""The form: answers over a specification, and back."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from installer.domain.preflight import Level
from installer.domain.setup import reading, writing
from installer.domain.setup.catalog import BY_ID, METRICS, owner_of, questions_of
from installer.domain.setup.note import Note
from installer.domain.setup.question import Answer, Answers, Choice, Kind, Question
from installer.domain.spec import ClusterSpec
from installer.domain.text import printable

_NEEDED = {
    "k3s.exact": "no release is named",
    "cilium.exact": "no version is named",
    "bundle": "no bundle is named",
}
"""Texts that cannot stay empty while they are shown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the answers come to.

    Attributes:
        spec: the specification; answers that are wrong by themselves are left out of it.
        wrong: what is wrong with an answer, by question id; empty when ``spec`` says all that was answered.
    """

    spec: ClusterSpec
    wrong: Mapping[str, Note]


@dataclass(frozen=True, slots=True)
class Form:
    """Answers to the questions; it never changes, an answer makes a new one.

    Attributes:
        base: the specification that the answers are laid over; settings nobody is asked about stay as they are there.
        answers: answer by question id, for every question.
        minors: supported Cilium minors with their default patch, the recommended one first.
        origin: where the base comes from, empty for the defaults.
    """

    base: ClusterSpec
    answers: Answers
    minors: tuple[tuple[str, str], ...]
    origin: str = ""

    @classmethod
    def over(cls, base: ClusterSpec, minors: tuple[tuple[str, str], ...], origin: str = "") -> Form:
        """Return the form of a specification."""
        return cls(base, reading.answers(base, [minor for minor, _ in minors]), minors, origin)

    @property
    def allow_unsupported(self) -> bool:
        """Whether refusals that rest on support statements alone become warnings; no part of the specification."""
        return self.answers["unsupported"] is True

    def with_answer(self, question: str, answer: Answer) -> Form:
        """Return the form with another answer."""
        return replace(self, answers={**self.answers, question: answer})

    def shown(self, page: str, *, more: bool = True) -> list[Question]:
        """Return the questions of a page that make sense now; ``more`` includes the folded ones."""
        return [item for item in questions_of(page) if item.shown(self.answers) and (more or not item.more)]

    def choices(self, question: Question) -> tuple[Choice, ...]:
        """Return what can be chosen."""
        if question.id == "cilium.version":
            return (*self._minor_choices(), Choice("exact", "an exact version"))
        if question.kind is Kind.MANY:
            mine = tuple(metric for metric in self.base.hubble.metrics if metric not in METRICS)
            return tuple(Choice(name, name) for name in (*METRICS, *mine))
        return question.choices

    def _minor_choices(self) -> list[Choice]:
        first = self.minors[0][0] if self.minors else ""
        return [
            Choice(minor, f"{minor} ({patch}{', recommended' if minor == first else ''})")
            for minor, patch in self.minors
        ]

    def read(self) -> Reading:
        """Return the specification that the answers make, and what is wrong with single answers."""
        wrong = {key: note for key in BY_ID if (note := self._unfit(key)) is not None}
        data = writing.document(self.base, {**self.answers, **dict.fromkeys(wrong, "")})
        try:
            return Reading(ClusterSpec.model_validate(data), wrong)
        except ValidationError as error:
            return self._without_wrong(data, error, wrong)

    def _unfit(self, key: str) -> Note | None:
        """Return what is wrong with an answer before anyone asks what it means."""
        question, answer = BY_ID[key], self.answers[key]
        if not isinstance(answer, str) or not question.shown(self.answers):
            return None
        if not answer.strip() and key in _NEEDED:
            return _note(_NEEDED[key], f"write it as {question.example}")
        if printable(answer) != answer or "\n" in answer:
            return _note("it holds characters that cannot be shown", "type it anew", evidence=printable(answer))
        return None

    def _without_wrong(self, data: dict[str, Any], error: ValidationError, wrong: dict[str, Note]) -> Reading:
        default = ClusterSpec().model_dump(by_alias=True)
        for item in error.errors(include_url=False):
            path = [str(part) for part in item["loc"]]
            question = owner_of(".".join(path), self.answers)
            if question is not None:  # nobody is asked about what is hidden
                wrong.setdefault(question.id, _complaint(question, str(self.answers[question.id]), item))
            writing.put(data, path, writing.get(default, path))
        return Reading(ClusterSpec.model_validate(data), wrong)


def _complaint(question: Question, given: str, item: Mapping[str, Any]) -> Note:
    fix = f"write it as {question.example}"
    if "is not a network" in item["msg"]:
        return _complaint_about_network(given.strip(), fix)
    if item["type"] in ("greater_than_equal", "less_than_equal"):
        return _note(f"{given} is out of range", "give a number from 1 to 65534")
    return _note(f"{given!r} is not of the right form", fix)


def _complaint_about_network(given: str, fix: str) -> Note:
    try:
        network = str(ipaddress.ip_network(given, strict=False))
    except ValueError:
        return _note(f"{given!r} is not a network", fix)
    return replace(_note(f"{given} is an address inside a network", f"the network is {network}"), value=network)


def _note(what: str, fix: str, *, evidence: str = "") -> Note:
    return Note(Level.ERROR, what, evidence, fix, "E-CONFIG-001")
