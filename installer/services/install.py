"""Installing: one job from lock to journal, driven by any front end.

async with install.open(spec, options, emit) as job:
    plan = await job.plan()
    result = await job.execute(plan)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import yaml

import installer
from installer.domain.config_layers import Layer, resolve
from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.plan import Plan
from installer.domain.redact import Redactor
from installer.domain.releases import Releases
from installer.domain.spec import ClusterSpec
from installer.pipeline import kept_spec
from installer.pipeline.book import Book
from installer.pipeline.cover import Cover
from installer.pipeline.run import Emit, Options, Run, Step, Tools, read_installed
from installer.pipeline.runner import Result, Runner
from installer.pipeline.steps.cilium import CiliumStep, HubbleStep
from installer.pipeline.steps.fetch import FetchStep
from installer.pipeline.steps.k3s import K3sStep
from installer.pipeline.steps.kubeconfig import KubeconfigStep
from installer.pipeline.steps.proofs import PreflightStep, ReadyStep, VerifyStep
from installer.ports.guard import Guarding
from installer.ports.host import FileState
from installer.ports.store import Journal, RunLock, RunRecord, RunStore
from installer.services.logged import LoggedRun, OpenLog


def install_steps() -> list[Step]:
    """Return the steps of an install, in order."""
    return [
        PreflightStep(),
        FetchStep(),
        K3sStep(),
        KubeconfigStep(),
        CiliumStep(),
        HubbleStep(),
        ReadyStep(),
        VerifyStep(),
    ]


def hubble_steps() -> list[Step]:
    """Return the steps that switch Hubble on a cluster that is there."""
    return [FetchStep(), CiliumStep(), HubbleStep(), ReadyStep()]


RECORDS = ("installed.json", "cluster.yaml")
"""Our own records of what was installed, in the state folder."""


@dataclass(slots=True)
class Job:
    """One run, opened under the lock."""

    runner: Runner
    run: Run
    runs: RunStore
    logged: LoggedRun
    kind: str
    cover: Cover | None = None
    _ids: tuple[str, ...] = ()

    async def plan(self) -> Plan:
        """Gather facts and say what would change."""
        return await self.runner.plan()

    async def execute(self, plan: Plan) -> Result:
        """Carry out a plan; where nothing is to do, only prove that all is well, and write nothing."""
        if self.cover is not None:
            await self.cover.settle()
        needed = any(step.changes for step in plan.steps)
        unfinished = self.runs.unfinished(self.kind)
        if not needed and unfinished is None:
            result = await self.runner.execute(plan, NoJournal())
            self._keep_spec()  # a run may have been killed after its end and before this; else it is there, as it is
            return result
        resumed = unfinished.run_id if unfinished else ""
        journal = self.runs.begin(self.kind, _digest(self.run.spec), resumed=resumed)
        self._ids = (*(one for one in (resumed,) if one), journal.run_id)
        self._keep_goal(journal)
        self._keep_records(journal)
        with self.logged.begun(journal.run_id, resumed):
            if unfinished is not None:
                self._tell_of(unfinished)
            async with self.run.tools.remember(self.run):
                result = await self.runner.execute(plan, journal)
        self._keep_spec()
        return result

    async def undo(self) -> None:
        """Take back what this run changed, after it failed; there is nothing to go on with then."""
        journal = self.runs.begin("undo", _digest(self.run.spec))
        journal.append("undoes", runs=list(self._ids))
        await self.runner.undo(journal)
        journal.end(ok=True)

    def _keep_goal(self, journal: Journal) -> None:
        """Keep what this run is to bring about, so that it can be gone on with if it is killed."""
        options = self.run.options
        journal.append(
            "options",
            allow_unsupported=options.allow_unsupported,
            verify=options.verify,
            ready_timeout=options.ready_timeout,
            undo_on_failure=options.undo_on_failure,
        )
        self._write_spec(journal.folder / "cluster.yaml")

    def _keep_records(self, journal: Journal) -> None:
        """Keep our own records as they are now: an undo of this run brings them back."""
        book, folder = Book(journal, lambda: self.run.tools.files), self.run.options.state_dir
        for name in RECORDS:
            book.before(folder / name)

    def _tell_of(self, unfinished: RunRecord) -> None:
        """Say what is different since the run that is gone on with."""
        if unfinished.boot and unfinished.boot != self.runs.boot():
            self.run.log("the host was started anew since the run that is gone on with; what a boot loses is made anew")
        ours = str(installer.__version__)
        if unfinished.version and unfinished.version != ours:
            self.run.log(
                f"the run that is gone on with was made by beeyard {unfinished.version}, this is {ours}: its goal is "
                "gone on with as this version understands it",
                "warning",
            )

    def _keep_spec(self) -> None:
        """Keep the specification that the cluster has now, for the commands that change a part of it."""
        self._write_spec(self.run.options.state_dir / "cluster.yaml")

    def _write_spec(self, path: Path) -> None:
        self.run.tools.files.write(path, kept_spec.dump(self.run.spec), mode=0o600, backup=False)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that did not reach its goal and can be gone on with.

    Attributes:
        record: what its journal tells.
        spec: what it was to bring about.
        options: how it behaved.
    """

    record: RunRecord
    spec: ClusterSpec
    options: Options

    @property
    def step(self) -> str:
        """Id of the step it stopped in, empty where it stopped between steps."""
        open_steps = {}
        for record in self.record.records:
            if step := record.data.get("step"):
                open_steps[str(step)] = record.kind != "step-done"
        return next((step for step, is_open in open_steps.items() if is_open), "")

    @property
    def killed(self) -> bool:
        """Whether it has no end: its process was killed."""
        return self.record.ended is None


