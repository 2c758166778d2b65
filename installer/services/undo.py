"""Taking back what a run changed, by its journal.

async with undo.open("", emit, environment) as job:
    plan = await job.plan()
    await job.execute(plan)

A run that made the cluster is taken back by the uninstall, whose order keeps the host reachable. Killed at any point,
the same again goes on: every step looks at what is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from installer.domain.config_layers import Layer, resolve
from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.plan import Plan
from installer.domain.releases import Releases
from installer.domain.residue.scope import Choice
from installer.domain.spec import ClusterSpec
from installer.domain.undo import Changes, FileBefore
from installer.pipeline.cover import Cover
from installer.pipeline.run import Emit, Options, Run, Step, Tools, read_installed
from installer.pipeline.runner import Runner
from installer.pipeline.steps.undoing import FilesBackStep, ReadyAgainStep, ReleasesBackStep, RestartStep
from installer.ports.store import RunLock, RunRecord, RunStore
from installer.services.install import RECORDS, MakeGuarding, MakeTools, require_root
from installer.services.logged import LoggedRun, OpenLog
from installer.services.runs import chain, changes_in, find, undone_by
from installer.services.uninstall import Uninstall, UninstallJob

UNDOABLE = ("install", "hubble")
RISKS = {
    "release": "Cilium goes back to the settings it had",
    "service": "k3s is restarted with the settings it had",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What is taken back.

    Attributes:
        runs: the run and those that it went on with, the oldest first.
        changes: what they changed together.
    """

    runs: tuple[RunRecord, ...]
    changes: Changes

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.runs[-1].run_id

    @property
    def ids(self) -> list[str]:
        """Ids of all its runs."""
        return [run.run_id for run in self.runs]


@dataclass(slots=True)
class UndoJob:
    """One undo, opened under the lock.

    Attributes:
        target: what is taken back.
        kept: what stays, one line each; known after the plan.
        whole: the uninstall that does it, where the run made the cluster.
    """

    target: Target
    kept: list[str] = field(default_factory=list)
    whole: UninstallJob | None = None
    runner: Runner | None = None
    cover: Cover | None = None
    runs: RunStore | None = None
    logged: LoggedRun | None = None

    async def plan(self) -> Plan:
        """Look at the host and say what goes back."""
        if self.whole is not None:
            plan = await self.whole.plan()
            self.kept += [f"{one.what}: {one.why}" for one in self.whole.kept]
            return plan
        assert self.runner is not None
        return await self.runner.plan()

    def needed(self, plan: Plan) -> bool:
        """Whether there is anything to do."""
        return self.whole.needed(plan) if self.whole is not None else bool(plan.changes)

    async def execute(self, plan: Plan) -> None:
        """Carry out a plan; the run counts as undone when this returns.

        Raises:
            BeeyardError: what stopped it; the same again goes on.
        """
        if self.whole is not None:
            await self.whole.execute(plan)
            return
        assert self.runner is not None
        assert self.runs is not None
        assert self.logged is not None
        if self.cover is not None:
            await self.cover.settle()
        unfinished = self.runs.unfinished("undo")
        resumed = unfinished.run_id if unfinished else ""
        journal = self.runs.begin("undo", "", resumed=resumed)
        journal.append("undoes", runs=self.target.ids)
        with self.logged.begun(journal.run_id, resumed):
            await self.runner.execute(plan, journal)


