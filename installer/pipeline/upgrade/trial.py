"""Cilium's own check before an upgrade: its pre-flight objects pull the new images everywhere and try the policies.

They are applied one by one, not as a Helm release: that would fail on objects which the real release owns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installer.domain.cilium_values import merge
from installer.domain.errors import BeeyardError
from installer.domain.upgrade.rendered import name_of
from installer.pipeline.run import Run
from installer.pipeline.steps.cilium import NAME, NAMESPACE
from installer.ports.cluster import DAEMON_SETS, DEPLOYMENTS, PODS, Kube, Resource

TRIAL_SECONDS = 600.0
"""Seconds for pulling the images on every node."""
WITH_TRIAL = {"preflight": {"enabled": True}}
_MARK = "pre-flight"
_KINDS = {"DaemonSet": DAEMON_SETS, "Deployment": DEPLOYMENTS}
_NAMES = ("cilium-pre-flight-check", "cilium-pre-flight")
_PLURALS = {
    "ServiceAccount": Resource("v1", "serviceaccounts"),
    "ClusterRole": Resource("rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False),
    "ClusterRoleBinding": Resource("rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False),
    **_KINDS,
}


async def try_out(run: Run, chart: Path, values: Mapping[str, Any]) -> None:
    """Run the chart's pre-flight objects until all are ready, and remove them.

    Raises:
        BeeyardError: ``E-UPGRADE-017`` they do not become ready, with the words of the one that does not.
    """
    kubernetes = run.k3s_version.removeprefix("v").partition("+")[0]
    helm = await run.helm()
    rendered = await helm.template(NAME, NAMESPACE, chart, merge(values, WITH_TRIAL), kube_version=kubernetes)
    objects = [item for item in rendered if item.get("kind") in _PLURALS and item["metadata"]["name"] in _NAMES]
    if not objects:
        run.log("this chart has no pre-flight check; the agents pull their images themselves", "debug")
        return
    kube = await run.kube()
    try:
        for item in objects:
            await kube.apply(item)
        run.log(f"pulling the images of Cilium {run.chart_version} on every node, and checking the policies")
        await _until_ready(kube, [item for item in objects if item["kind"] in _KINDS])
    finally:
        await clear_trial(kube)


async def clear_trial(kube: Kube) -> None:
    """Remove the pre-flight objects, also those that a killed run left."""
    for resource in reversed(_PLURALS.values()):
        for name in _NAMES:
            await kube.delete(resource, name, namespace=NAMESPACE if resource.namespaced else None, grace=0)


async def _until_ready(kube: Kube, workloads: list[dict[str, Any]]) -> None:
    deadline = time.monotonic() + TRIAL_SECONDS
    waiting = workloads
    while waiting:
        states = [await kube.get(_KINDS[one["kind"]], one["metadata"]["name"], namespace=NAMESPACE) for one in waiting]
        waiting = [one for one, state in zip(waiting, states, strict=True) if not _is_ready(state)]
        failing = await _failing(kube) if waiting else ""
        if waiting and (failing or time.monotonic() > deadline):
            raise BeeyardError(
                f"Cilium's own check before the upgrade does not pass: {name_of(waiting[0])} is not ready",
                why=failing or f"It was not ready within {TRIAL_SECONDS:.0f} s.",
                fix="Mend what it names; nothing of the running Cilium was changed.",
                code="E-UPGRADE-017",
            )
        await asyncio.sleep(0.3 if waiting else 0)


def _is_ready(state: Mapping[str, Any] | None) -> bool:
    status = (state or {}).get("status") or {}
    if not state or status.get("observedGeneration", 0) < state["metadata"]["generation"]:
        return False
    if "desiredNumberScheduled" in status:
        wanted, ready = status["desiredNumberScheduled"], status.get("numberReady", 0)
        return bool(wanted and wanted == ready)
    return bool(status.get("readyReplicas", 0) >= state["spec"].get("replicas", 1))


async def _failing(kube: Kube) -> str:
    """Return the last words of a container that waiting does not help, empty where there is none."""
    for pod in await kube.list(PODS, namespace=NAMESPACE):
        name = pod["metadata"]["name"]
        if _MARK not in name:
            continue
        for state in (pod.get("status") or {}).get("containerStatuses") or []:
            reason = ((state.get("state") or {}).get("waiting") or {}).get("reason", "")
            if reason in ("CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
                words = await kube.logs(name, NAMESPACE, container=state["name"], lines=8, previous=True)
                message = state["state"]["waiting"].get("message", "")
                return "\n".join([f"{name}: {reason} {message}".strip(), *words])
    return ""
