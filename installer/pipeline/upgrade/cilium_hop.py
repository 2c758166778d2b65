"""Another version of Cilium: values of the new minor, the images pulled beforehand, one Helm upgrade.

The release gets its full values, never those it had before: what a chart no longer knows would stay in them unseen.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.domain.plan import Change, file_diff
from installer.domain.upgrade.path import Hop, minor_of
from installer.domain.upgrade.rendered import object_changes
from installer.domain.upgrade.state import Phase
from installer.pipeline.gateway_api import apply_definition
from installer.pipeline.run import Run
from installer.pipeline.steps.cilium import NAME, NAMESPACE
from installer.pipeline.upgrade.context import Upgrade
from installer.pipeline.upgrade.fetch import gateway_artifact
from installer.pipeline.upgrade.trial import clear_trial, try_out
from installer.pipeline.upgrade.values import compatibility, digests
from installer.ports.cluster import CRDS
from installer.ports.helm import Release

_DEFINITION_FIX = "Put the file of that release there (a bundle brings it under `files`)."
GUARD_SECONDS = 300.0
"""Seconds after which the host's network is put back where the new Cilium cut it off."""


@dataclass(slots=True)
class CiliumHopStep:
    """Upgrades the Helm release."""

    upgrade: Upgrade
    hop: Hop
    background: bool = False
    id: str = field(init=False)
    title: str = field(init=False)
    _release: Release | None = None
    _objects: list[Change] | None = None

    def __post_init__(self) -> None:
        """Name the step after its hop."""
        self.id, self.title = self.hop.id, self.hop.title

    async def gather(self, run: Run) -> None:
        """Read the release and render what it is to be."""
        try:
            self._release = await (await run.helm()).release(NAME, NAMESPACE)
        except ConnectError:
            if not self.upgrade.resumes:
                raise
            await run.forget_kube()  # k3s is away in the middle of its own hop; this one is looked at again after it
            return
        if self._objects is None:
            self._objects = await self._rendered(run)

    async def check(self, run: Run) -> list[Change]:
        """Say what changes in the values and in every object."""
        del run
        prepared = self.upgrade.prepared[self.hop.id]
        before = yaml.safe_dump(dict(self._release.values)).encode() if self._release else b""
        diff = file_diff("values.yaml", before, yaml.safe_dump(prepared.values).encode()) if self._is_first() else ""
        copies = [Change("file", "create", str(path), "your values, for the new chart") for path in prepared.files]
        detail = f"chart {self.hop.source} -> {self.hop.target}"
        return [Change("helm", "upgrade", f"{NAMESPACE}/{NAME}", detail, diff), *(self._objects or []), *copies]

    async def apply(self, run: Run) -> None:
        """Try the new version out, then upgrade; after an interruption, what is left of it."""
        prepared = self.upgrade.enter(run, self.hop)
        release = await self._sound_release(run)
        self.upgrade.begin(run, self.hop, revision=release.revision, phase=Phase.CHANGE)
        for path, values in prepared.files.items():
            run.tools.files.write(path, yaml.safe_dump(values, sort_keys=False).encode(), mode=0o600, backup=False)
        at_goal = release.status == "deployed" and release.version == self.hop.target
        done = at_goal and dict(release.values) == prepared.values
        chart = await run.artifacts.get(f"chart@{self.hop.target}")
        if release.version != self.hop.target:
            await try_out(run, chart, prepared.values)
        await self._gateway_api(run)
        async with self._guarded(run):  # also where all is done: a killed run has left its guard
            if not done:
                await (await run.helm()).install_or_upgrade(NAME, NAMESPACE, chart, prepared.values)
            self._remember(run)
            await run.tools.wait_ready(run, run.options.ready_timeout)

    async def verify(self, run: Run) -> str:
        """Check that Helm recorded the release as deployed."""
        self.upgrade.enter(run, self.hop)
        release = await (await run.helm()).release(NAME, NAMESPACE)
        if release is None or (release.status, release.version) != ("deployed", self.hop.target):
            raise BeeyardError(
                f"Helm did not record Cilium {self.hop.target} as deployed",
                why=f"It says {release.version}, {release.status}." if release else "There is no release.",
                fix="Run the same command again.",
                code="E-UPGRADE-015",
            )
        self._remember(run)
        return f"release {NAMESPACE}/{NAME}, chart {release.version}, revision {release.revision}"

    async def undo(self, run: Run) -> None:
        """Go back to the revision that ran before."""
        record = self.upgrade.open_hop(self.hop)
        if record is None:
            return
        self.upgrade.mark(run, self.hop, phase=Phase.ROLLBACK)
        await clear_trial(await run.kube())
        helm = await run.helm()
        release = await helm.release(NAME, NAMESPACE)
        if release is not None and release.status.startswith("pending"):
            await helm.clear_pending(release)
            release = await helm.release(NAME, NAMESPACE)
        back = release is None or release.revision != record.revision or release.status != "deployed"
        async with self._guarded(run):
            if back:
                await helm.rollback(NAME, NAMESPACE, record.revision)
            await self._definitions_back(run, Path(record.backup))
            story = await self._settled(run)
        self.upgrade.leave(run, story)

    async def _settled(self, run: Run) -> str:
        """Wait for the old version; that it does not become ready is told, there is nothing else to go back to."""
        proven = self.upgrade.proven
        run.spec = self.upgrade.prepared[proven[-1]].spec if proven else self.upgrade.spec
        run.installed.chart_version = run.chart_version = self.hop.source
        run.save()
        try:
            await run.tools.wait_ready(run, run.options.ready_timeout)
        except BeeyardError as error:
            return f"Cilium {self.hop.source} was brought back, but is not ready yet: {error.what}"
        return f"Cilium {self.hop.source} runs again; nothing was lost"

    def _is_first(self) -> bool:
        """Whether what runs now is what this hop begins with."""
        return self._release is not None and self._release.version == self.hop.source

    async def _sound_release(self, run: Run) -> Release:
        """Return the release, after ending what a killed helm left."""
        helm = await run.helm()
        release = await helm.release(NAME, NAMESPACE)
        if release is not None and release.status.startswith("pending"):
            await helm.clear_pending(release)
            release = await helm.release(NAME, NAMESPACE)
        if release is None:
            raise RefusedError(
                f"there is no Helm release {NAMESPACE}/{NAME}",
                why="Cilium was not installed by Helm here, or somebody removed the release.",
                fix="Run `beeyard install` first.",
                code="E-UPGRADE-016",
            )
        return release

    async def _rendered(self, run: Run) -> list[Change]:
        """Return what changes in the objects, from the revision that runs or from the hop before."""
        helm, prepared = await run.helm(), self.upgrade.prepared[self.hop.id]
        chart = await run.artifacts.get(f"chart@{self.hop.target}")
        kubernetes = prepared.versions.k3s.removeprefix("v").partition("+")[0]
        after = await helm.template(NAME, NAMESPACE, chart, prepared.values, kube_version=kubernetes)
        earlier = [one for one in self.upgrade.hops if one.id in self.upgrade.rendered]
        before = self.upgrade.rendered[earlier[-1].id] if earlier else await helm.manifest(NAME, NAMESPACE)
        self.upgrade.rendered[self.hop.id] = after
        return object_changes(before, after)

    def _remember(self, run: Run) -> None:
        run.installed.chart_version = self.hop.target
        run.installed.digests = digests(run, self.upgrade)
        if minor_of(self.hop.source) != minor_of(self.hop.target):
            run.installed.upgrade_compatibility = compatibility(run, self.upgrade)
        run.installed.bundle = run.bundle.digest if run.bundle else run.installed.bundle
        run.save()

    @contextlib.asynccontextmanager
    async def _guarded(self, run: Run) -> AsyncIterator[None]:
        """Guard the host's network while new agents take it over."""
        if self.upgrade.guarding is None:
            yield
            return

        async def answers() -> bool:
            return await (await run.kube()).healthy()

        reason = f"Cilium {self.hop.target} takes over this host's network"
        async with self.upgrade.guarding.over(reason, seconds=GUARD_SECONDS, api=answers):
            yield

    async def _gateway_api(self, run: Run) -> None:
        """Bring the Gateway API's definitions to the release that the new operator looks for at its start."""
        if not run.spec.cilium.gateway_api:
            return
        kube, api = await run.kube(), run.chart.data.gateway_api
        folder = self.upgrade.folder(run) / self.hop.id / "definitions"
        for item in await kube.list(CRDS):
            name = item["metadata"]["name"]
            if name.endswith(".gateway.networking.k8s.io") and not (folder / f"{name}.yaml").exists():
                text = yaml.safe_dump(_bare(item), sort_keys=False)
                run.tools.files.write(folder / f"{name}.yaml", text.encode(), mode=0o600, backup=False)
        for plural, sha256 in api.files.items():
            path = await run.artifacts.get(gateway_artifact(api.version, plural))
            await apply_definition(kube, path, sha256, api.version, fix=_DEFINITION_FIX)

    async def _definitions_back(self, run: Run, backup: Path) -> None:
        for path in sorted((backup / "definitions").glob("*.yaml")):
            await (await run.kube()).apply(yaml.safe_load(path.read_text()))


def _bare(item: dict[str, Any]) -> dict[str, Any]:
    meta = {key: item["metadata"][key] for key in ("name", "annotations", "labels") if key in item["metadata"]}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": meta, "spec": item["spec"]}
