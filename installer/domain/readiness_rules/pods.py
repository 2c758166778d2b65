"""What keeps a pod from being ready."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from installer.domain.readiness import Problem
from installer.domain.readiness_rules.evidence import clean, last_line, latest_event
from installer.domain.readiness_rules.facts import Finding, LogSource, Object, condition, name_of, namespace_of

PULL_GRACE = 12.0
"""One retry of the kubelet (10 s) is allowed: an image may just be on its way in from a bundle."""
SCHEDULE_GRACE = 10.0
PORT_GRACE = 75.0
"""A host port is often still held by the pod that is being replaced, and the scheduler looks again after a minute."""
INIT_CRASHES = 1
CORE_CRASHES = 2
"""Restarts after which a crash loop of a core component is final (a third run has failed)."""

_HARMLESS_FAILURES = {
    "TaintToleration",
    "NodeAffinity",
    "NodeLost",
    "Evicted",
    "Shutdown",
    "NodeShutdown",
    "Terminated",
    "Preempting",
    "UnexpectedAdmissionError",
}
"""Reasons of failed pods that their controller has long replaced."""
_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}
_FINAL_PULL = re.compile(
    r"not found|manifest unknown|name unknown|unauthorized|authentication required|authorization failed|denied"
    r"|invalid reference|no match for platform|exec format",
    re.IGNORECASE,
)
_CREATE_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}
_PRESSURE = re.compile(r"node\.kubernetes\.io/(disk|memory|pid)-pressure")
_SHORT_OF = {"disk": "disk space", "memory": "memory", "pid": "processes"}
_WAITS_FOR_NETWORK = re.compile(
    r"node\.kubernetes\.io/(not-ready|network-unavailable|unreachable)|node\.cilium\.io/agent-not-ready"
    r"|node\.cloudprovider\.kubernetes\.io/uninitialized|no nodes available|skip schedule deleting",
)


def is_relevant(pod: Object) -> bool:
    """Whether a pod counts: not one that ended or was evicted and replaced, nor one on its way out."""
    status = pod.get("status", {})
    if is_terminating(pod) or status.get("phase") == "Succeeded":
        return False
    return not (status.get("phase") == "Failed" and status.get("reason") in _HARMLESS_FAILURES)


def is_terminating(pod: Object) -> bool:
    """Whether a pod is being deleted."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_ready(pod: Object) -> bool:
    """Whether a pod's condition Ready is true."""
    return condition(pod, "Ready").get("status") == "True"


def is_backing_off(pod: Object) -> bool:
    """Whether the kubelet makes a pod wait after failures, up to five minutes, even if the cause is gone by now."""
    status = pod.get("status", {})
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    reasons = {(_now(state, "waiting") or {}).get("reason") for state in states if not state.get("ready")}
    return bool(reasons & {*_PULL_REASONS, "CrashLoopBackOff"})


def progress(pod: Object) -> str:
    """Say in a few words where a pod stands, such as ``init 2/6: mount-cgroup`` or ``waits for a node``."""
    status = pod.get("status", {})
    names = [container["name"] for container in pod.get("spec", {}).get("initContainers") or []]
    states = {one["name"]: one for one in status.get("initContainerStatuses") or []}
    if not pod.get("spec", {}).get("nodeName"):
        return "waits for a node"
    for number, name in enumerate(names, start=1):
        if not _init_done(states.get(name, {})):
            return f"init {number}/{len(names)}: {name}{_reason_suffix(states.get(name, {}))}"
    waiting = [one for one in status.get("containerStatuses") or [] if not one.get("ready")]
    for one in waiting:
        return f"{one['name']}: {_container_word(one)}"
    return "ready" if is_ready(pod) else str(status.get("phase", "Pending")).lower()


def _init_done(state: Mapping[str, Any]) -> bool:
    if state.get("ready"):
        return True
    return (_now(state, "terminated") or {}).get("exitCode") == 0


def _reason_suffix(state: Mapping[str, Any]) -> str:
    reason = (_now(state, "waiting") or {}).get("reason", "")
    return f" ({reason})" if reason and reason != "PodInitializing" else ""


