"""Evidence from a cluster's objects and from what others have judged already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from installer.domain.diagnosis.cause import Cause
from installer.domain.diagnosis.evidence import Evidence, Source
from installer.domain.diagnosis.parts import Part, part_of
from installer.domain.readiness import Problem, Snapshot, State
from installer.domain.readiness_rules.evidence import clean, event_time
from installer.domain.readiness_rules.facts import Object, labels_of, name_of, namespace_of
from installer.domain.readiness_rules.pods import is_ready, is_relevant

_SETTINGS = ("kube-proxy-replacement", "enable-gateway-api", "routing-mode", "ipam", "tunnel-protocol")
_PARTS = {
    "cilium": Part.AGENT,
    "cilium-operator": Part.OPERATOR,
    "hubble-relay": Part.RELAY,
}
_WRITERS = {
    "cilium": Source.AGENT,
    "cilium-operator": Source.OPERATOR,
    "cilium-envoy": Source.ENVOY,
    "hubble-relay": Source.RELAY,
    "kube-dns": Source.DNS,
}


def writer_of(pod: Object, container: str) -> Source:
    """Return who writes the log of a container."""
    if container in {one["name"] for one in pod.get("spec", {}).get("initContainers") or []}:
        return Source.INIT
    labels = labels_of(pod)
    names = (labels.get("k8s-app", ""), labels.get("name", ""), labels.get("io.cilium/app", ""))
    found = next((_WRITERS[name] for name in names if name in _WRITERS), None)
    if labels.get("io.cilium/app") == "operator":
        return Source.OPERATOR
    return found or Source.POD


def ready_parts(snapshot: Snapshot) -> frozenset[Part]:
    """Return the parts that work, so that what logs say of them is of the past."""
    by_part: dict[Part, list[bool]] = {}
    for one in snapshot.components:
        if one.state is not State.DISABLED:
            part = Part.K3S if one.kind == "Node" else _PARTS.get(one.name, part_of(one.name))
            by_part.setdefault(part, []).append(one.state is State.READY)
    ready = {part for part, states in by_part.items() if all(states)}
    if ready >= {Part.AGENT, Part.DNS}:
        ready |= {Part.PODS, Part.IMAGES, Part.RELEASE}
    return frozenset(ready)


def problem_evidence(problems: Iterable[Problem]) -> Iterator[Evidence]:
    """Yield what problems rest on; one without a line of its own says its code and words."""
    for one in problems:
        if one.evidence:
            yield Evidence(Source.PROBLEM, f"state of {one.subject}", one.evidence, one.subject)
        yield Evidence(Source.PROBLEM, f"state of {one.subject}", f"{one.code} {one.what}", one.subject)


def problem_causes(problems: Iterable[Problem]) -> Iterator[Cause]:
    """Yield problems as causes, for where no rule explains them."""
    for one in problems:
        where = f"state of {one.subject}" if one.evidence else ""
        yield Cause(
            one.code,
            part_of(one.subject),
            f"{one.subject}: {one.what}",
            one.fix,
            0,
            "",
            one.evidence,
            where,
            one.subject,
        )


def object_evidence(
    pods: Iterable[Object], nodes: Iterable[Object], events: Iterable[Object], config: Object | None = None
) -> Iterator[Evidence]:
    """Yield what objects tell: events of what is not ready, states of its containers, conditions, settings."""
    found = list(pods)
    yield from _events(events, {(namespace_of(pod), name_of(pod)): is_ready(pod) for pod in found})
    for node in nodes:
        yield from _node(node)
    for pod in found:
        if is_relevant(pod) and not is_ready(pod):
            yield from _pod(pod)
    data: Mapping[str, Any] = (config or {}).get("data") or {}
    for key in _SETTINGS:
        if data.get(key):
            yield Evidence(Source.CONFIG, "ConfigMap cilium-config", f"{key}={clean(str(data[key]))}")


def replica_evidence(deployments: Iterable[Object], nodes: Collection[Object]) -> Iterator[Evidence]:
    """Yield Deployments of which there are to be more pods than there are nodes."""
    for one in deployments:
        wanted = one.get("spec", {}).get("replicas")
        if nodes and isinstance(wanted, int) and wanted > len(nodes):
            subject = f"{namespace_of(one)}/{name_of(one)}"
            text = f"{wanted} replicas are wanted on {len(nodes)} node{'s' * (len(nodes) != 1)}"
            yield Evidence(Source.CONFIG, f"Deployment {subject}", text, subject)


def _events(events: Iterable[Object], ready: Mapping[tuple[str, str], bool]) -> Iterator[Evidence]:
    """Yield warnings; those of pods that are gone or ready by now are of the past."""
    for event in sorted(events, key=event_time):
        about = event.get("involvedObject") or {}
        key = (str(about.get("namespace", "")), str(about.get("name", "")))
        past = about.get("kind") == "Pod" and ready.get(key, True)
        if event.get("type") == "Warning" and not past:
            subject = f"node/{key[1]}" if about.get("kind") == "Node" else "/".join(filter(None, key))
            where = f"event {event.get('reason', '')} of {about.get('kind', '')} {subject}"
            yield Evidence(Source.EVENT, clean(where), clean(str(event.get("message", ""))), clean(subject))


def _node(node: Object) -> Iterator[Evidence]:
    subject = f"node/{name_of(node)}"
    status = node.get("status", {})
    for one in status.get("conditions") or []:
        bad = one.get("status") != "True" if one.get("type") == "Ready" else one.get("status") == "True"
        if bad:
            text = f"{one.get('type')}: {one.get('reason', '')}: {one.get('message', '')}"
            yield Evidence(Source.CONDITION, f"condition of {subject}", clean(text), subject)
    kernel = (status.get("nodeInfo") or {}).get("kernelVersion", "")
    yield Evidence(Source.CONDITION, f"status of {subject}", f"kernel {clean(str(kernel))}", subject)


def _pod(pod: Object) -> Iterator[Evidence]:
    subject = f"{namespace_of(pod)}/{name_of(pod)}"
    status = pod.get("status", {})
    for one in status.get("conditions") or []:
        if one.get("status") != "True" and one.get("message"):
            where = f"condition {one.get('type')} of pod {subject}"
            yield Evidence(Source.CONDITION, clean(where), clean(str(one["message"])), subject)
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for state in states:
        yield from _container(pod, subject, state)


def _container(pod: Object, subject: str, state: Mapping[str, Any]) -> Iterator[Evidence]:
    name = clean(str(state.get("name", "")))
    source = writer_of(pod, name)
    kinds = {**(state.get("lastState") or {}), **(state.get("state") or {})}
    for kind in ("terminated", "waiting"):
        found = kinds.get(kind) or {}
        if not found or (kind == "terminated" and found.get("exitCode") == 0):
            continue
        where = f"{kind} container {name} of {subject}"
        words = (str(found.get("reason") or ""), *str(found.get("message") or "").splitlines())
        for line in filter(None, map(clean, words)):
            yield Evidence(source if kind == "terminated" else Source.CONDITION, where, line, subject)
