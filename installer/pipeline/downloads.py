"""What a run fetches, shared by the fetching steps of an install and of an upgrade."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from installer.domain.errors import RefusedError
from installer.domain.plan import Change
from installer.pipeline.run import Run
from installer.ports.sources import Bundle, K3sAssets
from installer.ports.web import Download

STEP = "fetch"
"""Id of the steps that fetch."""


@dataclass(slots=True)
class Downloads:
    """Files to be downloaded.

    Attributes:
        files: what is not here, by the name of its artifact.
    """

    files: dict[str, Download] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    def want(self, run: Run, name: str, item: Download, *, here: bool = False) -> None:
        """Add a file, unless it is at its place or comes there from elsewhere (``here``)."""
        if here or item.dest.exists():
            run.artifacts.put(name, item.dest)
        else:
            self.files[name] = item

    async def measure(self, run: Run) -> None:
        """Ask how large the files are."""
        sizes = [run.tools.downloader.size(item.url) for item in self.files.values()]
        self._sizes = dict(zip(self.files, await asyncio.gather(*sizes), strict=True))

    def change(self, name: str) -> Change:
        """Return a download for the plan."""
        item = self.files[name]
        return Change("download", "fetch", item.url, item.name, size=self._sizes.get(name, 0))

    async def fetch(self, run: Run, name: str, item: Download) -> Path:
        """Download a file and tell how far it is; helm is unpacked."""

        def progress(done: int, total: int) -> None:
            run.progress(item.name or name, done, total or self._sizes.get(name, 0), step=STEP)

        path = await run.tools.downloader.fetch(item, progress)
        if name == "helm":
            dest = path.with_name(path.name.removesuffix(".tar.gz"))
            path = run.helm_binary = await asyncio.to_thread(run.tools.sources.unpack_helm, path, dest)
        return path


def k3s_files(run: Run, assets: K3sAssets) -> dict[str, Download]:
    """Return what is downloaded of a k3s release: ``k3s``, and ``images`` where they come as an archive."""
    cache = run.options.state_dir / "cache"
    files = {"k3s": replace(assets.binary, dest=cache / f"k3s-{assets.version}")}
    if run.spec.downloads.images == "archive" and assets.images.url:
        name = assets.images.url.rpartition("/")[2]
        files["images"] = replace(assets.images, dest=cache / assets.version / name)
    return files


async def helm_archive(run: Run, *, bundled: bool) -> Download:
    """Return helm's archive, which is needed because no helm was found.

    Raises:
        RefusedError: ``E-FETCH-001`` a bundle is used, and it has no helm either.
    """
    if bundled:
        raise RefusedError(
            "the bundle has no helm and this host has none",
            why="Nothing may be fetched from the network when a bundle is used.",
            fix="Put helm 3.14 or later on PATH, or use a bundle that brings it.",
            code="E-FETCH-001",
        )
    source, facts = run.spec.downloads.helm, await run.tools.probe.gather()
    found = await run.tools.sources.helm(source.url, source.version, facts.arch)
    return replace(found, dest=our_helm(run, source.version).with_name(f"helm-{source.version}.tar.gz"))


async def open_bundle(run: Run, path: Path) -> Bundle:
    """Verify a bundle and keep its chart, and its helm where none is here."""

    def progress(name: str, done: int, total: int) -> None:
        run.progress(name, done, total, step=STEP)

    bundle = run.bundle = await run.tools.sources.open_bundle(path, run.options.state_dir / "bundle", progress)
    chart = chart_cache(run, bundle.chart_version)
    await asyncio.to_thread(run.tools.files.install, bundle.chart, chart, mode=0o644)
    if bundle.helm and run.helm_binary is None:
        helm = our_helm(run, bundle.helm_version)
        await asyncio.to_thread(run.tools.files.install, bundle.helm, helm)
        run.helm_binary = helm
    return bundle


def our_helm(run: Run, version: str) -> Path:
    """Return where our own helm lies."""
    return run.options.state_dir / "bin" / f"helm-{version}"


def chart_cache(run: Run, version: str) -> Path:
    """Return where our copy of a chart lies."""
    return run.options.state_dir / "cache/charts" / f"cilium-{version}.tgz"
