"""What readiness is judged from, and what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from installer.domain.readiness import Problem, Snapshot

Object = Mapping[str, Any]

SYSTEM = "kube-system"
AGENT = "cilium"
OPERATOR = "cilium-operator"
ENVOY = "cilium-envoy"
RELAY = "hubble-relay"
UI = "hubble-ui"
COREDNS = "coredns"
CLUSTERMESH = "clustermesh-apiserver"


@dataclass(frozen=True, slots=True)
class Facts:
    """The cluster's objects, as the API returns them.

    Attributes:
        nodes: all Nodes.
        pods: Pods of the namespaces concerned.
        daemonsets: DaemonSets of the same.
        deployments: Deployments of the same.
        events: Events of the same, any order.
        ciliumnodes: all CiliumNodes.
    """

    nodes: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    daemonsets: tuple[Object, ...] = ()
    deployments: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    ciliumnodes: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A DaemonSet or Deployment that is expected.

    Attributes:
        name: its name.
        kind: ``DaemonSet`` or ``Deployment``.
        namespace: its namespace.
        enabled: False where it is switched off on purpose.
        core: the pod network depends on it, it on nothing else; its crashes are counted more strictly.
    """

    name: str
    kind: str
    namespace: str = SYSTEM
    enabled: bool = True
    core: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be there.

    Attributes:
        workloads: in the order they are reported.
        nodes: how many nodes there must be at least.
        cilium_nodes: whether each node must have a CiliumNode.
    """

    workloads: tuple[Workload, ...]
    nodes: int = 1
    cilium_nodes: bool = True


def expected_cilium(
    *,
    nodes: int = 1,
    envoy: bool = True,
    relay: bool = True,
    ui: bool = True,
    coredns: bool = True,
    namespace: str = SYSTEM,
) -> Expected:
    """Return what an installation of Cilium with these parts must have."""
    return Expected(
        workloads=(
            Workload(AGENT, "DaemonSet", namespace, core=True),
            Workload(ENVOY, "DaemonSet", namespace, enabled=envoy, core=True),
            Workload(OPERATOR, "Deployment", namespace, core=True),
            Workload(RELAY, "Deployment", namespace, enabled=relay),
            Workload(UI, "Deployment", namespace, enabled=ui),
            Workload(COREDNS, "Deployment", enabled=coredns),
        ),
        nodes=nodes,
    )


def expected_from(facts: Facts, namespace: str = SYSTEM) -> Expected:
    """Return what must be ready in a cluster as it is found: the agent and operator always, the rest if it is there."""
    dns = _dns_name(facts.deployments)
    here = {(kind, name_of(item)) for kind, item in _workloads(facts) if namespace_of(item) == namespace}
    return Expected(
        workloads=(
            Workload(AGENT, "DaemonSet", namespace, core=True),
            Workload(ENVOY, "DaemonSet", namespace, enabled=("DaemonSet", ENVOY) in here, core=True),
            Workload(OPERATOR, "Deployment", namespace, core=True),
            *(
                Workload(name, "Deployment", namespace, enabled=("Deployment", name) in here)
                for name in (RELAY, UI, CLUSTERMESH)
            ),
            Workload(dns or COREDNS, "Deployment", enabled=bool(dns)),
        ),
        nodes=len(facts.nodes),
    )


def _workloads(facts: Facts) -> list[tuple[str, Object]]:
    daemonsets = [("DaemonSet", item) for item in facts.daemonsets]
    return daemonsets + [("Deployment", item) for item in facts.deployments]


def _dns_name(deployments: Iterable[Object]) -> str:
    """Return the cluster DNS' Deployment, by the label every distribution gives it."""
    found = [
        name_of(item)
        for item in deployments
        if labels_of(item).get("k8s-app") == "kube-dns" and namespace_of(item) == SYSTEM
    ]
    return found[0] if found else ""


@dataclass(frozen=True, slots=True, order=True)
class LogSource:
    """A crashed container whose last words are wanted.

    Attributes:
        namespace: the pod's namespace.
        pod: the pod.
        container: the container.
        previous: its words are those of the run before the current one.
        restarts: restarts so far; each run has its own words.
    """

    namespace: str
    pod: str
    container: str
    previous: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and how long it may last.

    Attributes:
        problem: the problem, not fatal yet.
        grace: seconds after which it is fatal, None if never by itself.
        log: whose last log line would be its evidence, None if it has some already.
    """

    problem: Problem
    grace: float | None = None
    log: LogSource | None = None

    @property
    def key(self) -> str:
        """What makes it the same finding when judged again."""
        return f"{self.problem.code} {self.problem.subject}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A snapshot and what its maker needs for the next one.

    Attributes:
        snapshot: readiness now.
        since: when each finding that still stands was first made.
        recheck_at: time at which a finding becomes fatal if nothing changes, None if none does.
        logs_wanted: crashed containers whose last log line is not known yet.
    """

    snapshot: Snapshot
    since: Mapping[str, float] = field(default_factory=dict)
    recheck_at: float | None = None
    logs_wanted: tuple[LogSource, ...] = ()


def name_of(item: Object) -> str:
    """Return an object's name."""
    return str(item["metadata"]["name"])


def namespace_of(item: Object) -> str:
    """Return an object's namespace."""
    return str(item["metadata"].get("namespace", ""))


def labels_of(item: Object) -> Mapping[str, str]:
    """Return an object's labels."""
    return item["metadata"].get("labels") or {}


def condition(item: Object, kind: str) -> Mapping[str, Any]:
    """Return a status condition by type, empty where it is not there."""
    for one in item.get("status", {}).get("conditions") or []:
        if one.get("type") == kind:
            return dict(one)
    return {}
