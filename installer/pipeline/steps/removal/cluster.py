"""Step ``cluster``: what has to happen while the API still answers."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from dataclasses import dataclass, field
from pathlib import Path

from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.domain.plan import Change
from installer.pipeline.run import Run
from installer.pipeline.steps.removal.context import Removal
from installer.ports.cluster import CRDS, NAMESPACES, NODES, SECRETS, Kube, Object, Resource

PATIENCE = 90.0
"""Seconds that a namespace has for its end."""
_BUILT_IN = ("default", "kube-system", "kube-public", "kube-node-lease")
_HOOKS = tuple(
    Resource("admissionregistration.k8s.io/v1", name, namespaced=False)
    for name in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
)
_CILIUM = ".cilium.io"


@dataclass(slots=True)
class ClusterStep:
    """Deletes what was chosen, and says good-bye to the other servers of a cluster that lives on."""

    removal: Removal
    id: str = "cluster"
    title: str = "Leave the cluster in order"
    background: bool = False
    _namespaces: list[str] = field(default_factory=list)
    _hooks: list[tuple[Resource, str]] = field(default_factory=list)
    _crds: list[str] = field(default_factory=list)
    _node: str = ""

    async def gather(self, run: Run) -> None:
        """Ask the API what there is.

        Raises:
            RefusedError: ``E-UNINSTALL-005`` something was chosen that needs the API, and it does not answer;
                ``E-UNINSTALL-006`` definitions that other nodes use.
        """
        self._namespaces, self._hooks, self._crds, self._node = [], [], [], ""
        choice = self.removal.choice
        try:
            kube = await self._kube(run)
            if kube is not None:
                await self._ask(run, kube)
                return
        except ConnectError:
            await run.forget_kube()
        if choice.namespaces or choice.crds:
            raise RefusedError(
                "the cluster's API does not answer",
                why="Namespaces and definitions can only be deleted while k3s runs.",
                fix="Start k3s, or leave --namespaces and --crds out: all goes with the cluster's data.",
                code="E-UNINSTALL-005",
            )

    async def _kube(self, run: Run) -> Kube | None:
        if run.tools.files.read(run.kubeconfig) is None:
            return None
        kube = await run.kube()
        if await kube.healthy():
            return kube
        await run.forget_kube()
        return None

    async def _ask(self, run: Run, kube: Kube) -> None:
        choice = self.removal.choice
        there = [str(one["metadata"]["name"]) for one in await kube.list(NAMESPACES)]
        wanted = [name for name in there if any(fnmatch.fnmatchcase(name, one) for one in choice.namespaces)]
        self._namespaces = [name for name in wanted if name not in _BUILT_IN]
        for resource in _HOOKS if self._namespaces else ():
            for one in await kube.list(resource):
                if _serves_from(one, self._namespaces):
                    self._hooks.append((resource, str(one["metadata"]["name"])))
        nodes = [str(one["metadata"]["name"]) for one in await kube.list(NODES)]
        own = str(run.spec.k3s.node_name or os.uname().nodename).lower()
        if len(nodes) > 1 and own in nodes:
            self._node = own
        if choice.crds and len(nodes) > 1:
            raise RefusedError(
                "other nodes use Cilium's definitions",
                why=f"The cluster has {len(nodes)} nodes.",
                fix="Leave --crds delete out, or uninstall the other nodes first.",
                code="E-UNINSTALL-006",
            )
        if choice.crds:
            found = [str(one["metadata"]["name"]) for one in await kube.list(CRDS)]
            self._crds = [name for name in found if name.endswith(_CILIUM)]

    async def check(self, run: Run) -> list[Change]:
        """Say what is deleted."""
        del run
        changes = [Change("object", "delete", f"namespace {name}") for name in self._namespaces]
        changes += [Change("object", "delete", f"{res.plural} {name}", "its service goes") for res, name in self._hooks]
        if self._crds:
            changes.append(Change("helm", "delete", "kube-system/cilium"))
            changes.append(Change("object", "delete", f"{len(self._crds)} definitions of Cilium", "with its policies"))
        if self._node:
            changes.append(Change("object", "delete", f"node {self._node}", "the other nodes go on"))
        return changes

    async def apply(self, run: Run) -> None:
        """Delete hooks (namespaces would wait for their services), namespaces, Cilium's objects, the node."""
        kube = await run.kube()
        for resource, name in self._hooks:
            await kube.delete(resource, name)
        for name in self._namespaces:
            await kube.delete(NAMESPACES, name)
        for name in self._namespaces:
            await _await_end(run, kube, name)
        if self._crds:
            await self._without_cilium(run, kube)
        if self._node:
            await kube.delete(NODES, self._node)
            await kube.delete(SECRETS, f"{self._node}.node-password.k3s", namespace="kube-system")

    async def _without_cilium(self, run: Run, kube: Kube) -> None:
        """Helm first: the operator would make the definitions again."""
        binaries = sorted(Path(run.options.state_dir / "bin").glob("helm-v*[0-9]"))
        run.helm_binary = binaries[-1] if binaries else await run.tools.sources.local_helm()
        if run.helm_binary is None:
            raise BeeyardError(
                "there is no helm to take Cilium's release out",
                why=f"Neither {run.options.state_dir}/bin nor PATH has one.",
                fix="Put helm on PATH, or leave --crds delete out.",
                code="E-UNINSTALL-007",
            )
        await (await run.helm()).uninstall("cilium", "kube-system")
        for name in self._crds:
            await kube.delete(CRDS, name)

    async def verify(self, run: Run) -> str:
        """Say what came of it."""
        del run
        if not (self._namespaces or self._crds or self._node):
            return "the cluster goes with its data" if not self.removal.choice.keep_data else "its data stays"
        return f"{len(self._namespaces)} namespaces, {len(self._crds)} definitions deleted"

    async def undo(self, run: Run) -> None:
        """What was deleted does not come back."""
        del run


def _serves_from(hook: Object, namespaces: list[str]) -> bool:
    services = [(one.get("clientConfig") or {}).get("service") or {} for one in hook.get("webhooks") or []]
    return any(service.get("namespace") in namespaces for service in services)


async def _await_end(run: Run, kube: Kube, name: str) -> None:
    """Wait until a namespace is gone; what holds it is told, and does not stop the uninstall."""
    deadline = run.tools.now() + PATIENCE
    while run.tools.now() < deadline:
        found = await kube.get(NAMESPACES, name)
        if found is None:
            return
        await asyncio.sleep(0.5)
    conditions = ((await kube.get(NAMESPACES, name) or {}).get("status") or {}).get("conditions") or []
    held = "; ".join(str(one.get("message")) for one in conditions if one.get("status") == "True")
    run.log(f"namespace {name} does not end: {held or 'no reason is told'}", "warning")
