"""Resolves versions to files, by way of several adapters; implements ``ports.sources.Sources``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from installer.adapters.helm.charts import find_chart, read_chart
from installer.adapters.k3s.releases import K3sReleases
from installer.adapters.store.bundle import BundleOpener, read_manifest, read_small
from installer.domain.bundle import BundleManifest
from installer.domain.bundle_opened import OpenedBundle, arch_here, check_arch
from installer.domain.errors import BeeyardError
from installer.domain.k3s_release import IMAGE_LIST, machine_arch, parse_version
from installer.ports.host import Processes
from installer.ports.sources import Bundle, BundleFile, K3sAssets
from installer.ports.web import Download, Downloader

OLDEST_HELM = (3, 14)
NOWHERE = Path()


class ReleaseSources:
    """Where k3s, helm and the chart come from."""

    def __init__(self, downloader: Downloader, processes: Processes, *, k3s: str, channels: str):
        self._downloader = downloader
        self._processes = processes
        self._releases = K3sReleases(downloader, channels=channels, releases=k3s)
        self._read: dict[Path, Bundle] = {}

    async def k3s(self, *, channel: str, version: str | None, arch: str) -> K3sAssets:
        """Resolve a k3s release with its checksums."""
        wanted = parse_version(version) if version else await self._releases.resolve(channel)
        release = await self._releases.release(wanted, machine_arch(arch))
        name = f"k3s {release.version}"
        images = Download(release.images_url, NOWHERE, release.images_sha256, f"{name} images")
        listed = Download(release.list_url, NOWHERE, release.sums.get(IMAGE_LIST, ""), f"{name} list of images")
        binary = Download(release.binary_url, NOWHERE, release.binary_sha256, name)
        return K3sAssets(str(release.version), binary, images, listed)

    async def k3s_version(self, channel: str) -> str:
        """Return the newest version of a channel of k3s."""
        return str(await self._releases.resolve(channel))

    async def chart(self, repository: str, version: str, sha256: str) -> Download:
        """Find a chart version; with a known checksum the index (some megabytes) is asked only where need be."""
        base = repository.rstrip("/")
        name = f"chart cilium {version}"
        usual = f"{base}/cilium-{version}.tgz"
        if sha256 and await self._downloader.size(usual):
            return Download(usual, NOWHERE, sha256, name)
        index = await self._downloader.text(f"{base}/index.yaml")
        entry = await asyncio.to_thread(find_chart, index, version, base=base)
        return Download(entry.urls[0], NOWHERE, sha256 or entry.digest, name)

    async def helm(self, url: str, version: str, arch: str) -> Download:
        """Return helm's archive with its checksum."""
        archive = f"{url.rstrip('/')}/helm-{version}-linux-{machine_arch(arch).name}.tar.gz"
        line = await self._downloader.text(f"{archive}.sha256sum")
        return Download(archive, NOWHERE, line.split()[0], f"helm {version}")

    async def local_helm(self) -> Path | None:
        """Return a helm on PATH that is new enough."""
        found = shutil.which("helm")
        if found is None:
            return None
        result = await self._processes.run([found, "version", "--template", "{{.Version}}"], check=False)
        numbers = result.out.strip().removeprefix("v").split(".")
        new_enough = len(numbers) > 1 and all(part.isdigit() for part in numbers[:2])
        return Path(found) if new_enough and tuple(map(int, numbers[:2])) >= OLDEST_HELM else None

    async def chart_version(self, archive: Path) -> str:
        """Return the version of a Cilium chart archive."""
        metadata = (await asyncio.to_thread(read_chart, archive)).metadata
        if metadata.get("name") != "cilium":
            raise BeeyardError(
                f"{archive} is not the Cilium chart",
                why=f"It is chart {metadata.get('name')!r}.",
                fix="Give a cilium-<version>.tgz.",
                code="E-CHART-002",
            )
        return str(metadata["version"])

    async def chart_values(self, archive: Path) -> dict[str, Any]:
        """Return the default values of a chart archive."""
        return (await asyncio.to_thread(read_chart, archive)).values

    def unpack_helm(self, archive: Path, dest: Path) -> Path:
        """Take the helm binary out of its archive."""
        partial = dest.with_name(f".{dest.name}.part")
        try:
            with tarfile.open(archive) as tar:
                member = next(item for item in tar if item.isfile() and item.name.endswith("/helm"))
                source = tar.extractfile(member)
                assert source is not None
                with partial.open("wb") as file:
                    shutil.copyfileobj(source, file)
                    os.fsync(file.fileno())
        except (tarfile.TarError, StopIteration, OSError) as error:
            raise BeeyardError(
                f"{archive} holds no helm", why=str(error), fix="Delete the file and run again.", code="E-FETCH-004"
            ) from error
        partial.chmod(0o755)
        partial.replace(dest)
        return dest

    def read_bundle(self, path: Path) -> Bundle:
        """Read what a bundle says it holds, without checking its files; an archive is looked through once a run."""
        if path not in self._read:
            data, manifest = read_manifest(path)
            opened = OpenedBundle(path, manifest, arch_here(manifest, os.uname().machine))
            bundle = _bundle(opened, hashlib.sha256(data).hexdigest())
            self._read[path] = self._with_small(path, manifest, bundle) if path.is_file() else bundle
        return self._read[path]

    def _with_small(self, path: Path, manifest: BundleManifest, bundle: Bundle) -> Bundle:
        """Return the bundle of an archive with what a plan shows of it at hand, until this object is gone."""
        folder = Path(tempfile.mkdtemp(prefix="beeyard-bundle-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        read_small(path, manifest, folder)

        def here(one: Path) -> Path:
            return folder / one.relative_to(bundle.root)

        files = tuple(replace(one, path=here(one.path)) for one in bundle.files)
        return replace(bundle, values=tuple(map(here, bundle.values)), files=files)

    async def open_bundle(self, path: Path, workdir: Path, progress: Callable[[str, int, int], None]) -> Bundle:
        """Verify every file of a bundle and return it."""
        data, manifest = read_manifest(path)
        check_arch(manifest, os.uname().machine)
        opened = await BundleOpener().open(path, workdir, progress)
        return _bundle(opened, hashlib.sha256(data).hexdigest())


def _bundle(opened: OpenedBundle, digest: str) -> Bundle:
    manifest = opened.manifest
    return Bundle(
        root=opened.root,
        digest=digest,
        arch=opened.arch,
        k3s_version=manifest.k3s[0].version,
        k3s=opened.k3s,
        images=opened.images,
        chart=opened.chart,
        chart_version=manifest.chart.version,
        helm=opened.helm,
        helm_version=manifest.helm[0].version if opened.helm else "",
        values=opened.values,
        files=tuple(BundleFile(path, Path(target.dest), target.permissions) for path, target in opened.files),
        image_refs=opened.image_refs,
        unproven=manifest.unproven,
    )
