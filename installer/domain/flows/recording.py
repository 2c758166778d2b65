"""A recording: lines of answers, some of them bad, of which a time and a filter select some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from installer.domain.flows import jsonpb, times
from installer.domain.flows.filter_match import Match
from installer.domain.flows.flow import Answer


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no answer.

    Attributes:
        number: from 1.
        why: what is wrong with it.
    """

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Reader:
    """How lines become answers.

    Attributes:
        one: reads a line, or raises ``BadLineError``.
        many: reads lines at once, or returns None where one of them needs ``one``.
    """

    one: Callable[[bytes], Answer] = jsonpb.decode
    many: Callable[[bytes], list[Answer] | None] = jsonpb.decode_lines


@dataclass(frozen=True, slots=True)
class Selection:
    """Which answers are wanted.

    Attributes:
        keep: test of flows; None for all.
        since: UNIX time in nanoseconds of the first moment wanted; None for no limit.
        until: the same of the last.
        reader: reads lines.
    """

    keep: Match | None = None
    since: int | None = None
    until: int | None = None
    reader: Reader = field(default=Reader())

    def read(self, lines: bytes, first: int, bad: list[BadLine]) -> list[Answer]:
        """Return the answers wanted.

        Args:
            lines: with their ends; blank ones are passed over.
            first: number of the first line.
            bad: gets the lines that hold none.
        """
        answers = self.reader.many(lines)
        if answers is None:
            answers = self._one_by_one(lines, first, bad)
        if self.since is not None or self.until is not None:
            since, until = self._bounds()
            answers = [answer for answer in answers if since <= (answer.time[:-1] or _EPOCH) <= until]
        keep = self.keep
        return answers if keep is None else [answer for answer in answers if keep(answer.flow)]

    def _one_by_one(self, lines: bytes, first: int, bad: list[BadLine]) -> list[Answer]:
        decode = self.reader.one
        answers: list[Answer] = []
        for number, line in enumerate(lines.split(b"\n"), first):
            if line and not line.isspace():
                try:
                    answers.append(decode(line))
                except jsonpb.BadLineError as problem:
                    bad.append(BadLine(number, str(problem)))
        return answers

    def _bounds(self) -> tuple[str, str]:
        """Return both limits as texts that compare like times: no zeros at the end of the first, all of the last."""
        since = "" if self.since is None else times.from_ns(self.since)[:-1]
        if "." in since:
            since = since.rstrip("0").rstrip(".")
        if self.until is None:
            return since, "~"
        until = times.from_ns(self.until)[:-1]
        return since, until.ljust(29, "0") if "." in until else f"{until}.000000000"


def count_lines(lines: bytes) -> int:
    """Return how many lines there are; the last may lack its end."""
    return lines.count(b"\n") + (not lines.endswith(b"\n") and bool(lines))


_EPOCH = "1970-01-01T00:00:00"
