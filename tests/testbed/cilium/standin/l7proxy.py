"""The HTTP proxy that connections with L7 rules are sent through: answers 403 itself, passes the rest on."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

IP_TRANSPARENT = 19
DENIED_BODY = b"Access denied\r\n"
_HEAD_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Exchange:
    """One HTTP request, or its answer when `code` is set."""

    client: tuple[str, int]
    server: tuple[str, int]
    method: str
    url: str
    protocol: str
    headers: tuple[tuple[str, str], ...]
    allowed: bool
    code: int = 0
    latency_ns: int = 0


Decide = Callable[[tuple[str, int], tuple[str, int], str, str, str], bool]
Report = Callable[[Exchange], None]


class Proxy:
    """Serves redirected connections; the local address of each is where it was going."""

    def __init__(self, decide: Decide, report: Report) -> None:
        self.decide, self.report = decide, report

    async def serve(self, port: int, host: str = "127.0.0.1", transparent: bool = True) -> asyncio.Server:
        """Listen."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if transparent:
            sock.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        sock.bind((host, port))
        return await asyncio.start_server(self._connection, sock=sock, limit=_HEAD_LIMIT)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, server = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        try:
            await _Session(self, reader, writer, client, server).run()
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Session:
    """One client connection and the connection to its server."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: tuple[str, int],
        server: tuple[str, int],
    ) -> None:
        self.proxy, self.reader, self.writer, self.client, self.server = proxy, reader, writer, client, server
        self.upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        try:
            while await self._one():
                pass
        finally:
            if self.upstream:
                self.upstream[1].close()

    async def _one(self) -> bool:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, headers = _parse(head)
        method, path, protocol = first.split(" ", 2)
        host = headers.get("host", f"{self.server[0]}:{self.server[1]}")
        allowed = self.proxy.decide(self.client, self.server, method, path, host)
        exchange = Exchange(
            self.client, self.server, method, f"http://{host}{path}", protocol, tuple(headers.items()), allowed
        )
        self.proxy.report(exchange)
        body = await _body(self.reader, headers, until_end=False)
        keep = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        began = time.monotonic_ns()
        code, keep = await (self._pass(head, body, method, keep) if allowed else self._refuse(keep))
        latency = time.monotonic_ns() - began
        self.proxy.report(Exchange(**{**exchange.__dict__, "code": code, "latency_ns": latency, "headers": ()}))
        return keep

    async def _refuse(self, keep: bool) -> tuple[int, bool]:
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        lines = [
            "HTTP/1.1 403 Forbidden",
            f"content-length: {len(DENIED_BODY)}",
            "content-type: text/plain",
            f"date: {date}",
            "server: envoy",
        ]
        if not keep:
            lines.append("connection: close")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + DENIED_BODY)
        await self.writer.drain()
        return 403, keep

    async def _pass(self, head: bytes, body: bytes, method: str, keep: bool) -> tuple[int, bool]:
        try:
            if self.upstream is None:
                self.upstream = await asyncio.wait_for(asyncio.open_connection(*self.server, limit=_HEAD_LIMIT), 5)
            reader, writer = self.upstream
            writer.write(head + body)
            await writer.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            text = b"upstream connect error or disconnect/reset before headers"
            self.writer.write(
                b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\ncontent-length: %d\r\n\r\n" % len(text) + text
            )
            await self.writer.drain()
            return 503, False
        first, headers = _parse(answer)
        code = int(first.split(" ")[1])
        ends = not first.startswith("HTTP/1.1") or headers.get("connection", "").lower() == "close"
        sized = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "")
        empty = method == "HEAD" or code in (204, 304)
        self.writer.write(answer + (b"" if empty else await _body(reader, headers, until_end=not sized)))
        await self.writer.drain()
        return code, keep and sized and not ends


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if ":" in line)
    return lines[0], {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str], until_end: bool) -> bytes:
    if "chunked" in headers.get("transfer-encoding", ""):
        parts = []
        while True:
            size = await reader.readuntil(b"\r\n")
            parts.append(size + await reader.readexactly(int(size.split(b";")[0], 16) + 2))
            if parts[-1].startswith(b"0\r\n"):
                return b"".join(parts)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read(-1) if until_end else b""
