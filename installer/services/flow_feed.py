"""Where the cockpit's flows come from: a choice of source, and what opens it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from installer.domain.flows.feed import Told
from installer.domain.flows.flow_filter import FilterSet

if TYPE_CHECKING:
    from installer.ports.cluster import Kube

Kind = Literal["relay", "server", "file", "tap"]


@dataclass(frozen=True, slots=True)
class FeedChoice:
    """One source.

    Attributes:
        kind: ``relay`` of the cluster in use, found and reached by itself; ``server`` an address; ``file`` a
            recording; ``tap`` the kernel of this host.
        target: the address (``host:port``, ``tls://...``, ``unix:...``) or the file's path; empty for the others.
        speed: of a recording: 1 as it happened, 10 ten times as fast, 0 at once.
    """

    kind: Kind = "relay"
    target: str = ""
    speed: float = 0.0

    @property
    def title(self) -> str:
        """Name for people."""
        if self.kind == "tap":
            return "tap"
        return self.target.rpartition("/")[2] if self.kind == "file" else self.target or "Relay"


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """What a feed is to give.

    Attributes:
        choice: the source.
        filters: what the source is to leave out before it sends anything.
        last: flows of the past to begin with, per node.
    """

    choice: FeedChoice = field(default_factory=FeedChoice)
    filters: FilterSet = field(default_factory=FilterSet)
    last: int = 0


class FlowFeeds(Protocol):
    """Opens sources."""

    def __call__(self, request: FeedRequest, kube: Kube | None) -> AsyncGenerator[Told, None]:
        """Tell what comes until the generator is closed, or a recording has ended. Losses are told and mended.

        Raises:
            BeeyardError: trying again cannot help: no such file, no rights, a wrong certificate.
        """
        ...
