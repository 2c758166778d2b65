"""Following without a gap and without a double, over losses of the connection and of nodes.

Every node has its own clock, so what is compared is always a node's time with the same node's time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from installer.domain.flows.feed import Gap
from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.ordering import SECOND, nanoseconds

REMEMBERED = 65_536
"""Flows that are known again."""
DISORDER = 2 * SECOND
"""How far a node's flows may be out of the order of its own clock."""
LONGEST = 3600 * SECOND
"""Lag up to which a node's clock is believed when it is asked for what was missed."""
FRESH_START = 2 * SECOND
"""A node's first flow that is older than this when a stream starts is of the past."""


class Seen:
    """Remembers the last keys that it was asked for."""

    def __init__(self, capacity: int = REMEMBERED):
        self._known: set[Hashable] = set()
        self._order: deque[Hashable] = deque()
        self._capacity = capacity

    def fresh(self, key: Hashable) -> bool:
        """Tell whether the key is new, and remember it."""
        if key in self._known:
            return False
        self._known.add(key)
        self._order.append(key)
        if len(self._order) > self._capacity:
            self._known.discard(self._order.popleft())
        return True


def _identity(flow: Flow) -> Hashable:
    """Return the flow's ``uuid`` or, where there is none, what makes it differ from others."""
    parts = (flow.event_type, flow.verdict, flow.source, flow.destination, flow.ip, flow.l4, flow.l7, flow.summary)
    return flow.uuid or (flow.time, flow.node_name, *parts)


@dataclass(slots=True)
class _Node:
    """What is known of a node's flows, in nanoseconds of its clock: newest and oldest told, and the lag of the newest.

    While it repeats itself (``repeating``), ``known`` is the newest that was told before; ``joined`` says that the
    repetition has reached it.
    """

    newest: int
    newest_text: str
    oldest: int
    lag: int
    known: int = 0
    repeating: bool = False
    joined: bool = False


class Continuity:
    """Judges every flow of a followed stream: new, told before, or behind a gap.

    Attributes:
        doubles: flows that were told before.
    """

    def __init__(self, capacity: int = REMEMBERED):
        self.doubles = 0
        self._seen = Seen(capacity)
        self._nodes: dict[str, _Node] = {}
        self._since = 0
        self._floors: dict[str, int] = {}
        self._live_from: int | None = None
        self._skipped: set[str] = set()

    def start_live(self, now: int) -> None:
        """A stream begins that asks for one flow of the past from every node, and none of them is wanted."""
        self._live_from = now

    def end_history(self, limited: bool) -> None:
        """The past was told; ``limited``: only the newest of it, so what is older is not wanted later either."""
        if limited:
            self._floors = {name: node.oldest for name, node in self._nodes.items()}

    def lose(self, node: str = "") -> None:
        """The connection is lost, or Relay's to one node: what comes next may be a repetition."""
        for name, known in self._nodes.items():
            if node in ("", name):
                known.known, known.repeating, known.joined = max(known.known, known.newest), True, False

    def resume(self, now: int) -> int:
        """Return from when to ask again, so that nothing is missed: UNIX time in nanoseconds.

        Args:
            now: when the last flow came, by our clock.
        """
        lag = max((min(max(node.lag, 0), LONGEST) for node in self._nodes.values()), default=0)
        self._since = now - lag - DISORDER
        return self._since

    def judge(self, answer: Answer, now: int) -> tuple[bool, Gap | None]:
        """Tell whether an answer is to be told, and whether flows before it may be missing."""
        flow = answer.flow
        if flow is None:  # a server repeats lost events too
            return answer.lost_events is None or self._seen.fresh(answer), None
        name = answer.node_name or flow.node_name
        time = nanoseconds(flow.time)
        node = self._nodes.get(name)
        wanted = self._wanted(flow, time, node, name, now)
        gap = self._gap(node, name, flow, time, wanted=wanted) if node and node.repeating else None
        if wanted:
            self._note(node, name, flow, time, now)
        return wanted, gap

    def _wanted(self, flow: Flow, time: int, node: _Node | None, name: str, now: int) -> bool:
        if node and node.repeating and time < node.known - DISORDER:
            self.doubles += 1
            return False
        if not self._seen.fresh(_identity(flow)):
            self.doubles += 1
            return False
        if time < self._floors.get(name, 0):
            return False
        return not (node is None and self._is_past(name, time, now))

    def _is_past(self, name: str, time: int, now: int) -> bool:
        """Tell whether a node's first flow is the one of the past that was asked for only to hurry Relay."""
        start = self._live_from
        if start is None or name in self._skipped or now - start > FRESH_START or time > start - FRESH_START:
            return False
        self._skipped.add(name)
        return True

    def _gap(self, node: _Node, name: str, flow: Flow, time: int, *, wanted: bool) -> Gap | None:
        if not wanted:
            node.joined = True
            return None
        if time <= node.known and not node.joined:
            return None  # of the disorder around the loss
        node.repeating = False
        if node.joined or node.known < self._since:
            return None
        reason = "the server no longer held the flows right after the last one told"
        return Gap(node.newest_text, flow.time, name, reason)

    def _note(self, node: _Node | None, name: str, flow: Flow, time: int, now: int) -> None:
        if node is None:
            self._nodes[name] = _Node(time, flow.time, time, now - time)
            return
        node.oldest = min(node.oldest, time)
        if time >= node.newest:
            node.newest, node.newest_text, node.lag = time, flow.time, now - time
