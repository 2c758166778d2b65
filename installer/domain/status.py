"""Everything that is known of Cilium in a cluster at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from installer.domain.diagnosis import Diagnosis
from installer.domain.overview import (
    CertificateStatus,
    NamespaceStatus,
    PolicyFault,
    UnmanagedPod,
    Unread,
    Versions,
    WarningEvent,
)
from installer.domain.readiness import Snapshot


@dataclass(frozen=True, slots=True)
class Notice:
    """An error or a warning.

    Attributes:
        subject: what it is about, such as ``cilium/cilium-x7k2p``.
        text: one line.
        code: stable code, empty where the words are the cluster's own.
        fix: what to do, may be empty.
        why: the cause, as far as it is known beyond ``text``; may be empty.
    """

    subject: str
    text: str
    code: str = ""
    fix: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """A DaemonSet or Deployment of Cilium.

    Attributes:
        name: its name.
        kind: ``DaemonSet`` or ``Deployment``.
        state: a word of ``readiness.State``.
        desired: pods wanted.
        ready: pods ready.
        available: pods ready for long enough.
        updated: pods of the current template.
        detail: one line.
        images: pods by container image.
        phases: pods by phase.
    """

    name: str
    kind: str
    state: str
    desired: int = 0
    ready: int = 0
    available: int = 0
    updated: int = 0
    detail: str = ""
    images: Mapping[str, int] = field(default_factory=dict)
    phases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node.

    Attributes:
        name: its name.
        ready: whether its condition Ready is true.
        roles: such as ``control-plane``.
        version: the kubelet's version.
        kernel: kernel release.
        os: image of the operating system.
        runtime: container runtime and version.
        arch: architecture.
        address: internal address.
        pod_cidrs: pod ranges that Cilium uses on it, else those of Kubernetes.
        conditions: types of other conditions that are true, such as ``DiskPressure``.
        taints: ``key=value:effect``.
        unschedulable: cordoned.
    """

    name: str
    ready: bool
    roles: tuple[str, ...] = ()
    version: str = ""
    kernel: str = ""
    os: str = ""
    runtime: str = ""
    arch: str = ""
    address: str = ""
    pod_cidrs: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    unschedulable: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an agent's own status.

    Attributes:
        name: ``Cilium``, ``Cluster health``, ``Hubble``, ``Kubernetes``, ``KVStore`` …
        state: its word: ``Ok``, ``Warning``, ``Failure``, ``Disabled`` …
        text: further words, may be empty.
    """

    name: str
    state: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What an agent says of itself.

    Attributes:
        pod: its pod.
        node: its node.
        parts: its parts with a state of their own.
        facts: IPAM, kube-proxy replacement, routing, masquerading, encryption … as words by name.
        controllers: number of controllers.
        failing: failing controllers: name and last message.
        endpoints: number of endpoints on the node.
        endpoints_not_ready: those not ready: pod (or id) and state.
        bpf_maps: configured sizes of BPF maps by name.
        enforcement: directions that policies are enforced in by pod (``namespace/name``): ``none``, ``ingress``,
            ``egress``, ``both``, or one of the last three with ``audit-`` before it.
        error: why it could not be asked, empty when it was.
        namespace: its pod's namespace.
    """

    pod: str
    node: str
    parts: tuple[Part, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    controllers: int = 0
    failing: Mapping[str, str] = field(default_factory=dict)
    endpoints: int = 0
    endpoints_not_ready: Mapping[str, str] = field(default_factory=dict)
    bpf_maps: Mapping[str, int] = field(default_factory=dict)
    enforcement: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    namespace: str = "kube-system"


@dataclass(frozen=True, slots=True)
class HelmStatus:
    """The Helm release that Cilium comes from.

    Attributes:
        name: release name.
        chart: chart version.
        revision: current revision.
        status: helm's word, such as ``deployed``.
        updated: time of the last change, as helm writes it.
    """

    name: str
    chart: str
    revision: int
    status: str
    updated: str = ""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """Relay's own word.

    Attributes:
        connected: nodes it reaches.
        unavailable: names of those it does not.
        flows: flows held.
        max_flows: capacity.
        rate: flows per second.
        version: its version.
        error: why it could not be asked.
    """

    connected: int = 0
    unavailable: tuple[str, ...] = ()
    flows: int = 0
    max_flows: int = 0
    rate: float = 0.0
    version: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture.

    Attributes:
        server: the API's URL.
        context: kubeconfig context.
        kubernetes: server version.
        namespace: Cilium's namespace.
        snapshot: readiness, judged as ``wait_ready`` does.
        workloads: Cilium's parts.
        nodes: all nodes.
        agents: every agent's own status.
        pods: pods that Cilium should manage (those not on the host's network).
        managed: pods it manages.
        config: facts of interest from ``cilium-config``, by name.
        helm: the Helm release, None where it is not there or may not be read.
        relay: Relay's own word, None where it was not asked.
        errors: what is broken.
        warnings: what is worth a look.
        unread: what could not be read and why.
        unread_details: the same with code, cause and fix.
        namespaces: pods and policies by namespace; those without either are left out.
        unmanaged: running pods that Cilium should manage and does not.
        clusterwide_policies: number of CiliumClusterwideNetworkPolicies.
        policy_faults: policies that Cilium does not accept.
        certificates: certificates that may be read, the next to expire first.
        versions: versions by component.
        hints: updates and combinations of versions that are worth knowing.
        events: recent Warning events, newest first.
        diagnosis: causes of what is not as it should be.
    """

    server: str
    context: str
    kubernetes: str
    namespace: str
    snapshot: Snapshot
    workloads: tuple[WorkloadStatus, ...] = ()
    nodes: tuple[NodeStatus, ...] = ()
    agents: tuple[AgentStatus, ...] = ()
    pods: int = 0
    managed: int = 0
    config: Mapping[str, str] = field(default_factory=dict)
    helm: HelmStatus | None = None
    relay: RelayStatus | None = None
    errors: tuple[Notice, ...] = ()
    warnings: tuple[Notice, ...] = ()
    unread: tuple[str, ...] = ()
    unread_details: tuple[Unread, ...] = ()
    namespaces: tuple[NamespaceStatus, ...] = ()
    unmanaged: tuple[UnmanagedPod, ...] = ()
    clusterwide_policies: int = 0
    policy_faults: tuple[PolicyFault, ...] = ()
    certificates: tuple[CertificateStatus, ...] = ()
    versions: Versions = field(default_factory=dict)
    hints: tuple[Notice, ...] = ()
    events: tuple[WarningEvent, ...] = ()
    diagnosis: Diagnosis = field(default_factory=Diagnosis)

    @property
    def ready(self) -> bool:
        """Whether all is ready and nothing is broken."""
        return self.snapshot.ready and not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, in camelCase, with ``ready`` on top."""
        found = {name: value for name, value in asdict(self).items() if name not in ("snapshot", "diagnosis")}
        judged = {"readiness": self.snapshot.to_dict(), "diagnosis": self.diagnosis.to_dict()}
        return {"ready": self.ready, **_camel(found), **judged}


def _camel(value: Any, *, free: bool = False) -> Any:
    """Turn field names into camelCase; keys of mappings with free keys stay."""
    if isinstance(value, Mapping):
        return {key if free else _camel_word(key): _camel(item, free=key in _FREE_KEYS) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list | tuple) else value


_FREE_KEYS = {
    "images",
    "phases",
    "facts",
    "failing",
    "endpoints_not_ready",
    "bpf_maps",
    "config",
    "enforcement",
    "versions",
}


def _camel_word(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))
