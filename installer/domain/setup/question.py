"""What a question of the setup is made of.

A question is data: what is asked, how, and where in ``beeyard.yaml`` the answer goes. Front ends draw them and own no
rule; a further question is one entry of ``catalog``'s tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Answer = str | bool | tuple[str, ...]
"""Text and choices are strings, switches are booleans, choices of many are tuples of strings."""

Answers = Mapping[str, Answer]
"""Answer by question id."""


class Kind(StrEnum):
    """How a question is asked."""

    TEXT = "text"
    CHOICE = "choice"
    SWITCH = "switch"
    MANY = "many"


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose.

    Attributes:
        value: the answer.
        label: what people read.
    """

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the setup.

    Attributes:
        id: stable short name.
        title: one or two words.
        intro: what the page is about.
    """

    id: str
    title: str
    intro: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        id: stable name.
        page: id of its page.
        kind: how it is asked.
        title: a few words.
        help: one line on what it means.
        paths: settings that the answer decides, as in ``beeyard.yaml``; complaints about them stand beside it.
        example: an answer of the right form, for texts.
        empty: what an empty text stands for.
        choices: what can be chosen.
        more: it is folded away until someone asks for more.
        shown: whether it makes sense with the other answers.
    """

    id: str
    page: str
    kind: Kind
    title: str
    help: str
    paths: tuple[str, ...] = ()
    example: str = ""
    empty: str = ""
    choices: tuple[Choice, ...] = ()
    more: bool = False
    shown: Callable[[Answers], bool] = lambda _: True


def answered(question: str, *values: Answer) -> Callable[[Answers], bool]:
    """Return a rule: the question has one of these answers."""
    return lambda answers: answers.get(question) in values


def online(answers: Answers) -> bool:
    """Whether things come over a network."""
    return answers.get("source") != "bundle"
