"""Waiting until a cluster is ready: one watch stream, judged anew on every change, with no polling.

Codes: ``E-READY-001`` not ready in time; a fatal problem ends the wait with its own code (``E-POD-…``, ``E-READY-…``),
see ``installer.domain.readiness_rules``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from installer.domain.errors import BeeyardError, DeadlineError
from installer.domain.readiness import Component, Problem, Snapshot, State
from installer.domain.readiness_rules import Expected, Facts, Judgement, judge
from installer.ports.cluster import Kube
from installer.services.cluster_facts import FactStore, OnRefused, list_facts, sources_for
from installer.services.last_words import LastWords
from installer.services.watching import watched

PROBE_PAUSE = 0.5
Probe = Callable[[], Awaitable[Component]]
"""A check that objects cannot answer, such as Relay's own health; run when all else is ready, again until it is too."""
OnChange = Callable[[Snapshot], None]


async def wait_ready(
    kube: Kube, expected: Expected, *, timeout: float, on_change: OnChange, probes: Sequence[Probe] = ()
) -> Snapshot:
    """Wait until everything expected is ready.

    Args:
        kube: the cluster.
        expected: what must be ready.
        timeout: seconds.
        on_change: called with every snapshot that differs from the one before, the first and the last included.
        probes: further checks.

    Returns:
        The snapshot in which all is ready.

    Raises:
        BeeyardError: a problem that waiting does not solve, or ``E-KUBE-003``.
        DeadlineError: ``E-READY-001`` with all problems.
    """
    waiter = _Waiter(kube, expected, on_change, probes)
    try:
        async with asyncio.timeout(timeout) as limit, waiter.following():
            return await waiter.until_ready()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise waiter.deadline(timeout) from error


async def look(
    kube: Kube, namespaces: Sequence[str], expected: Callable[[Facts], Expected], on_refused: OnRefused | None = None
) -> tuple[Facts, Judgement]:
    """Judge the cluster once, as it is now, the last words of crashed containers included.

    Args:
        kube: the cluster.
        namespaces: the namespaces to look at.
        expected: tells what must be ready from what is there.
        on_refused: told of kinds that may not be read, see ``list_facts``.
    """
    facts = await list_facts(kube, namespaces, on_refused)
    wanted = expected(facts)
    judgement = judge(facts, wanted)
    if judgement.logs_wanted:
        words = LastWords(kube, on_known=lambda: None)
        words.want(judgement.logs_wanted)
        await words.settle()
        judgement = judge(facts, wanted, logs=words.known)
    return facts, judgement


class _Waiter:
    """Judges whenever something has changed, and when a problem's grace ends."""

    def __init__(self, kube: Kube, expected: Expected, on_change: OnChange, probes: Sequence[Probe]):
        self._kube = kube
        self._expected = expected
        self._on_change = on_change
        self._probes = probes
        self._store = FactStore(sources_for(expected))
        self._changed = asyncio.Event()
        self._words = LastWords(kube, self._changed.set)
        self._judgement = Judgement(Snapshot())
        self._shown: Snapshot | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep the store current; a watch that ends with an error ends the wait."""
        self._pump = asyncio.ensure_future(self._follow())
        self._pump.add_done_callback(lambda _: self._changed.set())
        try:
            yield
        finally:
            self._pump.cancel()
            await asyncio.gather(self._pump, self._words.close(), return_exceptions=True)

    async def _follow(self) -> None:
        async with watched(self._kube, sources_for(self._expected)) as events:
            async for event in events:
                self._store.take(event)
                self._changed.set()

    async def until_ready(self) -> Snapshot:
        while True:
            await self._wait_for_change()
            if not self._store.complete:
                continue
            snapshot = self._judge()
            await self._stop_if_fatal(snapshot)
            if snapshot.ready and self._probes:
                snapshot = await self._probed(snapshot)
            self._show(snapshot)
            if snapshot.ready:
                return snapshot

    async def _wait_for_change(self) -> None:
        """Wait for a change; what queued up meanwhile is judged together."""
        pause = self._pause()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._changed.wait()
        self._changed.clear()
        if self._pump.done():
            self._pump.result()
            raise BeeyardError("the watch ended by itself", fix="Try again.", code="E-READY-006")

    def _pause(self) -> float | None:
        if self._judgement.snapshot.ready:  # only a probe is missing
            return PROBE_PAUSE
        due = self._judgement.recheck_at
        return None if due is None else max(0.0, due - asyncio.get_running_loop().time())

    def _judge(self) -> Snapshot:
        self._judgement = judge(
            self._store.facts(),
            self._expected,
            now=asyncio.get_running_loop().time(),
            since=self._judgement.since,
            logs=self._words.known,
        )
        self._words.want(self._judgement.logs_wanted)
        return self._judgement.snapshot

    async def _stop_if_fatal(self, snapshot: Snapshot) -> None:
        if not any(problem.fatal for problem in snapshot.problems):
            return
        await self._words.settle()
        snapshot = self._judge()
        self._show(snapshot)
        fatal = [problem for problem in snapshot.problems if problem.fatal]
        if fatal:
            raise _fatal_error(fatal[0], snapshot)

    async def _probed(self, snapshot: Snapshot) -> Snapshot:
        found = await asyncio.gather(*(probe() for probe in self._probes))
        return replace(snapshot, components=(*snapshot.components, *found))

    def _show(self, snapshot: Snapshot) -> None:
        if snapshot != self._shown:
            self._shown = snapshot
            self._on_change(snapshot)

    def deadline(self, timeout: float) -> DeadlineError:
        """Return the error of a wait that took too long."""
        snapshot = self._shown or Snapshot()
        lines = [_problem_line(problem) for problem in snapshot.problems]
        lines += [_component_line(one) for one in snapshot.components if _is_unexplained(one)]
        if self._store.lost:
            lines.insert(0, self._store.lost)
        return DeadlineError(
            f"the cluster is not ready after {timeout:g} s",
            why="\n".join(lines) or "its state could not be read",
            fix="Run again to go on waiting, or see: beeyard status",
            code="E-READY-001",
            details={"problems": [problem.to_dict() for problem in snapshot.problems]},
        )


def _fatal_error(problem: Problem, snapshot: Snapshot) -> BeeyardError:
    others = [other.to_dict() for other in snapshot.problems if other != problem]
    details = {"subject": problem.subject, "otherProblems": others}
    what = f"{problem.subject}: {problem.what}"
    return BeeyardError(what, why=problem.evidence, fix=problem.fix, code=problem.code, details=details)


def _problem_line(problem: Problem) -> str:
    evidence = f": {problem.evidence}" if problem.evidence else ""
    return f"{problem.code} {problem.subject}: {problem.what}{evidence}"


def _is_unexplained(component: Component) -> bool:
    return component.state not in (State.READY, State.DISABLED) and not component.problems


def _component_line(component: Component) -> str:
    return f"{component.kind} {component.name}: {component.detail or component.state}"
