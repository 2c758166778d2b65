"""Reading, filtering and printing a large recording with several processes, in the recording's order.

The file is cut into chunks which the processes take in turn. Each prints its chunk into memory, waits for the baton,
writes, and passes the baton on: so the order is kept, no byte travels between processes, and nobody runs ahead by more
than a chunk of a reader that is slow. This process is one of them; the others are forks of it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import NoReturn

from installer.adapters.flowfile.blocks import Recording
from installer.domain.errors import BeeyardError
from installer.domain.flows.recording import count_lines

CHUNK = 1 << 19
LEAST = 8 << 20
"""Bytes of a recording for which a second process pays."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What became of a chunk.

    Attributes:
        out: bytes for stdout.
        err: bytes for stderr, made once the number of the chunk's first line and of bad lines before it are known.
        answers: answers printed.
        bad: lines that held none.
    """

    out: bytes
    err: Callable[[int, int], bytes]
    answers: int
    bad: int


Work = Callable[[bytes], Printed]


@dataclass(slots=True)
class Totals:
    """What has been told so far: lines read, answers printed, lines that held none; ``errno`` of a failed write."""

    lines: int = 0
    answers: int = 0
    bad: int = 0
    errno: int = 0


def can_share(recording: Recording, processes: int) -> bool:
    """Tell whether several processes may read this recording: a large plain file, and no thread of ours to fork."""
    large = recording.size is not None and recording.size >= LEAST
    return large and processes > 1 and hasattr(os, "fork") and threading.active_count() == 1


def print_shared(
    recording: Recording, work: Work, *, out: int, err: int, processes: int = 2, chunk: int = CHUNK
) -> Totals:
    """Print a plain file and return the totals.

    Args:
        recording: its ``size`` is not None.
        work: prints lines.
        out: file descriptor of stdout.
        err: file descriptor of stderr.
        processes: how many, this one among them.
        chunk: bytes of a chunk.

    Raises:
        OSError: a write failed (disk full, reader gone).
        BeeyardError: E-FLOW-026 a process died.
    """
    assert recording.size is not None
    count = -(-recording.size // chunk) if recording.size else 0
    processes = max(1, min(processes, count))
    pipes = [os.pipe() for _ in range(processes)]
    runner = _Runner(recording, work, pipes, count, chunk, (out, err))
    with _forked(runner, processes) as broken:
        try:
            totals = runner.run(0)
        except EOFError:
            raise _died(broken()) from None
    if totals.errno:
        raise OSError(totals.errno, os.strerror(totals.errno))
    return totals


class _Runner:
    def __init__(
        self,
        recording: Recording,
        work: Work,
        pipes: Sequence[tuple[int, int]],
        count: int,
        chunk: int,
        streams: tuple[int, int],
    ) -> None:
        self._recording, self._work, self._pipes = recording, work, pipes
        self._count, self._chunk = count, chunk
        self._out, self._err = streams
        self._open = {end for pipe in pipes for end in pipe}

    def keep_only(self, index: int) -> None:
        """Close what belongs to the other processes, so that the death of one is the end of its pipe."""
        written = {(index + 1) % len(self._pipes), 0} - {index}
        mine = {self._pipes[index][0], *(self._pipes[number][1] for number in written)}
        for end in self._open - mine:
            os.close(end)
        self._open = mine

    def close(self) -> None:
        """Close all pipes."""
        for end in self._open:
            os.close(end)
        self._open = set()

    def run(self, index: int) -> Totals:
        """Take every chunk of this process; return the totals if it is the first process, at the end."""
        totals = Totals()
        for number in range(index, self._count, len(self._pipes)):
            lines = self._lines(number)
            printed = self._work(lines)
            if number and len(self._pipes) > 1:
                totals = self._receive(index)
            if totals.errno:
                break
            self._write(printed, totals)
            totals.lines += count_lines(lines)
            if not self._pass_on(number, totals):
                return totals
        if index == 0 and not totals.errno and (self._count - 1) % len(self._pipes):
            totals = self._receive(0)
        return totals

    def _write(self, printed: Printed, totals: Totals) -> None:
        try:
            _write_all(self._err, printed.err(totals.lines + 1, totals.bad))
            _write_all(self._out, printed.out)
        except OSError as problem:
            totals.errno = problem.errno or 5
        totals.answers += printed.answers
        totals.bad += printed.bad

    def _pass_on(self, number: int, totals: Totals) -> bool:
        """Hand the baton over: to the next process, or after the last chunk and after a failure to the first."""
        over = number + 1 >= self._count or bool(totals.errno)
        holder = number % len(self._pipes)
        target = 0 if over else (number + 1) % len(self._pipes)
        if target == holder:
            return not over
        _write_all(self._pipes[target][1], json.dumps(asdict(totals)).encode() + b"\n")
        return not over

    def _receive(self, index: int) -> Totals:
        data = b""
        while not data.endswith(b"\n"):
            part = os.read(self._pipes[index][0], 4096)
            if not part:
                raise EOFError
            data += part
        return Totals(**json.loads(data))

    def _lines(self, number: int) -> bytes:
        """Return the lines that start in a chunk."""
        size, fd = self._recording.size or 0, self._recording.fd
        start, end = number * self._chunk, min((number + 1) * self._chunk, size)
        data = os.pread(fd, end - start + 1, start - 1) if start else b"\n" + os.pread(fd, end, 0)
        first = data.find(b"\n") + 1
        if first == 0 or first > end - start:
            return b""
        while end < size and not data.endswith(b"\n"):
            more = os.pread(fd, 1 << 16, end)
            if not more:
                break
            rest, newline, _ = more.partition(b"\n")
            data += rest + newline
            end += len(rest) + len(newline)
        return data[first:]


@contextmanager
def _forked(runner: _Runner, processes: int) -> Iterator[Callable[[], str]]:
    """Run the other processes; end them when this one is done, or fails, or is interrupted."""
    children: list[int] = []
    try:
        for index in range(1, processes):
            child = os.fork()
            if not child:
                _child(runner, index)
            children.append(child)
        runner.keep_only(0)
        yield lambda: ", ".join(_ended(child) for child in children)
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
        runner.close()


def _child(runner: _Runner, index: int) -> NoReturn:
    """Do this process's part. Ctrl-C is for the first process, which ends this one."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        runner.keep_only(index)
        runner.run(index)
        code = 0
    finally:
        os._exit(code)


def _ended(child: int) -> str:
    _, status = os.waitpid(child, 0)
    return f"process {child} ended with {os.waitstatus_to_exitcode(status)}"


def _died(how: str) -> BeeyardError:
    return BeeyardError(
        "A process that was reading the recording died",
        why=how,
        fix="Look for 'out of memory' in the system's log. Given on stdin, the recording is read by one process.",
        code="E-FLOW-026",
    )


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
