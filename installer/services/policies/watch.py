"""Watching the flows after a change of policies: which connections are dropped now that were not before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.domain.flows.times import SECOND, to_ns
from installer.domain.policy.engine import Engine
from installer.domain.policy.entry import Policy
from installer.domain.policy.explain import sentence
from installer.domain.policy.impact import group
from installer.domain.policy.model import Decision, HTTPRequest, Traffic
from installer.domain.policy.replay import Replay
from installer.ports.flows import FlowRequest, FlowSource

_POLICY_REASONS = ("POLICY_DENIED", "POLICY_DENY", "")
_VERDICTS = ("DROPPED", "AUDIT")


@dataclass(slots=True)
class Drop:
    """Connections between two groups of peers that were dropped.

    Attributes:
        source: who opened them, such as ``demo/frontend``.
        dest: whom they were to reach.
        port: such as ``80/TCP``, with the request where one was refused.
        count: flows seen.
        why: sentence on the verdict, empty where these policies do not explain it.
        audit: they passed, because an endpoint is in audit mode.
    """

    source: str
    dest: str
    port: str
    count: int = 0
    why: str = ""
    audit: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {name: getattr(self, name) for name in ("source", "dest", "port", "count", "why", "audit")}


@dataclass(slots=True)
class Watched:
    """What was seen.

    Attributes:
        drops: new ones, the most frequent first.
        known: pairs that were dropped before the change, too.
        lost: events that Hubble lost.
    """

    drops: list[Drop] = field(default_factory=list)
    known: int = 0
    lost: int = 0


class DropWatch:
    """Tells new drops from those that were there before.

    Args:
        changed: the policies that were changed, as they were and as they are: they say whose drops count.
        engine: judges by the policies as they are now, to tell why.
        changed_at: UNIX time in nanoseconds; what was dropped before it is not new.
    """

    def __init__(self, changed: Sequence[Policy], engine: Engine, changed_at: int):
        self._subjects = [rule.subject for policy in changed for rule in policy.rules]
        self._engine = engine
        self._changed_at = changed_at
        self._replay = Replay(cluster=engine.settings.cluster)
        self._before: set[tuple[str, str, str]] = set()
        self._drops: dict[tuple[str, str, str], Drop] = {}
        self._lost = 0

    def add(self, answers: Iterable[Answer]) -> None:
        """Look at more of what Hubble told."""
        for answer in answers:
            if answer.flow is not None:
                self._flow(answer.flow)
            elif answer.lost_events is not None:
                self._lost += int(answer.lost_events.num_events_lost or 0)

    def result(self) -> Watched:
        """Return what was seen so far."""
        new = [drop for key, drop in self._drops.items() if key not in self._before]
        new.sort(key=lambda drop: (-drop.count, drop.source, drop.dest, drop.port))
        return Watched(new, len(self._drops) - len(new), self._lost)

    def _flow(self, flow: Flow) -> None:
        self._replay.learn(flow)
        if flow.verdict not in _VERDICTS or flow.drop_reason_desc not in _POLICY_REASONS:
            return
        # Policy drops only what goes forward (replies are known to conntrack), also in the middle of a connection.
        traffic = self._replay.traffic(msgspec.structs.replace(flow, is_reply=False))
        if traffic is None or not self._concerns(traffic):
            return
        key = (group(traffic.source), group(traffic.dest), _port(traffic))
        if to_ns(flow.time) < self._changed_at:
            self._before.add(key)
            return
        drop = self._drops.get(key)
        if drop is None:
            drop = self._drops[key] = Drop(*key, why=self._why(traffic), audit=flow.verdict == "AUDIT")
        drop.count += 1

    def _concerns(self, traffic: Traffic) -> bool:
        return any(subject.matches(peer) for subject in self._subjects for peer in (traffic.source, traffic.dest))

    def _why(self, traffic: Traffic) -> str:
        verdict = self._engine.verdict(traffic)
        return sentence(traffic, verdict) if verdict.decision in (Decision.DENY, Decision.L7_DENY) else ""


def _port(traffic: Traffic) -> str:
    text = f"{traffic.port}/{traffic.protocol}"
    request = traffic.l7
    if isinstance(request, HTTPRequest):
        return f"{text} {request.method} {request.path}"
    return f"{text} {request.name}" if request is not None else text


async def watch_drops(source: FlowSource, watch: DropWatch, *, before: int, seconds: float) -> Watched:
    """Follow the drops of a cluster for some time.

    Args:
        source: Hubble.
        watch: what looks at them.
        before: UNIX time in nanoseconds from which drops of the past are known.
        seconds: how long.

    Raises:
        BeeyardError: ``E-HUBBLE-*`` it cannot be reached.
    """
    filters = FilterSet(whitelist=(FlowFilter(verdict=_VERDICTS),))
    request = FlowRequest(filters=filters, follow=True, since=before / SECOND)
    try:
        async with asyncio.timeout(seconds), aclosing(source.batches(request)) as batches:
            async for batch in batches:
                watch.add(batch)
    except TimeoutError:
        pass
    return watch.result()
