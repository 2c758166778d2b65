"""Runs that are told twice: to the front end and to a log of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from installer.domain.errors import BeeyardError
from installer.domain.events import Event, RunStarted
from installer.pipeline.run import Run
from installer.ports.store import RunLog

OpenLog = Callable[[str], RunLog]
"""Opens the log of a run by its id."""


class LoggedRun:
    """Writes the events of a run to its log as well, once it has begun.

    Args:
        run: the run; its ``emit`` is replaced.
        open_log: opens the log.
    """

    def __init__(self, run: Run, open_log: OpenLog) -> None:
        self._run, self._emit, self._open = run, run.emit, open_log
        self._log: RunLog | None = None
        run.emit = self._tell

    def _tell(self, event: Event) -> None:
        self._emit(event)
        if self._log is not None:
            self._log.write(json.dumps(event.to_dict(), default=str))

    @contextmanager
    def begun(self, run_id: str, resumed: str) -> Iterator[None]:
        """Open the log and tell that the run has begun; an error of the run names the log.

        Args:
            run_id: id of the run.
            resumed: id of the run that it goes on with, empty for none.
        """
        self._log = self._open(run_id)
        path = str(self._log.path)
        self._run.emit(RunStarted(self._run.tools.now(), run_id, path, resumed))
        try:
            yield
        except BeeyardError as error:
            error.details.setdefault("log", path)
            raise

    async def close(self) -> None:
        """Close the run's connection and its log."""
        await self._run.forget_kube()
        if self._log is not None:
            self._log.close()