def _container_word(state: Mapping[str, Any]) -> str:
    waiting = _now(state, "waiting")
    if waiting is not None:
        reason = waiting.get("reason") or "waiting"
        return {"ContainerCreating": "creating", "PodInitializing": "creating"}.get(reason, reason)
    ended = _now(state, "terminated")
    if ended is not None:
        return f"ended with exit code {ended.get('exitCode')}"
    return "running, not ready" if state.get("started") is not False else "starting"


def _now(state: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Return the current state of a container status if it is of that kind."""
    found: Mapping[str, Any] | None = (state.get("state") or {}).get(kind)
    return found


def judge_pod(pod: Object, events: Sequence[Object], *, core: bool, settled: bool, replaces: bool) -> Iterator[Finding]:
    """Yield what keeps a pod from being ready.

    Args:
        pod: a relevant pod that is not ready.
        events: events of its namespace.
        core: it belongs to a core component.
        settled: what it depends on is ready, so that its crashes are its own.
        replaces: a pod of the same workload is still on its way out and may hold what this one needs.
    """
    if pod.get("status", {}).get("phase") == "Failed":
        yield _failed(pod)
        return
    scheduling = condition(pod, "PodScheduled")
    if scheduling.get("status") == "False":
        yield from _unscheduled(pod, str(scheduling.get("message", "")), replaces=replaces)
        return
    pulls = _pull_message(pod, events)
    found = [*_init_findings(pod, pulls), *_container_findings(pod, pulls, core=core, settled=settled)]
    yield from found or _stuck(pod, events)


def _pull_message(pod: Object, events: Sequence[Object]) -> str:
    """Return why the last pull failed: the status says only "back-off" for most of the time."""
    failed = [event for event in events if str(event.get("message", "")).startswith("Failed to pull image")]
    return latest_event(failed, "Pod", namespace_of(pod), name_of(pod), "Failed")


def _subject(pod: Object, container: str = "", *, init: bool = False) -> str:
    part = f" ({'init ' if init else ''}{container})" if container else ""
    return f"{namespace_of(pod)}/{name_of(pod)}{part}"


def _failed(pod: Object) -> Finding:
    status = pod.get("status", {})
    what = f"the pod failed: {clean(str(status.get('reason') or 'no reason given'))}"
    fix = f"kubectl -n {namespace_of(pod)} describe pod {name_of(pod)}"
    return Finding(Problem("E-POD-001", _subject(pod), what, clean(str(status.get("message", ""))), fix))


def _unscheduled(pod: Object, message: str, *, replaces: bool) -> Iterator[Finding]:
    if not message or _WAITS_FOR_NETWORK.search(message):
        return
    problem = Problem(
        "E-POD-002", _subject(pod), "no node takes the pod", clean(message), _scheduling_fix(pod, message)
    )
    grace = PORT_GRACE if "free ports" in message else SCHEDULE_GRACE
    yield Finding(problem, None if replaces or _PRESSURE.search(message) else grace)


def _scheduling_fix(pod: Object, message: str) -> str:
    if short := _PRESSURE.search(message):
        return f"Free {_SHORT_OF[short[1]]} on the node; some minutes later the kubelet takes its taint away by itself."
    if "anti-affinity" in message or "affinity/anti" in message or "free ports" in message:
        replicas = "operator.replicas" if name_of(pod).startswith("cilium-operator") else "replicas"
        return (
            f"Its replicas may not share a node: use no more than there are nodes (set {replicas} lower), or add nodes."
        )
    if "Insufficient" in message:
        return "Free or add CPU or memory, or lower the pod's resource requests."
    if "node selector" in message or "node affinity" in message or "nodeSelector" in message:
        return "Correct the nodeSelector or affinity in the values, or label a node to match it."
    if "taint" in message:
        return "Add a toleration in the values, or remove the taint from the node."
    return f"kubectl -n {namespace_of(pod)} describe pod {name_of(pod)}"


def _init_findings(pod: Object, pulls: str) -> Iterator[Finding]:
    for state in pod.get("status", {}).get("initContainerStatuses") or []:
        if not _init_done(state):
            yield from _container(pod, state, pulls, init=True, limit=INIT_CRASHES)


def _container_findings(pod: Object, pulls: str, *, core: bool, settled: bool) -> Iterator[Finding]:
    limit = (CORE_CRASHES if core else CORE_CRASHES + 1) if settled else None
    for state in pod.get("status", {}).get("containerStatuses") or []:
        if not state.get("ready"):
            yield from _container(pod, state, pulls, init=False, limit=limit)


def _container(
    pod: Object, state: Mapping[str, Any], pulls: str, *, init: bool, limit: int | None
) -> Iterator[Finding]:
    waiting = _now(state, "waiting") or {}
    reason = str(waiting.get("reason", ""))
    if reason in _PULL_REASONS:
        message = str(waiting.get("message", ""))
        yield _pull(pod, state, reason, (pulls if reason == "ImagePullBackOff" else "") or message, init=init)
    elif reason in _CREATE_REASONS:
        fix = f"kubectl -n {namespace_of(pod)} describe pod {name_of(pod)}"
        what = f"the container cannot be started: {reason}"
        evidence = clean(str(waiting.get("message", "")))
        yield Finding(Problem("E-POD-005", _subject(pod, state["name"], init=init), what, evidence, fix), 20.0)
    else:
        yield from _crash(pod, state, reason, init=init, limit=limit)


def _pull(pod: Object, state: Mapping[str, Any], reason: str, message: str, *, init: bool) -> Finding:
    image = clean(str(state.get("image", "")))
    problem = Problem(
        "E-POD-003",
        _subject(pod, state["name"], init=init),
        f"image {image} cannot be pulled",
        clean(message) or reason,
        "Check the image's name and tag, the registry and its credentials, proxy and mirror settings "
        "(/etc/rancher/k3s/registries.yaml), or put the image into the bundle.",
    )
    final = reason == "InvalidImageName" or bool(_FINAL_PULL.search(message))
    return Finding(problem, 0.0 if final else PULL_GRACE)


def _crash(pod: Object, state: Mapping[str, Any], reason: str, *, init: bool, limit: int | None) -> Iterator[Finding]:
    ended = _now(state, "terminated")
    last = ended or (state.get("lastState") or {}).get("terminated")
    restarts = int(state.get("restartCount", 0))
    if not last or (last.get("exitCode") == 0 and init):
        return
    looping = reason == "CrashLoopBackOff" or bool(ended)
    if not looping and restarts == 0:
        return
    message = last_line(str(last.get("message") or ""))
    source = LogSource(namespace_of(pod), name_of(pod), state["name"], not looping, restarts)
    problem = Problem(
        "E-POD-004",
        _subject(pod, state["name"], init=init),
        f"the {'init ' if init else ''}container crashes: {_ending(last)}, {restarts} restart{'s' * (restarts != 1)}",
        message,
        _crash_fix(pod, state["name"]),
    )
    final = looping and limit is not None and restarts >= limit
    yield Finding(problem, 0.0 if final else None, None if message else source)


def _ending(last: Mapping[str, Any]) -> str:
    reason = last.get("reason")
    return f"exit code {last.get('exitCode')}" + (f" ({reason})" if reason not in (None, "Error", "Completed") else "")


def _crash_fix(pod: Object, container: str) -> str:
    return f"kubectl -n {namespace_of(pod)} logs {name_of(pod)} -c {container} --previous"


def _stuck(pod: Object, events: Sequence[Object]) -> Iterator[Finding]:
    """Why a scheduled pod whose containers show no fault is not ready, by its events."""
    place = ("Pod", namespace_of(pod), name_of(pod))
    starting = not any(_now(one, "running") is not None for one in pod.get("status", {}).get("containerStatuses") or [])
    if starting:
        message = latest_event(events, *place, "FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume", "Failed")
        if message:
            fix = f"kubectl -n {namespace_of(pod)} describe pod {name_of(pod)}"
            yield Finding(Problem("E-POD-006", _subject(pod), "the pod cannot be started", message, fix))
        return
    message = latest_event(events, *place, "Unhealthy")
    what = "the pod runs and does not become ready"
    fix = f"kubectl -n {namespace_of(pod)} logs {name_of(pod)} --all-containers"
    yield Finding(Problem("E-POD-007", _subject(pod), what, message, fix))
