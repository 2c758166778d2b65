"""Questions of DNS, by name and type: answers, how long they took, what failed, what got no answer."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.flows.times import to_ns
from installer.domain.tap.latency import Latency
from installer.domain.tap.measures import Wanted

MOST = 2_000
"""Questions that are remembered; the oldest go first."""
WAITING = 4_000
"""Questions without an answer that are remembered."""
PATIENCE = 5.0
"""Seconds after which a question counts as not answered."""

Key = tuple[str, str]
"""Name and type."""
_Asked = tuple[str, int, str, str]
"""Client, its port, name, type."""


@dataclass(slots=True)
class Question:
    """One name and type.

    Attributes:
        key: what tells it apart.
        flow: the last message.
        last: when that was, UNIX seconds.
        asked: questions, again ones among them.
        again: questions that were asked again because no answer came.
        answered: answers of all kinds.
        failures: answers that say there is none, by code.
        silent: questions that got no answer.
        latency: from question to answer.
        answer: what the last good answer held.
        servers: who answered, and how often.
    """

    key: Key
    flow: Flow
    last: float
    asked: int = 0
    again: int = 0
    answered: int = 0
    failures: Counter[int] = field(default_factory=Counter)
    silent: int = 0
    latency: Latency = field(default_factory=Latency)
    answer: tuple[str, ...] = ()
    servers: Counter[str] = field(default_factory=Counter)

    @property
    def troubles(self) -> int:
        """Failures and questions without an answer."""
        return self.failures.total() + self.silent


@dataclass(slots=True)
class _Pending:
    """A question on its way: when and in which direction it was seen first, and whether it was answered."""

    nanos: int
    direction: str
    at: float
    done: bool = False


class Questions:
    """All questions. A message between two sockets of this node is seen twice and counted once."""

    def __init__(self) -> None:
        self.forgotten = 0
        self._questions: dict[Key, Question] = {}
        self._pending: OrderedDict[_Asked, _Pending] = OrderedDict()

    def __len__(self) -> int:
        return len(self._questions)

    def take(self, flow: Flow, now: float) -> None:
        """Take a message."""
        dns, ip = (flow.l7.dns if flow.l7 is not None else None), flow.ip
        if dns is None or ip is None:
            return
        key = dns.query, ",".join(dns.qtypes)
        found = self._questions.pop(key, None) or Question(key, flow, now)
        found.flow, found.last = flow, now
        self._questions[key] = found
        if len(self._questions) > MOST:
            del self._questions[next(iter(self._questions))]
            self.forgotten += 1
        sport, dport = text.ports(flow)
        if flow.is_reply:
            self._answer(found, flow, (ip.destination, dport, *key))
        else:
            self._ask(found, flow, (ip.source, sport, *key), now)
        self.expire(now)

    def _ask(self, found: Question, flow: Flow, asked: _Asked, now: float) -> None:
        before = self._pending.get(asked)
        direction = str(flow.traffic_direction)
        if before is not None and before.direction != direction and now - before.at < PATIENCE:
            return  # the same message, seen at the other socket
        found.asked += 1
        if before is not None and not before.done:
            found.again += 1
            return  # its answer is measured from the first question on
        self._pending[asked] = _Pending(_nanos(flow), direction, now)
        if len(self._pending) > WAITING:
            self._pending.popitem(last=False)

    def _answer(self, found: Question, flow: Flow, asked: _Asked) -> None:
        dns = flow.l7.dns if flow.l7 is not None else None
        before = self._pending.get(asked)
        if dns is None or (before is not None and before.done):
            return
        found.answered += 1
        if flow.ip is not None:
            found.servers[flow.ip.source] += 1
        if before is not None:
            before.done = True
            found.latency.add(max(0, _nanos(flow) - before.nanos))
        if dns.rcode:
            found.failures[dns.rcode] += 1
        else:
            found.answer = (*dns.ips, *dns.cnames)

    def expire(self, now: float) -> None:
        """Count the questions that waited for too long."""
        while self._pending:
            asked, oldest = next(iter(self._pending.items()))
            if now - oldest.at < PATIENCE:
                return
            del self._pending[asked]
            question = self._questions.get(asked[2:])
            if question is not None and not oldest.done:
                question.silent += 1

    def get(self, key: Key) -> Question | None:
        """Return a question that is still remembered."""
        return self._questions.get(key)

    def questions(self, wanted: Wanted | None = None) -> list[Question]:
        """Return the questions, those with most troubles first, then the newest."""
        found = [one for one in self._questions.values() if wanted is None or wanted(one.flow)]
        return sorted(found, key=lambda one: (-one.troubles, -one.last, one.key))


def _nanos(flow: Flow) -> int:
    try:
        return to_ns(flow.time)
    except ValueError:
        return 0
