"""Stops a Python program right before one of its own changes; it knows nothing of the program.

Python imports this by itself from PYTHONPATH. ``KILL_AT`` holds JSON: ``match`` (a regular expression on a change as
one line, ``os.rename /from /to``), ``nth`` match, and ``then``: ``kill`` (SIGKILL to itself), ``tell`` (write to the
FIFO ``told``, wait until ``go`` was written and closed, carry on), ``clock`` (the wall clock jumps by ``seconds``, then
carry on) or ``record`` (append every change to the file ``record``). With ``clock`` it is ahead from the beginning.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_EVENTS = {
    "open", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.chown",
    "subprocess.Popen", "socket.connect", "fcntl.flock",
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _line(event: str, args: tuple[Any, ...]) -> str | None:
    """Return an audit event as one line, None where it changes nothing."""
    if event == "open":
        path, _, flags = args
        if not isinstance(flags, int) or not flags & _WRITING:
            return None
        return f"open {path!s}"
    if event == "subprocess.Popen":
        return "run " + " ".join(map(os.fsdecode, args[1]))
    if event == "socket.connect":
        return f"connect {args[1]}"
    return f"{event} " + " ".join(str(arg) for arg in args if not isinstance(arg, int))


class _Hook:
    """Counts matches; does what is asked for at the one that is meant."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._match = re.compile(plan.get("match", ""))
        self._left: int = plan.get("nth", 1)
        self._inside = threading.local()
        self._owner = os.getpid()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS or getattr(self._inside, "now", False) or os.getpid() != self._owner:
            return
        self._inside.now = True
        try:
            line = _line(event, args)
            if line is not None:
                self._see(line)
        finally:
            self._inside.now = False

    def _see(self, line: str) -> None:
        if self._plan["then"] == "record":
            with Path(self._plan["record"]).open("a") as file:
                file.write(f"{time.monotonic():.3f} {line}\n")
            return
        if self._left <= 0 or not self._match.search(line):
            return
        self._left -= 1
        if self._left == 0:
            {"kill": self._kill, "tell": self._tell, "clock": self._clock}[self._plan["then"]]()

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self) -> None:
        with Path(self._plan["told"]).open("w") as told:
            told.write("reached\n")
        with Path(self._plan["go"]).open() as go:
            go.read()

    def _clock(self) -> None:
        _Clock.ahead = self._plan["seconds"]


class _Clock:
    """The wall clock of this program alone."""

    ahead = 0.0
    true = staticmethod(time.time)
    true_ns = staticmethod(time.time_ns)


class _Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _Shifted:
        return cls.fromtimestamp(time.time(), tz)


def _begin(plan: dict[str, Any]) -> None:
    _Clock.ahead = plan.get("clock", 0.0)
    time.time = lambda: _Clock.true() + _Clock.ahead
    time.time_ns = lambda: _Clock.true_ns() + int(_Clock.ahead * 1e9)
    datetime.datetime = _Shifted  # type: ignore[misc]  # that is the point
    if "then" in plan:
        sys.addaudithook(_Hook(plan))


if "KILL_AT" in os.environ:
    _begin(json.loads(os.environ.pop("KILL_AT")))
