"""From a cluster's objects to a snapshot of its readiness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from installer.domain.readiness import Component, Problem, Snapshot, State
from installer.domain.readiness_rules.facts import (
    AGENT,
    Expected,
    Facts,
    Finding,
    Judgement,
    LogSource,
    Workload,
    name_of,
)
from installer.domain.readiness_rules.nodes import judge_ciliumnodes, judge_node, missing_nodes
from installer.domain.readiness_rules.pod_states import pod_states
from installer.domain.readiness_rules.pods import is_ready
from installer.domain.readiness_rules.workloads import find, judge_workload, pods_of

Judged = tuple[Component, list[Finding]]
_OK = (State.READY, State.DISABLED)


def judge(
    facts: Facts,
    expected: Expected,
    *,
    now: float = 0.0,
    since: Mapping[str, float] | None = None,
    logs: Mapping[LogSource, str] | None = None,
) -> Judgement:
    """Judge the whole cluster.

    Args:
        facts: the objects.
        expected: what must be there.
        now: time in seconds, of the same clock as ``since``.
        since: ``Judgement.since`` of the judgement before; a finding that lasts longer than its grace becomes fatal.
        logs: last log lines of crashed containers.
    """
    judged = [*_nodes(facts, expected), *_workloads(facts, expected)]
    clock = _Clock(now, since or {}, logs or {})
    components = tuple(clock.finish(component, findings) for component, findings in judged)
    return Judgement(
        Snapshot(components, pod_states(facts.pods)), clock.since, clock.recheck_at, tuple(clock.logs_wanted)
    )


def _nodes(facts: Facts, expected: Expected) -> list[Judged]:
    agents = _ready_agents(facts, expected)
    judged = [judge_node(node, agent_ready=name_of(node) in agents) for node in sorted(facts.nodes, key=name_of)]
    if len(facts.nodes) < max(1, expected.nodes):
        judged.append((missing_nodes(len(facts.nodes), max(1, expected.nodes)), []))
    return judged


def _ready_agents(facts: Facts, expected: Expected) -> set[str]:
    """Return the nodes whose agent is ready."""
    workload = next((one for one in expected.workloads if one.name == AGENT), None)
    item = find(facts, workload) if workload else None
    pods = pods_of(facts, item) if item else []
    return {str(pod.get("spec", {}).get("nodeName")) for pod in pods if is_ready(pod)}


def _workloads(facts: Facts, expected: Expected) -> list[Judged]:
    """Judge core workloads first: the others' crashes are their own only when those are ready."""
    core = {one: judge_workload(facts, one, settled=True) for one in expected.workloads if one.core}
    settled = all(component.state in _OK for component, _ in core.values())
    judged: list[Judged] = []
    for workload in expected.workloads:
        judged.append(core.get(workload) or judge_workload(facts, workload, settled=settled))
        if _is_last_core(workload, expected) and expected.cilium_nodes:
            judged.append((judge_ciliumnodes(facts.nodes, facts.ciliumnodes), []))
    return judged


def _is_last_core(workload: Workload, expected: Expected) -> bool:
    core = [one for one in expected.workloads if one.core]
    return bool(core) and workload == core[-1]


class _Clock:
    """Makes findings fatal that last too long, and fills in the evidence that logs give."""

    def __init__(self, now: float, before: Mapping[str, float], logs: Mapping[LogSource, str]):
        self._now = now
        self._before = before
        self._logs = logs
        self.since: dict[str, float] = {}
        self.recheck_at: float | None = None
        self.logs_wanted: list[LogSource] = []

    def finish(self, component: Component, findings: Iterable[Finding]) -> Component:
        problems = tuple(replace(self._evident(one), fatal=self._is_fatal(one)) for one in findings)
        if not problems:
            return component
        failed = any(problem.fatal for problem in problems)
        state = State.FAILED if failed and component.state not in _OK else component.state
        return replace(component, state=state, problems=problems)

    def _is_fatal(self, finding: Finding) -> bool:
        first = self.since.setdefault(finding.key, self._before.get(finding.key, self._now))
        if finding.grace is None:
            return False
        due = first + finding.grace
        if due <= self._now:
            return True
        self.recheck_at = due if self.recheck_at is None else min(due, self.recheck_at)
        return False

    def _evident(self, finding: Finding) -> Problem:
        if finding.log is None:
            return finding.problem
        if finding.log not in self._logs:
            self.logs_wanted.append(finding.log)
        return replace(finding.problem, evidence=self._logs.get(finding.log, ""))