@dataclass(slots=True)
class UndoService:
    """Opens undos.

    Attributes:
        tools: builds the tools of a run.
        table: what is known of Cilium's versions.
        runs: journals.
        open_log: opens the log of a run.
        lock: one run a host.
        uninstall: takes a cluster away.
        guarding: builds the guard of the host's network.
        state_dir: our own state.
    """

    tools: MakeTools
    table: Releases
    runs: RunStore
    open_log: OpenLog
    lock: RunLock
    uninstall: Uninstall
    guarding: MakeGuarding = lambda *_: None
    state_dir: Path = Path("/var/lib/beeyard")

    def target(self, wanted: str = "") -> Target:
        """Return what is to be taken back.

        Args:
            wanted: beginning of a run's id; empty for the last run that changed something.

        Raises:
            RefusedError: ``E-UNDO-001`` there is nothing to undo, ``E-UNDO-002`` later runs built on it,
                ``E-UNDO-003`` its kind cannot be undone.
            UsageError: ``E-RUN-005`` there is no such run.
        """
        records = self.runs.history()
        record = self._wanted(wanted, records) if wanted else _last(records)
        done = undone_by(record, records)
        if done:
            raise _nothing(f"Run {record.run_id} was taken back already, by {done}.")
        if record.kind not in UNDOABLE:
            raise _no_way(record)
        runs = chain(record, records)
        changes = changes_in(runs)
        if not changes:
            raise _nothing(f"Run {record.run_id} changed nothing that its journal knows of.")
        later = [one for one in records if _built_on(one, record, records)]
        if later:
            raise _built_upon(record, later)
        return Target(tuple(runs), changes)

    @asynccontextmanager
    async def open(self, wanted: str, emit: Emit, environment: Mapping[str, str]) -> AsyncIterator[UndoJob]:
        """Open an undo.

        Raises:
            RefusedError: see ``target``; ``E-RUN-001`` another run goes on, ``E-PRE-001`` not root.
        """
        require_root("undo")
        target = self.target(wanted)
        if target.changes.made_the_cluster:
            async with self.uninstall.open(Choice(), emit, environment) as whole:
                yield UndoJob(target, whole=whole)
            return
        with self.lock.hold("beeyard undo"):
            spec = self._spec(target)
            async with self.tools(spec, environment) as tools:
                job = await self._job(target, spec, tools, emit, environment)
                try:
                    yield job
                finally:
                    if job.logged is not None:
                        await job.logged.close()

    def _wanted(self, wanted: str, records: Sequence[RunRecord]) -> RunRecord:
        run_id = find(wanted, self.runs.ids())
        record = next((one for one in records if one.run_id == run_id), None) or self.runs.read(run_id)
        if record is None:
            raise _nothing(f"Run {run_id} has not begun.")
        return record

    async def _job(
        self, target: Target, spec: ClusterSpec, tools: Tools, emit: Emit, environment: Mapping[str, str]
    ) -> UndoJob:
        run = Run(
            spec=spec,
            options=Options(state_dir=self.state_dir, environment=environment),
            tools=tools,
            emit=emit,
            installed=read_installed(tools.files.read, self.state_dir),
            table=self.table,
            helm_binary=await self._helm(spec, tools),
        )
        guarding = self.guarding(environment, lambda text: run.log(text, "warning"))
        cover = Cover(guarding, run, RISKS) if guarding is not None else None
        kept: list[str] = []
        runner = Runner(self._steps(target, kept), run, cover)
        return UndoJob(target, kept, None, runner, cover, self.runs, LoggedRun(run, self.open_log))

    def _steps(self, target: Target, kept: list[str]) -> list[Step]:
        """Return the steps; our own records come last, so that one that is killed is still known as what it is."""
        records = {str(self.state_dir / name) for name in RECORDS}
        theirs = [one for one in target.changes.files if one.path not in records]
        ours = [one for one in target.changes.files if one.path in records]
        folder = self.state_dir / "runs"
        return [
            ReleasesBackStep(target.changes.releases),
            FilesBackStep(theirs, folder, kept),
            RestartStep(theirs),
            ReadyAgainStep(),
            FilesBackStep(ours, folder, kept, id="records", title="Bring our own records back", ours=True),
        ]

    def _spec(self, target: Target) -> ClusterSpec:
        """Return what the cluster was before the run; where that is unknown, what the run was to make of it."""
        before = next((one for one in target.changes.files if one.path == str(self.state_dir / "cluster.yaml")), None)
        paths = [self._copy(before)] if before is not None and before.copy else []
        for path in (*paths, target.runs[-1].folder / "cluster.yaml"):
            try:
                return resolve([Layer(str(path), yaml.safe_load(path.read_text()))]).document.spec
            except (OSError, yaml.YAMLError, BeeyardError):
                continue
        return resolve([]).document.spec

    def _copy(self, file: FileBefore) -> Path:
        return self.state_dir / "runs" / file.run / file.copy

    async def _helm(self, spec: ClusterSpec, tools: Tools) -> Path | None:
        if spec.downloads.helm.binary:
            return Path(spec.downloads.helm.binary)
        ours = [path for path in (self.state_dir / "bin").glob("helm-*") if not path.name.endswith(".tar.gz")]
        return max(ours, key=lambda path: path.stat().st_mtime) if ours else await tools.sources.local_helm()


def _last(records: Sequence[RunRecord]) -> RunRecord:
    """Return the newest run that changed something and stands; an undo that did not end is gone on with so."""
    for record in records:
        if record.kind in (*UNDOABLE, "upgrade") and _changed(record) and not undone_by(record, records):
            return record
    raise _nothing("No run changed anything on this host, or all were taken back.")


def _changed(record: RunRecord) -> bool:
    return any(one.kind in ("change", "step-started") for one in record.records)


def _built_on(later: RunRecord, record: RunRecord, records: Sequence[RunRecord]) -> bool:
    if later.run_id <= record.run_id or undone_by(later, records):
        return False
    if later.kind in ("undo", "uninstall"):
        return False  # one that did not end is gone on with by this one
    return _changed(later)


def _nothing(why: str) -> RefusedError:
    return RefusedError(
        "there is nothing to undo", why=why, fix="`beeyard runs` lists what was done.", code="E-UNDO-001"
    )


def _built_upon(record: RunRecord, later: Sequence[RunRecord]) -> RefusedError:
    names = [f"{one.run_id} ({one.kind})" for one in later]
    return RefusedError(
        f"later runs built on run {record.run_id}",
        why="\n".join(names),
        fix=_way_down(later[0]),
        code="E-UNDO-002",
        details={"later": [one.run_id for one in later]},
    )


def _way_down(newest: RunRecord) -> str:
    if newest.kind in UNDOABLE:
        return f"Undo them first, the newest first: beeyard undo {newest.run_id}"
    return f"A run of kind {newest.kind} cannot be undone; `beeyard uninstall` takes the whole cluster away."


def _no_way(record: RunRecord) -> RefusedError:
    fixes = {
        "upgrade": "An upgrade that fails goes back by itself; one that was proven stays, because neither k3s' "
        "datastore nor Cilium can go back a version. `beeyard uninstall` takes the cluster away.",
        "uninstall": "`beeyard install` makes the cluster again.",
        "undo": "Run what was undone again: its goal is in its folder, see `beeyard runs show`.",
    }
    return RefusedError(
        f"a run of kind {record.kind} cannot be undone",
        why=f"Run {record.run_id} was one.",
        fix=fixes.get(record.kind, "Undo the run that changed the cluster: see `beeyard runs`."),
        code="E-UNDO-003",
    )
