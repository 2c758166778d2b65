"""Keeping C libraries off the screen: what they write to file descriptor 2 goes to the log."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_QUIET = {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"}


class _Terminal(io.TextIOWrapper):
    """Forgets what is drawn on a terminal that is gone; an error would end Textual's writer and hang the app."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


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
    with _Terminal(open(kept, "wb", closefd=False), encoding="utf-8", errors="replace") as terminal:  # a number
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


def is_gone() -> bool:
    """Whether the terminal was closed: an SSH connection that ended, a window that was shut."""
    poll = select.poll()
    for descriptor in (0, terminal_fd()):
        poll.register(descriptor, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


def let_go() -> int:
    """Put something harmless in the place of a terminal that is gone; return what keeps readers waiting.

    Nothing can be read from it or fail when it is drawn on, so that work that goes on is not disturbed, and reading
    does not spin. Close what is returned before leaving: a thread may have found the terminal readable just before,
    and waits in its read now.
    """
    silent, waiting = os.pipe()
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(silent, 0)
    for descriptor in {1, terminal_fd()}:
        os.dup2(nowhere, descriptor)
    return waiting
