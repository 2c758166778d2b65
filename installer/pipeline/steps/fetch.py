"""Step ``fetch``: k3s, its images, helm and the chart, all at once, each verified before it is used.

A bundle is verified whole before anything on the host changes. Downloads run in the background: the next steps wait
only for the file they need, so that images land while k3s starts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from installer.domain.errors import RefusedError
from installer.domain.plan import Change
from installer.pipeline.chart_values import chart_release
from installer.pipeline.downloads import STEP, Downloads, chart_cache, helm_archive, k3s_files, open_bundle, our_helm
from installer.pipeline.gateway_api import definitions
from installer.pipeline.run import Run
from installer.ports.sources import Bundle


@dataclass(slots=True)
class FetchStep:
    """Fetches everything, or verifies the bundle."""

    id: str = STEP
    title: str = "Fetch k3s, images, helm and the chart"
    background: bool = True
    _downloads: Downloads = field(default_factory=Downloads)
    _known: bool = False

    async def gather(self, run: Run) -> None:
        """Find out which versions and files are needed and which are here already; only the first call looks."""
        if self._known:
            return
        self._known = True
        if run.spec.downloads.bundle and not self._outlived(run):
            self._bundle(run)
        else:
            await self._k3s(run)
            await self._chart(run)
        await self._helm(run)
        self._gateway_api(run)
        await self._downloads.measure(run)

    async def check(self, run: Run) -> list[Change]:
        """Return the downloads; a bundle that is new here is verified."""
        changes = [self._downloads.change(name) for name in self._downloads.files]
        if run.bundle:
            changes.append(Change("proof", "run", str(run.bundle.root), "verify every file of the bundle by sha256"))
        return changes

    async def apply(self, run: Run) -> None:
        """Verify the bundle, or start the downloads."""
        assert run.group is not None
        if run.bundle:
            await self._open_bundle(run)
        for name, item in self._downloads.files.items():
            run.artifacts.start(run.group, name, self._downloads.fetch(run, name, item))

    async def verify(self, run: Run) -> str:
        """Wait until everything has landed."""
        await run.artifacts.all()
        return f"k3s {run.k3s_version}, Cilium {run.chart_version}"

    async def undo(self, run: Run) -> None:
        """Nothing to take back: what was fetched lies in our cache and is used next time."""

    def _outlived(self, run: Run) -> bool:
        """Whether the bundle is gone after it was installed: our own copies of its chart and helm serve then."""
        return bool(run.installed.bundle) and not run.bundle_path.exists()

    def _bundle(self, run: Run) -> None:
        bundle = run.tools.sources.read_bundle(run.bundle_path)
        installed = run.installed.k3s_version
        if installed and installed != bundle.k3s_version:
            raise _no_upgrade("k3s", installed, bundle.k3s_version)
        run.k3s_version, run.chart_version = bundle.k3s_version, bundle.chart_version
        for name in bundle.unproven:
            run.warn(f"{name} in the bundle has no checksum: make the bundle anew with `beeyard bundle create`")
        chart = chart_cache(run, run.chart_version)
        if run.installed.bundle == bundle.digest and chart.exists():
            run.artifacts.put("chart", chart)
        else:
            run.bundle = bundle

    async def _open_bundle(self, run: Run) -> None:
        bundle = await open_bundle(run, run.bundle_path)
        run.artifacts.put("k3s", bundle.k3s)
        run.artifacts.put("chart", chart_cache(run, bundle.chart_version))
        await asyncio.to_thread(_keep_values, run, bundle)

    async def _k3s(self, run: Run) -> None:
        k3s, installed = run.spec.k3s, run.installed.k3s_version
        if installed:
            if k3s.version and _v(k3s.version) != installed:
                raise _no_upgrade("k3s", installed, _v(k3s.version))
            run.k3s_version = installed
            if not run.installed.images_due:
                return
        facts = await run.tools.probe.gather()
        wanted = installed or k3s.version
        assets = await run.tools.sources.k3s(channel=k3s.channel, version=wanted, arch=facts.arch)
        run.k3s_version = assets.version
        files = k3s_files(run, assets)
        if installed:
            del files["k3s"]
        self._downloads.files |= files

    async def _chart(self, run: Run) -> None:
        source = run.spec.downloads.chart
        if source.file:
            archive = Path(source.file)
            run.chart_version = await run.tools.sources.chart_version(archive)
            run.artifacts.put("chart", archive)
            return
        run.chart_version = wanted_chart(run)
        archive = chart_cache(run, run.chart_version)
        if archive.exists():
            run.artifacts.put("chart", archive)
            return
        found = await run.tools.sources.chart(source.repository, run.chart_version, run.chart.sha256)
        self._downloads.files["chart"] = replace(found, dest=archive)

    async def _helm(self, run: Run) -> None:
        source = run.spec.downloads.helm
        if source.binary:
            run.helm_binary = Path(source.binary)
            return
        from_bundle = run.spec.downloads.bundle and not self._outlived(run)
        bundled = run.tools.sources.read_bundle(run.bundle_path) if from_bundle else None
        version = bundled.helm_version if bundled and bundled.helm else source.version
        ours = our_helm(run, version)
        if ours.exists():
            run.helm_binary = ours
        elif bundled is None or bundled.helm is None:
            run.helm_binary = await run.tools.sources.local_helm()
        if run.helm_binary or (bundled and bundled.helm):
            return
        self._downloads.files["helm"] = await helm_archive(run, bundled=bundled is not None)

    def _gateway_api(self, run: Run) -> None:
        """Add the Gateway API's definitions; a bundle may bring them as files below ``gateway-api`` in our state."""
        if not run.spec.cilium.gateway_api:
            return
        folder = run.options.state_dir / "gateway-api"
        for plural, item in definitions(run.spec, run.chart.data.gateway_api, folder).items():
            self._downloads.want(run, f"gateway-api/{plural}", item, here=bool(run.spec.downloads.bundle))


def wanted_chart(run: Run) -> str:
    """Return the chart version to be: the one we installed while its minor is still wanted, else the table's."""
    asked = run.spec.cilium.version
    wanted = chart_release(run.table, asked, allow_unsupported=run.options.allow_unsupported)
    installed = run.installed.chart_version
    if installed and asked.count(".") == 1 and installed.startswith(f"{wanted.minor}."):
        return installed
    if installed and installed != wanted.version:
        raise _no_upgrade("Cilium", installed, wanted.version)
    return wanted.version


def _keep_values(run: Run, bundle: Bundle) -> None:
    """Keep the bundle's values files: later runs need them, and the bundle may be gone by then."""
    for old in run.kept_values.glob("*"):
        run.tools.files.remove(old)
    for number, path in enumerate(bundle.values, 1):
        kept = run.kept_values / f"{number:02}-{path.name}"
        run.tools.files.write(kept, path.read_bytes(), mode=0o600, backup=False)


def _v(version: str) -> str:
    return version if version.startswith("v") else f"v{version}"


def _no_upgrade(what: str, installed: str, wanted: str) -> RefusedError:
    return RefusedError(
        f"{what} {installed} is installed, {wanted} is asked for",
        why="An install never changes the version of a running cluster.",
        fix=f"Ask for {installed}, or leave the version out; `beeyard upgrade` changes versions.",
        code="E-FETCH-003",
        details={"installed": installed, "wanted": wanted},
    )
