"""Readiness of a cluster, judged by ourselves from Kubernetes objects.

Helm's ``--wait`` proves nothing on one node (its rule is ``ready >= desired - maxUnavailable``), so the judgement is
made here, pure, from plain objects as the API returns them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """State of a component."""

    READY = "ready"
    PROGRESSING = "progressing"
    FAILED = "failed"
    DISABLED = "disabled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not ready.

    Attributes:
        code: stable code such as ``E-POD-003``.
        subject: object concerned, such as ``kube-system/cilium-x7k2p (init config)``.
        what: one line.
        evidence: the line that proves it (message, event, last log line); may be empty.
        fix: what to do.
        fatal: waiting will not help.
    """

    code: str
    subject: str
    what: str
    evidence: str = ""
    fix: str = ""
    fatal: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "code": self.code,
            "subject": self.subject,
            "what": self.what,
            "evidence": self.evidence,
            "fix": self.fix,
            "fatal": self.fatal,
        }


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that must be ready.

    Attributes:
        name: such as ``cilium``, ``hubble-relay``, ``coredns``, ``node/one``.
        kind: ``Node``, ``DaemonSet``, ``Deployment``, ``CiliumNode``, ``Service``.
        state: its state.
        desired: pods wanted (nodes: 1).
        ready: pods ready.
        detail: one line, such as ``1/1 ready`` or ``init 2/6: mount-cgroup``.
        problems: what keeps it from being ready.
    """

    name: str
    kind: str
    state: State
    desired: int = 0
    ready: int = 0
    detail: str = ""
    problems: tuple[Problem, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "state": str(self.state),
            "desired": self.desired,
            "ready": self.ready,
            "detail": self.detail,
            "problems": [problem.to_dict() for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container of a pod.

    Attributes:
        name: its name.
        state: ``ready`` (an init container: done), ``progressing``, ``failed`` (crashed or cannot start), or
            ``unknown`` while its turn has not come.
        detail: one or two words, such as ``creating`` or ``CrashLoopBackOff``; empty when ready.
        init: whether it is an init container.
        restarts: how often it was started again.
    """

    name: str
    state: State
    detail: str = ""
    init: bool = False
    restarts: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "state": str(self.state),
            "detail": self.detail,
            "init": self.init,
            "restarts": self.restarts,
        }


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod, as far as it matters while one waits for it.

    Attributes:
        name: its name.
        namespace: its namespace.
        node: the node it runs on, empty while it waits for one.
        state: its state.
        detail: one line, such as ``init 2/6: mount-cgroup``.
        containers: init containers first, each in the order of the pod.
    """

    name: str
    namespace: str
    node: str
    state: State
    detail: str = ""
    containers: tuple[ContainerState, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "node": self.node,
            "state": str(self.state),
            "detail": self.detail,
            "containers": [container.to_dict() for container in self.containers],
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Readiness of the whole cluster at one moment.

    Attributes:
        components: in a fixed order: nodes, Cilium, Hubble, cluster add-ons.
        pods: the pods of the namespaces concerned, by node, namespace and name; those that ended are left out.
    """

    components: tuple[Component, ...] = ()
    pods: tuple[PodState, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether everything that is enabled is ready."""
        states = {State.READY, State.DISABLED}
        return bool(self.components) and all(component.state in states for component in self.components)

    @property
    def problems(self) -> list[Problem]:
        """Return all problems, fatal ones first."""
        found = [problem for component in self.components for problem in component.problems]
        return sorted(found, key=lambda problem: not problem.fatal)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "ready": self.ready,
            "components": [component.to_dict() for component in self.components],
            "pods": [pod.to_dict() for pod in self.pods],
        }
