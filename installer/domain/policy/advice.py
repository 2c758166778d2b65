"""What the policies say of refused traffic, in lines for people, and which change of them would let it through."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import yaml

from installer.domain.flows.drop_reasons import POLICY_REASONS
from installer.domain.flows.explain import explain, reason_number
from installer.domain.flows.flow import Flow
from installer.domain.policy.explain import sentence
from installer.domain.policy.model import Decision, Traffic
from installer.domain.policy.remedy import Remedies, Remedy
from installer.domain.policy.replay import Replay
from installer.domain.policy.world import World

_MOST_FIXES = 2
_MOST_PEERS = 200
_KEPT = 2000
_REFUSED = (Decision.DENY, Decision.L7_DENY)


@dataclass(frozen=True, slots=True)
class Word:
    """What policies say.

    Attributes:
        decision: theirs.
        why: it and the rule that decided, one sentence.
        fixes: the changes of policies that would help, the best first, at most two.
    """

    decision: Decision
    why: str
    fixes: list[str]

    @property
    def refuses(self) -> bool:
        """Whether it is for the policies that the traffic is dropped."""
        return self.decision in _REFUSED


class Advice:
    """Answers from the policies of a cluster.

    Args:
        world: its policies, and the pods to count what a change would open beside.
    """

    def __init__(self, world: World) -> None:
        self.cluster = world.settings.cluster
        self._engine = world.engine()
        self._remedies = Remedies(world.objects, self._engine, world.peers[:_MOST_PEERS], world.knowledge)
        self._known: OrderedDict[Traffic, Word] = OrderedDict()

    def on(self, traffic: Traffic) -> Word:
        """Return what the policies say of a connection or request."""
        known = self._known.get(traffic)
        if known is None:
            verdict = self._engine.verdict(traffic)
            refused = verdict.decision in _REFUSED
            fixes = [_told(one) for one in self._remedies.find(traffic)[:_MOST_FIXES]] if refused else []
            known = self._known[traffic] = Word(verdict.decision, sentence(traffic, verdict), fixes)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known


def _told(remedy: Remedy) -> str:
    beside = f"opens {remedy.opens} more connections" if remedy.opens else "opens nothing else that is known"
    added = yaml.safe_dump(remedy.addition, default_flow_style=True, sort_keys=False, width=10_000).strip()
    name = f" {remedy.name}" if remedy.before is None else ""
    return f"{remedy.title}{name}, {beside}{f': {added}' if remedy.addition else ''}"


class FlowAdvice:
    """Explains refused flows of Hubble: from the flow itself, and from the policies once it knows them.

    It is to be given every flow, because DNS answers among them tell the names of addresses.
    """

    def __init__(self) -> None:
        self._advice: Advice | None = None
        self._replay = Replay()

    def learn_world(self, world: World) -> None:
        """Take the policies as they are now."""
        self._advice = Advice(world)
        self._replay.cluster = world.settings.cluster

    def explain(self, flow: Flow) -> list[str]:
        """Return lines on why a flow was refused and what would allow it; none for one that was not."""
        self._replay.learn(flow)
        lines = explain(flow)
        traffic = self._replay.traffic(flow) if lines and self._advice is not None else None
        if traffic is None or self._advice is None:
            return lines
        word = self._advice.on(traffic)
        if word.refuses:
            kept = [line for line in lines if not (word.fixes and line.startswith("fix: "))]
            return [*kept, f"policies: {word.why}", *(f"fix: {one}" for one in word.fixes)]
        if flow.l7 is None and reason_number(flow) not in POLICY_REASONS:
            return lines
        changed = "; they have changed since, or the agent does not know them yet"
        return [*lines, f"policies: {word.why}{changed if word.decision is Decision.ALLOW else ''}"]
