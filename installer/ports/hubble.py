"""Hubble's Observer API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol


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
        unavailable_names: their names.
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


class Hubble(Protocol):
    """One connection to an Observer (Relay or agent)."""

    async def status(self, *, timeout: float = 5.0) -> HubbleStatus:
        """Return the server's status.

        Raises:
            ConnectError: ``E-HUBBLE-001`` out of reach, with the transport's reason.
            DeadlineError: ``E-HUBBLE-002``.
        """
        ...

    def flows(
        self,
        *,
        whitelist: Sequence[Mapping[str, Any]] = (),
        number: int = 0,
        since: float | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield GetFlows answers in Hubble's JSON form (one key ``flow``, ``node_status`` or ``lost_events``).

        Args:
            whitelist: FlowFilters in JSON form, such as ``{"source_pod": ["ns/pod"], "verdict": ["DROPPED"]}``.
            number: newest N per node, 0 for none of the past when following.
            since: UNIX time in seconds.
            follow: go on with new flows.
        """
        ...


class Hubbles(Protocol):
    """Opens connections to Observers."""

    def open(self, address: str) -> AbstractAsyncContextManager[Hubble]:
        """Connect to ``host:port`` in plain text (port-forwarded Relay)."""
        ...
