"""Upgrading k3s and Cilium: from what runs to what is wanted, hop by hop, each proven or taken back.

outlook = await service.look(Wanted(cilium="1.20"), options)
async with service.open(outlook, options, emit) as job:
    await job.execute(await job.plan())
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from installer.domain.cilium_values import merge
from installer.domain.config_layers import Layer
from installer.domain.errors import BeeyardError, RefusedError, UsageError
from installer.domain.plan import Plan
from installer.domain.upgrade import state as upgrade_state
from installer.domain.upgrade.path import Versions
from installer.domain.upgrade.state import UpgradeState, as_hop, is_rolling_back
from installer.pipeline.run import Emit, Options, Step, read_installed
from installer.pipeline.runner import Result
from installer.pipeline.steps.kubeconfig import KubeconfigStep
from installer.pipeline.steps.proofs import ReadyStep
from installer.pipeline.upgrade.check import UpgradeCheckStep
from installer.pipeline.upgrade.context import STATE_FILE, Upgrade
from installer.pipeline.upgrade.fetch import UpgradeFetchStep
from installer.pipeline.upgrade.images import ImagesStep
from installer.pipeline.upgrade.proof import ProofStep
from installer.pipeline.upgrade.rollback import RollbackStep, hop_step
from installer.ports.datastore import Datastore
from installer.ports.guard import Guarding
from installer.services.install import InstallService, Job, require_root
from installer.services.upgrade_outlook import Outlook, Wanted, Ways

VALUES = ("spec", "cilium", "values")


@dataclass(slots=True)
class UpgradeJob:
    """One upgrade, opened under the lock."""

    job: Job
    upgrade: Upgrade

    async def plan(self) -> Plan:
        """Gather facts and say what would change."""
        return await self.job.plan()

    async def execute(self, plan: Plan) -> Result:
        """Carry out the upgrade.

        Raises:
            BeeyardError: what failed; its fix tells what was taken back, or that taking back failed too.
        """
        folder = self.upgrade.folder(self.job.run)
        if self.upgrade.state is None and plan.changes:
            shutil.rmtree(folder, ignore_errors=True)  # copies of the upgrade before
        try:
            return await self.job.execute(plan)
        except BeeyardError as error:
            self._tell(error)
            raise

    async def undo(self) -> None:
        """Take back the hop that failed."""
        await self.job.undo()

    def _tell(self, error: BeeyardError) -> None:
        if self.upgrade.taken_back:
            error.details["takenBack"] = list(self.upgrade.taken_back)
            error.fix = f"{'; '.join(self.upgrade.taken_back)}. {error.fix}"
        elif is_rolling_back(self.upgrade.state):
            error.fix = f"It could not be taken back either; mend that and run: beeyard upgrade --rollback. {error.fix}"


@dataclass(slots=True)
class UpgradeService:
    """Looks at and opens upgrades.

    Attributes:
        install: opens runs.
        datastore: Kubernetes' state on this host.
        guarding: makes what guards the host's network during a change; None where nothing guards.
    """

    install: InstallService
    datastore: Datastore
    guarding: Callable[[Emit], Guarding] | None = None

    async def look(self, wanted: Wanted, options: Options, *, newest: bool = False) -> Outlook:
        """Return where the cluster is and the way to what is wanted.

        Args:
            wanted: what is asked for.
            options: how a run would behave.
            newest: also find out what the newest supported versions are; the network is asked for k3s'.

        Raises:
            RefusedError: ``E-PRE-001`` not root, ``E-INSTALL-001`` nothing was installed here, ``E-UPGRADE-00x`` there
                is no such way.
            UsageError: ``E-UPGRADE-018`` values are asked for that an upgrade does not set.
        """
        require_root("upgrade")
        spec = self.install.current_spec(options.state_dir)
        now, state = self._now(options.state_dir)
        given = merge(state.given if state else {}, given_values(wanted.sets))
        async with self.install.tools(spec, options.environment) as tools:
            ways = Ways(self.install.table, tools.sources, options.allow_unsupported)
            outlook = await ways.to_goal(wanted, Outlook(now, now, (), spec, state=state, given=given))
            return await ways.to_newest(outlook) if newest else outlook

    @asynccontextmanager
    async def open(self, outlook: Outlook, options: Options, emit: Emit) -> AsyncIterator[UpgradeJob]:
        """Open an upgrade; only one run may change a host at a time.

        Raises:
            RefusedError: ``E-RUN-001`` another run holds the lock, ``E-PRE-001`` not root, ``E-UPGRADE-019`` something
                else was installed since the outlook.
        """
        upgrade = Upgrade(
            outlook.now,
            outlook.goal,
            outlook.hops,
            outlook.spec,
            self.datastore,
            bundle=outlook.bundle,
            given=outlook.given,
            guarding=self.guarding(emit) if self.guarding else None,
            state=outlook.state,
        )
        back = outlook.rollback or is_rolling_back(outlook.state)
        steps = rollback_steps if back else upgrade_steps
        async with self.install.open(outlook.spec, options, emit, steps=lambda: steps(upgrade), kind="upgrade") as job:
            if self._now(options.state_dir) != (outlook.now, outlook.state):
                raise RefusedError(
                    "something was installed here meanwhile", fix="Run the command again.", code="E-UPGRADE-019"
                )
            yield UpgradeJob(job, upgrade)

    async def plan(self, wanted: Wanted, options: Options) -> tuple[Outlook, Plan]:
        """Return the way to what is wanted and everything that it changes; nothing is changed.

        Raises:
            BeeyardError: what ``look``, ``open`` and planning raise.
        """
        outlook = await self.look(wanted, options)
        async with self.open(outlook, options, lambda _: None) as job:
            return outlook, await job.plan()

    @asynccontextmanager
    async def run(self, wanted: Wanted, options: Options, emit: Emit) -> AsyncIterator[UpgradeJob]:
        """Open an upgrade to what is wanted, from where the cluster is now."""
        async with self.open(await self.look(wanted, options), options, emit) as job:
            yield job

    def _now(self, state_dir: Path) -> tuple[Versions, UpgradeState | None]:
        """Return what runs; an open hop counts as not done, whatever of it was done already."""
        path = state_dir / STATE_FILE
        kept = self.install.read(path)
        state = upgrade_state.load(kept.data if kept else None, str(path))
        facts = read_installed(self.install.read, state_dir)
        if not facts.k3s_version or not facts.chart_version:
            raise RefusedError(
                "beeyard has not finished an install here",
                why=f"{state_dir}/installed.json names no version of {'k3s' if not facts.k3s_version else 'Cilium'}.",
                fix="Run `beeyard install` first.",
                code="E-INSTALL-001",
            )
        now = Versions(facts.k3s_version, facts.chart_version)
        if state is not None and state.hop is not None:
            hop = as_hop(state.hop)
            now = now.after(replace(hop, target=hop.source))
        return now, state


def upgrade_steps(upgrade: Upgrade) -> list[Step]:
    """Return the steps of an upgrade, in order."""
    steps: list[Step] = [UpgradeFetchStep(upgrade), UpgradeCheckStep(upgrade)]
    if upgrade.bundle:
        steps.append(ImagesStep(upgrade))
    for hop in upgrade.hops:
        steps += [hop_step(upgrade, hop), ProofStep(upgrade, hop)]
    return [*steps, KubeconfigStep()]


def rollback_steps(upgrade: Upgrade) -> list[Step]:
    """Return the steps that take the open hop back."""
    assert upgrade.state is not None
    assert upgrade.state.hop is not None
    return [UpgradeFetchStep(upgrade), RollbackStep(upgrade, as_hop(upgrade.state.hop)), ReadyStep()]


def given_values(sets: Sequence[Layer]) -> dict[str, Any]:
    """Return the Helm values that layers of the specification give.

    Raises:
        UsageError: ``E-UPGRADE-018`` a layer gives something else.
    """
    given: dict[str, Any] = {}
    for layer in sets:
        node: Any = layer.data
        for name in VALUES:
            if not isinstance(node, Mapping) or set(node) != {name}:
                raise _no_value(layer.origin)
            node = node[name]
        if not isinstance(node, Mapping):
            raise _no_value(layer.origin)
        given = merge(given, node)
    return given


def _no_value(origin: str) -> UsageError:
    return UsageError(
        f"an upgrade does not set {origin.removeprefix('--set ')}",
        why="It changes versions, and Helm values that a new version needs.",
        fix="Give --set cilium.values.KEY=VALUE only; other settings are changed by `beeyard install`.",
        code="E-UPGRADE-018",
    )
