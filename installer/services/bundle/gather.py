"""Everything that goes into a bundle, found, fetched and proven."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from installer.domain.errors import BeeyardError, RefusedError, UsageError
from installer.domain.failures import telling
from installer.domain.images.manifest import PulledImage
from installer.domain.images.reference import ImageRef
from installer.domain.images.wanted import images_of, parse_list
from installer.domain.k3s_release import machine_arch, parse_version
from installer.domain.releases import ChartRelease, Support, check_kubernetes
from installer.pipeline import chart_values
from installer.pipeline.chart_values import Existing
from installer.pipeline.gateway_api import definitions
from installer.ports.sources import K3sAssets
from installer.ports.web import Download
from installer.services.bundle.progress import Steps
from installer.services.bundle.request import BundleRequest, BundleTools

T = TypeVar("T")

_PULLS = 4


@dataclass(slots=True)
class Gathered:
    """What a bundle is made of, as files of the cache.

    Attributes:
        chart_version: version of the chart.
        k3s: assets of the k3s release by architecture.
        binaries: k3s by architecture.
        archives: k3s' archive of images by architecture; empty where its images are pulled one by one.
        archive_refs: names of the images in it, by architecture.
        helm: helm by architecture.
        chart: the chart.
        gateway_api: the Gateway API's definitions by their place below our state.
        own: k3s' images, where they are pulled one by one.
        cilium: the images that the chart runs.
        more: further images.
    """

    chart_version: str = ""
    k3s: dict[str, K3sAssets] = field(default_factory=dict)
    binaries: dict[str, Path] = field(default_factory=dict)
    archives: dict[str, Path] = field(default_factory=dict)
    archive_refs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    helm: dict[str, Path] = field(default_factory=dict)
    chart: Path = Path()
    gateway_api: dict[str, Path] = field(default_factory=dict)
    own: tuple[PulledImage, ...] = ()
    cilium: tuple[PulledImage, ...] = ()
    more: tuple[PulledImage, ...] = ()

    @property
    def k3s_version(self) -> str:
        """Version of k3s."""
        return next(iter(self.k3s.values())).version


class Gatherer:
    """Finds and fetches.

    Args:
        request: what is to be bundled.
        tools: adapters.
        steps: told of the progress.
    """

    def __init__(self, request: BundleRequest, tools: BundleTools, steps: Steps):
        self._request = request
        self._spec = request.spec
        self._tools = tools
        self._steps = steps
        self._found = Gathered()
        self._downloads: dict[str, Download] = {}
        self._pulls = asyncio.Semaphore(_PULLS)

    async def gather(self) -> Gathered:
        """Return everything.

        Raises:
            BeeyardError: what is wanted does not exist, does not fit together, or cannot be had.
        """
        with self._steps.step("resolve", "Find versions and files") as step:
            chart = await self._resolve()
            step.note = f"k3s {self._found.k3s_version}, Cilium {chart.version}, {', '.join(self._request.arches)}"
        with self._steps.step("fetch", "Fetch k3s, helm and the chart") as step:
            await self._fetch()
            step.note = f"{len(self._downloads)} files"
        with self._steps.step("images", "Pull images by digest") as step:
            await self._images(await self._wanted(chart))
            counts = [len(self._found.own), len(self._found.cilium), len(self._found.more)]
            step.note = f"{sum(counts)} images"
        return self._found

    async def _resolve(self) -> ChartRelease:
        spec, found = self._spec, self._found
        chart = chart_values.chart_release(
            self._tools.table, spec.cilium.version, allow_unsupported=self._request.allow_unsupported
        )
        version = spec.k3s.version
        for arch in self._request.arches:
            assets = await self._tools.sources.k3s(channel=spec.k3s.channel, version=version, arch=arch)
            found.k3s[arch], version = assets, assets.version
        self._refuse_combination(chart)
        self._want_k3s()
        await self._want_chart(chart)
        if spec.cilium.gateway_api:
            for item in definitions(spec, chart.data.gateway_api, Path("gateway-api")).values():
                self._want(str(item.dest), item)
        for arch in dict.fromkeys((*self._request.arches, self._own_arch())):
            source = spec.downloads.helm
            self._want(f"helm/{arch}", await self._tools.sources.helm(source.url, source.version, arch))
        return replace(chart, version=found.chart_version)

    def _own_arch(self) -> str:
        return machine_arch(self._request.machine).name

    def _refuse_combination(self, chart: ChartRelease) -> None:
        verdict = check_kubernetes(chart, self._found.k3s_version)
        if verdict.support is Support.UNSUPPORTED and not self._request.allow_unsupported:
            raise RefusedError(verdict.what, fix=f"{verdict.fix} Or --allow-unsupported.", code="E-CILIUM-011")
        if verdict.support is not Support.TESTED:
            self._steps.warn(f"{verdict.what}. {verdict.fix}")

    def _want_k3s(self) -> None:
        for arch, assets in self._found.k3s.items():
            self._want(f"k3s/{arch}", assets.binary)
            if self._spec.downloads.images == "archive" and assets.images.url:
                self._want(f"archive/{arch}", assets.images)
            elif assets.image_list.url:
                self._want(f"list/{arch}", assets.image_list)
            else:
                raise _no_images(assets.version, arch)

    async def _want_chart(self, chart: ChartRelease) -> None:
        source = self._spec.downloads.chart
        if source.file:
            self._found.chart = Path(source.file)
            self._found.chart_version = await self._tools.sources.chart_version(self._found.chart)
            return
        self._found.chart_version = chart.version
        self._want("chart", await self._tools.sources.chart(source.repository, chart.version, chart.sha256))

    def _want(self, key: str, download: Download) -> None:
        """Plan a download into the cache, where its place is told by what it must be."""
        proof = download.sha256 or hashlib.sha256(download.url.encode()).hexdigest()
        dest = self._request.cache / "files" / proof / download.url.rpartition("/")[2]
        self._downloads[key] = replace(download, dest=dest)

    async def _fetch(self) -> None:
        await _together([self._fetch_one(download) for download in self._downloads.values()])
        found, tools = self._found, self._tools
        if "chart" in self._downloads:
            found.chart = self._downloads["chart"].dest
        for key, download in self._downloads.items():
            kind, _, rest = key.partition("/")
            if kind == "k3s":
                found.binaries[rest] = download.dest
            elif kind == "archive":
                found.archives[rest] = download.dest
                found.archive_refs[rest] = await tools.archives.image_names(download.dest)
            elif kind == "helm":
                binary = download.dest.with_name("helm")
                found.helm[rest] = await asyncio.to_thread(tools.sources.unpack_helm, download.dest, binary)
            elif kind == "gateway-api":
                found.gateway_api[key] = download.dest

    async def _fetch_one(self, download: Download) -> None:
        def progress(done: int, total: int) -> None:
            self._steps.progress(download.name, done, total)

        await self._tools.downloader.fetch(download, progress)

    async def _wanted(self, chart: ChartRelease) -> tuple[ImageRef, ...]:
        """Return the images that the chart runs with these values."""
        request = self._request
        inputs = chart_values.inputs(self._spec, chart, Existing(), use_digests=True)
        composed = chart_values.compose_values(self._spec, self._tools.assets, inputs, request.values)
        own = await self._tools.sources.chart_values(self._found.chart)
        known = chart_values.known_keys(self._tools.assets, self._tools.table, inputs.minor, own)
        user = chart_values.user_values(self._spec, request.values)
        for finding in chart_values.examine(composed, inputs, user, known, self._tools.table):
            self._steps.warn(f"{finding.path}: {finding.what} {finding.fix}")
        helm = self._tools.helm(self._found.helm[self._own_arch()])
        version = parse_version(self._found.k3s_version).kubernetes
        documents = await helm.template(
            "cilium", "kube-system", self._found.chart, composed.values, kube_version=version
        )
        wanted = images_of(documents)
        if not wanted:
            raise UsageError(
                "the chart runs no image with these values",
                why=f"{self._found.chart.name} renders {len(documents)} objects and no container",
                fix="check spec.cilium, the values files, and that the chart is Cilium's",
                code="E-BUNDLE-014",
            )
        return wanted

    async def _images(self, wanted: Sequence[ImageRef]) -> None:
        found = self._found
        lists = [self._downloads[key].dest for key in self._downloads if key.startswith("list/")]
        own = sorted({ref for path in lists for ref in parse_list(path.read_text())})
        found.own, found.cilium, found.more = await _together(
            [self._pull_all(own), self._pull_all(wanted), self._pull_all(self._request.images)]
        )

    async def _pull_all(self, refs: Sequence[ImageRef]) -> tuple[PulledImage, ...]:
        return tuple(await _together([self._pull(ref) for ref in refs]))

    async def _pull(self, ref: ImageRef) -> PulledImage:
        request = self._request
        async with self._pulls:
            return await self._tools.registries.pull(
                ref, request.arches, request.mirrors, request.cache / "blobs", self._steps.progress
            )


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at once; the first failure ends the rest and is told."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failures:
        raise telling(failures) from None
    return [task.result() for task in tasks]


def _no_images(version: str, arch: str) -> BeeyardError:
    return BeeyardError(
        f"k3s {version} tells no images for {arch}",
        why="its checksum list names neither an archive of images nor k3s-images.txt",
        fix="take another release, or another mirror (spec.downloads.k3s)",
        code="E-BUNDLE-014",
    )
