"""From everything that was read to the status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from installer.domain.overview import CertificateStatus, PolicyFault, Unread
from installer.domain.readiness import Snapshot
from installer.domain.readiness_rules.facts import RELAY, Expected, Facts, Object
from installer.domain.releases import Releases
from installer.domain.status import AgentStatus, HelmStatus, Notice, RelayStatus, Status
from installer.domain.status_rules import namespaces
from installer.domain.status_rules.agents import agent_errors, agent_warnings
from installer.domain.status_rules.causes import diagnose_status
from installer.domain.status_rules.certificates import certificate_notices, has_expired, judge_certificate
from installer.domain.status_rules.objects import count_pods, node_warnings, read_config, read_nodes, read_workloads
from installer.domain.status_rules.versions import read_versions, version_hints
from installer.domain.status_rules.warning_events import read_warnings
from installer.domain.x509 import Certificate

_KINDS = {"nodes": ("Node", "CiliumNode"), "daemonsets": ("DaemonSet",), "deployments": ("Deployment",)}


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read of a cluster; what could not be is empty and stands in ``unread``.

    Attributes:
        server: the API's URL.
        context: kubeconfig context.
        namespace: Cilium's namespace.
        facts: what readiness is judged from.
        expected: what must be ready.
        snapshot: readiness.
        now: UNIX time.
        kubernetes: server version.
        pods: pods of all namespaces.
        endpoints: CiliumEndpoints.
        cilium_policies: CiliumNetworkPolicies.
        clusterwide_policies: CiliumClusterwideNetworkPolicies.
        network_policies: NetworkPolicies.
        events: events of all namespaces.
        agents: every agent's own word.
        config_map: ``cilium-config``.
        helm: Helm release.
        relay: Relay's own word.
        certificates: certificates by name.
        releases: what is known of Cilium's releases.
        newest_k3s: newest k3s of the channel, empty where nobody asked.
        unread: what could not be read.
    """

    server: str
    context: str
    namespace: str
    facts: Facts
    expected: Expected
    snapshot: Snapshot
    now: float
    kubernetes: str = ""
    pods: Sequence[Object] = ()
    endpoints: Sequence[Object] = ()
    cilium_policies: Sequence[Object] = ()
    clusterwide_policies: Sequence[Object] = ()
    network_policies: Sequence[Object] = ()
    events: Sequence[Object] = ()
    agents: Sequence[AgentStatus] = ()
    config_map: Object | None = None
    helm: HelmStatus | None = None
    relay: RelayStatus | None = None
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    releases: Releases | None = None
    newest_k3s: str = ""
    unread: Sequence[Unread] = ()


def without_unread(snapshot: Snapshot, unread_kinds: Sequence[str]) -> Snapshot:
    """Leave out components whose objects could not be read: that they are missing proves nothing.

    Args:
        snapshot: readiness as judged.
        unread_kinds: plural names such as ``nodes``, ``daemonsets``, ``deployments``.
    """
    left_out = {kind for plural in unread_kinds for kind in _KINDS.get(plural, ())}
    return replace(snapshot, components=tuple(one for one in snapshot.components if one.kind not in left_out))


def assemble(read: Readings) -> Status:
    """Put the status together."""
    config, config_errors = read_config(dict(read.config_map) if read.config_map else None)
    workloads = read_workloads(read.facts, read.expected, read.snapshot)
    nodes = read_nodes(read.facts)
    certificates = _certificates(read)
    enforcement = namespaces.enforcement_by_pod(read.endpoints, [one.enforcement for one in read.agents])
    unmanaged = namespaces.find_unmanaged(read.pods, enforcement, read.now) if _knows_endpoints(read) else ()
    faults = _policy_faults(read)
    versions = read_versions(workloads, read.kubernetes, read.helm, nodes)
    return Status(
        server=read.server,
        context=read.context,
        kubernetes=read.kubernetes,
        namespace=read.namespace,
        snapshot=read.snapshot,
        workloads=workloads,
        nodes=nodes,
        agents=tuple(read.agents),
        pods=count_pods(read.pods),
        managed=len(read.endpoints),
        config=config,
        helm=read.helm,
        relay=read.relay,
        errors=tuple(_errors(read, config_errors, certificates)),
        warnings=(
            *_warnings(read),
            *namespaces.unmanaged_warnings(unmanaged),
            *map(namespaces.fault_warning, faults),
            *certificate_notices(one for one in certificates if not has_expired(one)),
        ),
        unread=tuple(one.line for one in read.unread),
        unread_details=tuple(read.unread),
        namespaces=namespaces.read_namespaces(
            namespaces.Objects(read.pods, enforcement, read.cilium_policies, read.network_policies)
        ),
        unmanaged=unmanaged,
        clusterwide_policies=len(read.clusterwide_policies),
        policy_faults=faults,
        certificates=certificates,
        versions=versions,
        hints=tuple(version_hints(versions, read.releases, read.newest_k3s)),
        events=read_warnings(read.events),
        diagnosis=diagnose_status(read, certificates),
    )


def _certificates(read: Readings) -> tuple[CertificateStatus, ...]:
    judged = [judge_certificate(name, one, read.now) for name, one in read.certificates.items()]
    return tuple(sorted(judged, key=lambda one: (one.expires, one.name)))


def _knows_endpoints(read: Readings) -> bool:
    """Whether it is known which pods are managed: without any endpoint, nothing is."""
    return bool(read.endpoints) or any(one.enforcement for one in read.agents)


def _policy_faults(read: Readings) -> tuple[PolicyFault, ...]:
    wide = namespaces.policy_faults(read.clusterwide_policies, "CiliumClusterwideNetworkPolicy")
    return (*wide, *namespaces.policy_faults(read.cilium_policies, "CiliumNetworkPolicy"))


def _errors(read: Readings, config: Sequence[str], certificates: Sequence[CertificateStatus]) -> Iterator[Notice]:
    for one in read.snapshot.problems:
        yield Notice(one.subject, f"{one.what}{f': {one.evidence}' if one.evidence else ''}", one.code, one.fix)
    for agent in read.agents:
        yield from agent_errors(agent)
    for text in config:
        fix = "Correct the Helm values and install again; the agent's log names the option."
        yield Notice("cilium-config", text, "E-STATUS-007", fix, "Cilium does not take its configuration as it is.")
    yield from _relay_errors(read.relay, read.namespace)
    yield from certificate_notices(filter(has_expired, certificates))


def _relay_errors(relay: RelayStatus | None, namespace: str) -> Iterator[Notice]:
    log = f"kubectl -n {namespace} logs deploy/{RELAY} tells the rest."
    if relay is not None and relay.error:
        yield Notice(RELAY, relay.error, "E-STATUS-008", f"See that its pod runs; {log}", "Relay gives no answer.")
    if relay is not None and relay.unavailable:
        text = f"does not reach {', '.join(relay.unavailable)}"
        fix = f"Allow 4244/tcp between the nodes; {log}"
        yield Notice(RELAY, text, "E-STATUS-009", fix, "Flows of these nodes are missing.")


def _warnings(read: Readings) -> list[Notice]:
    silent = [
        one for one in read.snapshot.components if one.state.value in ("progressing", "unknown") and not one.problems
    ]
    found = [Notice(one.name, one.detail or str(one.state)) for one in silent]
    found += [notice for node in read.facts.nodes for notice in node_warnings(node)]
    return found + [notice for agent in read.agents for notice in agent_warnings(agent)]
