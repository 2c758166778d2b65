"""Making a bundle: gather everything, describe it, write it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from installer.domain import bundle_sbom
from installer.domain.bundle import FORMAT, MANIFEST, dump_manifest, parse_manifest
from installer.domain.bundle_sbom import Component, SbomFile
from installer.domain.images.manifest import PulledImage
from installer.ports.bundles import FilePart, ImagesPart, Measured, Part, Written
from installer.services.bundle.gather import Gathered, Gatherer
from installer.services.bundle.progress import Steps
from installer.services.bundle.request import BundleMade, BundleRequest, BundleTools, Emit

STATE = "/var/lib/beeyard"
OpenTools = Callable[[BundleRequest], AbstractAsyncContextManager[BundleTools]]


class BundleMaker:
    """Makes bundles.

    Args:
        tools: opens the adapters for a request.
    """

    def __init__(self, tools: OpenTools):
        self._tools = tools

    async def create(self, request: BundleRequest, emit: Emit) -> BundleMade:
        """Make a bundle. The same inputs give the same bytes; what was fetched is kept for the next time.

        Raises:
            BeeyardError: something cannot be had, does not fit together, or cannot be written.
        """
        async with self._tools(request) as tools:
            steps = Steps(emit, tools.now)
            gathered = await Gatherer(request, tools, steps).gather()
            with steps.step("write", "Write the bundle") as step:
                made = await _Writing(request, tools, steps, gathered).write()
                step.note = made.path
            emit(made)
            return made


class _Writing:
    """The last step: from the cache's files to the archive."""

    def __init__(self, request: BundleRequest, tools: BundleTools, steps: Steps, gathered: Gathered):
        self._request = request
        self._tools = tools
        self._steps = steps
        self._gathered = gathered

    async def write(self) -> BundleMade:
        archives, epoch = self._tools.archives, self._epoch()
        measured = await archives.measure(self._parts(), self._steps.progress)
        sums = {one.part.name: one for one in measured}
        created = datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        measured += await archives.measure(
            [FilePart(bundle_sbom.NAME, self._sbom(sums, created))], self._steps.progress
        )
        sums[bundle_sbom.NAME] = measured[-1]
        manifest = dump_manifest(self._manifest(sums, created))
        parse_manifest(manifest)
        first = await archives.measure([FilePart(MANIFEST, manifest)], self._steps.progress)
        written = await archives.write(self._out(), [*first, *measured], epoch, self._steps.progress)
        return self._made(written, sums)

    def _epoch(self) -> int:
        """Return the bundle's time: the one asked for, else that of its newest image."""
        if self._request.epoch is not None:
            return self._request.epoch
        images = (*self._gathered.own, *self._gathered.cilium, *self._gathered.more)
        return max((_unix(image.created) for image in images), default=0)

    def _out(self) -> Path:
        versions = f"{self._gathered.k3s_version}-cilium-{self._gathered.chart_version}"
        return self._request.out or Path(f"beeyard-{versions}-{'-'.join(self._request.arches)}.tar.zst")

    def _parts(self) -> list[Part]:
        found, request = self._gathered, self._request
        parts: list[Part] = [FilePart(self._chart_name, found.chart)]
        for arch in request.arches:
            parts.append(FilePart(f"bin/{arch}/k3s", found.binaries[arch], program=True))
            parts.append(FilePart(f"bin/{arch}/helm", found.helm[arch], program=True))
            if arch in found.archives:
                parts.append(FilePart(f"images/{found.archives[arch].name}", found.archives[arch]))
            parts += [ImagesPart(name, images, arch, request.cache / "blobs") for name, images in self._pulled(arch)]
        parts += [FilePart(name, path) for name, path in self._values()]
        parts += [FilePart(name, source) for name, source, _, _ in self._files()]
        return parts

    @property
    def _chart_name(self) -> str:
        return f"charts/cilium-{self._gathered.chart_version}.tgz"

    def _pulled(self, arch: str) -> list[tuple[str, tuple[PulledImage, ...]]]:
        """Return the archives of pulled images for an architecture, empty ones left out."""
        sets = {"k3s": self._gathered.own, "cilium": self._gathered.cilium, "more": self._gathered.more}
        chosen = {name: tuple(one for one in images if arch in one.blobs) for name, images in sets.items()}
        return [(f"images/{name}-images-{arch}.tar", images) for name, images in chosen.items() if images]

    def _values(self) -> list[tuple[str, Path]]:
        return [(f"values/{number:02}-{_word(path)}", path) for number, path in enumerate(self._request.values, 1)]

    def _files(self) -> list[tuple[str, Path, str, str]]:
        """Return the files for the host: name in the bundle, source, destination, mode."""
        files = [(f"files/{key}", path, f"{STATE}/{key}", "0644") for key, path in self._gathered.gateway_api.items()]
        return files + [
            (f"files/{number:02}-{_word(one.source)}", one.source, one.dest, one.mode)
            for number, one in enumerate(self._request.files, 1)
        ]

    def _manifest(self, sums: dict[str, Measured], created: str) -> dict[str, Any]:
        found, request = self._gathered, self._request

        def entry(name: str, /, **more: Any) -> dict[str, Any]:
            return {"file": name, "sha256": sums[name].sha256, **more}

        helm = request.spec.downloads.helm.version
        images = []
        for arch in request.arches:
            if arch in found.archives:
                name = f"images/{found.archives[arch].name}"
                images.append(entry(name, arch=arch, refs=sorted(found.archive_refs[arch])))
            for name, pulled in self._pulled(arch):
                images.append(entry(name, arch=arch, refs=sorted(image.ref for image in pulled)))
        return {
            "format": FORMAT,
            "arch": ",".join(request.arches),
            "created": created,
            "k3s": [entry(f"bin/{arch}/k3s", version=found.k3s_version, arch=arch) for arch in request.arches],
            "helm": [entry(f"bin/{arch}/helm", version=helm, arch=arch) for arch in request.arches],
            "chart": entry(self._chart_name, name="cilium", version=found.chart_version),
            "images": images,
            "values": [entry(name) for name, _ in self._values()],
            "files": [entry(name, dest=dest, mode=mode) for name, _, dest, mode in self._files()],
            "sbom": entry(bundle_sbom.NAME),
        }

    def _sbom(self, sums: dict[str, Measured], created: str) -> bytes:
        files = {name: SbomFile(name, one.sha256, one.sha1) for name, one in sums.items()}
        name = f"beeyard-bundle-k3s-{self._gathered.k3s_version}-cilium-{self._gathered.chart_version}"
        plain = re.sub(r"[^A-Za-z0-9.-]", "-", name)
        return bundle_sbom.document(plain, self._tools.creator, created, list(files.values()), self._components(files))

    def _components(self, files: dict[str, SbomFile]) -> list[Component]:
        found, version = self._gathered, self._request.spec.downloads.helm.version
        parts = [bundle_sbom.chart("cilium", found.chart_version, files[self._chart_name])]
        for arch in self._request.arches:
            k3s, helm = files[f"bin/{arch}/k3s"], files[f"bin/{arch}/helm"]
            parts.append(bundle_sbom.program("k3s", "k3s-io/k3s", found.k3s_version, k3s, arch))
            parts.append(bundle_sbom.program("helm", "helm/helm", version, helm, arch))
            if arch in found.archives:
                name = f"images/{found.archives[arch].name}"
                parts += [bundle_sbom.named_image(ref, arch, name) for ref in found.archive_refs[arch]]
            parts += [bundle_sbom.image(one, arch, name) for name, images in self._pulled(arch) for one in images]
        return parts

    def _made(self, written: Written, sums: dict[str, Measured]) -> BundleMade:
        found = self._gathered
        refs = {ref for names in found.archive_refs.values() for ref in names}
        facts = {
            "k3s": found.k3s_version,
            "cilium": found.chart_version,
            "arches": list(self._request.arches),
            "images": len(refs) + len(found.own) + len(found.cilium) + len(found.more),
            "files": len(sums) + 1,
        }
        path = str(written.path.absolute())
        return BundleMade(self._tools.now(), path, written.size, written.sha256, facts)


def _word(path: Path) -> str:
    """Return a file's name with plain characters only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).lstrip(".-") or "file"


def _unix(text: str) -> int:
    """Return UNIX time of an RFC 3339 time, 0 where it is none."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return 0
    return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()))
