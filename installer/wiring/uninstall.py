"""Builds what an uninstall works with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from installer.adapters.bpf.residue import BpfArea
from installer.adapters.host.files import LocalFiles
from installer.adapters.host.residue.files import FileArea
from installer.adapters.host.residue.firewall import FirewallArea
from installer.adapters.host.residue.network import NetworkArea
from installer.adapters.host.residue.programs import ProgramArea
from installer.adapters.host.residue.system import SystemArea
from installer.adapters.store.host_memory import FileMemory
from installer.adapters.store.kubeconfig_area import KubeconfigArea
from installer.domain.redact import Redactor
from installer.domain.residue.scope import Choice
from installer.pipeline.run import Run, Tools
from installer.ports.residue import Area
from installer.services.host_look import FirstLook
from installer.services.uninstall import Uninstall
from installer.wiring import install
from installer.wiring.guard import guard_service

GENTLE = 10.0
"""Seconds that programs have for their end where their data is kept."""


def areas(tools: Tools, choice: Choice, memory: FileMemory, *, deep: bool = False) -> list[Area]:
    """Return who looks and clears, in the order in which they clear."""
    return [
        ProgramArea(grace=GENTLE if choice.keep_data else 0.0),
        BpfArea(tools.processes),
        FirewallArea(tools.processes),
        NetworkArea(tools.processes),
        SystemArea(tools.processes),
        KubeconfigArea(tools.files, tools.kubeconfigs, memory.before, memory.copy_of),
        FileArea(tools.files, memory.copy_of, deep=deep),
    ]


def uninstall_service() -> Uninstall:
    """Return the service that uninstalls."""
    memory = FileMemory(install.STATE, LocalFiles())

    def all_areas(tools: Tools, choice: Choice) -> Sequence[Area]:
        return areas(tools, choice, memory)

    return Uninstall(
        **install.parts(Redactor()),
        memory=memory,
        areas=all_areas,
        guarding=guard_service,
        state_dir=install.STATE,
    )


@asynccontextmanager
async def remember(run: Run) -> AsyncIterator[None]:
    """Keep what the host was before the first install, while that install goes on."""
    memory = FileMemory(run.options.state_dir, run.tools.files)
    first = FirstLook(memory, lambda run: areas(run.tools, Choice(), memory, deep=True))
    async with first.around(run):
        yield
