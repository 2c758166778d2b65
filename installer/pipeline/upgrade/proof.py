"""The proof after each hop: everything is ready and the network works; only then is the next hop begun."""

from __future__ import annotations

from dataclasses import dataclass, field

from installer.domain.plan import Change
from installer.domain.upgrade.path import TITLES, Hop
from installer.pipeline.run import Run
from installer.pipeline.steps.proofs import VerifyStep
from installer.pipeline.upgrade.context import Upgrade


@dataclass(slots=True)
class ProofStep:
    """Proves a hop and closes it."""

    upgrade: Upgrade
    hop: Hop
    background: bool = False
    id: str = field(init=False)
    title: str = field(init=False)
    _note: str = ""

    def __post_init__(self) -> None:
        """Name the step after its hop."""
        self.id = f"{self.hop.id}-proof"
        self.title = f"Prove the cluster with {TITLES[self.hop.part]} {self.hop.target}"

    async def gather(self, run: Run) -> None:
        """Nothing to read before."""

    async def check(self, run: Run) -> list[Change]:
        """It is always proven."""
        what = "readiness, and the network with three small pods" if run.options.verify else "readiness"
        return [Change("proof", "run", "cluster", what)]

    async def apply(self, run: Run) -> None:
        """Wait until all is ready, and prove the network."""
        self.upgrade.enter(run, self.hop)
        self._note = await run.tools.wait_ready(run, run.options.ready_timeout)
        proof = VerifyStep()
        if await proof.check(run):
            await proof.apply(run)
            self._note = await proof.verify(run)

    async def verify(self, run: Run) -> str:
        """Close the hop: from here on its versions are those of the cluster."""
        self.upgrade.enter(run, self.hop)
        self.upgrade.prove(run, self.hop)
        return self._note

    async def undo(self, run: Run) -> None:
        """Nothing to take back."""
