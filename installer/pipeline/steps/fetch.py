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
from installer.pipeline.run import Run
from installer.ports.sources import Bundle
from installer.ports.web import Download


@dataclass(slots=True)
class FetchStep:
    """Fetches everything, or verifies the bundle."""

    id: str = "fetch"
    title: str = "Fetch k3s, images, helm and the chart"
    background: bool = True
    _downloads: dict[str, Download] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
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
        sizes = [run.tools.downloader.size(item.url) for item in self._downloads.values()]
        self._sizes = dict(zip(self._downloads, await asyncio.gather(*sizes), strict=True))

    async def check(self, run: Run) -> list[Change]:
        """Return the downloads; a bundle that is new here is verified."""
        changes = [
            Change("download", "fetch", item.url, item.name, size=self._sizes.get(name, 0))
            for name, item in self._downloads.items()
        ]
        if run.bundle:
            changes.append(Change("proof", "run", str(run.bundle.root), "verify every file of the bundle by sha256"))
        return changes

    async def apply(self, run: Run) -> None:
        """Verify the bundle, or start the downloads."""
        assert run.group is not None
        if run.bundle:
            await self._open_bundle(run)
        for name, item in self._downloads.items():
            run.artifacts.start(run.group, name, self._fetch(run, name, item))

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
        chart = _chart_cache(run)
        if run.installed.bundle == bundle.digest and chart.exists():
            run.artifacts.put("chart", chart)
        else:
            run.bundle = bundle

    async def _open_bundle(self, run: Run) -> None:
        def progress(name: str, done: int, total: int) -> None:
            run.progress(name, done, total, step=self.id)

        bundle = run.bundle = await run.tools.sources.open_bundle(
            run.bundle_path, run.options.state_dir / "bundle", progress
        )
        run.artifacts.put("k3s", bundle.k3s)
        run.artifacts.put("chart", _chart_cache(run))
        await asyncio.to_thread(run.tools.files.install, bundle.chart, _chart_cache(run), mode=0o644)
        await asyncio.to_thread(_keep_values, run, bundle)
        if bundle.helm and run.helm_binary is None:
            helm = run.options.state_dir / "bin" / f"helm-{bundle.helm_version}"
            await asyncio.to_thread(run.tools.files.install, bundle.helm, helm)
            run.helm_binary = helm

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
        cache = run.options.state_dir / "cache"
        if not installed:
            self._downloads["k3s"] = replace(assets.binary, dest=cache / f"k3s-{assets.version}")
        if run.spec.downloads.images == "archive" and assets.images.url:
            name = assets.images.url.rpartition("/")[2]
            self._downloads["images"] = replace(assets.images, dest=cache / assets.version / name)

    async def _chart(self, run: Run) -> None:
        source = run.spec.downloads.chart
        if source.file:
            archive = Path(source.file)
            run.chart_version = await run.tools.sources.chart_version(archive)
            run.artifacts.put("chart", archive)
            return
        run.chart_version = wanted_chart(run)
        archive = _chart_cache(run)
        if archive.exists():
            run.artifacts.put("chart", archive)
            return
        found = await run.tools.sources.chart(source.repository, run.chart_version, run.chart.sha256)
        self._downloads["chart"] = replace(found, dest=archive)

    async def _helm(self, run: Run) -> None:
        source = run.spec.downloads.helm
        if source.binary:
            run.helm_binary = Path(source.binary)
            return
        from_bundle = run.spec.downloads.bundle and not self._outlived(run)
        bundled = run.tools.sources.read_bundle(run.bundle_path) if from_bundle else None
        version = bundled.helm_version if bundled and bundled.helm else source.version
        ours = run.options.state_dir / "bin" / f"helm-{version}"
        if ours.exists():
            run.helm_binary = ours
        elif bundled is None or bundled.helm is None:
            run.helm_binary = await run.tools.sources.local_helm()
        if run.helm_binary or (bundled and bundled.helm):
            return
        if bundled:
            raise RefusedError(
                "the bundle has no helm and this host has none",
                why="Nothing may be fetched from the network when a bundle is used.",
                fix="Put helm 3.14 or later on PATH, or use a bundle that brings it.",
                code="E-FETCH-001",
            )
        facts = await run.tools.probe.gather()
        archive = await run.tools.sources.helm(source.url, source.version, facts.arch)
        self._downloads["helm"] = replace(archive, dest=ours.with_name(f"helm-{source.version}.tar.gz"))

    def _gateway_api(self, run: Run) -> None:
        """Add the Gateway API's definitions; a bundle may bring them as files below ``gateway-api`` in our state."""
        if not run.spec.cilium.gateway_api:
            return
        api = run.chart.data.gateway_api
        for plural, sha256 in api.files.items():
            name = f"gateway.networking.k8s.io_{plural}.yaml"
            here = run.options.state_dir / "gateway-api" / api.version / name
            if run.spec.downloads.bundle or here.exists():
                run.artifacts.put(f"gateway-api/{plural}", here)
                continue
            url = f"{run.spec.downloads.gateway_api}/v{api.version}/config/crd/standard/{name}"
            self._downloads[f"gateway-api/{plural}"] = Download(url, here, sha256, f"Gateway API {plural}")

    async def _fetch(self, run: Run, name: str, item: Download) -> Path:
        def progress(done: int, total: int) -> None:
            run.progress(item.name or name, done, total or self._sizes.get(name, 0), step=self.id)

        path = await run.tools.downloader.fetch(item, progress)
        if name == "helm":
            dest = path.with_name(path.name.removesuffix(".tar.gz"))
            path = await asyncio.to_thread(run.tools.sources.unpack_helm, path, dest)
            run.helm_binary = path
        return path


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


def _chart_cache(run: Run) -> Path:
    return run.options.state_dir / "cache/charts" / f"cilium-{run.chart_version}.tgz"


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
