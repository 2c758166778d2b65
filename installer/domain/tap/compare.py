"""What the kernel saw and Hubble did not, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text

Key = tuple[str, frozenset[tuple[str, int]]]
"""Protocol, and address and port of both sides: the same for both directions of a connection."""


def key_of(flow: Flow) -> Key | None:
    """Return what tells connections apart; None for what has no addresses or no protocol."""
    protocol = text.protocol(flow)
    if flow.ip is None or not protocol:
        return None
    source, destination = text.ports(flow)
    return protocol, frozenset(((flow.ip.source, source), (flow.ip.destination, destination)))


@dataclass(frozen=True, slots=True)
class Missing:
    """A connection that one side did not tell; ``since`` is when the other told it first."""

    flow: Flow
    since: str

    @property
    def line(self) -> str:
        """One line for people; texts of the cluster in it are as they came."""
        source, destination = text.hosts(self.flow)
        return f"{self.since} {source} -> {destination} {text.protocol(self.flow)}"


@dataclass(frozen=True, slots=True)
class Result:
    """What the comparison gave: connections both told, and those that only one did."""

    both: int
    only_kernel: tuple[Missing, ...]
    only_hubble: tuple[Missing, ...]


class Comparison:
    """Collects connections of pods from both sources.

    Hubble sees traffic of pods only, so that of the host with itself is left out. A connection through a Service counts
    as seen when the side that began it was seen: its other end may be told before or after translation.

    Args:
        is_pod: tells whether an address is a pod's.
    """

    def __init__(self, is_pod: Callable[[str], bool]) -> None:
        self._is_pod = is_pod
        self._kernel: dict[Key, Flow] = {}
        self._hubble: dict[Key, Flow] = {}

    def kernel(self, flows: Iterable[Flow]) -> None:
        """Take flows of the tap."""
        self._take(flows, self._kernel)

    def hubble(self, flows: Iterable[Flow]) -> None:
        """Take flows of Hubble."""
        self._take(flows, self._hubble)

    def _take(self, flows: Iterable[Flow], into: dict[Key, Flow]) -> None:
        for flow in flows:
            key = key_of(flow)
            if key is not None and key not in into and any(self._is_pod(address) for address, _ in key[1]):
                into[key] = flow

    def __len__(self) -> int:
        return len(self._kernel) + len(self._hubble)

    def snapshot(self) -> Comparison:
        """Return what was collected up to now, for another thread."""
        copy = Comparison(self._is_pod)
        copy._kernel, copy._hubble = dict(self._kernel), dict(self._hubble)
        return copy

    def result(self, since: str = "", until: str = "~") -> Result:
        """Return what was found.

        Args:
            since: RFC 3339; what was told first before it is left out, for the other side may have begun later.
            until: the same for the end: what is younger may be still on its way.
        """
        hubble, kernel = _ends(self._hubble), _ends(self._kernel)
        only_kernel = _missing(self._kernel, self._hubble, hubble, since, until)
        only_hubble = _missing(self._hubble, self._kernel, kernel, since, until)
        both = sum(key in self._hubble or _has_end(key, hubble) for key in self._kernel)
        return Result(both, only_kernel, only_hubble)


def _ends(flows: Iterable[Key]) -> set[tuple[str, tuple[str, int]]]:
    return {(protocol, end) for protocol, ends in flows for end in ends if end[1] >= 1024}


def _has_end(key: Key, ends: set[tuple[str, tuple[str, int]]]) -> bool:
    return any((key[0], end) in ends for end in key[1] if end[1] >= 32768)


def _missing(
    told: dict[Key, Flow], other: dict[Key, Flow], ends: set[tuple[str, tuple[str, int]]], since: str, until: str
) -> tuple[Missing, ...]:
    found = [
        Missing(flow, flow.time)
        for key, flow in told.items()
        if key not in other and not _has_end(key, ends) and since <= flow.time <= until
    ]
    return tuple(sorted(found, key=lambda one: one.since))
