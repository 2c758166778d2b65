"""Uninstalling: the host as it was before the install, in an order that keeps it reachable.

async with uninstall.open(choice, emit, environment) as job:
    plan = await job.plan()
    result = await job.execute(plan)

Killed at any point, the same again goes on: what was set out to do is written down first, and every step looks at the
host as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from installer.domain.config_layers import Layer, resolve
from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.plan import Plan
from installer.domain.releases import Releases
from installer.domain.residue.inventory import Inventory, Kind
from installer.domain.residue.judge import judge
from installer.domain.residue.report import AGAIN, ANYWAY, Kept, Report
from installer.domain.residue.scope import Choice, Scope, choice_from_dict, from_dict, scope_of
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Emit, Options, Run, Step, Tools, read_installed
from installer.pipeline.runner import Result, Runner
from installer.pipeline.steps.removal.areas import AreaStep, not_clean
from installer.pipeline.steps.removal.cluster import ClusterStep
from installer.pipeline.steps.removal.context import Removal, take
from installer.pipeline.steps.removal.service import ServiceStep
from installer.ports.residue import Area, HostMemory
from installer.ports.store import RunLock, RunStore
from installer.services.guard import GuardService
from installer.services.install import MakeTools, require_root
from installer.services.logged import LoggedRun, OpenLog

NETWORK = (
    Kind.BPF, Kind.QDISC, Kind.RULE, Kind.ROUTE, Kind.LINK, Kind.ADDRESS, Kind.IPTABLES_RULE, Kind.IPTABLES_CHAIN,
    Kind.NFT_TABLE, Kind.IPSET,
)  # fmt: skip
PLACES = (Kind.NETNS, Kind.MOUNT, Kind.PIN, Kind.CGROUP)
MakeAreas = Callable[[Tools, Choice], Sequence[Area]]


def removal_steps(removal: Removal) -> list[Step]:
    """Return the steps of an uninstall, in order."""
    return [
        ClusterStep(removal),
        ServiceStep(removal),
        AreaStep(removal, "programs", "End the cluster's programs", (Kind.PROCESS,)),
        AreaStep(removal, "network", "Take Cilium out of the network", NETWORK, guarded=True),
        AreaStep(removal, "places", "Unmount, unpin, remove control groups", PLACES),
        AreaStep(removal, "kubeconfig", "Take the cluster out of the kubeconfig", (Kind.KUBECONFIG,)),
        AreaStep(removal, "files", "Remove files, put back what was there", (Kind.FILE,)),
        AreaStep(removal, "sysctls", "Set sysctls as they were", (Kind.SYSCTL,)),
    ]


@dataclass(slots=True)
class UninstallJob:
    """One uninstall, opened under the lock.

    Attributes:
        runner: plans and executes.
        run: what the steps share.
        removal: what is known of the cluster.
        runs: journals.
        logged: its log.
    """

    runner: Runner
    run: Run
    removal: Removal
    runs: RunStore
    logged: LoggedRun
    _report: Report = field(default_factory=lambda: Report(judge(None, Inventory(), Scope())))

    @property
    def kept(self) -> list[Kept]:
        """What stays on purpose."""
        return self.removal.kept

    @property
    def report(self) -> Report:
        """What a look at the host found when all was done."""
        return self._report

    async def plan(self) -> Plan:
        """Look at the host and say what is taken away."""
        return await self.runner.plan()

    def needed(self, plan: Plan) -> bool:
        """Whether there is anything to do: things to clear, an uninstall to end, records to close, state to purge."""
        state = self.run.options.state_dir
        purge = self.removal.choice.purge and any(one.name != "lock" for one in state.glob("*"))
        memory = self.removal.memory
        return bool(plan.changes) or memory.goal() is not None or memory.stands() or purge

    async def execute(self, plan: Plan) -> Result:
        """Carry out a plan, then look at the whole host once more.

        Raises:
            InterruptedRunError: ``E-UNINSTALL-004`` something could not be cleared; running again goes on.
        """
        removal = self.removal
        unfinished = self.runs.unfinished("uninstall")
        resumed = unfinished.run_id if unfinished else ""
        removal.memory.keep_goal({"scope": removal.scope.to_dict(), "choice": removal.choice.to_dict()})
        journal = self.runs.begin("uninstall", "", resumed=resumed)
        with self.logged.begun(journal.run_id, resumed):
            result = await self.runner.execute(plan, journal)
            await self._end()
        return result

    async def _end(self) -> None:
        """Prove that nothing is left, and close the inventory; last of all goes our own state where that is wanted."""
        removal = self.removal
        now = await removal.look(at=self.run.tools.now())
        judgement = judge(removal.before, now, removal.scope)
        self._report = Report(judgement, tuple(removal.kept), now.missing)
        if not judgement.clean:
            raise not_clean(judgement, removal.failures)
        removal.memory.close(now, removal.scope.keep)
        if removal.choice.purge:
            removal.memory.purge()


@dataclass(slots=True)
class Uninstall:
    """Opens uninstalls, and tells whether a host is clean.

    Attributes:
        tools: builds the tools of a run.
        table: what is known of Cilium's versions.
        runs: journals.
        open_log: opens the log of a run.
        lock: one run a host.
        memory: what is kept of the time before the install.
        areas: who looks and clears.
        guarding: builds the guard from the invoking process' variables; None where there is none.
        state_dir: our own state.
    """

    tools: MakeTools
    table: Releases
    runs: RunStore
    open_log: OpenLog
    lock: RunLock
    memory: HostMemory
    areas: MakeAreas
    guarding: Callable[[Mapping[str, str], Callable[[str], None]], GuardService | None] = lambda *_: None
    state_dir: Path = Path("/var/lib/beeyard")

    @asynccontextmanager
    async def open(
        self, choice: Choice, emit: Emit, environment: Mapping[str, str], *, locked: bool = False
    ) -> AsyncIterator[UninstallJob]:
        """Open an uninstall.

        Args:
            choice: what the user wants; of one that goes on, its data stays kept if it was to be.
            emit: receives events.
            environment: variables of the invoking process.
            locked: the caller holds the lock already.

        Raises:
            RefusedError: ``E-UNINSTALL-001`` a cluster that beeyard did not install, ``E-RUN-001`` another run goes
                on, ``E-PRE-001`` not root.
        """
        require_root("uninstall")
        holding: AbstractContextManager[None] = nullcontext() if locked else self.lock.hold("beeyard uninstall")
        with holding:
            spec = self.last_spec()
            async with self.tools(spec, environment) as tools:
                tools = dataclasses.replace(tools, explain=None)
                job = await self._job(spec, choice, emit, tools, environment)
                try:
                    yield job
                finally:
                    await job.logged.close()

    async def _job(
        self, spec: ClusterSpec, choice: Choice, emit: Emit, tools: Tools, environment: Mapping[str, str]
    ) -> UninstallJob:
        scope, choice = self._goal(tools, spec, choice)
        removal = Removal(
            scope=scope,
            choice=choice,
            areas=self.areas(tools, choice),
            memory=self.memory,
            before=self.memory.before(),
        )
        if not scope.known and not choice.force:
            await _refuse_foreign(removal)
        removal.kept += self._kept(removal)
        run = Run(
            spec=spec,
            options=Options(state_dir=self.state_dir, environment=environment),
            tools=tools,
            emit=emit,
            installed=read_installed(tools.files.read, self.state_dir),
            table=self.table,
        )
        job = UninstallJob(Runner(removal_steps(removal), run), run, removal, self.runs, LoggedRun(run, self.open_log))
        await self._guard(job, environment)
        return job

    async def _guard(self, job: UninstallJob, environment: Mapping[str, str]) -> None:
        """Take the guard, and look after one that a killed uninstall has left."""
        guard = self.guarding(environment, lambda text: job.run.log(text, "warning"))
        if guard is None:
            return
        job.removal.guarding = guard
        if told := await guard.settle():
            job.run.log(told, "warning")

    def _goal(self, tools: Tools, spec: ClusterSpec, choice: Choice) -> tuple[Scope, Choice]:
        """Return what is to go: as an uninstall that goes on wrote it down, else as the install's records tell."""
        goal = self.memory.goal()
        if goal is not None:
            before = choice_from_dict(goal["choice"])
            return from_dict(goal["scope"]), dataclasses.replace(choice, keep_data=before.keep_data)
        scope = self._scope(tools, spec)
        if choice.keep_data:
            data = scope.data_dir
            scope = dataclasses.replace(scope, keep=(f"{data}/server", f"{data}/storage", "/etc/rancher/node"))
        return scope, choice

    def _scope(self, tools: Tools, spec: ClusterSpec) -> Scope:
        ours = read_installed(tools.files.read, self.state_dir)
        dumped = spec.model_dump(by_alias=True)
        scope = scope_of(ours, dumped, state_dir=str(self.state_dir), arrived=self.memory.arrived())
        known = scope.known or self.memory.stands() or bool(self.memory.kept_data())
        wanted = spec.k3s.kubeconfig
        if not scope.kubeconfig and wanted.merge:
            with suppress(BeeyardError):  # a kubeconfig that cannot be read was never merged into
                path = tools.kubeconfigs.plan(None, wanted.path, wanted.context).path
                scope = dataclasses.replace(scope, kubeconfig=str(path), context=wanted.context if known else "")
        return dataclasses.replace(scope, known=known)

    def last_spec(self) -> ClusterSpec:
        """Return what the cluster was last brought to, or was to be; the default where nothing tells."""
        paths = [self.state_dir / "cluster.yaml", *(one.folder / "cluster.yaml" for one in self.runs.history())]
        for path in paths:
            try:
                return resolve([Layer(str(path), yaml.safe_load(path.read_text()))]).document.spec
            except (OSError, yaml.YAMLError, BeeyardError):
                continue
        return resolve([]).document.spec

    async def report(self, environment: Mapping[str, str]) -> Report:
        """Look at the host and tell what of a cluster is left; nothing is changed.

        Raises:
            RefusedError: ``E-PRE-001`` not root: much cannot be seen then.
        """
        require_root("uninstall --verify-clean")
        spec = self.last_spec()
        async with self.tools(spec, environment) as tools:
            goal = self.memory.goal()
            scope = from_dict(goal["scope"]) if goal is not None else self._scope(tools, spec)
            if goal is None and not self.memory.stands():
                scope = dataclasses.replace(scope, keep=self.memory.kept_data())
            removal = Removal(scope, Choice(), self.areas(tools, Choice()), self.memory, before=self.memory.before())
            now = await take(removal.areas, scope, before=removal.before)
            kept = self._kept(removal)
            judgement = judge(removal.before, now, scope).telling()
            return Report(judgement, tuple(kept), now.missing, AGAIN if scope.known else ANYWAY)

    def _kept(self, removal: Removal) -> list[Kept]:
        kept = [
            Kept(path, "the cluster's data, as asked: a later install goes on with it", f"rm -r {path}")
            for path in removal.scope.keep
        ]
        if not removal.choice.purge and any((self.state_dir / name).exists() for name in ("runs", "inventory")):
            folders = f"{self.state_dir}, /var/log/beeyard"
            kept.append(Kept(folders, "history, logs and the inventory to compare with", "beeyard uninstall --purge"))
        if not removal.choice.purge and (self.state_dir / "fixes.json").exists():
            kept.append(
                Kept("fixes of beeyard preflight --fix", "the host keeps them", "beeyard preflight --undo-fixes")
            )
        return kept


async def _refuse_foreign(removal: Removal) -> None:
    """Refuse where something is here that beeyard did not bring; a bare host is no mistake."""
    found = (await removal.judge()).telling()
    if found.clean:
        return
    names = [f"{one.item.kind} {one.item.name} ({one.whose})" for one in found.left]
    raise RefusedError(
        "beeyard did not install what is on this host",
        why="There is no record of an install, but there is:\n" + "\n".join(names[:10]),
        fix="If it is to go all the same: beeyard uninstall --force. Look first: beeyard uninstall --force --dry-run.",
        code="E-UNINSTALL-001",
        details={"found": names},
    )
