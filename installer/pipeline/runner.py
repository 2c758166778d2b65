"""Runs steps in order: plan first, then change, with events, a journal, retries and a clean end on interruption.

A step may leave work in the background (downloads); it runs in the run's task group, so that the end of the run waits
for it and its failure ends the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from installer.domain.errors import BeeyardError, ConnectError, TemporaryError
from installer.domain.events import PlanMade, RunFinished, StepDone, StepFailed, StepStarted
from installer.domain.failures import leaves
from installer.domain.plan import Plan, StepPlan
from installer.pipeline.book import Book
from installer.pipeline.cover import Cover
from installer.pipeline.run import Run, Step
from installer.ports.store import Journal

TRIES = 4
"""How often a step is tried when it fails for a passing reason."""

RECONNECT = 4.0
"""Seconds until the next try when the API cannot be reached; k3s needs about ten for a restart."""

T = TypeVar("T")


@dataclass(slots=True)
class Result:
    """How a run ended.

    Attributes:
        changed: ids of the steps that changed something, in order.
        timings: seconds by step id.
        notes: one line by step id.
    """

    changed: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


class Runner:
    """Plans and executes the steps of one run."""

    def __init__(self, steps: Sequence[Step], run: Run, cover: Cover | None = None) -> None:
        self._steps = list(steps)
        self._run = run
        self._cover = cover
        self.result = Result()

    async def plan(self) -> Plan:
        """Gather facts and say what would change.

        Raises:
            RefusedError: a check says no.
        """
        plans = []
        for step in self._steps:
            self._run.current = step.id
            await step.gather(self._run)
            plans.append(StepPlan(step.id, step.title, tuple(await step.check(self._run))))
        self._run.current = ""
        plan = Plan(tuple(plans), tuple(self._run.warnings))
        self._run.emit(PlanMade(self._run.tools.now(), plan))
        return plan

    async def execute(self, plan: Plan, journal: Journal) -> Result:
        """Carry out a plan.

        Raises:
            BeeyardError: the error of the step that failed; the journal tells how far it came.
        """
        run, started = self._run, self._run.tools.now()
        run.book = Book(journal if journal.run_id else None, lambda: run.tools.files)
        ok = False
        try:
            async with asyncio.TaskGroup() as group:
                run.group = group
                for step in self._steps:
                    await self._step(step, plan, journal)
            ok = True
        except BaseExceptionGroup as errors:
            error = next(leaves(errors))
            await self._explain(error)
            if run.options.undo_on_failure:
                await self.undo(journal)
            await self._uncover(error)
            raise error from None
        except BaseException as interruption:
            await self._uncover(interruption)
            raise
        finally:
            run.group = None
            self._end(journal, ok=ok, seconds=run.tools.now() - started)
        return self.result

    def _end(self, journal: Journal, *, ok: bool, seconds: float) -> None:
        """Close the journal and tell the end; a journal that cannot be closed does not hide why the run failed.

        Raises:
            BeeyardError: ``E-RUN-002`` the run went well, and its end cannot be written down.
        """
        run, problem = self._run, None
        try:
            journal.end(ok=ok, changed=bool(self.result.changed), seconds=seconds)
        except BeeyardError as error:
            problem = error
            run.log(f"the end of this run is not in its journal: {error.why}", "warning")
        run.emit(
            RunFinished(
                run.tools.now(), journal.run_id, ok, bool(self.result.changed), seconds, dict(self.result.timings)
            )
        )
        if ok and problem is not None:
            raise problem

    async def _uncover(self, error: BaseException) -> None:
        if self._cover is not None:
            await self._cover.failed(error)

    async def _explain(self, error: BaseException) -> None:
        """Look for the cause while all is still as the failure left it, and add it to the error."""
        if self._run.tools.explain is None or not isinstance(error, BeeyardError):
            return
        found = await self._run.tools.explain(self._run, error)
        if found is not None:
            error.details["diagnosis"] = found.to_dict()

    async def _step(self, step: Step, plan: Plan, journal: Journal) -> None:
        run = self._run
        run.current = step.id
        began = run.tools.now()
        run.emit(StepStarted(began, step.id, step.title))
        with self._told(step, began, journal):
            if self.result.changed:
                await step.gather(run)
                changes = await step.check(run)
            else:
                changes = list(next(item.changes for item in plan.steps if item.step == step.id))
            lasting = any(change.kind != "proof" for change in changes)
            if self._cover is not None:
                await self._cover.before(step.id, changes=lasting)
            if changes:
                journal.append("step-started", step=step.id)
                if lasting:
                    self.result.changed.append(step.id)
                await self._patiently(step.apply)
        if step.background:
            assert run.group is not None
            run.group.create_task(self._finish(step, began, journal, worked=bool(changes)), name=f"step {step.id}")
        else:
            await self._finish(step, began, journal, worked=bool(changes))

    async def _finish(self, step: Step, began: float, journal: Journal, *, worked: bool) -> None:
        run = self._run
        with self._told(step, began, journal):
            note = await (step.verify(run) if step.background else self._patiently(step.verify))
            if self._cover is not None:
                await self._cover.after(step.id)
        seconds = run.tools.now() - began
        self.result.timings[step.id] = seconds
        self.result.notes[step.id] = note
        if worked:
            journal.append("step-done", step=step.id, seconds=seconds)
        run.emit(StepDone(run.tools.now(), step.id, step.id in self.result.changed, seconds, note))

    @contextmanager
    def _told(self, step: Step, began: float, journal: Journal) -> Iterator[None]:
        """Tell the journal and the event stream when the step fails or is interrupted."""
        run = self._run
        try:
            yield
        except BeeyardError as error:
            journal.append("step-failed", step=step.id, code=error.code, what=error.what)
            run.emit(StepFailed(run.tools.now(), step.id, run.tools.now() - began, error))
            raise
        except asyncio.CancelledError:
            journal.append("step-interrupted", step=step.id)
            raise

    async def _patiently(self, attempt: Callable[[Run], Awaitable[T]]) -> T:
        """Carry out a part of a step; what fails for a passing reason (the API restarts, say) is tried again."""
        for _ in range(TRIES - 1):
            try:
                return await attempt(self._run)
            except (TemporaryError, ConnectError) as error:
                delay = error.delay if isinstance(error, TemporaryError) else RECONNECT
                self._run.log(f"{error.what}; trying again in {delay:g} s", "warning")
                await asyncio.sleep(delay)
        return await attempt(self._run)

    async def undo(self, journal: Journal) -> None:
        """Take back what this run changed, the last step first; a step that cannot is told and the others go on."""
        for step in reversed(self._steps):
            if step.id not in self.result.changed:
                continue
            self._run.current = step.id
            try:
                await step.undo(self._run)
                journal.append("step-undone", step=step.id)
                self._run.log(f"{step.title}: taken back")
            except BeeyardError as error:
                self._run.log(f"{step.title}: could not be taken back: {error.what}. {error.fix}", "warning")
