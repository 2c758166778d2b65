"""Writing flows to the standard streams: in large pieces, safe against a reader that leaves and a disk that is full."""

from __future__ import annotations

import errno
import os
import sys
from typing import BinaryIO

from installer.domain.errors import BeeyardError


class ReaderGoneError(Exception):
    """Whoever read our output wants no more of it: no error."""


def write_failed(problem: OSError) -> Exception:
    """Return what to raise for a write that failed: ``ReaderGoneError``, or E-FLOW-027 for a full disk and the like."""
    if problem.errno == errno.EPIPE:
        return ReaderGoneError()
    return BeeyardError(
        "Cannot write the output",
        why=problem.strerror or str(problem),
        fix="Free space, or write elsewhere. What was written before is whole up to the last full line.",
        code="E-FLOW-027",
    )


class Streams:
    """stdout and stderr of one run."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self._out: BinaryIO = sys.stdout.buffer

    @property
    def out_fd(self) -> int | None:
        """The descriptor of stdout; None where stdout is no file."""
        try:
            return sys.stdout.fileno()
        except (OSError, ValueError):
            return None

    @property
    def err_fd(self) -> int | None:
        """The descriptor of stderr; None where stderr is no file."""
        try:
            return sys.stderr.fileno()
        except (OSError, ValueError):
            return None

    def out(self, text: str) -> None:
        """Write to stdout, at once.

        Raises:
            ReaderGoneError: nobody reads it.
            BeeyardError: E-FLOW-027.
        """
        if not text:
            return
        try:
            self._out.write(text.encode(errors="backslashreplace"))
            self._out.flush()
        except OSError as problem:
            self._abandon()
            raise write_failed(problem) from problem

    def err(self, text: str) -> None:
        """Write to stderr, unless silent."""
        if text and not self.silent:
            sys.stdout.flush()
            sys.stderr.write(text)
            sys.stderr.flush()

    def _abandon(self) -> None:
        """Keep what is still in the buffer from failing again when the process ends."""
        fd = self.out_fd
        if fd is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, fd)
            os.close(null)
