"""Port-forwards that outlive the pod they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from installer.domain.errors import BeeyardError, ConnectError
from installer.ports.cluster import PODS, SERVICES, Kube, Object
from installer.services.relay import RelayTarget, find_pod, target_of

TRIES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between tries to find another pod; the last one repeats."""
POLL_SECONDS = 1.0
PASSING = frozenset({"E-HUBBLE-010", "E-KUBE-004", "E-KUBE-009"})


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A local port leads to a pod, from now until the next word.

    Attributes:
        port: local port on 127.0.0.1.
        pod: the pod's name.
        pod_port: its port.
        tls: whether the Service's port speaks TLS.
    """

    port: int
    pod: str
    pod_port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The pod is gone, or cannot be reached now; another one is looked for."""

    why: str


async def find_service(kube: Kube, name: str, namespace: str, fix: str) -> RelayTarget:
    """Read where a Service leads.

    Raises:
        BeeyardError: ``E-HUBBLE-015`` there is no such Service.
    """
    service = await kube.get(SERVICES, name, namespace=namespace)
    if service is None:
        raise BeeyardError(f"there is no Service {name} in namespace {namespace}", fix=fix, code="E-HUBBLE-015")
    return target_of(service)


async def keep_forwarding(
    kube: Kube, target: RelayTarget, namespace: str, *, local_port: int = 0, poll: float = POLL_SECONDS
) -> AsyncGenerator[Forwarded | Interrupted, None]:
    """Forward a local port to a pod of a Service, and to another one, on the same port, when that goes away.

    Raises:
        BeeyardError: the first try failed, or RBAC forbids it.
    """
    tries, first = 0, True
    while True:
        try:
            pod, port = await find_pod(kube, namespace, target)
            async with kube.port_forward(pod, namespace, port, local_port=local_port) as local:
                local_port, first, tries = local, False, 0
                yield Forwarded(local, pod, port, target.tls)
                why = await _until_gone(kube, pod, namespace, poll)
        except BeeyardError as error:
            if first or not (isinstance(error, ConnectError) or error.code in PASSING):
                raise
            why = error.what
        if tries == 0:
            yield Interrupted(why)
        await asyncio.sleep(TRIES[min(tries, len(TRIES) - 1)])
        tries += 1


async def _until_gone(kube: Kube, pod: str, namespace: str, poll: float) -> str:
    """Wait until a pod is deleted or has ended, and say so. It is asked for, because a watch needs one more right."""
    while True:
        await asyncio.sleep(poll)
        with suppress(ConnectError):  # the API restarts: the forward may well live on
            found = await kube.get(PODS, pod, namespace=namespace)
            if found is None or _is_over(found):
                return f"pod {pod} is gone"


def _is_over(pod: Object) -> bool:
    phase = pod.get("status", {}).get("phase")
    return bool(pod["metadata"].get("deletionTimestamp")) or phase in ("Succeeded", "Failed")
