"""Channels to Observers: the one place that knows how a connection is made."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, replace
from functools import lru_cache

import grpc
from grpc.experimental import ChannelOptions

from installer import __version__
from installer.domain.errors import UsageError
from installer.ports.hubble import PLAIN, Access, Tls

MESSAGE_LIMIT = 4 * 1024 * 1024
"""Bytes of an answer that we take; Hubble's own programs take as many."""
OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.primary_user_agent", f"beeyard/{__version__}"),
    ("grpc.enable_http_proxy", 0),  # a forwarded port or a Service is never behind the user's proxy
    ("grpc.service_config_disable_resolution", 1),  # no TXT lookups
    ("grpc.use_local_subchannel_pool", 1),  # do not inherit the back-off of an earlier channel to the same port
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    (ChannelOptions.SingleThreadedUnaryStream, 1),  # 9 us a message instead of 70: no hand-over between threads
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where an Observer listens, and how it is spoken to.

    Attributes:
        host: name or IP address, IPv6 without brackets; empty for a socket.
        port: TCP port.
        socket: path of a Unix socket, empty for TCP.
        access: how.
    """

    host: str
    port: int
    socket: str = ""
    access: Access = PLAIN

    def __str__(self) -> str:
        if self.socket:
            return f"unix://{self.socket}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def tls(self) -> Tls | None:
        """How TLS is spoken; None: plain text."""
        return self.access.tls

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        if not self.access.username:
            return ()
        pair = f"{self.access.username}:{self.access.password}".encode()
        return (("authorization", "Basic " + base64.b64encode(pair).decode()),)


def parse_server(address: str, access: Access = PLAIN) -> Server:
    """Read ``host:port``, ``[v6]:port``, ``tls://host:port`` or ``unix:///path``.

    Raises:
        UsageError: ``E-HUBBLE-003`` it is something else, or does not go with the access.
    """
    if address.startswith("unix:"):
        server = Server("", 0, _socket_path(address), access)
    else:
        if address.startswith("tls://"):
            access = access if access.tls else replace(access, tls=Tls())
        host, port = _host_and_port(address, address.removeprefix("tls://"))
        server = Server(host, port, access=access)
    _check_access(server)
    return server


def _socket_path(address: str) -> str:
    path = address.removeprefix("unix:")
    path = path[2:] if path.startswith("///") else path
    if path.startswith("/") and not path.startswith("//"):
        return path
    raise _no_address(address, "A socket needs its full path.", "Write it as unix:///var/run/cilium/hubble.sock.")


def _host_and_port(address: str, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    bracketed = bare != host
    if colon and bare and "/" not in bare and (":" in bare) == bracketed and _is_port(port):
        return bare, int(port)
    why = "It has to be host:port, for IPv6 [address]:port, with tls:// in front for TLS, or unix:///path."
    raise _no_address(address, why, "Give an address such as 127.0.0.1:4245.")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def _no_address(address: str, why: str, fix: str) -> UsageError:
    return UsageError(f"{address!r} is no address of a Hubble server", why=why, fix=fix, code="E-HUBBLE-003")


def _check_access(server: Server) -> None:
    access = server.access
    why = ""
    if server.socket and access.tls:
        why = "An agent's socket speaks plain text only."
    elif access.username and not access.tls:
        why = "A password would go over the network in plain text."
    elif access.tls and bool(access.tls.certificate) != bool(access.tls.key):
        why = "A client certificate and its private key go together; one of them is missing."
    if why:
        fix = "Leave the TLS options out for a socket; give a password with TLS only; give certificate and key."
        raise UsageError(f"{server} does not go with the options given", why=why, fix=fix, code="E-HUBBLE-003")


def open_channel(server: Server) -> grpc.Channel:
    """Make a channel; it connects with the first call."""
    if server.socket:  # Go's servers refuse the escaped path as the authority
        options = (*OPTIONS, ("grpc.default_authority", "localhost"))
        return grpc.insecure_channel(f"unix:{server.socket}", options=options)
    if server.tls is None:
        return grpc.insecure_channel(str(server), options=OPTIONS)
    tls = server.tls
    name = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
    credentials = grpc.ssl_channel_credentials(tls.ca or system_authorities(), tls.key or None, tls.certificate or None)
    return grpc.secure_channel(str(server), credentials, options=(*OPTIONS, *name))


@lru_cache(maxsize=1)
def system_authorities() -> bytes:
    """Return the authorities that this system trusts, in PEM."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()
