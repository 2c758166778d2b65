"""Relay's own word on whether it reaches the agents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from installer.domain.errors import BeeyardError
from installer.domain.readiness import Component, Problem, State
from installer.ports.cluster import PODS, Kube
from installer.ports.hubble import Hubbles, HubbleStatus

NAME = "hubble-relay/nodes"
PORT = 4245


async def relay_status(kube: Kube, hubbles: Hubbles, namespace: str) -> HubbleStatus:
    """Ask Relay for its status through a port-forward.

    Raises:
        BeeyardError: ``E-HUBBLE-010`` no Relay runs, or what the connection says.
    """
    pods = await kube.list(PODS, namespace=namespace, labels="k8s-app=hubble-relay", fields="status.phase=Running")
    if not pods:
        raise BeeyardError(
            "Hubble Relay does not run", fix="`beeyard hubble enable` switches it on.", code="E-HUBBLE-010"
        )
    name = str(pods[0]["metadata"]["name"])
    async with kube.port_forward(name, namespace, PORT) as port, hubbles.open(f"127.0.0.1:{port}") as hubble:
        return await hubble.status()


def relay_probe(kube: Kube, hubbles: Hubbles, namespace: str) -> Callable[[], Awaitable[Component]]:
    """Return a readiness probe: Relay answers and reaches every agent."""

    async def probe() -> Component:
        try:
            status = await relay_status(kube, hubbles, namespace)
        except BeeyardError as error:
            problem = Problem(error.code, "hubble-relay", error.what, evidence=error.why, fix=error.fix)
            return Component(NAME, "Service", State.PROGRESSING, detail=error.what, problems=(problem,))
        return judge(status)

    return probe


def judge(status: HubbleStatus) -> Component:
    """Judge Relay's answer."""
    connected, missing = status.connected_nodes or 0, status.unavailable_nodes or 0
    detail = f"{connected}/{connected + missing} nodes reached"
    if connected and not missing:
        return Component(NAME, "Service", State.READY, connected, connected, detail)
    names = ", ".join(status.unavailable_names) or "all"
    problem = Problem(
        "E-HUBBLE-011",
        "hubble-relay",
        "Relay does not reach every agent",
        evidence=f"{detail}; not reached: {names}",
        fix="Allow 4244/tcp between the nodes; `kubectl -n kube-system logs deploy/hubble-relay` tells the rest.",
    )
    return Component(NAME, "Service", State.PROGRESSING, connected + missing, connected, detail, (problem,))
