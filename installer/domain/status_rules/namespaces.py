"""Pods, endpoints and policies by namespace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from installer.domain.overview import NamespaceStatus, PolicyFault, UnmanagedPod
from installer.domain.readiness_rules.evidence import clean
from installer.domain.readiness_rules.facts import Object, condition, name_of, namespace_of
from installer.domain.status import Notice

SETTLING_SECONDS = 90.0
"""A pod's endpoint is published a moment after the pod runs; only later is its absence told."""
_ALIVE = ("Running", "Pending")
_SHOWN = 3


def wants_cilium(pod: Object) -> bool:
    """Whether Cilium should manage a pod: alive, not on the host's network."""
    return not pod.get("spec", {}).get("hostNetwork") and pod.get("status", {}).get("phase") in _ALIVE


def pod_key(item: Object) -> str:
    """Return ``namespace/name``."""
    return f"{namespace_of(item)}/{name_of(item)}"


def enforcement_of(endpoint: Object) -> str:
    """Return what a CiliumEndpoint says of enforcement, in the agent's words; empty where it says nothing."""
    policy = endpoint.get("status", {}).get("policy") or {}
    on = [way for way in ("ingress", "egress") if (policy.get(way) or {}).get("enforcing")]
    audit = any("audit" in str((policy.get(way) or {}).get("state", "")) for way in ("ingress", "egress"))
    if not policy:
        return ""
    word = "both" if len(on) == 2 else "".join(on) or "none"
    return f"audit-{word}" if audit and on else word


def enforcement_by_pod(endpoints: Iterable[Object], agents: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return enforcement by pod: what the endpoints say, else what the agents do, else empty."""
    told = {pod: word for agent in agents for pod, word in agent.items()}
    found = dict(told)
    for endpoint in endpoints:
        key = pod_key(endpoint)
        found[key] = enforcement_of(endpoint) or told.get(key, "")
    return found


@dataclass(slots=True)
class Objects:
    """What namespaces are read from.

    Attributes:
        pods: pods of all namespaces.
        enforcement: enforcement by managed pod, see ``enforcement_by_pod``.
        cilium_policies: CiliumNetworkPolicies.
        network_policies: NetworkPolicies.
    """

    pods: Sequence[Object] = ()
    enforcement: Mapping[str, str] = field(default_factory=dict)
    cilium_policies: Sequence[Object] = ()
    network_policies: Sequence[Object] = ()


def read_namespaces(objects: Objects) -> tuple[NamespaceStatus, ...]:
    """Return the namespaces that have pods or policies: those with policies first, then by name."""
    pods: dict[str, list[str]] = defaultdict(list)
    for pod in objects.pods:
        if wants_cilium(pod):
            pods[namespace_of(pod)].append(pod_key(pod))
    cilium = Counter(map(namespace_of, objects.cilium_policies))
    network = Counter(map(namespace_of, objects.network_policies))
    found = [
        _namespace(name, pods.get(name, ()), objects.enforcement, cilium[name], network[name])
        for name in {*pods, *cilium, *network}
    ]
    return tuple(sorted(found, key=lambda one: (one.policies == 0, one.name)))


def _namespace(
    name: str, pods: Sequence[str], enforcement: Mapping[str, str], cilium: int, network: int
) -> NamespaceStatus:
    words = Counter(enforcement[pod] for pod in pods if pod in enforcement)

    def count(*wanted: str) -> int:
        return sum(words[word] for word in wanted)

    return NamespaceStatus(
        name=name,
        pods=len(pods),
        managed=words.total(),
        cilium_policies=cilium,
        network_policies=network,
        ingress=count("ingress", "both"),
        egress=count("egress", "both"),
        audit=sum(number for word, number in words.items() if word.startswith("audit")),
        unknown=count("", "unknown"),
    )


def find_unmanaged(pods: Iterable[Object], managed: Mapping[str, Any], now: float) -> tuple[UnmanagedPod, ...]:
    """Return the pods that run for a while without Cilium, by name.

    Args:
        pods: pods of all namespaces.
        managed: the managed ones, as ``namespace/name``.
        now: UNIX time.
    """
    found = [pod for pod in pods if wants_cilium(pod) and pod_key(pod) not in managed and _is_settled(pod, now)]
    return tuple(map(_unmanaged, sorted(found, key=pod_key)))


def _is_settled(pod: Object, now: float) -> bool:
    status = pod.get("status", {})
    return status.get("phase") == "Running" and seconds_of(status.get("startTime")) + SETTLING_SECONDS < now


def seconds_of(time: Any) -> float:
    """Return a time of the API as UNIX time; 0 where it is none."""
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0


def _unmanaged(pod: Object) -> UnmanagedPod:
    node = clean(str(pod.get("spec", {}).get("nodeName", "")))
    return UnmanagedPod(namespace_of(pod), name_of(pod), node, clean(str(pod["status"].get("startTime") or "")))


def unmanaged_warnings(pods: Sequence[UnmanagedPod]) -> list[Notice]:
    """Return one warning for each namespace with unmanaged pods."""
    names: dict[str, list[str]] = defaultdict(list)
    for pod in pods:
        names[pod.namespace].append(pod.name)
    return [_unmanaged_warning(namespace, found) for namespace, found in names.items()]


def _unmanaged_warning(namespace: str, names: Sequence[str]) -> Notice:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = f"{', '.join(names[:_SHOWN])}{more}"
    return Notice(
        f"namespace/{namespace}",
        f"{len(names)} running pod{'s are' if len(names) > 1 else ' is'} not managed by Cilium: {shown}",
        "E-STATUS-010",
        f"Restart them: kubectl -n {namespace} delete pod {names[0]} (its controller makes a new one)",
        "A pod that started before Cilium did keeps the network it got then: no policy holds for it, Hubble does not "
        "see it.",
    )


def policy_faults(policies: Iterable[Object], kind: str) -> list[PolicyFault]:
    """Return the policies of one kind that Cilium says are not valid."""
    found = [(policy, condition(policy, "Valid")) for policy in policies]
    return [
        PolicyFault(kind, namespace_of(policy), name_of(policy), clean(str(valid.get("message", ""))))
        for policy, valid in found
        if valid.get("status") == "False"
    ]


def fault_warning(fault: PolicyFault) -> Notice:
    """Return the warning for a policy that is not accepted."""
    place = f" -n {fault.namespace}" if fault.namespace else ""
    return Notice(
        "/".join(filter(None, (fault.namespace, fault.kind, fault.name))),
        f"Cilium does not accept this policy: {fault.message or 'no reason is given'}",
        "E-STATUS-011",
        f"Correct it: kubectl{place} edit {fault.kind.lower()} {fault.name}",
        "A policy that is not valid is not enforced at all.",
    )
