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
from installer.pipeline.run import Run
from installer.pipeline.upgrade.context import Upgrade
from installer.ports.web import Download


@dataclass(slots=True)
class UpgradeFetchStep:
    """Fetches what is missing, or verifies the bundle."""

    upgrade: Upgrade
    id: str = "fetch"
    title: str = "Fetch the new versions"
    background: bool = False
    _downloads: dict[str, Download] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
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
        sizes = [run.tools.downloader.size(item.url) for item in self._downloads.values()]
        self._sizes = dict(zip(self._downloads, await asyncio.gather(*sizes), strict=True))
        self._known = True

    async def check(self, run: Run) -> list[Change]:
        """Return the downloads that are not here yet."""
        changes = [
            Change("download", "fetch", item.url, item.name, size=self._sizes.get(name, 0))
            for name, item in self._downloads.items()
            if not run.artifacts.has(name)
        ]
        if run.bundle:
            changes.append(Change("proof", "run", str(run.bundle.root), "every file of the bundle, by sha256"))
        return changes

    async def apply(self, run: Run) -> None:
        """Download what is missing."""
        missing = {name: item for name, item in self._downloads.items() if not run.artifacts.has(name)}
        async with asyncio.TaskGroup() as group:
            for name, item in missing.items():
                group.create_task(self._fetch(run, name, item))

    async def verify(self, run: Run) -> str:
        """Say what is here."""
        del run
        return ", ".join(f"{hop.part} {hop.target}" for hop in self.upgrade.hops) or "nothing is needed"

    async def undo(self, run: Run) -> None:
        """Nothing to take back: what was fetched lies in our cache and is used next time."""

    async def _bundle(self, run: Run) -> None:
        def progress(name: str, done: int, total: int) -> None:
            run.progress(name, done, total, step=self.id)

        bundle = run.bundle = await run.tools.sources.open_bundle(
            Path(self.upgrade.bundle), run.options.state_dir / "bundle", progress
        )
        run.artifacts.put(f"k3s@{bundle.k3s_version}", bundle.k3s)
        chart = _chart_cache(run, bundle.chart_version)
        await asyncio.to_thread(run.tools.files.install, bundle.chart, chart, mode=0o644)
        run.artifacts.put(f"chart@{bundle.chart_version}", chart)
        if bundle.helm and run.helm_binary is None:
            run.helm_binary = run.options.state_dir / "bin" / f"helm-{bundle.helm_version}"
            await asyncio.to_thread(run.tools.files.install, bundle.helm, run.helm_binary)

    async def _helm(self, run: Run) -> None:
        """Find a helm: the one named, the bundle's, ours, one on PATH; else fetch it."""
        source, folder = run.spec.downloads.helm, run.options.state_dir / "bin"
        ours = folder / f"helm-{source.version}"
        if source.binary:
            run.helm_binary = Path(source.binary)
        elif run.helm_binary is None:
            run.helm_binary = ours if ours.exists() else next(iter(sorted(folder.glob("helm-v*[0-9]"))), None)
        if run.helm_binary is None:
            run.helm_binary = await run.tools.sources.local_helm()
        if run.helm_binary is not None:
            return
        if self.upgrade.bundle:
            raise RefusedError(
                "the bundle has no helm and this host has none",
                why="Nothing may be fetched from the network when a bundle is used.",
                fix="Put helm 3.14 or later on PATH, or use a bundle that brings it.",
                code="E-FETCH-001",
            )
        facts = await run.tools.probe.gather()
        found = await run.tools.sources.helm(source.url, source.version, facts.arch)
        archive = await self._fetch(run, "helm", replace(found, dest=ours.with_name(f"{ours.name}.tar.gz")))
        run.helm_binary = await asyncio.to_thread(run.tools.sources.unpack_helm, archive, ours)

    async def _k3s(self, run: Run, hop: Hop) -> None:
        name = f"k3s@{hop.target}"
        if run.artifacts.has(name):
            return
        self._refuse_other_than_bundle(run, hop)
        facts, cache = await run.tools.probe.gather(), run.options.state_dir / "cache"
        assets = await run.tools.sources.k3s(channel="", version=hop.target, arch=facts.arch)
        self._downloads[name] = replace(assets.binary, dest=cache / f"k3s-{assets.version}")
        if run.spec.downloads.images == "archive" and assets.images.url:
            file = assets.images.url.rpartition("/")[2]
            self._downloads[f"images@{hop.target}"] = replace(assets.images, dest=cache / assets.version / file)

    async def _cilium(self, run: Run, hop: Hop) -> None:
        name = f"chart@{hop.target}"
        if not run.artifacts.has(name):
            self._refuse_other_than_bundle(run, hop)
            archive = _chart_cache(run, hop.target)
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
        api = release.data.gateway_api
        for plural, sha256 in api.files.items():
            name, file = gateway_artifact(api.version, plural), f"gateway.networking.k8s.io_{plural}.yaml"
            here = run.options.state_dir / "gateway-api" / api.version / file
            if run.bundle is not None or here.exists():
                run.artifacts.put(name, here)
                continue
            url = f"{run.spec.downloads.gateway_api}/v{api.version}/config/crd/standard/{file}"
            self._downloads[name] = Download(url, here, sha256, f"Gateway API {plural} {api.version}")

    def _refuse_other_than_bundle(self, run: Run, hop: Hop) -> None:
        if run.bundle is not None:
            raise RefusedError(
                f"the bundle does not bring {hop.part} {hop.target}",
                why=f"It brings k3s {run.bundle.k3s_version} and Cilium {run.bundle.chart_version}; with a bundle no "
                "network is touched.",
                fix="Use a bundle of these versions, or leave --bundle out.",
                code="E-UPGRADE-012",
            )

    async def _fetch(self, run: Run, name: str, item: Download) -> Path:
        def progress(done: int, total: int) -> None:
            run.progress(item.name or name, done, total or self._sizes.get(name, 0), step=self.id)

        path = await run.tools.downloader.fetch(item, progress)
        run.artifacts.put(name, path)
        return path


def gateway_artifact(version: str, plural: str) -> str:
    """Return the name of a Gateway API definition among the artifacts."""
    return f"gateway-api@{version}/{plural}"


def _chart_cache(run: Run, version: str) -> Path:
    return run.options.state_dir / "cache/charts" / f"cilium-{version}.tgz"
