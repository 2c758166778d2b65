"""Giving pods that back off after earlier failures a fresh start."""

from __future__ import annotations

from installer.domain.readiness_rules import Expected
from installer.domain.readiness_rules.facts import name_of, namespace_of
from installer.domain.readiness_rules.pods import is_backing_off, is_terminating
from installer.domain.readiness_rules.workloads import find, pods_of
from installer.ports.cluster import PODS, Kube
from installer.services.cluster_facts import list_facts


async def restart_backing_off(kube: Kube, expected: Expected) -> list[str]:
    """Delete the pods of expected workloads that wait out a back-off, so that their controller makes new ones.

    To be done before waiting when a run goes on after a failure: the cause may be mended, and the kubelet would look
    again only after up to five minutes.

    Returns:
        The pods as ``namespace/name``, empty when there was nothing to do.
    """
    facts = await list_facts(kube, [workload.namespace for workload in expected.workloads if workload.enabled])
    items = [find(facts, workload) for workload in expected.workloads if workload.enabled]
    pods = [pod for item in items if item for pod in pods_of(facts, item)]
    stuck = [pod for pod in pods if is_backing_off(pod) and not is_terminating(pod)]
    for pod in stuck:
        await kube.delete(PODS, name_of(pod), namespace=namespace_of(pod))
    return [f"{namespace_of(pod)}/{name_of(pod)}" for pod in stuck]
