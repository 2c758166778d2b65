"""The streaming side of a kubelet: logs, exec and port-forward as the API server proxies them.

It runs nothing. ``exec`` answers from a table, ``port-forward`` echoes in upper case, and refuses port 9.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import WSMsgType, web

PROTOCOL = "v4.channel.k8s.io"
Command = Callable[[list[str]], tuple[int, str, str]]


class Kubelet:
    """Attributes tell what the containers hold: ``logs`` by (pod, container, previous), ``command`` runs an exec.

    ``restarted``: it does not know its pods yet.
    """

    def __init__(self) -> None:
        self.logs: dict[tuple[str, str, bool], str] = {}
        self.command: Command = lambda argv: (0, " ".join(argv), "")
        self.port = 0
        self.backends: dict[int, int] = {}
        self.restarted = False

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[Kubelet]:
        """Serve on a free port of 127.0.0.1 with the server certificate of ``folder``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/portForward/{namespace}/{pod}", self._port_forward)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _logs(self, request: web.Request) -> web.Response:
        info = request.match_info
        previous = request.query.get("previous") == "true"
        text = self.logs.get((info["pod"], info["container"], previous))
        if text is None:
            raise web.HTTPBadRequest(text="container is waiting to start")
        return web.Response(text="\n".join(text.splitlines()[-int(request.query["tailLines"]) :]))

    async def _exec(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(protocols=(PROTOCOL,))
        await stream.prepare(request)
        argv = request.query.getall("command")
        if argv == ["hang"]:
            async for _ in stream:  # until the client gives up
                pass
            return stream
        code, out, err = self.command(argv)
        await stream.send_bytes(b"\x01" + out.encode())
        await stream.send_bytes(b"\x02" + err.encode())
        await stream.send_bytes(b"\x03" + json.dumps(_status(code)).encode())
        await stream.close()
        return stream

    async def _port_forward(self, request: web.Request) -> web.WebSocketResponse:
        if self.restarted:
            raise web.HTTPNotFound(text="pod not found")
        stream = web.WebSocketResponse(protocols=(PROTOCOL,))
        await stream.prepare(request)
        port = int(request.query.get("port") or request.query["ports"])
        number = port.to_bytes(2, "little")
        await stream.send_bytes(b"\x00" + number)
        await stream.send_bytes(b"\x01" + number)
        if port == 9:
            await stream.send_bytes(b"\x01" + b"connection refused")
            await stream.close()
            return stream
        if port in self.backends:
            await _bridge(stream, self.backends[port])
            return stream
        async for message in stream:
            if message.type is WSMsgType.BINARY and message.data[:1] == b"\x00":
                if message.data == b"\x00die":
                    break
                await asyncio.sleep(0)
                await stream.send_bytes(b"\x00" + message.data[1:].upper())
        await stream.close()
        return stream


async def _bridge(stream: web.WebSocketResponse, port: int) -> None:
    """Carry bytes between a forwarded port and a server of this host."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def back() -> None:
        while data := await reader.read(65536):
            await stream.send_bytes(b"\x00" + data)
        await stream.close()

    task = asyncio.ensure_future(back())
    try:
        async for message in stream:
            writer.write(message.data[1:])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


def _status(code: int) -> dict[str, object]:
    if code == 0:
        return {"status": "Success", "metadata": {}}
    if code < 0:
        return {"status": "Failure", "message": "container not found", "reason": "InternalError"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
