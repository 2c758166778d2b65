"""Steps that clear areas of the host: each looks, compares, takes away what is ours, and looks again."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.domain.errors import InterruptedRunError
from installer.domain.plan import Change
from installer.domain.residue.inventory import Kind
from installer.domain.residue.judge import Judgement
from installer.pipeline.run import Run
from installer.pipeline.steps.removal.context import Removal, changes_of
from installer.pipeline.steps.removal.user_files import own_files

ROUNDS = 8
"""So often it is looked again: what hangs on other things can only go after them."""


@dataclass(slots=True)
class AreaStep:
    """Clears some kinds of things.

    Attributes:
        removal: what the steps share.
        id: step id.
        title: what it does.
        kinds: the kinds that it clears.
        guarded: what it does can cut the host off.
    """

    removal: Removal
    id: str
    title: str
    kinds: tuple[Kind, ...]
    guarded: bool = False
    background: bool = False
    _judgement: Judgement = field(default_factory=Judgement)
    _cleared: int = 0

    async def gather(self, run: Run) -> None:
        """Look at the host."""
        del run
        self._judgement = await self.removal.judge(self.kinds)

    async def check(self, run: Run) -> list[Change]:
        """Return what is taken away and put back."""
        del run
        return changes_of(self._judgement)

    async def apply(self, run: Run) -> None:
        """Clear until nothing of ours is left; what cannot go is told with its reason."""
        self._keep_user_files(run)
        async with self._guard():
            for _ in range(ROUNDS):
                if self._judgement.clean:
                    return
                self._tell(run, self._judgement)
                self._cleared += len(changes_of(self._judgement))
                await self.removal.clear(self._judgement)
                self._judgement = await self.removal.judge(self.kinds)
        if not self._judgement.clean:
            raise not_clean(self._judgement, self.removal.failures)

    def _tell(self, run: Run, judgement: Judgement) -> None:
        for owned in judgement.left:
            run.log(f"remove {owned.item.kind} {owned.item.name}", "debug")
        for changed in judgement.restore:
            run.log(f"put back {changed.item.kind} {changed.item.name}: {changed.how}", "debug")

    def _guard(self) -> AbstractAsyncContextManager[Any]:
        guarding = self.removal.guarding
        if not self.guarded or guarding is None:
            return nullcontext()
        return guarding.over("uninstall takes Cilium out of the network", seconds=self.removal.choice.guard_seconds)

    def _keep_user_files(self, run: Run) -> None:
        """Copy a user's own configuration away before it goes with k3s' folder."""
        if Kind.FILE not in self.kinds or self.removal.choice.purge:
            return
        removal = self.removal
        paths = own_files(removal.scope, [one.item for one in self._judgement.left], removal.before)
        changed = [Path(one.item.name) for one in self._judgement.restore if one.now is not None]
        edited = own_files(removal.scope, [one.now for one in self._judgement.restore if one.now], None)
        wanted = [*paths, *(path for path in changed if path in edited)]
        if wanted:
            folder = run.options.state_dir / "runs" / "kept-files"
            removal.memory.archive(wanted, folder)
            run.log(f"copies of your own files are in {folder}: {', '.join(map(str, wanted))}")

    async def verify(self, run: Run) -> str:
        """Say how much went."""
        del run
        if not self._judgement.clean:
            raise not_clean(self._judgement, self.removal.failures)
        return f"{self._cleared} cleared" if self._cleared else "nothing of the cluster is here"

    async def undo(self, run: Run) -> None:
        """What was taken away comes back by an install only."""
        del run


def not_clean(left: Judgement, failures: list[str]) -> InterruptedRunError:
    """Return the error for what could not be taken away."""
    items = [*(owned.item for owned in left.left), *(changed.item for changed in left.restore)]
    names = [f"{item.kind} {item.name}" for item in items]
    shown = [*failures[:10], *(f"left: {name}" for name in names[:10])]
    return InterruptedRunError(
        f"{len(names)} things of the cluster could not be cleared",
        why="\n".join(shown),
        fix="Mend what the lines above name and run `beeyard uninstall` again: it goes on from here.",
        code="E-UNINSTALL-004",
        details={"left": names, "failures": failures},
    )
