"""The guard over a run's dangerous part: from the first step that can cut the host off until all is ready."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field

from installer.domain.errors import BeeyardError, ConnectError
from installer.pipeline.run import Run
from installer.ports.cluster import PODS
from installer.ports.guard import Armed, Guarding

RISKS = {
    "k3s": "k3s is started: it writes firewall rules and routes",
    "cilium": "Cilium takes over the host's network: eBPF on its links, routes, rules, and kube-proxy's work",
    "hubble": "Cilium's agents are restarted with other settings",
}
"""Steps of an install that can cut the host off, with the reason."""
SETTLED = "ready"
"""Step after which nothing of the network changes any more."""


@dataclass(slots=True)
class Cover:
    """Guards the steps of one run.

    Attributes:
        guarding: arms and takes off.
        run: the run that is guarded.
        risks: reason by step id.
        settled: step at whose end the guard is taken off.
        put_back: a guard has put the network back since the last run: what Cilium's agents had made is gone.
    """

    guarding: Guarding
    run: Run
    risks: Mapping[str, str] = field(default_factory=lambda: RISKS)
    settled: str = SETTLED
    put_back: bool = False
    _guard: AbstractAsyncContextManager[Armed] | None = None

    async def settle(self) -> None:
        """Look after what the guard of a killed run has left or done."""
        settled = await self.guarding.settle()
        if settled:
            self.run.log(settled, "warning")
        self.put_back = settled.put_back

    async def before(self, step: str, *, changes: bool) -> None:
        """Arm before the first step that can cut the host off.

        Raises:
            BeeyardError: ``E-GUARD-001``, ``E-GUARD-002``; nothing was changed yet.
        """
        if step == self.settled and self.put_back:
            await self._renew_agents()
        if step not in self.risks or not changes or self._guard is not None:
            return
        guard = self.guarding.over(self.risks[step], api=self._answers)
        await guard.__aenter__()
        self._guard = guard

    async def after(self, step: str) -> None:
        """Take the guard off when all is settled.

        Raises:
            DeadlineError: ``E-GUARD-004`` the host did not answer, and its network was put back.
        """
        if step == self.settled and self._guard is not None:
            guard, self._guard = self._guard, None
            await guard.__aexit__(None, None, None)

    async def failed(self, error: BaseException) -> None:
        """Let the guard judge after a failure: it takes itself off where all answers."""
        if self._guard is None:
            return
        guard, self._guard = self._guard, None
        with suppress(type(error)):
            await guard.__aexit__(type(error), error, error.__traceback__)

    async def _answers(self) -> bool:
        try:
            return await (await self.run.kube()).healthy()
        except ConnectError:
            await self.run.forget_kube()
            return False

    async def _renew_agents(self) -> None:
        """Let Cilium's agents make anew what a restore took from the host's network."""
        self.put_back = False
        try:
            kube = await self.run.kube()
            for pod in await kube.list(PODS, namespace="kube-system", labels="k8s-app=cilium"):
                await kube.delete(PODS, pod["metadata"]["name"], namespace="kube-system")
        except BeeyardError as problem:
            self.run.log(f"Cilium's agents could not be restarted: {problem.what}", "warning")
            return
        self.run.log("Cilium's agents are restarted: the guard had put the host's network back")
