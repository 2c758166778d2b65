"""Pushes blobs and manifests: what is there already is left, what breaks off goes on where it stopped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote, urljoin, urlsplit

from installer.adapters.web.download import Answer, Content, HttpDownloader
from installer.adapters.web.registry.auth import Authorizer, Call, said
from installer.adapters.web.retrying import TransientError
from installer.domain.errors import BeeyardError
from installer.domain.images.manifest import Descriptor
from installer.domain.images.mirrors import Endpoint, Target
from installer.ports.registry import BlobProgress, BlobReader, PushedManifest

CHUNK = 32 * 1024 * 1024
"""Blobs up to this size are sent at once, larger ones in pieces of it, in bytes."""

_ERRORS = frozenset(range(400, 500)) - {408, 425, 429}
_LOST = (404, 416)
_RANGE = re.compile(r"(?:bytes=)?0-(?P<last>\d+)")


class Pusher:
    """The half of a registry client that writes.

    Args:
        http: our HTTP client.
        authorizer: answers challenges.
        chunk: bytes sent at once.
    """

    def __init__(self, http: HttpDownloader, authorizer: Authorizer, *, chunk: int = CHUNK):
        self._http = http
        self._authorizer = authorizer
        self._chunk = chunk

    async def push_blob(
        self, target: Target, repository: str, descriptor: Descriptor, read: BlobReader, progress: BlobProgress
    ) -> bool:
        """Bring a blob into a registry; return False where it is there already."""
        upload = _Upload(self._http, self._authorizer, target.endpoint, target.path(repository))
        if await upload.has(descriptor):
            progress(descriptor.digest, descriptor.size, descriptor.size)
            return False
        if descriptor.size <= self._chunk:
            await upload.whole(descriptor, read)
        else:
            await upload.in_chunks(descriptor, read, self._chunk, progress)
        progress(descriptor.digest, descriptor.size, descriptor.size)
        return True

    async def push_manifest(self, target: Target, repository: str, manifest: PushedManifest) -> None:
        """Put a manifest into a registry whose blobs are there."""
        path = target.path(repository)
        name = manifest.tag or manifest.descriptor.digest
        answer = await self._authorizer.send(
            target.endpoint,
            _scope(path),
            Call(
                "PUT",
                f"{target.endpoint.base}/{path}/manifests/{name}",
                headers={"content-type": manifest.descriptor.media_type},
                content=manifest.data,
                accept=_ERRORS,
            ),
        )
        if answer.status >= 300:
            raise _not_taken(target.endpoint, f"{path}:{name}", answer)


class _Upload:
    """Blobs on their way to one repository."""

    def __init__(self, http: HttpDownloader, authorizer: Authorizer, endpoint: Endpoint, path: str):
        self._http = http
        self._authorizer = authorizer
        self._endpoint = endpoint
        self._path = path
        self._base = f"{endpoint.base}/{path}/blobs"

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: Content | None = None
    ) -> Answer:
        call = Call(method, url, headers=headers or {}, content=content, accept=_ERRORS, again=method == "HEAD")
        return await self._authorizer.send(self._endpoint, _scope(self._path), call)

    async def has(self, descriptor: Descriptor) -> bool:
        answer = await self._send("HEAD", f"{self._base}/{descriptor.digest}")
        return answer.status < 300

    async def whole(self, descriptor: Descriptor, read: BlobReader) -> None:
        """Send a blob in one request; a broken one is begun anew."""

        async def attempt() -> None:
            place = await self._begin()
            headers = {"content-type": "application/octet-stream", "content-length": str(descriptor.size)}
            body = partial(read, descriptor, 0, descriptor.size)
            self._check(await self._send("PUT", _with_digest(place, descriptor), headers, body), descriptor)

        await self._http.repeat(attempt)

    async def in_chunks(self, descriptor: Descriptor, read: BlobReader, chunk: int, progress: BlobProgress) -> None:
        """Send a blob piece by piece; after a break the registry is asked how much it has."""
        place, offset, before = "", 0, 0

        async def attempt() -> None:
            nonlocal place, offset, before
            before = offset
            place, offset = await self._resume(place)
            while offset < descriptor.size:
                length = min(chunk, descriptor.size - offset)
                part = partial(read, descriptor, offset, length)
                answer = await self._send_chunk(place, part, offset, length)
                if answer.status in _LOST:  # the registry is not where it said it was: begin anew
                    place, offset = "", before
                    raise TransientError(_not_taken(self._endpoint, self._path, answer))
                self._check(answer, descriptor)
                place, offset = self._location(answer, place), offset + length
                progress(descriptor.digest, offset, descriptor.size)
            answer = await self._send("PUT", _with_digest(place, descriptor), {"content-length": "0"})
            self._check(answer, descriptor)

        await self._http.repeat(attempt, lambda: offset > before)

    async def _send_chunk(self, place: str, body: Content, offset: int, length: int) -> Answer:
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(length),
            "content-range": f"{offset}-{offset + length - 1}",
        }
        return await self._send("PATCH", place, headers, body)

    async def _resume(self, place: str) -> tuple[str, int]:
        """Return where to send to and from which byte on: of the upload that broke off, or of a new one."""
        if place:
            answer = await self._send("GET", place)
            match = _RANGE.fullmatch(answer.headers.get("range", ""))
            if answer.status < 300 and match:
                last = int(match["last"])
                return self._location(answer, place), last + 1 if last else 0
        return await self._begin(), 0

    async def _begin(self) -> str:
        answer = await self._send("POST", f"{self._base}/uploads/", {"content-length": "0"})
        if answer.status >= 300 or not answer.headers.get("location"):
            raise _not_taken(self._endpoint, self._path, answer)
        return self._location(answer, f"{self._base}/uploads/")

    def _location(self, answer: Answer, place: str) -> str:
        """Return where the registry wants the next part; it may not send us, and our token, elsewhere."""
        url = urljoin(place, answer.headers.get("location") or place)
        ours, theirs = urlsplit(place), urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise BeeyardError(
                f"the registry {self._endpoint.host} wants blobs to be sent elsewhere",
                why=f"it names {theirs.scheme}://{theirs.hostname}",
                fix="correct the registry's own address in its configuration (http.host)",
                code="E-REG-008",
            )
        return url

    def _check(self, answer: Answer, descriptor: Descriptor) -> None:
        if answer.status >= 300:
            raise _not_taken(self._endpoint, f"{self._path}@{descriptor.digest}", answer)


def _with_digest(place: str, descriptor: Descriptor) -> str:
    return f"{place}{'&' if '?' in place else '?'}digest={quote(descriptor.digest, safe='')}"


def _scope(path: str) -> str:
    return f"repository:{path}:pull,push"


def _not_taken(endpoint: Endpoint, what: str, answer: Answer) -> BeeyardError:
    return BeeyardError(
        f"the registry {endpoint.host} does not take {what}",
        why=f"HTTP {answer.status}{said(answer)}",
        fix="check that the repository may be written (quota, rules for names and tags, read-only mode)",
        code="E-REG-008",
        details={"status": answer.status},
    )
