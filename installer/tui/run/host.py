"""The run that belongs to the app: it goes on whatever screen is shown, and every screen reads the same model of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from textual.message import Message
from textual.worker import Worker

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.events import Event
from installer.domain.plan import Plan
from installer.domain.run_view import RunView
from installer.tui.failures import as_beeyard_error

if TYPE_CHECKING:
    from textual.app import App

    from installer.domain.redact import Redactor
    from installer.domain.spec import ClusterSpec
    from installer.pipeline.run import Emit, Options
    from installer.services.install import Unfinished


class RunState(StrEnum):
    """What the host is doing."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    UNDOING = "taking back"
    UNDONE = "taken back"


class OpenJob(Protocol):
    """A run under its lock, as ``services.install.Job`` is."""

    async def plan(self) -> Plan:
        """Gather facts and say what would change."""
        ...

    async def execute(self, plan: Plan) -> object:
        """Carry out a plan."""
        ...

    async def undo(self) -> None:
        """Take back what this run changed."""
        ...


class Installing(Protocol):
    """Opens runs, as ``services.install.InstallService`` does."""

    @property
    def redactor(self) -> Redactor:
        """Knows the secrets of the runs."""
        ...

    def open(self, spec: ClusterSpec, options: Options, emit: Emit) -> AbstractAsyncContextManager[OpenJob]:
        """Open a run."""
        ...

    def unfinished(self, environment: Mapping[str, str]) -> Unfinished | None:
        """Return the run that is to be gone on with."""
        ...


@dataclass
class RunChanged(Message):
    """The host does something else now.

    Attributes:
        state: what it does.
    """

    state: RunState


Opener = Callable[["Emit"], AbstractAsyncContextManager[OpenJob]]
"""Opens a run whose events go to the given receiver."""


class RunHost:
    """Starts, stops and takes back runs, one at a time.

    Args:
        app: the app whose worker carries the run; it outlives all screens.
        install: makes the service at first use; None where nothing can be installed (a cockpit made for looking).
        now: UNIX time in seconds.

    Attributes:
        state: what it is doing.
        view: the model of the run, replaced by the next one.
        can_undo: whether the failed run can be taken back.
    """

    def __init__(
        self, app: App[Any], install: Callable[[], Installing] | None, *, now: Callable[[], float] = time.time
    ) -> None:
        self.state = RunState.IDLE
        self.view = RunView()
        self.can_undo = False
        self.now = now
        self._app = app
        self._make = install
        self._service: Installing | None = None
        self._worker: Worker[None] | None = None
        self._choice: asyncio.Future[bool] | None = None
        self._turn = asyncio.Lock()
        self._last: tuple[Opener, bool] | None = None

    @property
    def running(self) -> bool:
        """Whether something is being changed now."""
        return self.state in (RunState.RUNNING, RunState.UNDOING)

    @property
    def install(self) -> Installing:
        """The service that installs.

        Raises:
            RefusedError: ``E-RUN-010`` this cockpit cannot install.
        """
        if self._service is None:
            if self._make is None:
                raise RefusedError(
                    "this cockpit cannot install", fix="Start `sudo beeyard` on the host.", code="E-RUN-010"
                )
            self._service = self._make()
        return self._service

    def start(self, spec: ClusterSpec, options: Options) -> None:
        """Begin a run in the background.

        Raises:
            RefusedError: ``E-RUN-011`` one goes on, ``E-RUN-010``.
        """
        install = self.install
        self.begin(lambda emit: install.open(spec, options, emit), undoable=not options.undo_on_failure)

    def begin(self, opener: Opener, *, undoable: bool) -> None:
        """Begin any run in the background.

        Args:
            opener: opens it; again for a retry.
            undoable: the user is asked whether to take it back when it fails.

        Raises:
            RefusedError: ``E-RUN-011`` one goes on.
        """
        if self.running:
            raise RefusedError(
                "a run is going on", why="One run at a time.", fix="Wait for its end, or stop it.", code="E-RUN-011"
            )
        self._decide(undo=False)
        self._last = (opener, undoable)
        self.view = RunView(began=self.now())
        self._become(RunState.RUNNING)
        self._worker = self._app.run_worker(
            self._run(opener, undoable=undoable), name="install", group="install", exit_on_error=False
        )

    def retry(self) -> None:
        """Begin the last run again; it goes on where it stopped."""
        if self._last is not None and not self.running:
            opener, undoable = self._last
            self.begin(opener, undoable=undoable)

    def undo(self) -> None:
        """Take back what the failed run changed."""
        if self.can_undo:
            self._decide(undo=True)

    def cancel(self) -> None:
        """Stop the run after what it is doing now."""
        if self.running and self._worker is not None:
            self._worker.cancel()

    async def stop(self) -> None:
        """Stop the run and wait until it has put everything in order."""
        worker = self._worker
        if worker is None or worker.is_finished:
            return
        self._decide(undo=False)
        if self.running:
            worker.cancel()
        async with self._turn:
            pass

    async def unfinished(self, environment: Mapping[str, str]) -> Unfinished | None:
        """Return the run of an earlier process that is to be gone on with, None where nothing can be installed.

        Args:
            environment: variables for the run that goes on.
        """
        if self._make is None or self.running:
            return None
        return await asyncio.to_thread(lambda: self.install.unfinished(environment))

    # -- the worker

    async def _run(self, opener: Opener, *, undoable: bool) -> None:
        async with self._turn:  # the run before holds beeyard's lock until its end
            await self._one(opener, undoable=undoable)

    async def _one(self, opener: Opener, *, undoable: bool) -> None:
        try:
            async with opener(self._take) as job:
                await self._execute(job, undoable=undoable)
        except asyncio.CancelledError:
            if self.running:
                self.view.stop(self.now())
                self._become(RunState.STOPPED)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has ended and the screen must say why
            self._fail(as_beeyard_error(error))

    async def _execute(self, job: OpenJob, *, undoable: bool) -> None:
        try:
            await job.execute(await job.plan())
        except BeeyardError as error:
            self.can_undo = undoable and self.view.changed
            self._fail(error)
            if self.can_undo:
                await self._take_back(job)
        else:
            self._become(RunState.DONE)

    async def _take_back(self, job: OpenJob) -> None:
        """Keep the job open until the user has chosen."""
        self._choice = asyncio.get_running_loop().create_future()
        try:
            undo = await self._choice
        finally:
            self.can_undo, self._choice = False, None
        if undo:
            self._become(RunState.UNDOING)
            self.view.write(self.now(), "info", "taking back what this run changed")
            await job.undo()
            self.view.write(self.now(), "info", "taken back")
            self._become(RunState.UNDONE)

    def _decide(self, *, undo: bool) -> None:
        if self._choice is not None and not self._choice.done():
            self._choice.set_result(undo)
        self.can_undo = False

    def _take(self, event: Event) -> None:
        self.view.take(event)

    def _fail(self, error: BeeyardError) -> None:
        self.view.fail(error, self.now())
        self._become(RunState.FAILED)

    def _become(self, state: RunState) -> None:
        self.state = state
        self.view.version += 1
        self._app.post_message(RunChanged(state))
