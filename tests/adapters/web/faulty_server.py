"""A real HTTP(S) server, and a proxy, that misbehave on demand."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

Fault = Callable[["_Handler", bytes], None]


@dataclass
class Request:
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Site:
    """What a server serves, how its next answers go wrong, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[Request] = field(default_factory=list)
    etags: bool = True
    ending: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def put(self, path: str, data: bytes, *faults: Fault) -> str:
        """Serve data below a path, the first answers being wrong; return its URL."""
        self.files[path] = data
        self.faults[path].extend(faults)
        return self.url + path

    def ranges(self) -> list[str]:
        """Return the Range headers of all GET requests, empty where there was none."""
        return [request.headers.get("range", "") for request in self.requests if request.method == "GET"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients that leave are what we test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._take()

    def do_PATCH(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def _take(self) -> None:
        """Read the body, then answer as always."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer()

    def _answer(self) -> None:
        site, path = self.server.site, urlsplit(self.path).path
        site.requests.append(Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        data = site.files.get(path)
        if site.faults[path]:
            site.faults[path].popleft()(self, data or b"")
        elif data is None:
            status(404)(self, b"")
        else:
            self.serve(data)

    def serve(self, data: bytes, *, ranges: bool = True, until: int | None = None) -> None:
        """Answer with the file or the range asked for; ``until`` ends the bytes (not the announcement) early."""
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"' if self.server.site.etags else ""
        first = self._first(etag) if ranges else 0
        if first > len(data) or (first and first == len(data)):
            self.head(416, {"content-range": f"bytes */{len(data)}", "content-length": "0"})
            return
        headers = {"content-length": str(len(data) - first), **({"etag": etag} if etag else {})}
        if first:
            headers["content-range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self.head(206 if first else 200, headers)
        if self.command == "GET":
            self.wfile.write(data[first:until])

    def _first(self, etag: str) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if match is None or self.headers.get("if-range", etag) != etag:
            return 0
        return int(match[1])

    def head(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def empty(code: int, **headers: str) -> Fault:
    """Answer with a status, these headers and no body."""

    def fault(handler: _Handler, data: bytes) -> None:
        handler.head(code, {"content-length": "0", **headers})

    return fault


def truncate(at: int) -> Fault:
    """Announce the whole and hang up after ``at`` bytes of the file."""

    def fault(handler: _Handler, data: bytes) -> None:
        handler.serve(data, until=at)
        handler.hang_up()

    return fault


def stall(at: int) -> Fault:
    """Send ``at`` bytes of the file, then nothing more until the server ends."""

    def fault(handler: _Handler, data: bytes) -> None:
        handler.serve(data, until=at)
        handler.wfile.flush()
        handler.server.site.ending.wait()
        handler.close_connection = True

    return fault


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and an error page."""

    def fault(handler: _Handler, data: bytes) -> None:
        page = b"" if handler.command == "HEAD" else b"<html>sorry</html>"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(code, {"content-length": str(len(page)), **named})
        handler.wfile.write(page)

    return fault


def whole(handler: _Handler, data: bytes) -> None:
    """Ignore the range asked for."""
    handler.serve(data, ranges=False)


def other_part(handler: _Handler, data: bytes) -> None:
    """Answer a range request with another range."""
    page = data[-5:]
    handler.head(
        206,
        {
            "content-length": str(len(page)),
            "content-range": f"bytes {len(data) - len(page)}-{len(data) - 1}/{len(data)}",
        },
    )
    handler.wfile.write(page)


def unannounced(handler: _Handler, data: bytes) -> None:
    """Send everything in chunks, without its length."""
    handler.head(200, {"transfer-encoding": "chunked"})
    for start in range(0, len(data), 65536):
        piece = data[start : start + 65536]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def generated(block: bytes, times: int) -> Fault:
    """Send a block again and again: a large file that needs no memory here."""

    def fault(handler: _Handler, _data: bytes) -> None:
        handler.head(200, {"content-length": str(len(block) * times)})
        for _ in range(times):
            handler.wfile.write(block)

    return fault


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Site]:
    """Run a server on loopback, with TLS if a PEM file with key and certificate is given."""
    site = Site()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.site = site
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        site.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
        with _running(server):
            yield site
        site.ending.set()


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        getattr(server, "site", Site()).ending.set()
        server.shutdown()
        thread.join()


class _ProxyHandler(BaseHTTPRequestHandler):
    """Forwards to one fixed address, whatever host the client wants, or refuses."""

    protocol_version = "HTTP/1.1"
    refusal: ClassVar[int] = 0
    target: ClassVar[tuple[str, int]] = ("127.0.0.1", 0)
    seen: ClassVar[list[Request]] = []

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        pass

    def do_GET(self) -> None:
        if self._refused():
            return
        with socket.create_connection(self.target) as upstream:
            path = urlsplit(self.path).path
            upstream.sendall(
                f"GET {path} HTTP/1.1\r\nhost: {self.headers['host']}\r\nconnection: close\r\n\r\n".encode()
            )
            _pump(upstream, self.connection)
        self.close_connection = True

    def do_CONNECT(self) -> None:
        if self._refused():
            return
        with socket.create_connection(self.target) as upstream:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(upstream, self.connection))
            back.start()
            _pump(self.connection, upstream)
            back.join()
        self.close_connection = True

    def _refused(self) -> bool:
        self.seen.append(Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        if self.refusal:
            self.send_response(self.refusal)
            self.send_header("content-length", "0")
            self.end_headers()
            self.close_connection = True
        return bool(self.refusal)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()


@contextmanager
def proxying(target_url: str = "", *, refusal: int = 0) -> Iterator[tuple[str, list[Request]]]:
    """Run a proxy; yield its ``host:port`` and the requests it gets."""
    seen: list[Request] = []
    target = urlsplit(target_url)
    handler = type(
        "Handler",
        (_ProxyHandler,),
        {"refusal": refusal, "seen": seen, "target": (target.hostname or "127.0.0.1", target.port or 0)},
    )
    with _QuietProxy(("127.0.0.1", 0), handler) as server, _running(server):
        yield f"127.0.0.1:{server.server_port}", seen


class _QuietProxy(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients that leave are what we test."""
