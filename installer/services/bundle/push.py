"""Pushing a bundle's images to a registry, from which clusters then pull as from a mirror."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.domain.bundle_opened import OpenedBundle
from installer.domain.errors import BeeyardError
from installer.domain.images.layout import joint_index, unreadable
from installer.domain.images.manifest import (
    OCI_INDEX,
    Descriptor,
    Index,
    Manifest,
    media_type_of,
    parse_facts,
    parse_manifest,
)
from installer.domain.images.mirrors import Target
from installer.domain.images.reference import ImageRef, parse_reference
from installer.ports.bundles import ArchivedImages
from installer.ports.registry import PushedManifest
from installer.services.bundle.progress import Steps
from installer.services.bundle.request import BundlePushed, BundleTools, Emit

_LARGEST_CONFIG = 4 * 1024 * 1024


@dataclass(slots=True)
class _Counts:
    sent: int = 0
    skipped: int = 0


@dataclass(slots=True)
class _Image:
    """An image of the bundle, of all architectures together.

    Attributes:
        ref: its name.
        roots: what the name stands for, by digest; one, or one an architecture.
    """

    ref: ImageRef
    roots: dict[str, Descriptor] = field(default_factory=dict)


async def push(bundle: Path, target: Target, tools: BundleTools, emit: Emit) -> BundlePushed:
    """Verify a bundle, then bring its images into a registry; what is there already is left.

    Raises:
        BeeyardError: ``E-BUNDLE-0xx``, ``E-REG-0xx``, ``E-WEB-0xx``.
    """
    steps = Steps(emit, tools.now)
    with tempfile.TemporaryDirectory(prefix="beeyard-push-") as scratch, ExitStack() as opened:
        with steps.step("verify", "Verify the bundle"):
            content = await tools.archives.open(bundle, Path(scratch), steps.progress)
        with steps.step("push", f"Push its images to {target.endpoint.host}") as step:
            archives = await _open(content, tools, Path(scratch), opened)
            work = _Push(archives, target, tools, steps)
            images = [await work.image(image) for image in _merged(archives)]
            step.note = f"{len(images)} images: {work.counts.sent} blobs sent, {work.counts.skipped} were there"
    hosts = sorted({parse_reference(image["name"]).host for image in images})
    where = target.name("").rstrip("/")
    pushed = BundlePushed(tools.now(), where, images, work.counts.sent, work.counts.skipped, _registries(target, hosts))
    emit(pushed)
    return pushed


async def _open(bundle: OpenedBundle, tools: BundleTools, scratch: Path, opened: ExitStack) -> list[ArchivedImages]:
    archives = []
    for entry in bundle.manifest.images:
        archive = await tools.archives.open_images(bundle.root / entry.file, scratch)
        opened.callback(archive.close)
        archives.append(archive)
    return archives


def _merged(archives: Sequence[ArchivedImages]) -> list[_Image]:
    """Return each image once; a name by digest is left out where a name by tag stands for the same."""
    found: dict[str, _Image] = {}
    for archive in archives:
        for named in archive.images:
            image = found.setdefault(named.name, _Image(parse_reference(named.name)))
            image.roots[named.root.digest] = named.root
    tagged = {(image.ref.name, digest) for image in found.values() if image.ref.tag for digest in image.roots}
    return [
        image
        for _, image in sorted(found.items())
        if image.ref.tag or not {(image.ref.name, digest) for digest in image.roots} <= tagged
    ]


class _Push:
    """Images on their way to one registry."""

    def __init__(self, archives: Sequence[ArchivedImages], target: Target, tools: BundleTools, steps: Steps):
        self._archives = archives
        self._target = target
        self._tools = tools
        self._steps = steps
        self._done: set[tuple[str, str]] = set()
        self.counts = _Counts()

    async def image(self, image: _Image) -> dict[str, Any]:
        """Push an image; return its row of the report."""
        roots = list(image.roots.values())
        if len(roots) == 1:
            digest, kept = await self._root(image.ref, roots[0])
        else:
            digest, kept = await self._joint(image.ref, roots), False
        name = self._target.name(image.ref.repository)
        return {
            "name": str(image.ref),
            "target": f"{name}:{image.ref.tag}" if image.ref.tag else f"{name}@{digest}",
            "digest": digest,
            "digestKept": kept,
        }

    async def _root(self, ref: ImageRef, root: Descriptor) -> tuple[str, bool]:
        data = self._data(root)
        parsed = parse_manifest(data, root.media_type, str(ref))
        if isinstance(parsed, Manifest):
            await self._manifest(ref, root, data, parsed, ref.tag)
            return root.digest, True
        there = [child.descriptor for child in parsed.children if self._holder(child.descriptor.digest)]
        for child in there:
            await self._child(ref, child)
        try:
            await self._put(ref, PushedManifest(data, _typed(root, data), ref.tag))
        except BeeyardError as error:
            if error.code != "E-REG-008" or len(there) == len(parsed.children):
                raise
            return await self._reduced(ref, parsed), False
        return root.digest, True

    async def _reduced(self, ref: ImageRef, index: Index) -> str:
        """Put an index in place that names only what the bundle holds: this registry takes no other."""
        chosen = {
            child.architecture: child.descriptor
            for child in index.children
            if child.os == "linux" and not child.attests and self._holder(child.descriptor.digest)
        }
        self._steps.warn(
            f"{self._target.endpoint.host} takes no index of {ref.name} that names what the bundle lacks: it gets one "
            f"without that, under another digest. Pull it by tag, or push a bundle of all architectures"
        )
        return await self._put_index(ref, joint_index(chosen))

    async def _joint(self, ref: ImageRef, roots: Sequence[Descriptor]) -> str:
        """Push images of one architecture each under their one name."""
        chosen = {}
        for root in roots:
            data = self._data(root)
            parsed = parse_manifest(data, root.media_type, str(ref))
            if not isinstance(parsed, Manifest):
                raise unreadable(str(ref), "the bundle's architectures disagree on what it is")
            await self._manifest(ref, root, data, parsed)
            chosen[self._arch(parsed)] = _typed(root, data)
        return await self._put_index(ref, joint_index(chosen))

    async def _put_index(self, ref: ImageRef, data: bytes) -> str:
        root = Descriptor(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), OCI_INDEX)
        await self._put(ref, PushedManifest(data, root, ref.tag))
        return root.digest

    async def _child(self, ref: ImageRef, child: Descriptor) -> None:
        data = self._data(child)
        parsed = parse_manifest(data, child.media_type, str(ref))
        if isinstance(parsed, Manifest):
            await self._manifest(ref, child, data, parsed)

    async def _manifest(
        self, ref: ImageRef, descriptor: Descriptor, data: bytes, manifest: Manifest, tag: str = ""
    ) -> None:
        for blob in dict.fromkeys(manifest.blobs):
            await self._blob(ref, blob)
        await self._put(ref, PushedManifest(data, _typed(descriptor, data), tag))

    async def _blob(self, ref: ImageRef, blob: Descriptor) -> None:
        if (ref.repository, blob.digest) in self._done:
            return
        holder = self._holder(blob.digest)
        if holder is None:
            raise unreadable(str(ref), f"{blob.digest} is missing")
        sent = await self._tools.registries.push_blob(
            self._target, ref.repository, blob, holder.read, self._progress(ref)
        )
        self._done.add((ref.repository, blob.digest))
        if sent:
            self.counts.sent += 1
        else:
            self.counts.skipped += 1

    def _progress(self, ref: ImageRef) -> Any:
        name = ref.repository.rpartition("/")[2]
        return lambda digest, done, total: self._steps.progress(f"{name} {digest[7:19]}", done, total)

    async def _put(self, ref: ImageRef, manifest: PushedManifest) -> None:
        await self._tools.registries.push_manifest(self._target, ref.repository, manifest)

    def _arch(self, manifest: Manifest) -> str:
        if manifest.config.size > _LARGEST_CONFIG:
            return ""
        return parse_facts(self._data(manifest.config)).architecture

    def _data(self, descriptor: Descriptor) -> bytes:
        holder = self._holder(descriptor.digest)
        if holder is None:
            raise unreadable("the bundle's images", f"{descriptor.digest} is missing")
        return holder.data(descriptor.digest)

    def _holder(self, digest: str) -> ArchivedImages | None:
        return next((archive for archive in self._archives if archive.has(digest)), None)


def _typed(descriptor: Descriptor, data: bytes) -> Descriptor:
    return Descriptor(descriptor.digest, len(data), media_type_of(data, descriptor.media_type))


def _registries(target: Target, hosts: Sequence[str]) -> dict[str, Any]:
    """Return what k3s' registries.yaml (spec.k3s.registries) must hold so that these images come from there."""
    endpoint: dict[str, Any] = {"endpoint": [target.endpoint.base.removesuffix("/v2")]}
    if target.prefix:
        endpoint["rewrite"] = {"^(.*)$": f"{target.prefix}/$1"}
    return {"mirrors": dict.fromkeys(hosts, endpoint)}
