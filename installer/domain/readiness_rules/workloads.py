"""Judging DaemonSets and Deployments by generation, updated, ready and available."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from installer.domain.readiness import Component, Problem, State
from installer.domain.readiness_rules.evidence import clean, latest_event
from installer.domain.readiness_rules.facts import (
    Facts,
    Finding,
    Object,
    Workload,
    condition,
    labels_of,
    name_of,
    namespace_of,
)
from installer.domain.readiness_rules.pods import is_ready, is_relevant, is_terminating, judge_pod, progress
from installer.domain.readiness_rules.template import is_current

CREATE_GRACE = 15.0
NOWHERE_GRACE = 15.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a controller says about its pods.

    Attributes:
        desired: pods wanted.
        updated: pods of the current template.
        ready: pods ready.
        available: pods ready for long enough.
        surplus: pods of older templates still there.
        observed: whether the controller has seen the current generation.
    """

    desired: int
    updated: int
    ready: int
    available: int
    surplus: int
    observed: bool

    @property
    def complete(self) -> bool:
        """Whether the rollout is complete and all pods are ready."""
        full = min(self.updated, self.ready, self.available) >= self.desired
        return self.observed and full and self.surplus <= 0


def counts_of(item: Object, kind: str) -> Counts:
    """Read the counts of a DaemonSet or Deployment."""
    status = item.get("status", {})
    observed = int(status.get("observedGeneration", 0)) >= int(item["metadata"].get("generation", 0))
    if kind == "DaemonSet":
        desired = int(status.get("desiredNumberScheduled", 0))
        on_delete = (item.get("spec", {}).get("updateStrategy") or {}).get("type") == "OnDelete"
        updated = desired if on_delete else int(status.get("updatedNumberScheduled", 0))
        ready, available = int(status.get("numberReady", 0)), int(status.get("numberAvailable", 0))
        return Counts(desired, updated, ready, available, 0, observed)
    replicas = item.get("spec", {}).get("replicas")
    updated = int(status.get("updatedReplicas", 0))
    return Counts(
        desired=1 if replicas is None else int(replicas),
        updated=updated,
        ready=int(status.get("readyReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        surplus=int(status.get("replicas", 0)) - updated,
        observed=observed,
    )


def find(facts: Facts, workload: Workload) -> Object | None:
    """Return the object of an expected workload."""
    items = facts.daemonsets if workload.kind == "DaemonSet" else facts.deployments
    wanted = (workload.namespace, workload.name)
    return next((item for item in items if (namespace_of(item), name_of(item)) == wanted), None)


def pods_of(facts: Facts, item: Object) -> list[Object]:
    """Return the pods a workload selects, terminating and failed ones included."""
    wanted = (item.get("spec", {}).get("selector") or {}).get("matchLabels") or {}
    return [
        pod
        for pod in facts.pods
        if wanted and namespace_of(pod) == namespace_of(item) and wanted.items() <= labels_of(pod).items()
    ]


def judge_workload(facts: Facts, workload: Workload, *, settled: bool) -> tuple[Component, list[Finding]]:
    """Judge one expected workload; ``settled`` tells whether what it depends on is ready."""
    name, kind = workload.name, workload.kind
    if not workload.enabled:
        return Component(name, kind, State.DISABLED, detail="disabled"), []
    item = find(facts, workload)
    if item is None:
        return Component(name, kind, State.PROGRESSING, detail="not created yet"), [_missing(workload)]
    counts = counts_of(item, kind)
    nowhere = kind == "DaemonSet" and counts.observed and counts.desired == 0 and bool(facts.nodes)
    if counts.complete and not nowhere:
        return Component(name, kind, State.READY, counts.desired, counts.ready, _ready_words(counts)), []
    findings = list(_findings(facts, workload, item, counts, settled=settled))
    if nowhere:
        findings.append(_nowhere(workload))
    detail = _detail(counts, pods_of(facts, item))
    return Component(name, kind, State.PROGRESSING, counts.desired, counts.ready, detail), findings


def _ready_words(counts: Counts) -> str:
    return f"{counts.ready}/{counts.desired} ready"


def _detail(counts: Counts, pods: Sequence[Object]) -> str:
    if not counts.observed:
        return "the change is not rolled out yet"
    waiting = [progress(pod) for pod in pods if is_relevant(pod) and not is_ready(pod)]
    words = waiting[0] if waiting else _rest(counts, pods)
    return words if counts.desired <= 1 and waiting else f"{_ready_words(counts)}; {words}"


def _rest(counts: Counts, pods: Sequence[Object]) -> str:
    if any(map(is_terminating, pods)):
        return "an old pod is ending"
    if counts.updated < counts.desired:
        return f"{counts.updated}/{counts.desired} updated"
    return "pods of an older version are left" if counts.surplus > 0 else "pods are being created"


def _subject(workload: Workload) -> str:
    return f"{workload.namespace}/{workload.name}"


def _missing(workload: Workload) -> Finding:
    what = f"the {workload.kind} does not exist"
    fix = "Install or upgrade Cilium with this part on, or switch it off in the values."
    return Finding(Problem("E-READY-002", _subject(workload), what, "", fix))


def _nowhere(workload: Workload) -> Finding:
    what = "the DaemonSet is wanted on no node"
    fix = "Correct its nodeSelector or affinity in the values, or label the nodes to match."
    evidence = "desiredNumberScheduled is 0 while there are nodes"
    return Finding(Problem("E-READY-003", _subject(workload), what, evidence, fix), NOWHERE_GRACE)


def _findings(facts: Facts, workload: Workload, item: Object, counts: Counts, *, settled: bool) -> Iterator[Finding]:
    pods = pods_of(facts, item)
    replaces = any(map(is_terminating, pods))
    relevant = [pod for pod in pods if is_relevant(pod)]
    for pod in relevant:
        if is_ready(pod):
            continue
        final = counts.observed and is_current(pod, item)
        for finding in judge_pod(pod, facts.events, core=workload.core, settled=settled, replaces=replaces):
            yield finding if final else replace(finding, grace=None)
    if len(relevant) < counts.desired:
        yield from _not_created(facts, workload, item)
    stalled = condition(item, "Progressing")
    if stalled.get("reason") == "ProgressDeadlineExceeded":
        fix = f"kubectl -n {workload.namespace} describe {workload.kind.lower()} {workload.name}"
        evidence = clean(str(stalled.get("message", "")))
        yield Finding(Problem("E-READY-005", _subject(workload), "the rollout makes no progress", evidence, fix))


def _not_created(facts: Facts, workload: Workload, item: Object) -> Iterator[Finding]:
    """Pods that the API server refused (quota, admission, missing service account)."""
    message = clean(str(condition(item, "ReplicaFailure").get("message", "")))
    if not message and workload.kind == "DaemonSet":
        message = latest_event(facts.events, "DaemonSet", workload.namespace, workload.name, "FailedCreate")
    if message:
        fix = "Correct what the message names: a quota, an admission policy or a missing service account."
        what = "its pods cannot be created"
        yield Finding(Problem("E-READY-004", _subject(workload), what, message, fix), CREATE_GRACE)
