"""What the Flows screen shows, without the screen: flows, filter, counters. Times come from the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from installer.domain.flows.flow import Flow
from installer.domain.flows.lag import Lag
from installer.domain.flows.rates import Rates
from installer.domain.flows.store import CAPACITY, FlowStore, flows_of
from installer.domain.flows.times import SECOND, to_ns
from installer.domain.flows.view import View
from installer.tui.flows.intake import TOO_FAST, Intake
from installer.tui.flows.seen import Seen

SLICE = 2_000
"""Flows looked at at once when the filter has changed: about 2 ms."""

_LEARN = 20
RECENT = 20_000
"""Flows whose uuids are remembered when a source is opened again."""


class Counts(Protocol):
    """What flows are counted into (``Talkers``, ``Graph``)."""

    def add(self, flow: Flow) -> None:
        """Count a flow."""
        ...


class FlowsModel:
    """Flows of one source, seen through one filter.

    Attributes:
        store: all flows kept.
        view: those that the filter lets through.
        rates: per second, by the clock for a live source and by the flows' own time for a recording.
        lag: arrival minus flow time; of no use for a recording.
        seen: names for completion.
        gaps: sequence numbers before which flows may be missing.
    """

    def __init__(self, capacity: int = CAPACITY, seen: Seen | None = None) -> None:
        self.seen = seen or Seen()
        self.intake = Intake()
        self.store = FlowStore(capacity, on_endpoint=self.seen.add_endpoint)
        self.rates = Rates()
        self.lag = Lag()
        self.gaps: list[int] = []
        self.recorded = False
        self.fold = True
        self.view = self.store.view(fold=True)

    def filter(self, predicate: Callable[[Flow], bool] | None, *, fold: bool = True) -> None:
        """Look through another filter from now on."""
        self.fold = fold
        self.view = self.store.view(predicate, fold=fold)

    def start_over(self, *, recorded: bool) -> None:
        """Forget all flows, because another source begins."""
        self.intake.clear()
        self.store.clear()
        self.rates, self.lag = Rates(), Lag()
        self.gaps.clear()
        self.recorded = recorded
        self.filter(self.view.predicate, fold=self.fold)

    def recent_uuids(self) -> frozenset[str]:
        """Return the uuids of the newest flows, those that wait among them."""
        kept = (flow.uuid for _, flow in self.store.flows(self.store.next - RECENT))
        waiting = (answer.flow.uuid for answer in self.intake if answer.flow)
        return frozenset(uuid for uuid in (*kept, *waiting) if uuid)

    def take_in(self, limit: int, now: float) -> int:
        """Move up to ``limit`` waiting answers into the store at a time (UNIX seconds); return how many."""
        self.store.shed(self.intake.take_shed(), TOO_FAST)
        answers = self.intake.take(limit)
        if not answers:
            return 0
        flows = flows_of(answers)
        self.store.add(answers)
        for flow in flows[:: max(1, len(flows) // _LEARN)]:
            self.seen.add_flow(flow)
        if self.recorded:
            self._count_by_flow_time(flows)
        else:
            self.rates.count(flows, int(now))
            self._sample_lag(flows, now)
        return len(answers)

    def advance(self, limit: int = SLICE) -> bool:
        """Bring the view up to date by a slice; tell whether more is left."""
        return self.view.advance(limit)

    def note_gap(self) -> None:
        """Remember that flows may be missing before the next one."""
        if not self.gaps or self.gaps[-1] != self.store.next:
            self.gaps.append(self.store.next)
            del self.gaps[:-1000]

    def now(self, clock: float) -> int:
        """Return the second that the rates speak of."""
        return self.rates.latest if self.recorded else int(clock)

    def _count_by_flow_time(self, flows: Sequence[Flow]) -> None:
        for flow in flows:
            second = seconds_of(flow.time)
            if second is not None:
                self.rates.count((flow,), int(second))

    def _sample_lag(self, flows: Sequence[Flow], now: float) -> None:
        """Take the newest flow of each node of the batch for all of them."""
        newest: dict[str, Flow] = {}
        counts: dict[str, int] = {}
        for flow in flows:
            newest[flow.node_name] = flow
            counts[flow.node_name] = counts.get(flow.node_name, 0) + 1
        for node, flow in newest.items():
            second = seconds_of(flow.time)
            if second is not None:
                self.lag.add(node, second, now, counts[node])


class Tally:
    """Counts the flows of a view into something, in slices, from the oldest kept on; what leaves stays counted."""

    def __init__(self, store: FlowStore, view: View, counts: Counts) -> None:
        self.counts = counts
        self.since = store.first
        self._store = store
        self._view = view
        self._next = store.first

    def advance(self, limit: int = SLICE) -> bool:
        """Look at up to ``limit`` more flows; tell whether some are left."""
        start = max(self._next, self._store.first)
        self._next = max(start, min(start + limit, self._store.next))
        for seq in range(start, self._next):
            flow = self._store.flow(seq)
            if flow is not None and self._view.shows(seq):
                self.counts.add(flow)
        return self._next < self._store.next


def seconds_of(time: str) -> float | None:
    """Return a flow's time in UNIX seconds, None if it has none."""
    try:
        return to_ns(time) / SECOND
    except ValueError:
        return None
