"""HTTP and WebSocket requests to one API server, with our errors."""

from __future__ import annotations

import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from installer.adapters.kube.errors import Target, status_error, transport_error

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientTimeout, ClientWebSocketResponse

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        target: what it is about, for errors.
        path: URL path.
        method: HTTP method.
        query: query parameters; a key may come several times.
        body: JSON body.
        content_type: its type.
    """

    target: Target
    path: str
    method: str = "GET"
    query: Query = ()
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"


class Transport:
    """The official client's ``ApiClient`` for raw JSON: its TLS, credentials and connection pool, not its models."""

    def __init__(self, api: Any, refresh: Callable[[], Awaitable[Mapping[str, str]]]):
        """Take an ``ApiClient`` and a function that gives fresh API keys (used once after every 401)."""
        self._api = api
        self._refresh = refresh
        self._connector: Any = None

    @property
    def server(self) -> str:
        """The API's URL."""
        return str(self._api.configuration.host)

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How the server is verified; None without TLS."""
        found: ssl.SSLContext | None = self._api.rest_client.ssl_context
        return found if self.server.startswith("https:") else None

    @property
    def tls_name(self) -> str | None:
        """Server name to verify in place of the URL's host."""
        return self._api.configuration.tls_server_name or None

    async def json(self, request: Request, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return the JSON answer.

        Raises:
            GoneError: 410.
            AbsentError: 404.
            BeeyardError: see ``installer.adapters.kube``.
        """
        text = await self.text(request, seconds=seconds)
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise transport_error(self.server, error) from error
        return answer if isinstance(answer, dict) else {"value": answer}

    async def text(self, request: Request, *, seconds: float = ANSWER_SECONDS) -> str:
        """Return the answer's text; raises like ``json``."""
        async with self.stream(request, seconds=seconds) as response:
            return await response.text(encoding="utf-8", errors="replace")

    @asynccontextmanager
    async def stream(
        self, request: Request, *, seconds: float | None = None, silence: float | None = None
    ) -> AsyncIterator[ClientResponse]:
        """Open an answer to be read bit by bit.

        Args:
            request: the request.
            seconds: time for the whole answer, None for no limit.
            silence: longest pause between two reads, None for no limit.
        """
        from aiohttp import ClientError, ClientTimeout

        timeout = ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=silence)
        try:
            response = await self._send(request, timeout)
            try:
                await self._check(request, response)
                yield response
            finally:
                _dispose(response)
        except (ClientError, TimeoutError, OSError) as error:
            raise transport_error(self.server, error) from error

    async def _check(self, request: Request, response: ClientResponse) -> None:
        if response.status >= 400:
            body = await response.text(encoding="utf-8", errors="replace")
            raise status_error(self.server, request.target, response.status, body)

    async def _send(self, request: Request, timeout: ClientTimeout) -> ClientResponse:
        response = await self._send_once(request, timeout)
        if response.status != 401:
            return response
        response.release()
        await self._renew_credentials()
        return await self._send_once(request, timeout)

    async def _renew_credentials(self) -> None:
        self._api.configuration.api_key.update(await self._refresh())

    async def _send_once(self, request: Request, timeout: ClientTimeout) -> ClientResponse:
        self._prepare_session()
        headers = {"Content-Type": request.content_type, "Accept": "application/json, */*;q=0.5"}
        method, url, headers, body, _ = await self._api.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query),
            header_params=headers,
            body=dict(request.body) if request.body is not None else None,
            auth_settings=["BearerToken"],
        )
        answer = await self._api.call_api(method, url, headers, body, _request_timeout=timeout)
        response: ClientResponse = answer.response
        return response

    @asynccontextmanager
    async def websocket(self, request: Request, protocol: str) -> AsyncIterator[ClientWebSocketResponse]:
        """Open a WebSocket with the given subprotocol; raises like ``json``."""
        from aiohttp import ClientError, ClientWSTimeout, WSServerHandshakeError

        self._prepare_session()
        _, url, headers, _, _ = await self._api.param_serialize(
            "GET", request.path, query_params=list(request.query), header_params={}, auth_settings=["BearerToken"]
        )
        try:
            async with self._session().ws_connect(
                url,
                headers=headers,
                protocols=(protocol,),
                max_msg_size=0,
                timeout=ClientWSTimeout(ws_close=2.0),
                server_hostname=self._api.configuration.tls_server_name or None,
                proxy=self._api.configuration.proxy,
            ) as connection:
                yield connection
        except WSServerHandshakeError as error:
            raise status_error(self.server, request.target, error.status, error.message) from error
        except (ClientError, TimeoutError, OSError) as error:
            raise transport_error(self.server, error) from error

    def _session(self) -> Any:
        rest = self._api.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()  # noqa: SLF001 - the library's own way for WebSockets
        return rest.pool_manager

    def _prepare_session(self) -> None:
        """Give the client a connector whose sockets notice a dead peer, once."""
        if self._connector is not None:
            return
        from aiohttp import TCPConnector

        self._connector = TCPConnector(
            ssl=self._api.rest_client.ssl_context,
            socket_factory=_socket,
            limit=0,
            enable_cleanup_closed=sys.version_info < (3, 12, 7),  # older ones keep TLS sockets whose peer hangs
        )
        self._api.configuration.client_session_kwargs = {
            "connector": self._connector,
            "trust_env": not _is_loopback(self.server),
        }

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()
        if self._connector is not None:
            await self._connector.close()


def _dispose(response: ClientResponse) -> None:
    """Keep the connection of an answer read to its end, cut that of any other.

    It is cut without TLS' farewell: a server that hangs would not answer it.
    """
    if response.content.at_eof():
        response.release()
        return
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


def _is_loopback(server: str) -> bool:
    """Whether a proxy of the environment must be ignored, as kubectl does."""
    host = urlsplit(server).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _socket(address: Any) -> socket.socket:
    """Make a TCP socket that finds out within half a minute that the other side is gone."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock
