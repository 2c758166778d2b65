"""Channels to Observers: the one place that knows how a connection is made."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import grpc.aio

from installer import __version__
from installer.domain.errors import UsageError

PROBE_SECONDS = 2.0
OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.primary_user_agent", f"beeyard/{__version__}"),
    ("grpc.enable_http_proxy", 0),  # a forwarded port or a Service is never behind the user's proxy
    ("grpc.service_config_disable_resolution", 1),  # no TXT lookups
    ("grpc.use_local_subchannel_pool", 1),  # do not inherit the back-off of an earlier channel to the same port
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 5000),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an Observer listens.

    Attributes:
        host: name or IP address, IPv6 without brackets.
        port: TCP port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(address: str) -> Endpoint:
    """Read ``host:port`` or ``[v6]:port``.

    Raises:
        UsageError: ``E-HUBBLE-003`` it is something else.
    """
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    bracketed = bare != host
    if not (colon and bare and (":" in bare) == bracketed and _is_port(port)):
        raise UsageError(
            f"{address!r} is no address of a Hubble server",
            why="It has to be host:port, for IPv6 [address]:port.",
            fix="Give an address such as 127.0.0.1:4245.",
            code="E-HUBBLE-003",
        )
    return Endpoint(bare, int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def open_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """Make a plain-text channel; it connects with the first call."""
    return grpc.aio.insecure_channel(str(endpoint), options=OPTIONS)


async def speaks_tls(endpoint: Endpoint) -> bool:
    """Tell whether a server answers a TLS handshake. Nothing is sent after the handshake.

    The system's trust store judges the certificate: also its refusal shows that the server speaks TLS.
    """
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=ssl.create_default_context())
    except ssl.SSLCertVerificationError:
        return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, TimeoutError, UnicodeError):  # UnicodeError: no possible host name
        return False
    writer.transport.abort()
    return True
