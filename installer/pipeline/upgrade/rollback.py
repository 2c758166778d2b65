"""Taking an open hop back, in a run of its own: after a kill in the middle of it, or because somebody wants it."""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.plan import Change
from installer.domain.upgrade.path import Hop, Part
from installer.pipeline.run import Run
from installer.pipeline.upgrade.cilium_hop import CiliumHopStep
from installer.pipeline.upgrade.context import Upgrade
from installer.pipeline.upgrade.k3s_hop import K3sHopStep


def hop_step(upgrade: Upgrade, hop: Hop) -> K3sHopStep | CiliumHopStep:
    """Return the step that carries out a hop."""
    return K3sHopStep(upgrade, hop) if hop.part is Part.K3S else CiliumHopStep(upgrade, hop)


@dataclass(slots=True)
class RollbackStep:
    """Takes the open hop back."""

    upgrade: Upgrade
    hop: Hop
    id: str = "rollback"
    title: str = "Take the upgrade back"
    background: bool = False

    async def gather(self, run: Run) -> None:
        """Nothing to read: the record tells."""

    async def check(self, run: Run) -> list[Change]:
        """Say what is brought back."""
        del run
        if self.upgrade.open_hop(self.hop) is None:
            return []
        if self.hop.part is Part.CILIUM:
            return [Change("helm", "upgrade", "kube-system/cilium", f"back to the revision of {self.hop.source}")]
        return [
            Change("file", "update", "k3s", f"{self.hop.target} -> {self.hop.source}, and the copy of the datastore"),
            Change("service", "restart", "k3s", "running pods stay"),
        ]

    async def apply(self, run: Run) -> None:
        """Take it back."""
        await hop_step(self.upgrade, self.hop).undo(run)

    async def verify(self, run: Run) -> str:
        """Say what runs now."""
        del run
        return "; ".join(self.upgrade.taken_back) or "nothing was open"

    async def undo(self, run: Run) -> None:
        """There is no way back from a way back."""
