"""Keeping C libraries off the screen: what they write to file descriptor 2 goes to the log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_QUIET = {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"}


@contextmanager
def quiet_libraries(log: Path | None) -> Iterator[None]:
    """Send descriptor 2 to the log; Textual, which draws on ``sys.__stderr__``, gets the terminal under another number.

    Args:
        log: the file; None for nowhere.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    kept = os.dup(2)
    before = sys.__stderr__
    with open(kept, "w", encoding="utf-8", errors="replace", closefd=False) as terminal:  # a number
        os.dup2(target, 2)
        sys.__stderr__ = terminal  # type: ignore[misc]
        try:
            yield
        finally:
            terminal.flush()
            sys.__stderr__ = before  # type: ignore[misc]
            os.dup2(kept, 2)
    os.close(kept)
    os.close(target)


def terminal_fd() -> int:
    """Return the descriptor of the terminal that is drawn on."""
    stream = sys.__stderr__
    return stream.fileno() if stream is not None else 2
