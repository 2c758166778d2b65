"""The downloader: resumes, verifies, then puts the file in place."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urljoin
from weakref import WeakValueDictionary

from installer.adapters.web.partial import BUFFER, PartialFile
from installer.adapters.web.proxies import ProxyRules
from installer.adapters.web.retrying import Backoff, Pause, TransientError, repeat
from installer.domain.errors import BeeyardError
from installer.domain.redact import mask_url
from installer.ports.web import Download, Progress

if TYPE_CHECKING:
    import httpx

    from installer.adapters.web.session import Session

T = TypeVar("T")
Content = Callable[[], AsyncIterable[bytes]] | bytes
"""A body, or what makes it piece by piece."""

_RANGE = re.compile(r"bytes\s+(?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)")
_WORTHWHILE = BUFFER
"""A try that brings fewer bytes than this counts as a failure like any other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        headers: header fields, names in small letters.
        body: the whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpDownloader:
    """Fetches over HTTP(S); errors are those of ``installer.adapters.web``.

    Args:
        proxy: proxy for everything, instead of those of the environment.
        no_proxy: exemptions, instead of those of the environment.
        ca_file: PEM file with further trusted CAs.
        stall: seconds without a byte after which a transfer is taken up anew.
        connect: seconds for connecting.
        backoff: tries and pauses.
        environment: where HTTP_PROXY and its like are looked up.
        pause: waits for so many seconds.
        clock: UNIX time in seconds.
        chance: number in [0, 1) that spreads retries.
    """

    def __init__(
        self,
        *,
        proxy: str = "",
        no_proxy: str = "",
        ca_file: Path | None = None,
        stall: float = 20.0,
        connect: float = 10.0,
        backoff: Backoff | None = None,
        environment: Mapping[str, str] | None = None,
        pause: Pause = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ):
        self._proxy = proxy
        self._no_proxy = no_proxy
        self._environment = os.environ if environment is None else environment
        self._ca_file = ca_file
        self._stall = stall
        self._connect = connect
        self._backoff = backoff or Backoff()
        self._pause = pause
        self._clock = clock
        self._chance = chance
        self._opened: Session | None = None
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    async def text(self, url: str, *, limit: int = 32 * 1024 * 1024) -> str:
        """Return a small UTF-8 document of at most ``limit`` bytes."""

        async def read() -> bytes:
            body = bytearray()
            async with self._session().stream("GET", url) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise _not_a_document(url, f"it is larger than {limit} bytes")
            return bytes(body)

        try:
            return (await self.repeat(read)).decode()
        except UnicodeDecodeError as error:
            raise _not_a_document(url, f"it is not UTF-8 text: {error.reason}") from error

    async def location(self, url: str) -> str:
        """Return where a redirect points to, without following it (empty when it is none)."""

        async def ask() -> str:
            async with self._session().stream("GET", url, follow=False) as response:
                target = response.headers.get("location", "") if response.has_redirect_location else ""
                return urljoin(url, target) if target else ""

        return await self.repeat(ask)

    async def size(self, url: str) -> int:
        """Return the size in bytes by a HEAD request, 0 when the server does not tell."""

        async def ask() -> int:
            every = frozenset(range(400, 600))
            async with self._session().stream(
                "HEAD", url, headers={"accept-encoding": "identity"}, accept=every
            ) as response:
                return _length(response) if response.is_success else 0

        return await self.repeat(ask)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
        content: Content | None = None,
        limit: int = 1024 * 1024,
        again: bool = True,
    ) -> Answer:
        """Send a request of another protocol on top of HTTP and return its answer.

        Args:
            method: HTTP method; redirects are followed for GET and HEAD only.
            url: http(s) URL.
            headers: further headers; one called Authorization never follows a redirect to another host.
            accept: statuses of 400 and more that are no error to the caller.
            content: body, or what makes it piece by piece (called anew for each try).
            limit: bytes of the largest body taken.
            again: try again where that may help. Else the caller does, with ``repeat``: it gets ``TransientError``.
        """

        async def ask() -> Answer:
            body = bytearray()
            sent = content() if callable(content) else content
            follow = method in ("GET", "HEAD")
            async with self._session().stream(
                method, url, headers=headers, accept=accept, content=sent, follow=follow
            ) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise _not_a_document(url, f"it is larger than {limit} bytes")
                return Answer(response.status_code, dict(response.headers), bytes(body))

        return await (self.repeat(ask) if again else ask())

    async def fetch(
        self, download: Download, progress: Progress | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Path:
        """Fetch a file: resume a partial one, verify its sha256, then rename it into place.

        A finished file with the right digest is left as it is, without asking the server. When cancelled, what has
        come so far stays for the next run. Further headers may carry credentials: they never follow a redirect to
        another host.
        """
        report = progress or (lambda _done, _total: None)
        async with self._lock(download.dest):
            if await asyncio.to_thread(_is_there, download):
                size = download.dest.stat().st_size
                report(size, size)
                return download.dest
            partial = PartialFile(download)
            try:
                await asyncio.to_thread(partial.open)
                await self._receive(partial, download, report, headers or {})
                return await asyncio.to_thread(partial.finish)
            finally:
                partial.close()

    def _lock(self, dest: Path) -> asyncio.Lock:
        return self._locks.setdefault(Path(os.path.abspath(dest)), asyncio.Lock())  # noqa: PTH100 links stay as they are

    def _session(self) -> Session:
        if self._opened is None:
            from installer.adapters.web.session import Session

            proxies = ProxyRules.of(self._environment, self._proxy, self._no_proxy)
            self._opened = Session(
                proxies, ca_file=self._ca_file, stall=self._stall, connect=self._connect, clock=self._clock
            )
        return self._opened

    async def repeat(self, attempt: Callable[[], Awaitable[T]], progressed: Callable[[], bool] = lambda: False) -> T:
        """Call until it succeeds, fails for good, or fails too often in a row without progress."""
        return await repeat(
            attempt, backoff=self._backoff, pause=self._pause, chance=self._chance, progressed=progressed
        )

    async def _receive(
        self, partial: PartialFile, download: Download, report: Progress, headers: Mapping[str, str]
    ) -> None:
        """Bring the partial file to its full and right content; a resumed one that proves wrong is begun anew once."""
        for may_begin_anew in (True, False):
            await self._receive_all(partial, download, report, headers)
            got, resumed = partial.digest, partial.resumed
            if not download.sha256 or got == download.sha256.lower():
                return
            await asyncio.to_thread(partial.restart)
            if not (resumed and may_begin_anew):
                raise _wrong_checksum(download, got)

    async def _receive_all(
        self, partial: PartialFile, download: Download, report: Progress, headers: Mapping[str, str]
    ) -> None:
        before = 0

        async def attempt() -> None:
            nonlocal before
            before = partial.size
            if not partial.complete:
                await self._receive_some(partial, download, report, headers)

        await self.repeat(attempt, lambda: partial.size - before >= _WORTHWHILE)

    async def _receive_some(
        self, partial: PartialFile, download: Download, report: Progress, headers: Mapping[str, str]
    ) -> None:
        asked = {"accept-encoding": "identity", **headers, **_range_headers(partial)}
        async with self._session().stream("GET", download.url, headers=asked, accept=frozenset({416})) as response:
            if response.status_code == 416:
                await _out_of_range(partial, response, download)
                return
            await _join(partial, response, download)
            length = _length(response)
            total = partial.size + length if length else 0
            etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
            await asyncio.to_thread(partial.note, etag, modified, total)
            report(partial.size, total)
            await _copy(response, partial, report)


async def _copy(response: httpx.Response, partial: PartialFile, report: Progress) -> None:
    """Write the body in large pieces off the event loop; whatever came is kept when it breaks off."""
    total = partial.origin.total
    pending = bytearray()
    try:
        async for chunk in response.aiter_raw():
            pending += chunk
            if len(pending) >= BUFFER:
                full, pending = pending, bytearray()
                await asyncio.to_thread(partial.write, full)
                report(partial.size, total)
    finally:
        partial.write(pending)
    report(partial.size, total or partial.size)


async def _join(partial: PartialFile, response: httpx.Response, download: Download) -> None:
    """Make the partial file end where the body begins."""
    if response.status_code != 206:
        await asyncio.to_thread(partial.restart)
    elif _continues(partial, response):
        partial.go_on()
    else:
        await _begin_anew(partial, download, "the server sent another part than the one asked for")


async def _out_of_range(partial: PartialFile, response: httpx.Response, download: Download) -> None:
    """Judge a 416: either everything is there already, or what is there is of no use."""
    match = _RANGE.match(response.headers.get("content-range", ""))
    if not (match and match["total"] == str(partial.size) and partial.size):
        await _begin_anew(partial, download, f"the server refuses to send from byte {partial.size} on")


async def _begin_anew(partial: PartialFile, download: Download, why: str) -> None:
    from installer.adapters.web.failures import broken_off

    await asyncio.to_thread(partial.restart)
    raise TransientError(broken_off(download.url, why))


def _range_headers(partial: PartialFile) -> dict[str, str]:
    if not partial.size:
        return {}
    validator = partial.origin.validator
    return {"range": f"bytes={partial.size}-", **({"if-range": validator} if validator else {})}


def _continues(partial: PartialFile, response: httpx.Response) -> bool:
    """Whether the body goes on where the partial file ends."""
    match = _RANGE.match(response.headers.get("content-range", ""))
    if not partial.size or match is None or match["first"] != str(partial.size):
        return False
    return match["total"] in ("*", str(partial.origin.total)) or not partial.origin.total


def _length(response: httpx.Response) -> int:
    with suppress(ValueError):
        return int(response.headers.get("content-length", "0"))
    return 0


def _is_there(download: Download) -> bool:
    if not download.sha256 or not download.dest.is_file():
        return False
    with download.dest.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == download.sha256.lower()


def _wrong_checksum(download: Download, got: str) -> BeeyardError:
    return BeeyardError(
        f"{download.name or download.dest.name} has the wrong checksum",
        why=f"expected sha256 {download.sha256.lower()}, got {got}, from {mask_url(download.url)}",
        fix="run again; if it stays wrong, the mirror or a proxy changes the file, or the expected sum is of another "
        "version. The file has been deleted",
        code="E-WEB-004",
        details={"expected": download.sha256.lower(), "got": got, "url": mask_url(download.url)},
    )


def _not_a_document(url: str, why: str) -> BeeyardError:
    from installer.adapters.web.failures import not_a_document

    return not_a_document(url, why)
