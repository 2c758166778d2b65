"""One HTTP client: trust, proxies, redirects, and every failure as one of ours. Imports httpx: load it late."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx

from installer.adapters.web import failures
from installer.adapters.web.proxies import ProxyRules
from installer.domain.errors import UsageError

_MAX_REDIRECTS = 8


class Session:
    """A pool of connections.

    Args:
        proxies: which proxy a URL goes through.
        ca_file: PEM file of further trusted CAs, or None.
        stall: seconds without a byte after which a connection counts as dead.
        connect: seconds for connecting.
        clock: UNIX time in seconds.
    """

    def __init__(
        self, proxies: ProxyRules, *, ca_file: Path | None, stall: float, connect: float, clock: Callable[[], float]
    ):
        self._proxies = proxies
        self._clock = clock
        self._client = httpx.AsyncClient(
            transport=_RoutedTransport(proxies, trusted_context(ca_file)),
            timeout=httpx.Timeout(stall, connect=connect, pool=None),
            headers={"user-agent": "beeyard", "accept": "*/*"},
            max_redirects=_MAX_REDIRECTS,
            event_hooks={"response": [_refuse_downgrade]},
            trust_env=False,
        )

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
        accept: frozenset[int] = frozenset(),
        content: AsyncIterable[bytes] | bytes | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request; the context's value is the answer with its body still unread.

        Args:
            method: HTTP method.
            url: http(s) URL.
            headers: further headers.
            follow: follow redirects.
            accept: statuses of 400 and more that are no error to the caller.
            content: body; of one that is made piece by piece the headers tell the length.

        Raises:
            BeeyardError: ``E-WEB-0xx``, also for failures while the body is read.
            TransientError: another try may help.
        """
        try:
            async with self._client.stream(
                method, url, headers=headers, follow_redirects=follow, content=content
            ) as response:
                if response.status_code >= 400 and response.status_code not in accept:
                    proxy = self._proxies.proxy_for(str(response.url))
                    raise failures.of_status(response, url, proxy, self._clock())
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise failures.of_exception(error, url, self._proxies.proxy_for(_failed_url(error, url))) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class _RoutedTransport(httpx.AsyncBaseTransport):
    """Sends each request (each hop of a redirect, too) directly or through the proxy that its URL asks for."""

    def __init__(self, proxies: ProxyRules, context: ssl.SSLContext):
        self._proxies = proxies
        self._context = context
        self._routes: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._route(self._proxies.proxy_for(str(request.url))).handle_async_request(request)

    def _route(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._routes:
            via = httpx.Proxy(proxy, ssl_context=self._context) if proxy.startswith("https:") else proxy or None
            self._routes[proxy] = httpx.AsyncHTTPTransport(verify=self._context, proxy=via, trust_env=False)
        return self._routes[proxy]

    async def aclose(self) -> None:
        for route in self._routes.values():
            await route.aclose()


async def _refuse_downgrade(response: httpx.Response) -> None:
    """Refuse a redirect from https to http: checksum lists would come over an open line."""
    if not response.has_redirect_location or response.request.url.scheme != "https":
        return
    target = urljoin(str(response.request.url), response.headers["location"])
    if target.lower().startswith("http:"):
        raise failures.redirect_refused(str(response.request.url), "it leads from https to http")


def trusted_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a verifying TLS context: the system's CAs (certifi's where there are none) and the given file's.

    Raises:
        UsageError: ``E-WEB-012`` the file holds no certificate.
    """
    context = ssl.create_default_context()
    system = ssl.get_default_verify_paths()
    if not system.cafile and not _holds_anything(system.capath):
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"the CA file {ca_file} cannot be used",
                why=str(error),
                fix="give a readable file with one or more certificates in PEM form",
                code="E-WEB-012",
            ) from error
    return context


def _holds_anything(folder: str | None) -> bool:
    return folder is not None and any(Path(folder).iterdir())


def _failed_url(error: Exception, url: str) -> str:
    """Return the URL of the hop that failed."""
    try:
        return str(error.request.url) if isinstance(error, httpx.RequestError) else url
    except RuntimeError:
        return url