class NoJournal:
    """A journal for runs that change nothing."""

    run_id = ""
    folder = Path()

    def append(self, kind: str, /, **data: Any) -> None:
        """Forget it."""
        del kind, data

    def end(self, *, ok: bool, **data: Any) -> None:
        """Forget it."""
        del ok, data

    def close(self) -> None:
        """Nothing to close."""


class MakeTools(Protocol):
    """Builds the tools of one run."""

    def __call__(self, spec: ClusterSpec, environment: Mapping[str, str]) -> AbstractAsyncContextManager[Tools]:
        """Return them for as long as the context lasts."""
        ...


class MakeGuarding(Protocol):
    """Builds the guard of this host's network."""

    def __call__(self, environment: Mapping[str, str], tell: Callable[[str], None], /) -> Guarding | None:
        """Return it, None where there is none; ``tell`` receives lines for people."""
        ...


@dataclass(slots=True)
class InstallService:
    """Opens jobs."""

    tools: MakeTools
    table: Releases
    runs: RunStore
    open_log: OpenLog
    lock: RunLock
    redactor: Redactor
    read_current: Callable[[], FileState | None]
    read: Callable[[Path], FileState | None]
    guarding: MakeGuarding = lambda *_: None

    @asynccontextmanager
    async def open(
        self,
        spec: ClusterSpec,
        options: Options,
        emit: Emit,
        *,
        steps: Callable[[], Sequence[Step]] = install_steps,
        kind: str = "install",
    ) -> AsyncIterator[Job]:
        """Open a job; only one may run on a host at a time.

        Raises:
            RefusedError: ``E-RUN-001`` another run holds the lock, ``E-PRE-001`` not root.
        """
        require_root(kind)
        self._learn_secrets(spec)
        with self.lock.hold(f"beeyard {kind}"):
            async with self.tools(spec, options.environment) as tools:
                job = self._job(spec, options, emit, tools, steps(), kind)
                try:
                    yield job
                finally:
                    await job.logged.close()

    def _job(
        self, spec: ClusterSpec, options: Options, emit: Emit, tools: Tools, steps: Sequence[Step], kind: str
    ) -> Job:
        run = Run(
            spec=spec,
            options=options,
            tools=tools,
            emit=emit,
            installed=read_installed(tools.files.read, options.state_dir),
            table=self.table,
        )
        guarding = self.guarding(options.environment, lambda text: run.log(text, "warning"))
        cover = Cover(guarding, run) if guarding is not None else None
        return Job(Runner(steps, run, cover), run, self.runs, LoggedRun(run, self.open_log), kind, cover)

    def current_spec(self, state_dir: Path) -> ClusterSpec:
        """Return the specification that the cluster of this host was last brought to.

        A bundle may be gone by now, so its chart and helm are taken from our own copies.

        Raises:
            RefusedError: ``E-INSTALL-001`` nothing was installed here by beeyard.
        """
        record = self.read_current()
        if record is None:
            raise RefusedError(
                "beeyard installed no cluster on this host",
                why=f"There is no {state_dir / 'cluster.yaml'}.",
                fix="Run `beeyard install` first.",
                code="E-INSTALL-001",
            )
        document = resolve([Layer("cluster.yaml", yaml.safe_load(record.data))])
        return document.document.spec

    def unfinished(self, environment: Mapping[str, str] | None = None) -> Unfinished | None:
        """Return the install that is to be gone on with, None where the last one is done, undone or still at work.

        Args:
            environment: variables for the options of the run that goes on.
        """
        record = next(iter(self.runs.history()), None)
        if record is None or record.ok or record.kind != "install" or _is_taken_back(record) or self._is_at_work():
            return None
        try:
            goal = self.read(record.folder / "cluster.yaml")
            if goal is None:
                return None
            spec = resolve([Layer("cluster.yaml", yaml.safe_load(goal.data))]).document.spec
        except (BeeyardError, OSError, yaml.YAMLError):  # of no use any more: a new run starts from the beginning
            return None
        kept = next((one.data for one in record.records if one.kind == "options"), {})
        # Another version of beeyard may have had other options.
        known = {item.name for item in fields(Options)} - {"environment", "state_dir"}
        options = Options(**{name: kept[name] for name in known & kept.keys()}, environment=environment or {})
        return Unfinished(record, spec, options)

    def _is_at_work(self) -> bool:
        try:
            with self.lock.hold("beeyard"):
                return False
        except BeeyardError:
            return True

    def _learn_secrets(self, spec: ClusterSpec) -> None:
        for key in ("token", "agent-token", "datastore-endpoint"):
            if spec.k3s.config.get(key):
                self.redactor.register(str(spec.k3s.config[key]))
        for registry in ((spec.k3s.registries or {}).get("configs") or {}).values():
            if password := ((registry or {}).get("auth") or {}).get("password"):
                self.redactor.register(str(password))


def _is_taken_back(record: RunRecord) -> bool:
    return any(one.kind == "step-undone" for one in record.records)


def with_hubble(spec: ClusterSpec, hubble: Mapping[str, Any]) -> ClusterSpec:
    """Return the specification with other Hubble settings."""
    data = spec.model_dump(by_alias=True)
    data["hubble"] = {**data["hubble"], **hubble}
    return ClusterSpec.model_validate(data)


def require_root(kind: str, why: str = "It writes system files and starts a service.") -> None:
    """Refuse to work without root, before anything is touched."""
    if os.geteuid() != 0:
        raise RefusedError(
            f"beeyard {kind} needs root",
            why=why,
            fix="Run it with sudo.",
            code="E-PRE-001",
        )


def _digest(spec: ClusterSpec) -> str:
    return hashlib.sha256(spec.model_dump_json(by_alias=True).encode()).hexdigest()[:16]
