"""Opening a recording and reading its lines in blocks: plain, or packed by gzip or zstd."""

from __future__ import annotations

import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from installer.domain.errors import BeeyardError
from installer.domain.flows.recording import count_lines

BLOCK = 1 << 20
MOST = 64 << 20
"""Longest line that is taken into memory."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines that follow each other.

    Attributes:
        lines: with their ends; the last of a recording may lack its own.
        first: number of the first, from 1.
    """

    lines: bytes
    first: int


@dataclass(frozen=True, slots=True)
class Recording:
    """An open recording.

    Attributes:
        name: for people.
        fd: file descriptor.
        size: bytes of a plain file that can be read from anywhere; None for pipes and packed files.
        read: gives the next bytes, as many as there are; empty at the end.
    """

    name: str
    fd: int
    size: int | None
    read: Callable[[], bytes]

    def blocks(self) -> Iterator[Block]:
        """Yield all lines, as soon as they are there.

        Raises:
            BeeyardError: E-FLOW-024 the file cannot be read on, or a line is longer than 64 MB.
        """
        rest, number = b"", 1
        while data := self._next():
            head, newline, tail = data.rpartition(b"\n")
            if not newline:
                rest += data
                if len(rest) > MOST:
                    raise _unreadable(self.name, f"Line {number} is longer than {MOST >> 20} MiB.")
                continue
            lines = rest + head + newline
            yield Block(lines, number)
            number += count_lines(lines)
            rest = tail
        if rest:
            yield Block(rest, number)

    def _next(self) -> bytes:
        try:
            return self.read()
        except (OSError, EOFError, zlib.error) as problem:
            raise _unreadable(self.name, str(problem)) from problem


@contextmanager
def opened(path: str) -> Iterator[Recording]:
    """Open a recording; ``-`` is stdin.

    Raises:
        BeeyardError: E-FLOW-023 it cannot be opened.
    """
    if path == STDIN:
        yield _recording("stdin", 0)
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise _no_file(path, problem) from problem
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise _no_file(path, IsADirectoryError(21, "it is a folder"))
        yield _recording(path, fd)
    finally:
        os.close(fd)


def _recording(name: str, fd: int) -> Recording:
    try:
        start = os.read(fd, BLOCK)
    except OSError as problem:
        raise _no_file(name, problem) from problem
    known = os.fstat(fd)
    plain = not start.startswith((_GZIP, _ZSTD))
    whole = plain and stat.S_ISREG(known.st_mode) and os.lseek(fd, 0, os.SEEK_CUR) == len(start)
    size = known.st_size if whole else None
    return Recording(name, fd, size, _unpacked(_Rest(start, fd)))


class _Rest(io.RawIOBase):
    """What was read already, and what follows."""

    def __init__(self, start: bytes, fd: int) -> None:
        self.start, self._fd = start, fd

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        data = self.some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def some(self, most: int = BLOCK) -> bytes:
        if self.start:
            data, self.start = self.start[:most], self.start[most:]
            return data
        return os.read(self._fd, most)


def _unpacked(source: _Rest) -> Callable[[], bytes]:
    if source.start.startswith(_GZIP):
        import gzip

        packed = gzip.GzipFile(fileobj=io.BufferedReader(source, BLOCK))
        return lambda: packed.read1(BLOCK)
    if source.start.startswith(_ZSTD):
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(io.BufferedReader(source, BLOCK), read_across_frames=True)
        return lambda: _zstd(reader)
    return source.some


def _zstd(reader: object) -> bytes:
    import zstandard

    try:
        data: bytes = reader.read(BLOCK)  # type: ignore[attr-defined]
    except zstandard.ZstdError as problem:
        raise OSError(str(problem)) from problem
    return data


def _no_file(path: str, problem: OSError) -> BeeyardError:
    return BeeyardError(
        f"Cannot open the recording {path}",
        why=problem.strerror or str(problem),
        fix="Give a file of 'observe -o jsonpb' lines, or - for stdin.",
        code="E-FLOW-023",
    )


def _unreadable(name: str, why: str) -> BeeyardError:
    return BeeyardError(
        f"Cannot read on in {name}",
        why=why,
        fix="What came before is told. Check that the file is whole.",
        code="E-FLOW-024",
    )
