"""What a followed stream tells besides flows: the words of ``services.flows``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from installer.domain.errors import BeeyardError
from installer.domain.flows.flow import Answer


@dataclass(frozen=True, slots=True)
class Flows:
    """Answers in the order in which they are to be shown: flows, node status and lost events."""

    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Connected:
    """The source answers.

    Attributes:
        source: its name for people.
        again: after a loss.
    """

    source: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The source is lost and is tried again.

    Attributes:
        error: why.
        delay: seconds until the next try.
        attempt: number of the try, from 1.
    """

    error: BeeyardError
    delay: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Flows of this time may be missing.

    Attributes:
        since: RFC 3339 time of the last flow before it; empty: unknown.
        until: the same of the first flow after it; empty: not over yet.
        node: node concerned; empty: all.
        reason: why, for people.
    """

    since: str
    until: str
    node: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NodesChanged:
    """Nodes went away or came back, found by asking.

    Attributes:
        lost: names of nodes that do not answer any more.
        back: names of nodes that answer again, or are new.
        connected: nodes that answer.
        total: all nodes.
    """

    lost: tuple[str, ...]
    back: tuple[str, ...]
    connected: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something else to know: a stable ``code``, what happened, and why."""

    code: str
    text: str
    why: str = ""


Told = Flows | Connected | Disconnected | Gap | NodesChanged | Notice


@dataclass(slots=True)
class FeedCounts:
    """Counters of one feed, for the status bar.

    Attributes:
        flows: flows told.
        doubles: flows dropped because they were told before.
        late: flows told out of the order of time, because they came later than the ordering window.
        lost: events that the servers say were lost; those at the edge of a ring that was read whole do not count.
        reconnects: how often the source was reached again.
        gaps: gaps told.
        lag_seconds: age of the newest flow when it came, by our clock (clocks differ: may be negative).
    """

    flows: int = 0
    doubles: int = 0
    late: int = 0
    lost: int = 0
    reconnects: int = 0
    gaps: int = 0
    lag_seconds: float = 0.0
