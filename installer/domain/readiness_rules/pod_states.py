"""Each pod and its containers in a few words, for a grid that turns ready in front of the user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.domain.readiness import ContainerState, PodState, State
from installer.domain.readiness_rules.facts import Object, name_of, namespace_of
from installer.domain.readiness_rules.pods import is_ready, is_relevant, is_terminating, progress

_ON_ITS_WAY = {"ContainerCreating": "creating", "PodInitializing": "waiting", "": "waiting"}


def pod_states(pods: Iterable[Object]) -> tuple[PodState, ...]:
    """Return the pods that count, by node, namespace and name; those that are ending stay until they are gone."""
    found = [_pod(pod) for pod in pods if is_relevant(pod) or is_terminating(pod)]
    return tuple(sorted(found, key=lambda pod: (pod.node or "\uffff", pod.namespace, pod.name)))


def _pod(pod: Object) -> PodState:
    containers = tuple(_containers(pod))
    state, detail = _state(pod, containers)
    node = str(pod.get("spec", {}).get("nodeName") or "")
    return PodState(name_of(pod), namespace_of(pod), node, state, detail, containers)


def _state(pod: Object, containers: tuple[ContainerState, ...]) -> tuple[State, str]:
    if is_terminating(pod):
        return State.PROGRESSING, "ending"
    if pod.get("status", {}).get("phase") == "Failed":
        return State.FAILED, str(pod["status"].get("reason") or "failed")
    if is_ready(pod):
        return State.READY, "ready"
    failed = any(container.state is State.FAILED for container in containers)
    return (State.FAILED if failed else State.PROGRESSING), progress(pod)


def _containers(pod: Object) -> Iterator[ContainerState]:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    for init, specs, statuses in (
        (True, "initContainers", "initContainerStatuses"),
        (False, "containers", "containerStatuses"),
    ):
        known = {one["name"]: one for one in status.get(statuses) or []}
        for container in spec.get(specs) or []:
            yield _container(str(container["name"]), known.get(container["name"], {}), init=init)


def _container(name: str, status: Mapping[str, Any], *, init: bool) -> ContainerState:
    state, detail = _words(status, init=init)
    return ContainerState(name, state, detail, init, int(status.get("restartCount", 0)))


def _words(status: Mapping[str, Any], *, init: bool) -> tuple[State, str]:
    now = status.get("state") or {}
    if status.get("ready"):
        return State.READY, ""
    if ended := now.get("terminated"):
        code = ended.get("exitCode")
        return (State.READY, "") if init and code == 0 else (State.FAILED, f"exit code {code}")
    if "running" in now:
        return State.PROGRESSING, "running" if init or status.get("started") is not False else "starting"
    reason = str((now.get("waiting") or {}).get("reason") or "")
    if reason in _ON_ITS_WAY:
        return (State.UNKNOWN if _ON_ITS_WAY[reason] == "waiting" else State.PROGRESSING), _ON_ITS_WAY[reason]
    return State.FAILED, reason
