"""Tiny HTTP servers: health endpoints on loopback, the agent's API on a Unix socket."""

import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

Answer = tuple[int, object]
Route = Callable[[str], Answer]


def _handler(route: Route) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = route(self.path)
            text = body if isinstance(body, str) else json.dumps(body)
            kind = (
                "text/html" if text.startswith("<") else "text/plain" if isinstance(body, str) else "application/json"
            )
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_args: object) -> None:
            return

        def address_string(self) -> str:
            return "local"

    return Handler


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def serve(address: tuple[str, int] | Path, route: Route) -> socketserver.BaseServer:
    """Serve in the background."""
    server: socketserver.BaseServer
    if isinstance(address, Path):
        address.parent.mkdir(parents=True, exist_ok=True)
        address.unlink(missing_ok=True)
        server = _Unix(str(address), _handler(route))
    else:
        server = _Tcp(address, _handler(route))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 5}, daemon=True, name="http").start()
    return server
