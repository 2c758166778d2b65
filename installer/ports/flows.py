"""Where flows come from: Relay, an agent, a recorded file, the kernel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import FilterSet


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """What is asked of a source.

    Attributes:
        filters: what shall come.
        number: newest N per node (the oldest with ``first``), 0 for none of the past when following.
        first: the oldest instead of the newest.
        follow: go on with new flows.
        since: UNIX time in seconds; wins over ``number`` for the start.
        until: UNIX time in seconds; ignored with ``follow``.
        mask: paths of the fields wanted, such as ``source.pod_name``; empty for all.
    """

    filters: FilterSet = field(default_factory=FilterSet)
    number: int = 0
    first: bool = False
    follow: bool = False
    since: float | None = None
    until: float | None = None
    mask: tuple[str, ...] = ()


class FlowSource(Protocol):
    """Gives flows in batches: what has come since the last batch, so that a fast stream costs no turn per flow."""

    @property
    def name(self) -> str:
        """Name for people, such as ``relay 127.0.0.1:4245`` or ``flows.jsonl``."""
        ...

    def batches(self, request: FlowRequest) -> AsyncGenerator[Sequence[Answer], None]:
        """Yield non-empty batches in the order of arrival. Whoever stops early closes the generator.

        Raises:
            BeeyardError: codes of the source (``E-HUBBLE-*``, ``E-FLOW-*``, ``E-BPF-*``).
        """
        ...
