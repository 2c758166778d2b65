"""Keeping what the host was before an install."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import BACK
from installer.domain.residue.scope import Scope, scope_of
from installer.pipeline.run import Run
from installer.pipeline.steps.removal.context import take
from installer.ports.residue import Area, HostMemory

_ARRIVALS = ("/etc/cni/net.d/", "/opt/cni/bin/")


class FirstLook:
    """Keeps what the host was before the first install; a run that goes on finds that it is kept already.

    Args:
        memory: where it is kept.
        areas: who looks, file by file.
    """

    def __init__(self, memory: HostMemory, areas: Callable[[Run], Sequence[Area]]) -> None:
        self._memory = memory
        self._areas = areas

    @asynccontextmanager
    async def around(self, run: Run) -> AsyncIterator[None]:
        """Look before a run changes anything, and note what came into CNI's folders when it ends, however it ends.

        Raises:
            RefusedError: ``E-UNINSTALL-003`` an uninstall stopped part-way.
        """
        if self._memory.goal() is not None:
            raise half_way()
        first = not self._memory.stands() and not run.installed.k3s_version and not run.installed.service
        if first:
            await self._keep(run)
        elif not self._memory.stands():  # made by a beeyard that kept no inventory: rules must do
            yield
            return
        try:
            yield
        finally:
            await asyncio.shield(self._arrivals(run))

    async def _keep(self, run: Run) -> None:
        inventory = await take(self._areas(run), run_scope(run), at=run.tools.now())
        inventory = without_kept(inventory, self._memory.kept_data())
        await asyncio.to_thread(self._memory.keep, inventory)
        for text in inventory.missing:
            run.log(f"inventory: {text}", "debug")

    async def _arrivals(self, run: Run) -> None:
        before = self._memory.before()
        if before is None:
            return
        now = await take(self._areas(run), run_scope(run), before=before, kinds=(Kind.FILE,))
        places = (item for item in now if item.name.startswith(_ARRIVALS) and not item.name.endswith(BACK))
        names = [item.name for item in places if (old := before.get(*item.key)) is None or old.facts != item.facts]
        self._memory.keep_arrived(names)


def without_kept(inventory: Inventory, kept: Sequence[str]) -> Inventory:
    """Leave out what an earlier uninstall of ours has kept, and folders that hold nothing else: both are ours."""
    if not kept:
        return inventory
    paths = [PurePosixPath(name) for name in kept]
    ancestors = {str(parent) for path in paths for parent in path.parents}

    def is_kept(name: str) -> bool:
        return any(PurePosixPath(name).is_relative_to(path) for path in paths)

    files = [item.name for item in inventory.of(Kind.FILE)]
    others = [name for name in files if not is_kept(name) and name not in ancestors]

    def drop(item: Item) -> bool:
        alone = item.name in ancestors and not any(name.startswith(f"{item.name}/") for name in others)
        return item.kind is Kind.FILE and (is_kept(item.name) or alone)

    return Inventory([item for item in inventory if not drop(item)], at=inventory.at, missing=inventory.missing)


def run_scope(run: Run) -> Scope:
    """Return what an install is about to put where."""
    spec = run.spec.model_dump(by_alias=True)
    scope = scope_of(run.installed, spec, state_dir=str(run.options.state_dir))
    wanted = run.spec.k3s.kubeconfig
    if not wanted.merge:
        return scope
    try:
        path = run.tools.kubeconfigs.plan(None, wanted.path, wanted.context).path
    except BeeyardError:  # the step itself tells of it, before anything of the kubeconfig changes
        return scope
    return replace(scope, kubeconfig=str(path), context=wanted.context)


def half_way() -> RefusedError:
    """Return the error for a host with half a cluster on it."""
    return RefusedError(
        "an uninstall of this host stopped part-way",
        why="What is left of the cluster would be taken for a new one.",
        fix="Run `beeyard uninstall` again to the end, then install.",
        code="E-UNINSTALL-003",
    )
