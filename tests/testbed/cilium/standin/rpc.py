"""What agent and Relay share of gRPC: generic handlers, health, certificates."""

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]

from . import wire

SERVING, NOT_SERVING = 1, 2
HEALTH_SERVICES = ("", "hubble.server.Observer", "observer.Observer")
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 16 << 20)]


def unary(function: Callable[[Any, Any], Any], request: str) -> Any:
    """A handler of a unary method."""
    return grpc.unary_unary_rpc_method_handler(function, wire.decoder(request), wire.encode)


def stream(function: Callable[[Any, Any], Iterator[Any]], request: str) -> Any:
    """A handler of a server-streaming method."""
    return grpc.unary_stream_rpc_method_handler(function, wire.decoder(request), wire.encode)


def server(services: dict[str, dict[str, Any]], healthy: Callable[[], bool], workers: int = 32) -> Any:
    """A server with these services and the standard health service."""
    made = grpc.server(futures.ThreadPoolExecutor(workers, thread_name_prefix="grpc"), options=OPTIONS)
    handlers = [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]
    made.add_generic_rpc_handlers((*handlers, _health(healthy)))
    return made


def _health(healthy: Callable[[], bool]) -> Any:
    def status() -> bytes:
        return bytes([0x08, SERVING if healthy() else NOT_SERVING])

    def check(request: bytes, context: Any) -> bytes:
        name = request[2:].decode() if request else ""
        if name not in HEALTH_SERVICES:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return status()

    def watch(_request: bytes, context: Any) -> Iterator[bytes]:
        last = b""
        pause = threading.Event()
        while context.is_active():
            if (now := status()) != last:
                yield now
                last = now
            pause.wait(0.5)

    methods: dict[str, Any] = {
        "Check": grpc.unary_unary_rpc_method_handler(check),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
    }
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)


def server_credentials(folder: Path, client_ca: str = "client-ca.crt", mutual: bool = True) -> Any:
    """TLS for a server from `server.crt`, `server.key` and the clients' CA."""
    pair = [((folder / "server.key").read_bytes(), (folder / "server.crt").read_bytes())]
    return grpc.ssl_server_credentials(pair, (folder / client_ca).read_bytes() if mutual else None, mutual)


def client_credentials(folder: Path) -> Any:
    """TLS for a client from `client.crt`, `client.key` and the servers' CA."""
    names = ("hubble-server-ca.crt", "client.key", "client.crt")
    return grpc.ssl_channel_credentials(*((folder / name).read_bytes() for name in names))
