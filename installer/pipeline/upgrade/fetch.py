"""Step ``fetch`` of an upgrade: everything that its hops need is here and verified before anything changes.

Charts and helm are small and needed to say what would change: they are fetched while planning.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from installer.domain.errors import RefusedError
from installer.domain.plan import Change
from installer.domain.upgrade.path import Hop, Part
from installer.pipeline.chart_values import chart_release
from installer.pipeline.downloads import STEP, Downloads, chart_cache, helm_archive, k3s_files, open_bundle, our_helm
from installer.pipeline.gateway_api import definitions
from installer.pipeline.run import Run
from installer.pipeline.upgrade.context import Upgrade
from installer.ports.web import Download


@dataclass(slots=True)
class UpgradeFetchStep:
    """Fetches what is missing, or verifies the bundle."""

    upgrade: Upgrade
    id: str = STEP
    title: str = "Fetch the new versions"
    background: bool = False
    _downloads: Downloads = field(default_factory=Downloads)
    _known: bool = False

    async def gather(self, run: Run) -> None:
        """Open the bundle, or find out what is to be downloaded; only the first call looks."""
        if self._known:
            return
        if self.upgrade.bundle:
            await self._bundle(run)
        await self._helm(run)
        for hop in self.upgrade.hops:
            await (self._k3s(run, hop) if hop.part is Part.K3S else self._cilium(run, hop))
        await self._downloads.measure(run)
        self._known = True

    async def check(self, run: Run) -> list[Change]:
        """Return the downloads that are not here yet."""
        changes = [self._downloads.change(name) for name in self._missing(run)]
        if run.bundle:
            changes.append(Change("proof", "run", str(run.bundle.root), "every file of the bundle, by sha256"))
        return changes

    async def apply(self, run: Run) -> None:
        """Download what is missing."""
        async with asyncio.TaskGroup() as group:
            for name, item in self._missing(run).items():
                group.create_task(self._fetch(run, name, item))

    async def verify(self, run: Run) -> str:
        """Say what is here."""
        del run
        return ", ".join(f"{hop.part} {hop.target}" for hop in self.upgrade.hops) or "nothing is needed"

    async def undo(self, run: Run) -> None:
        """Nothing to take back: what was fetched lies in our cache and is used next time."""

    async def _bundle(self, run: Run) -> None:
        bundle = await open_bundle(run, Path(self.upgrade.bundle))
        run.artifacts.put(f"k3s@{bundle.k3s_version}", bundle.k3s)
        run.artifacts.put(f"chart@{bundle.chart_version}", chart_cache(run, bundle.chart_version))

    async def _helm(self, run: Run) -> None:
        """Find a helm: the one named, the bundle's, ours, one on PATH; else fetch it."""
        source = run.spec.downloads.helm
        ours = our_helm(run, source.version)
        if source.binary:
            run.helm_binary = Path(source.binary)
        elif run.helm_binary is None:
            run.helm_binary = ours if ours.exists() else next(iter(sorted(ours.parent.glob("helm-v*[0-9]"))), None)
        if run.helm_binary is None:
            run.helm_binary = await run.tools.sources.local_helm()
        if run.helm_binary is None:
            await self._fetch(run, "helm", await helm_archive(run, bundled=bool(self.upgrade.bundle)))

    async def _k3s(self, run: Run, hop: Hop) -> None:
        if run.artifacts.has(f"k3s@{hop.target}"):
            return
        self._refuse_other_than_bundle(run, hop)
        facts = await run.tools.probe.gather()
        assets = await run.tools.sources.k3s(channel="", version=hop.target, arch=facts.arch)
        self._downloads.files |= {f"{name}@{hop.target}": item for name, item in k3s_files(run, assets).items()}

    async def _cilium(self, run: Run, hop: Hop) -> None:
        name = f"chart@{hop.target}"
        if not run.artifacts.has(name):
            self._refuse_other_than_bundle(run, hop)
            archive = chart_cache(run, hop.target)
            if not archive.exists():
                known = chart_release(run.table, hop.target, allow_unsupported=run.options.allow_unsupported).sha256
                found = await run.tools.sources.chart(run.spec.downloads.chart.repository, hop.target, known)
                await self._fetch(run, name, replace(found, dest=archive))
            run.artifacts.put(name, archive)
        self._gateway_api(run, hop)

    def _gateway_api(self, run: Run, hop: Hop) -> None:
        if not run.spec.cilium.gateway_api:
            return
        release = chart_release(run.table, hop.target, allow_unsupported=run.options.allow_unsupported)
        api, folder = release.data.gateway_api, run.options.state_dir / "gateway-api"
        for plural, item in definitions(run.spec, api, folder).items():
            named = replace(item, name=f"{item.name} {api.version}")
            self._downloads.want(run, gateway_artifact(api.version, plural), named, here=run.bundle is not None)

    def _refuse_other_than_bundle(self, run: Run, hop: Hop) -> None:
        if run.bundle is not None:
            raise RefusedError(
                f"the bundle does not bring {hop.part} {hop.target}",
                why=f"It brings k3s {run.bundle.k3s_version} and Cilium {run.bundle.chart_version}; with a bundle no "
                "network is touched.",
                fix="Use a bundle of these versions, or leave --bundle out.",
                code="E-UPGRADE-012",
            )

    def _missing(self, run: Run) -> dict[str, Download]:
        return {name: item for name, item in self._downloads.files.items() if not run.artifacts.has(name)}

    async def _fetch(self, run: Run, name: str, item: Download) -> None:
        run.artifacts.put(name, await self._downloads.fetch(run, name, item))


def gateway_artifact(version: str, plural: str) -> str:
    """Return the name of a Gateway API definition among the artifacts."""
    return f"gateway-api@{version}/{plural}"
