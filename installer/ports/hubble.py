"""Hubble's Observer API, of Relay or of one agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from installer.domain.flows.agent_event import AgentAnswer, DebugAnswer
from installer.ports.flows import FlowSource

RELAY_NAME = "instance.hubble-relay.cilium.io"
"""A name that every certificate of Relay carries (``*.hubble-relay.cilium.io``)."""
AGENT_SOCKET = "unix:///var/run/cilium/hubble.sock"
"""Where an agent listens on its node, in plain text, for root."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server is proven, and we to it. Everything is PEM.

    Attributes:
        ca: authorities that may have signed the server's certificate; empty: those of the system.
        certificate: our certificate with its chain, for servers that want one; empty: none.
        key: its private key.
        server_name: name that the server's certificate must carry; empty: the host of the address.
        any_certificate: take whatever certificate the server shows now, and no other while connected.
    """

    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    server_name: str = ""
    any_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is spoken to.

    Attributes:
        tls: None: plain text, unless the address says ``tls://``.
        username: of basic authentication, which needs TLS; empty: none.
        password: goes with it.
    """

    tls: Tls | None = None
    username: str = ""
    password: str = field(default="", repr=False)


PLAIN = Access()


@dataclass(frozen=True, slots=True)
class HubbleStatus:
    """Answer of ServerStatus.

    Attributes:
        num_flows: flows held now.
        max_flows: capacity.
        seen_flows: flows since start.
        uptime_seconds: age of the server.
        flows_rate: flows per second, last minute.
        connected_nodes: nodes that Relay reaches (None from an agent).
        unavailable_nodes: nodes that Relay does not reach (None from an agent).
        unavailable_names: their names (at most ten).
        version: server version.
    """

    num_flows: int
    max_flows: int
    seen_flows: int
    uptime_seconds: float
    flows_rate: float = 0.0
    connected_nodes: int | None = None
    unavailable_nodes: int | None = None
    unavailable_names: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class HubbleNode:
    """A node as Relay sees it.

    Attributes:
        name: ``cluster/node`` or ``node``.
        state: ``NODE_CONNECTED``, ``NODE_UNAVAILABLE``, ``NODE_GONE``, ``NODE_ERROR`` or ``UNKNOWN_NODE_STATE``.
        version: version of its agent.
        address: ``host:port`` of its agent.
        tls: whether Relay speaks TLS with it; None: not told.
        tls_name: name that its certificate must carry.
        uptime_seconds: age of its agent.
        num_flows: flows held now.
        max_flows: capacity.
        seen_flows: flows since start.
    """

    name: str
    state: str = "UNKNOWN_NODE_STATE"
    version: str = ""
    address: str = ""
    tls: bool | None = None
    tls_name: str = ""
    uptime_seconds: float = 0.0
    num_flows: int = 0
    max_flows: int = 0
    seen_flows: int = 0


@dataclass(frozen=True, slots=True)
class HubbleNamespace:
    """A namespace that had flows in the last hour."""

    namespace: str
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class PeerChange:
    """An agent's word on its peers; ``kind`` is ``PEER_ADDED``, ``PEER_DELETED`` or ``PEER_UPDATED``."""

    kind: str
    name: str
    address: str = ""
    tls_name: str = ""


@dataclass(frozen=True, slots=True)
class EventRequest:
    """What is asked of agent or debug events; the fields are those of ``FlowRequest``."""

    number: int = 0
    first: bool = False
    follow: bool = False
    since: float | None = None
    until: float | None = None


class Hubble(FlowSource, Protocol):
    """One connection to an Observer.

    Raises of every call: ConnectError ``E-HUBBLE-001`` out of reach, or the connection broke; ``E-HUBBLE-012`` the
    server's certificate is not accepted, ``-013`` it does not accept ours; DeadlineError ``E-HUBBLE-002`` it fell
    silent; BeeyardError ``-004`` not allowed, ``-005`` it has no such method, ``-007`` it does not know a field that
    the mask names, ``-008`` it failed, ``-014`` an answer is larger than we take; UsageError ``-006`` it refuses the
    request.
    """

    async def status(self, *, timeout: float = 5.0) -> HubbleStatus:
        """Return the server's status."""
        ...

    async def health(self, *, timeout: float = 5.0) -> str:
        """Return ``SERVING``, ``NOT_SERVING``, ``SERVICE_UNKNOWN`` or ``UNKNOWN`` (gRPC's health service)."""
        ...

    async def nodes(self, *, timeout: float = 5.0) -> tuple[HubbleNode, ...]:
        """Return Relay's nodes; agents have no such list (``E-HUBBLE-005``)."""
        ...

    async def namespaces(self, *, timeout: float = 5.0) -> tuple[HubbleNamespace, ...]:
        """Return the namespaces that had flows in the last hour."""
        ...

    def agent_events(self, request: EventRequest) -> AsyncGenerator[Sequence[AgentAnswer], None]:
        """Yield an agent's events in batches; Relay serves none (``E-HUBBLE-005``)."""
        ...

    def debug_events(self, request: EventRequest) -> AsyncGenerator[Sequence[DebugAnswer], None]:
        """Yield the datapath's debug events in batches; Relay serves none (``E-HUBBLE-005``)."""
        ...

    def peers(self) -> AsyncGenerator[PeerChange, None]:
        """Yield an agent's peers and then their changes; Relay serves none (``E-HUBBLE-005``)."""
        ...


class Hubbles(Protocol):
    """Opens connections to Observers."""

    def open(self, address: str, access: Access = PLAIN) -> AbstractAsyncContextManager[Hubble]:
        """Connect to ``host:port``, ``tls://host:port`` or ``unix:///path``; the first call makes the connection.

        Raises:
            UsageError: ``E-HUBBLE-003`` no such address, or one that does not go with the access.
        """
        ...
