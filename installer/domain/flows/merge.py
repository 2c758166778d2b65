"""The two records of one denial: a policy verdict and a drop, told of the same packet within microseconds.

``Pairs`` finds them in a stream of numbered flows; ``Merger`` folds them into one flow as they pass.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from installer.domain.flows.flow import Flow
from installer.domain.flows.row import whole
from installer.domain.flows.times import to_ns

DROP, VERDICT = 1, 5
WINDOW_NS = 100_000_000
"""How far apart the two records may be; the next try of a denied SYN comes a second later."""

_OPEN = 4096

Key = tuple[object, ...]
Held = TypeVar("Held")


def denial_key(flow: Flow) -> Key | None:
    """Return what both records of a denial have in common, None for any other flow."""
    kind = flow.event_type.type if flow.event_type else 0
    if flow.verdict != "DROPPED" or kind not in (DROP, VERDICT) or flow.ip is None:
        return None
    return (flow.node_name, flow.ip.source, flow.ip.destination, flow.l4)


@dataclass(frozen=True, slots=True)
class _Record(Generic[Held]):
    held: Held
    kind: int
    time: int


class _Waiting(Generic[Held]):
    """First records that still wait for their second, oldest first."""

    def __init__(self, window_ns: int) -> None:
        self._window = window_ns
        self._open: dict[Key, _Record[Held]] = {}

    def meet(self, key: Key, record: _Record[Held]) -> _Record[Held] | None:
        """Return the record's first half and forget it; or keep the record as one."""
        first = self._open.pop(key, None)
        if first and first.kind != record.kind and abs(record.time - first.time) <= self._window:
            return first
        self._open[key] = record
        while len(self._open) > _OPEN:
            del self._open[next(iter(self._open))]
        return None


class Pairs:
    """Which sequence numbers belong together."""

    def __init__(self, window_ns: int = WINDOW_NS) -> None:
        self._waiting: _Waiting[int] = _Waiting(window_ns)
        self._partner: dict[int, int] = {}

    def add(self, seq: int, flow: Flow) -> None:
        """Take note of a flow."""
        key = denial_key(flow)
        if key is None or flow.event_type is None:
            return
        first = self._waiting.meet(key, _Record(seq, flow.event_type.type, _moment(flow.time, 0)))
        if first:
            self._partner[first.held] = seq
            self._partner[seq] = first.held

    def partner(self, seq: int) -> int | None:
        """Return the number of the other record."""
        return self._partner.get(seq)

    def forget(self, seq: int) -> None:
        """Drop a number that has left the ring; its partner stands alone from now on."""
        if self._partner:
            other = self._partner.pop(seq, None)
            if other is not None:
                self._partner.pop(other, None)


@dataclass(slots=True)
class Merged:
    """A flow that left the merger; ``uuids`` of the records that it stands for, in the order of arrival."""

    flow: Flow
    uuids: tuple[str, ...]


@dataclass(slots=True)
class _Slot:
    merged: Merged
    time: int
    waits: bool


class Merger:
    """Folds denials in a stream whose order it keeps.

    A denial's first record is held until its second comes or a flow that is ``window_ns`` younger does, and so is what
    came after it; a live stream calls ``flush`` when it has been quiet for that long.
    """

    def __init__(self, window_ns: int = WINDOW_NS) -> None:
        self._window = window_ns
        self._waiting: _Waiting[_Slot] = _Waiting(window_ns)
        self._slots: deque[_Slot] = deque()
        self._latest = 0

    def __len__(self) -> int:
        return len(self._slots)

    def push(self, flow: Flow) -> list[Merged]:
        """Take a flow; return what is settled by it."""
        time = _moment(flow.time, self._latest)
        self._latest = max(self._latest, time)
        slot = _Slot(Merged(flow, (flow.uuid,)), time, waits=False)
        if not self._folded(slot):
            self._slots.append(slot)
        return self._settled()

    def flush(self) -> list[Merged]:
        """Return all that is held."""
        held = [slot.merged for slot in self._slots]
        self._slots.clear()
        self._waiting = _Waiting(self._window)
        return held

    def _folded(self, slot: _Slot) -> bool:
        flow = slot.merged.flow
        key = denial_key(flow)
        if key is None or flow.event_type is None:
            return False
        first = self._waiting.meet(key, _Record(slot, flow.event_type.type, slot.time))
        slot.waits = first is None
        if first is None or not first.held.waits:
            return False
        first.held.merged = Merged(fold(first.held.merged.flow, flow), (*first.held.merged.uuids, flow.uuid))
        first.held.waits = False
        return True

    def _settled(self) -> list[Merged]:
        settled = []
        while self._slots and (len(self._slots) > _OPEN or not self._held(self._slots[0])):
            slot = self._slots.popleft()
            slot.waits = False
            settled.append(slot.merged)
        return settled

    def _held(self, slot: _Slot) -> bool:
        return slot.waits and self._latest - slot.time <= self._window


def fold(one: Flow, other: Flow) -> Flow:
    """Return one flow for both records: the drop, with what only the policy verdict knows."""
    drop, verdict = (one, other) if one.event_type and one.event_type.type == DROP else (other, one)
    drop = whole(drop)
    return msgspec.structs.replace(
        drop,
        time=one.time,
        traffic_direction=verdict.traffic_direction or drop.traffic_direction,
        policy_match_type=verdict.policy_match_type,
        is_reply=verdict.is_reply if drop.is_reply is None else drop.is_reply,
        egress_denied_by=verdict.egress_denied_by or drop.egress_denied_by,
        ingress_denied_by=verdict.ingress_denied_by or drop.ingress_denied_by,
        egress_allowed_by=verdict.egress_allowed_by or drop.egress_allowed_by,
        ingress_allowed_by=verdict.ingress_allowed_by or drop.ingress_allowed_by,
        policy_log=verdict.policy_log or drop.policy_log,
    )


def _moment(text: str, default: int) -> int:
    try:
        return to_ns(text)
    except ValueError:
        return default
