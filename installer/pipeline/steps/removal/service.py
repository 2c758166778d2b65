"""Step ``service``: k3s stopped for good, its pods' processes ended."""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.errors import DeadlineError
from installer.domain.plan import Change
from installer.domain.residue.inventory import Kind
from installer.pipeline.run import Run
from installer.pipeline.steps.removal.context import Removal
from installer.ports.host import ServiceState, ServiceUnit


@dataclass(slots=True)
class ServiceStep:
    """Stops and removes the service."""

    removal: Removal
    id: str = "service"
    title: str = "Stop k3s"
    background: bool = False
    _state: ServiceState | None = None

    async def gather(self, run: Run) -> None:
        """Ask the service manager."""
        self._state = await run.tools.services.state(self.removal.scope.service)

    async def check(self, run: Run) -> list[Change]:
        """Say whether there is a service."""
        del run
        state = self._state
        if state is None or not (state.installed or state.active):
            return []
        changes = [Change("service", "stop", self.removal.scope.service)] if state.active else []
        detail = "it does not start again" if state.enabled else ""
        return [*changes, Change("service", "delete", self.removal.scope.service, detail)]

    async def apply(self, run: Run) -> None:
        """Stop, disable, delete; a k3s that does not end in time is killed."""
        await run.forget_kube()
        scope = self.removal.scope
        unit = ServiceUnit(name=scope.service, description="", argv=(f"{scope.bin_dir}/k3s", "server"))
        try:
            await run.tools.services.remove(unit)
        except DeadlineError as error:
            run.log(f"{error.what}; it is killed", "warning")
            await self.removal.clear(await self.removal.judge((Kind.PROCESS,)))
            await run.tools.services.remove(unit)

    async def verify(self, run: Run) -> str:
        """Say that it is gone."""
        del run
        return "k3s does not run and does not start again"

    async def undo(self, run: Run) -> None:
        """What was taken away comes back by an install only."""
        del run
