"""The flows kept in memory: a bounded ring with sequence numbers, and what was told beside them.

Every flow gets the next sequence number, from 0 on; the ring holds ``[first, next)``. What a stream tells besides flows
(lost events, node status) is counted by reason and never dropped. Nothing here reads a clock: times are passed in.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from installer.domain.flows.flow import Answer, Endpoint, Flow, LostEvent, NodeStatus
from installer.domain.flows.interning import Interning
from installer.domain.flows.merge import Pairs
from installer.domain.flows.row import whole
from installer.domain.flows.view import View

CAPACITY = 100_000
"""Flows kept unless told otherwise."""

_NOTICES = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """Something told beside flows: ``answer`` holds lost events or a node status. ``seq``: flows that came before."""

    seq: int
    answer: Answer


@dataclass(slots=True)
class Losses:
    """What never came, by reason.

    Attributes:
        lost: events lost before they could be told, by source (``HUBBLE_RING_BUFFER`` ...).
        lost_nodes: the same by node.
        shed: flows thrown away here, by reason (such as ``too fast for the screen``).
    """

    lost: Counter[str] = field(default_factory=Counter)
    lost_nodes: Counter[str] = field(default_factory=Counter)
    shed: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All of it."""
        return self.lost.total() + self.shed.total()


class FlowStore:
    """The last ``capacity`` flows.

    Args:
        capacity: flows kept, at least 1.
        on_endpoint: called with every endpoint seen for the first time (now and then again).
    """

    def __init__(self, capacity: int = CAPACITY, on_endpoint: Callable[[Endpoint], None] = lambda _: None) -> None:
        self.capacity = max(1, capacity)
        self.losses = Losses()
        self.notices: deque[Notice] = deque(maxlen=_NOTICES)
        self.nodes: dict[str, str] = {}
        self._on_endpoint = on_endpoint
        self._interning = Interning(on_endpoint=on_endpoint)
        self._pairs = Pairs()
        self._rows: list[Flow] = []
        self._outer: dict[int, tuple[str, str]] = {}
        self._base = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def first(self) -> int:
        """Sequence number of the oldest flow kept; ``next`` if there is none."""
        return self._next - len(self._rows)

    @property
    def next(self) -> int:
        """Sequence number that the next flow will get; also: how many there were in all."""
        return self._next

    def add(self, batch: Sequence[Answer]) -> int:
        """Take answers in; return how many flows were among them."""
        before = self._next
        self._interning.trim()
        for answer in batch:
            if answer.flow is not None:
                self._add_flow(answer, answer.flow)
            else:
                self._note(answer)
        return self._next - before

    def flow(self, seq: int) -> Flow | None:
        """Return the flow as kept (read like a ``Flow``, see ``row.whole``), None if it is gone or not there yet."""
        if not self.first <= seq < self._next:
            return None
        return self._rows[(seq - self._base) % self.capacity]

    def answer(self, seq: int) -> Answer | None:
        """Return the whole answer as it came, for export and the raw record; None if it is gone."""
        flow = self.flow(seq)
        if flow is None:
            return None
        node_name, time = self._outer.get(seq, (flow.node_name, flow.time))
        return Answer(flow=whole(flow), node_name=node_name, time=time)

    def partner(self, seq: int) -> int | None:
        """Return the other of the two records of one denial (policy verdict and drop), None if there is none."""
        other = self._pairs.partner(seq)
        return other if other is not None and self.first <= other else None

    def flows(self, start: int = 0) -> Iterator[tuple[int, Flow]]:
        """Go through sequence numbers and flows from ``start`` on."""
        for seq in range(max(start, self.first), self._next):
            flow = self.flow(seq)
            if flow is not None:
                yield seq, flow

    def view(self, predicate: Callable[[Flow], bool] | None = None, fold: bool = False) -> View:
        """Return an index of the flows that match (all for None); ``fold``: a denial's two records as one."""
        return View(self, predicate, fold=fold)

    def shed(self, count: int, reason: str) -> None:
        """Count flows that were thrown away before they came here."""
        if count:
            self.losses.shed[reason] += count

    def clear(self) -> None:
        """Forget all flows; sequence numbers and counters go on."""
        self._rows.clear()
        self._outer.clear()
        self._pairs = Pairs()
        self._base = self._next
        self._interning = Interning(on_endpoint=self._on_endpoint)

    def _add_flow(self, answer: Answer, flow: Flow) -> None:
        row = self._interning.row(flow)
        if len(self._rows) < self.capacity:
            self._rows.append(row)
        else:
            self._rows[(self._next - self._base) % self.capacity] = row
            self._forget(self._next - self.capacity)
        if (answer.node_name, answer.time) != (flow.node_name, flow.time):
            self._outer[self._next] = (answer.node_name, answer.time)
        if flow.verdict == "DROPPED":
            self._pairs.add(self._next, row)
        self._next += 1

    def _forget(self, seq: int) -> None:
        self._pairs.forget(seq)
        if self._outer:
            self._outer.pop(seq, None)

    def _note(self, answer: Answer) -> None:
        self.notices.append(Notice(self._next, answer))
        if answer.lost_events is not None:
            self._count_lost(answer.lost_events, answer.node_name)
        elif answer.node_status is not None:
            self._note_nodes(answer.node_status)

    def _count_lost(self, lost: LostEvent, node: str) -> None:
        count = _count(lost.num_events_lost)
        self.losses.lost[str(lost.source or "UNKNOWN_LOST_EVENT_SOURCE")] += count
        self.losses.lost_nodes[node] += count

    def _note_nodes(self, status: NodeStatus) -> None:
        state = str(status.state_change).removeprefix("NODE_").lower()
        self.nodes.update(dict.fromkeys(status.node_names, state))


def _count(number: str | int) -> int:
    text = str(number)
    return int(text) if text.isascii() and text.isdigit() else 0


def flows_of(batch: Sequence[Answer]) -> list[Flow]:
    """Return the flows among the answers."""
    return [answer.flow for answer in batch if answer.flow is not None]
