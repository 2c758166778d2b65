"""The log file of a run."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from installer.adapters.store.lock import unwritable
from installer.domain.redact import Redactor

LOGS = Path("/var/log/beeyard")

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC strings: titles, links, clipboard
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"  # the rest, direction marks among them
)


class FileRunLog:
    """``<folder>/<run id>.log``, 0600; in the fallback folder where that cannot be written.

    Args:
        run_id: id of the run.
        redactor: masks secrets in every line.
        folder: where logs belong.
        fallback: where they go otherwise, such as the run's own folder.
        clock: UNIX time in seconds.

    Raises:
        BeeyardError: ``E-RUN-002`` neither can be written.
    """

    def __init__(
        self,
        run_id: str,
        redactor: Redactor,
        *,
        folder: Path = LOGS,
        fallback: Path,
        clock: Callable[[], float] = time.time,
    ):
        self._redactor = redactor
        self._clock = clock
        self.path = folder / f"{run_id}.log"
        try:
            self._fd = _open(self.path)
        except OSError:
            self.path = fallback / f"{run_id}.log"
            try:
                self._fd = _open(self.path)
            except OSError as error:
                raise unwritable(error, self.path) from error

    def write(self, text: str) -> None:
        """Add lines, each with the time; a full disk loses lines and never stops the run."""
        if self._fd < 0:
            return
        moment = datetime.fromtimestamp(self._clock(), UTC)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        clean = _CONTROL.sub("", self._redactor.mask(text.rstrip("\n").replace("\r\n", "\n")))
        lines = "".join(f"{stamp} {line}\n" for line in clean.split("\n"))
        with suppress(OSError):
            os.write(self._fd, lines.encode(errors="replace"))

    def close(self) -> None:
        """Close it; later lines are dropped."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
