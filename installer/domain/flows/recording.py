"""A recording: lines of answers, some of them bad, of which a time and a filter select some."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
class Selection:
    """Which answers are wanted.

    Attributes:
        keep: test of flows; None for all.
        since: UNIX time in nanoseconds of the first moment wanted; None for no limit.
        until: the same of the last.
        decode: reads a line: ``jsonpb.decode``, or ``brief.decode`` where that suffices.
    """

    keep: Match | None = None
    since: int | None = None
    until: int | None = None
    decode: Callable[[bytes], Answer] = field(default=jsonpb.decode)

    def read(self, lines: Iterable[bytes], first: int, bad: list[BadLine]) -> list[Answer]:
        """Return the answers wanted.

        Args:
            lines: without or with their ends; blank ones are passed over.
            first: number of the first line.
            bad: gets the lines that hold none.
        """
        decode, keep = self.decode, self.keep
        since, until = self._bounds()
        timed = self.since is not None or self.until is not None
        answers: list[Answer] = []
        for number, line in enumerate(lines, first):
            try:
                answer = decode(line)
            except jsonpb.BadLineError as problem:
                if line.strip():
                    bad.append(BadLine(number, str(problem)))
                continue
            if timed and not since <= (answer.time[:-1] or _EPOCH) <= until:
                continue
            if keep is None or keep(answer.flow):
                answers.append(answer)
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


_EPOCH = "1970-01-01T00:00:00"
