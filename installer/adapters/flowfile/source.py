"""A recording as a source of flows: the port ``FlowSource``. asyncio loads only where it is used."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from installer.adapters.flowfile.blocks import Block, opened
from installer.domain.errors import UsageError
from installer.domain.flows.filter_match import compile_filters
from installer.domain.flows.flow import Answer
from installer.domain.flows.recording import BadLine, Selection
from installer.domain.flows.times import SECOND
from installer.ports.flows import FlowRequest

BATCH = 500
MOST_LAST = 1_000_000
EVERYTHING = 2**64 - 1


def _ignore(bad: BadLine) -> None:
    del bad


@dataclass(slots=True)
class FlowFile:
    """Reads a recording.

    Attributes:
        path: the file, ``-`` for stdin.
        on_bad: is told each line that holds no answer.
        selection: overrides what the request selects (``keep``, times, how lines are read).
    """

    path: str
    on_bad: Callable[[BadLine], None] = field(default=_ignore)
    selection: Selection | None = None

    @property
    def name(self) -> str:
        """Name for people."""
        return "stdin" if self.path == "-" else self.path

    async def batches(self, request: FlowRequest) -> AsyncGenerator[Sequence[Answer], None]:
        """Yield what the request selects, in the recording's order; ``follow`` and ``mask`` have no meaning here.

        Raises:
            BeeyardError: E-FLOW-023 it cannot be opened, -024 not read on; UsageError -025 ``number`` is too large.
        """
        import asyncio

        answers = self.read(request)
        try:
            while batch := await asyncio.to_thread(next, answers, None):
                yield batch
        finally:
            answers.close()

    def read(self, request: FlowRequest) -> Generator[Sequence[Answer], None, None]:
        """Yield the same without asyncio, so that a signal ends a read that waits.

        Raises:
            BeeyardError: as ``batches``.
        """
        selection = self.selection or selected_by(request)
        limit = 0 if request.number >= EVERYTHING else request.number
        if limit > MOST_LAST and not request.first:
            raise UsageError(f"--last must be <= 1_000_000, got {limit}", fix="Leave it out.", code="E-FLOW-025")
        with opened(self.path) as recording:
            found = (self._answers(selection, block) for block in recording.blocks())
            if not limit:
                wanted: Iterable[list[Answer]] = found
            elif request.first:
                wanted = _first(found, limit)
            else:
                wanted = [list(deque((answer for answers in found for answer in answers), limit))]
            for answers in wanted:
                for start in range(0, len(answers), BATCH):
                    yield answers[start : start + BATCH]

    def _answers(self, selection: Selection, block: Block) -> list[Answer]:
        bad: list[BadLine] = []
        answers = selection.read(block.lines, block.first, bad)
        for line in bad:
            self.on_bad(line)
        return answers


def selected_by(request: FlowRequest) -> Selection:
    """Return what a request selects.

    Raises:
        FilterError: a filter cannot be used.
    """
    filters = request.filters
    return Selection(
        keep=compile_filters(filters) if filters.whitelist or filters.blacklist else None,
        since=None if request.since is None else round(request.since * SECOND),
        until=None if request.until is None or request.follow else round(request.until * SECOND),
    )


def _first(found: Iterable[list[Answer]], limit: int) -> Iterator[list[Answer]]:
    for answers in found:
        yield answers[:limit]
        limit -= len(answers)
        if limit <= 0:
            return
