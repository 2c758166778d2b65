"""Step ``kubeconfig``: the cluster in the user's own kubeconfig, by name."""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.plan import Change
from installer.pipeline.run import Run
from installer.ports.kubeconfig import KubeconfigChange


@dataclass(slots=True)
class KubeconfigStep:
    """Merges k3s' kubeconfig into the user's."""

    id: str = "kubeconfig"
    title: str = "Merge the kubeconfig"
    background: bool = False
    _change: KubeconfigChange | None = None
    _merged: bool = False

    async def gather(self, run: Run) -> None:
        """Look at the user's kubeconfig."""
        wanted = run.spec.k3s.kubeconfig
        if wanted.merge:
            source = run.tools.files.read(run.kubeconfig)
            self._change = run.tools.kubeconfigs.plan(source.data if source else None, wanted.path, wanted.context)

    async def check(self, run: Run) -> list[Change]:
        """Say what merging would change."""
        del run
        if self._change is None or not self._change.changed:
            return []
        action = "update" if self._change.exists else "create"
        return [Change("file", action, str(self._change.path), self._change.summary)]

    async def apply(self, run: Run) -> None:
        """Merge, atomically and with a backup."""
        source = run.tools.files.read(run.kubeconfig)
        assert source is not None
        wanted = run.spec.k3s.kubeconfig
        path = run.tools.kubeconfigs.plan(source.data, wanted.path, wanted.context).path
        run.installed.kubeconfig = {"path": str(path), "context": wanted.context}
        run.save()  # before the change: the run after a killed one finds nothing to merge, and would not write it down
        run.book.before(path)
        self._change = run.tools.kubeconfigs.merge(source.data, wanted.path, wanted.context)
        run.book.after(self._change.path)
        self._merged = True

    async def verify(self, run: Run) -> str:
        """Say where the cluster is found."""
        if self._change is None:
            return f"not merged; the cluster's own is {run.kubeconfig}"
        return f"context {run.spec.k3s.kubeconfig.context} in {self._change.path}"

    async def undo(self, run: Run) -> None:
        """Take the entries out again."""
        if self._merged and self._change is not None:
            run.tools.kubeconfigs.remove(str(self._change.path), run.spec.k3s.kubeconfig.context)
            run.installed.kubeconfig = {}
            run.save()
