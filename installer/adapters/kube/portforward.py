"""Forwarding a local port to a pod: one WebSocket per connection, so that a broken one hurts no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from installer.adapters.kube.errors import AbsentError, GoneError, Target, absent
from installer.adapters.kube.exec import PROTOCOL
from installer.adapters.kube.paths import resource_path
from installer.adapters.kube.transport import Request, Transport
from installer.domain.errors import BeeyardError, UsageError
from installer.ports.cluster import PODS

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

_DATA, _ERROR = 0, 1
_CHUNK = 64 * 1024
_HALF_CLOSED_SECONDS = 2.0
"""How long an answer is waited for after the local side stopped sending (a WebSocket cannot be half closed)."""
_log = logging.getLogger(__name__)


@asynccontextmanager
async def forward_port(
    transport: Transport, pod: str, namespace: str, port: int, *, local_port: int = 0
) -> AsyncIterator[int]:
    """Listen on 127.0.0.1, at a free port unless one is given, for as long as the context lives.

    Raises:
        BeeyardError: ``E-KUBE-003`` RBAC forbids it, ``E-KUBE-004`` no such pod, ``E-KUBE-009`` it does not run.
        UsageError: ``E-KUBE-012`` the local port is taken.
    """
    await _check_running(transport, pod, namespace)
    target = Target("create", "pods/portforward", namespace, pod)
    path = resource_path(PODS, namespace, pod, "portforward")
    request = Request(target, path, query=[("ports", str(port))])
    try:
        async with transport.websocket(request, PROTOCOL):
            pass  # what RBAC forbids or the node refuses shows here, and not only in the first connection
    except (AbsentError, GoneError) as error:  # such as a kubelet that was restarted and does not know the pod yet
        raise absent(target, str(error)) from error
    bridge = _Bridge(transport, request)
    server = await _listen(bridge, local_port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await bridge.close()
        await server.wait_closed()


async def _listen(bridge: _Bridge, port: int) -> asyncio.Server:
    try:
        return await asyncio.start_server(bridge.accept, "127.0.0.1", port)
    except OSError as error:
        raise UsageError(
            f"127.0.0.1:{port} cannot be listened on",
            why=error.strerror or str(error),
            fix="Give another local port, or 0 for a free one.",
            code="E-KUBE-012",
        ) from error


async def _check_running(transport: Transport, pod: str, namespace: str) -> None:
    target = Target("get", "pods", namespace, pod)
    try:
        found = await transport.json(Request(target, resource_path(PODS, namespace, pod)))
    except AbsentError as error:
        raise absent(target, error.message) from error
    phase = found.get("status", {}).get("phase")
    if phase != "Running":
        fix = "Wait until it runs: beeyard status --wait"
        raise BeeyardError(
            f"cannot forward a port to {namespace}/{pod}", why=f"the pod is {phase}", fix=fix, code="E-KUBE-009"
        )


class _Bridge:
    """Carries each accepted connection over a WebSocket of its own."""

    def __init__(self, transport: Transport, request: Request):
        self._transport = transport
        self._request = request
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with self._transport.websocket(self._request, PROTOCOL) as remote:
                await _carry(reader, writer, remote)
        except (BeeyardError, AbsentError, GoneError) as error:
            _log.info("port-forward to %s: %s", self._request.path, error)
        except asyncio.CancelledError:
            pass  # the forward is being closed; asyncio's server would report a cancelled handler as an error
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, remote: ClientWebSocketResponse) -> None:
    """Carry bytes both ways until the remote side ends, or falls silent after the local side has ended."""
    down = asyncio.ensure_future(_to_local(remote, writer))
    up = asyncio.ensure_future(_to_remote(reader, remote))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if not down.done():
            await asyncio.wait({down}, timeout=_HALF_CLOSED_SECONDS)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _to_remote(reader: asyncio.StreamReader, remote: ClientWebSocketResponse) -> None:
    while data := await reader.read(_CHUNK):
        await remote.send_bytes(bytes([_DATA]) + data)


async def _to_local(remote: ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    opened: set[int] = set()
    async for message in remote:
        data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
        if not data:
            continue
        if data[0] not in opened:  # the first message of each channel is the port's number
            opened.add(data[0])
        elif data[0] == _ERROR:
            _log.info("port-forward: %s", data[1:].decode(errors="replace").strip())
            return
        elif data[0] == _DATA:
            writer.write(data[1:])
            await writer.drain()
