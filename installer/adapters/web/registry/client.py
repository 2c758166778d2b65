"""Pulls images by digest, from mirrors first, and proves every byte."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from installer.adapters.web.download import HttpDownloader
from installer.adapters.web.registry.auth import Authorizer, Call
from installer.adapters.web.registry.credentials import Credential
from installer.adapters.web.registry.push import Pusher
from installer.domain.errors import BeeyardError
from installer.domain.failures import telling
from installer.domain.images.manifest import (
    ACCEPT,
    LARGEST,
    Descriptor,
    Facts,
    Index,
    Manifest,
    PulledImage,
    media_type_of,
    not_for,
    parse_facts,
    parse_manifest,
)
from installer.domain.images.mirrors import Endpoint, Mirrors
from installer.domain.images.reference import ImageRef
from installer.ports.registry import BlobProgress
from installer.ports.web import Download

T = TypeVar("T")

_AT_ONCE = 4
_WORTH_TELLING = 1024 * 1024
_LARGEST_CONFIG = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Source:
    """An image and where it may be had."""

    ref: ImageRef
    endpoints: tuple[Endpoint, ...]
    folder: Path
    progress: BlobProgress

    @property
    def scope(self) -> str:
        return f"repository:{self.ref.repository}:pull"


class RegistryClient(Pusher):
    """Speaks to registries; implements ``installer.ports.registry.Registries``.

    Args:
        http: our HTTP client.
        credentials: by registry host.
    """

    def __init__(self, http: HttpDownloader, credentials: Mapping[str, Credential]):
        super().__init__(http, Authorizer(http, credentials))
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._busy: dict[Path, asyncio.Lock] = {}

    async def pull(
        self, ref: ImageRef, arches: Sequence[str], mirrors: Mirrors, folder: Path, progress: BlobProgress
    ) -> PulledImage:
        """Fetch an image for some architectures into a folder of blobs."""
        folder.mkdir(parents=True, exist_ok=True)
        source = _Source(ref, mirrors.of(ref.host), folder, progress)
        root, data = await self._root(source)
        parsed = parse_manifest(data, root.media_type, str(ref))
        if isinstance(parsed, Manifest):
            return await self._single(source, root, parsed, arches)
        manifests = parsed.wanted(arches, str(ref))
        parts: dict[str, tuple[Descriptor, ...]] = {}
        created = ""
        for arch, chosen in manifests.items():
            found = {root}
            for number, descriptor in enumerate(chosen):
                inner = await self._manifest(source, descriptor)
                blobs = await self._blobs(source, inner)
                found |= {descriptor, *blobs}
                if number == 0:
                    created = max(created, self._facts(source, inner).created)
            parts[arch] = tuple(sorted(found))
        return PulledImage(str(ref), root, manifests, parts, created)

    async def _single(
        self, source: _Source, root: Descriptor, manifest: Manifest, arches: Sequence[str]
    ) -> PulledImage:
        """Fetch an image that is made for one architecture only."""
        blobs = await self._blobs(source, manifest)
        facts = self._facts(source, manifest)
        for arch in arches:
            if arch != facts.architecture:
                raise not_for(str(source.ref), arch, [facts.architecture] if facts.architecture else [])
        parts = tuple(sorted({root, *blobs}))
        return PulledImage(str(source.ref), root, {arches[0]: (root,)}, {arches[0]: parts}, facts.created)

    async def _root(self, source: _Source) -> tuple[Descriptor, bytes]:
        """Return what the name stands for. A tag is always asked for; a digest may be here already."""
        if source.ref.digest and (data := await self._here(source, source.ref.digest)) is not None:
            return Descriptor(source.ref.digest, len(data), media_type_of(data, "")), data
        return await self._fetch_manifest(source, source.ref.wanted)

    async def _manifest(self, source: _Source, descriptor: Descriptor) -> Manifest:
        data = await self._here(source, descriptor.digest)
        if data is None:
            data = (await self._fetch_manifest(source, descriptor.digest))[1]
        parsed = parse_manifest(data, descriptor.media_type, str(source.ref))
        if isinstance(parsed, Index):
            raise _nested(source.ref)
        return parsed

    async def _here(self, source: _Source, digest: str) -> bytes | None:
        """Return a manifest that an earlier run fetched, if it is right."""
        path = source.folder / digest.removeprefix("sha256:")
        return await asyncio.to_thread(_read_right, path, digest)

    async def _fetch_manifest(self, source: _Source, wanted: str) -> tuple[Descriptor, bytes]:
        async def ask(endpoint: Endpoint) -> tuple[Descriptor, bytes]:
            answer = await self._authorizer.send(
                endpoint,
                source.scope,
                Call(
                    "GET",
                    endpoint.url(source.ref.repository, f"manifests/{wanted}"),
                    headers={"accept": ACCEPT},
                    accept=frozenset({404}),
                    limit=LARGEST,
                ),
            )
            if answer.status == 404:
                raise _absent(source.ref, endpoint)
            digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
            expected = wanted if wanted.startswith("sha256:") else answer.headers.get("docker-content-digest", digest)
            if digest != expected:
                raise _wrong_digest(source.ref, endpoint, expected, digest)
            parse_manifest(answer.body, answer.headers.get("content-type", ""), str(source.ref))
            kind = media_type_of(answer.body, answer.headers.get("content-type", "").partition(";")[0])
            return Descriptor(digest, len(answer.body), kind), answer.body

        descriptor, data = await self._from_any(source, ask)
        path = source.folder / descriptor.hex
        async with self._being_written(path):  # images that share a manifest are pulled at once
            await asyncio.to_thread(_keep, path, data)
        return descriptor, data

    async def _blobs(self, source: _Source, manifest: Manifest) -> tuple[Descriptor, ...]:
        try:
            async with asyncio.TaskGroup() as group:
                for descriptor in dict.fromkeys(manifest.blobs):
                    group.create_task(self._blob(source, descriptor))
        except BaseExceptionGroup as failures:
            raise telling(failures) from None
        return manifest.blobs

    async def _blob(self, source: _Source, descriptor: Descriptor) -> None:
        path = source.folder / descriptor.hex
        async with self._being_written(path), self._slots:
            await self._from_any(source, lambda endpoint: self._fetch_blob(source, endpoint, descriptor, path))
        if (size := path.stat().st_size) != descriptor.size:
            raise _wrong_size(source.ref, descriptor, size)

    def _being_written(self, path: Path) -> asyncio.Lock:
        return self._busy.setdefault(path, asyncio.Lock())

    async def _fetch_blob(self, source: _Source, endpoint: Endpoint, descriptor: Descriptor, path: Path) -> None:
        url = endpoint.url(source.ref.repository, f"blobs/{descriptor.digest}")
        name = f"{source.ref.name.rpartition('/')[2]} {descriptor.hex[:12]}"
        download = Download(url, path, descriptor.hex, name)

        def report(done: int, total: int) -> None:
            if descriptor.size >= _WORTH_TELLING:
                source.progress(name, done, total or descriptor.size)

        try:
            await self._http.fetch(download, report, headers=self._authorizer.headers(endpoint, source.scope))
        except BeeyardError as error:
            if error.code != "E-WEB-006":
                raise
            # There was no token yet, or it ran out on the way; what has come is kept.
            await self._authorizer.renew(endpoint, source.scope, url)
            await self._http.fetch(download, report, headers=self._authorizer.headers(endpoint, source.scope))

    def _facts(self, source: _Source, manifest: Manifest) -> Facts:
        if manifest.config.size > _LARGEST_CONFIG:
            return parse_facts(b"")
        return parse_facts((source.folder / manifest.config.hex).read_bytes())

    async def _from_any(self, source: _Source, ask: Callable[[Endpoint], Awaitable[T]]) -> T:
        """Ask the mirrors in their order, then the registry; where all fail, tell of all."""
        failures: list[BeeyardError] = []
        for endpoint in source.endpoints:
            try:
                return await ask(endpoint)
            except BeeyardError as error:
                if error.code in ("E-WEB-007", "E-WEB-011", "E-WEB-013"):  # our own disk: nobody else can help
                    raise
                failures.append(error)
        last = failures[-1]
        if len(failures) > 1:
            tried = [f"{one.host}: {error.what}" for one, error in zip(source.endpoints, failures, strict=True)]
            last.why = "\n".join([last.why, *tried]).strip()
        raise last


def _read_right(path: Path, digest: str) -> bytes | None:
    try:
        if path.stat().st_size > LARGEST:
            return None
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return data if f"sha256:{hashlib.sha256(data).hexdigest()}" == digest else None


def _keep(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.new")
    partial.write_bytes(data)
    partial.replace(path)


def _absent(ref: ImageRef, endpoint: Endpoint) -> BeeyardError:
    return BeeyardError(
        f"{endpoint.host} has no image {ref.repository}:{ref.tag or ref.digest}",
        why=f"HTTP 404 for {endpoint.url(ref.repository, f'manifests/{ref.wanted}')}",
        fix="check the version and the Helm values that name it; a mirror may lack it",
        code="E-REG-002",
    )


def _wrong_digest(ref: ImageRef, endpoint: Endpoint, expected: str, got: str) -> BeeyardError:
    return BeeyardError(
        f"{endpoint.host} sent another manifest than the one asked for",
        why=f"{ref}: expected {expected}, got {got}",
        fix="the registry, a mirror or a proxy changes manifests: take another one (--mirror)",
        code="E-REG-004",
        details={"expected": expected, "got": got},
    )


def _wrong_size(ref: ImageRef, descriptor: Descriptor, got: int) -> BeeyardError:
    return BeeyardError(
        f"a blob of {ref} has another size than its manifest tells",
        why=f"{descriptor.digest}: {descriptor.size} bytes are told, {got} came",
        fix="the image is broken: take another version, and tell who publishes it",
        code="E-REG-004",
    )


def _nested(ref: ImageRef) -> BeeyardError:
    return BeeyardError(
        f"the manifest of {ref} cannot be used",
        why="its index names another index",
        fix="take another version of the image",
        code="E-REG-005",
    )
