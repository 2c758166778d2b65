"""Reaching Relay, and its own word on whether it reaches the agents."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from installer.domain.errors import BeeyardError, ConnectError, DeadlineError
from installer.domain.readiness import Component, Problem, State
from installer.ports.cluster import PODS, SECRETS, SERVICES, Kube, Object
from installer.ports.hubble import PLAIN, RELAY_NAME, Access, Hubble, Hubbles, HubbleStatus, Tls

NAME = "hubble-relay/nodes"
SERVICE = "hubble-relay"
PORT = 4245
TLS_PORT = 443
SELECTOR = "k8s-app=hubble-relay"
AUTHORITIES = ("hubble-relay-server-certs", "cilium-ca", "hubble-relay-client-certs")
"""Secrets whose ``ca.crt`` signs Relay's certificate, best first."""
CLIENT_CERTIFICATES = ("hubble-relay-client-certs", "hubble-ui-client-certs")
"""Secrets with a certificate that Relay accepts where it asks for one."""
DIRECT_SECONDS = 2.0
FORBIDDEN = "E-KUBE-003"


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """Where Relay listens in the cluster.

    Attributes:
        service_port: port of its Service.
        tls: whether that port speaks TLS.
        port: port of its pods, or a name of it.
        selector: labels of its pods.
    """

    service_port: int = 80
    tls: bool = False
    port: int | str = PORT
    selector: str = SELECTOR


async def find_relay(kube: Kube, namespace: str) -> RelayTarget:
    """Look for Relay's Service.

    Raises:
        BeeyardError: ``E-HUBBLE-010`` there is none.
    """
    try:
        service = await kube.get(SERVICES, SERVICE, namespace=namespace)
    except BeeyardError as error:
        if error.code != FORBIDDEN:
            raise
        return RelayTarget()  # the pods may still be told, and the usual ports be right
    if service is None:
        raise not_running()
    return target_of(service)


def target_of(service: Object) -> RelayTarget:
    """Read Relay's Service: TLS is told by its port only."""
    spec = service.get("spec") or {}
    port = next(iter(spec.get("ports") or [{}]))
    number = int(port.get("port", 80))
    labels = spec.get("selector") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or SELECTOR
    return RelayTarget(number, number == TLS_PORT, port.get("targetPort") or PORT, selector)


def not_running(why: str = "") -> BeeyardError:
    """Relay is not there."""
    fix = "`beeyard hubble enable` switches it on; `beeyard status` tells how it is."
    return BeeyardError("Hubble Relay does not run", why=why, fix=fix, code="E-HUBBLE-010")


async def find_pod(kube: Kube, namespace: str, target: RelayTarget) -> tuple[str, int]:
    """Return name and port of a pod of Relay, a ready one if there is one.

    Raises:
        BeeyardError: ``E-HUBBLE-010`` none runs.
    """
    pods = await kube.list(PODS, namespace=namespace, labels=target.selector, fields="status.phase=Running")
    pods = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if not pods:
        raise not_running()
    pod = max(pods, key=_is_ready)
    return str(pod["metadata"]["name"]), pod_port(pod, target.port)


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def pod_port(pod: Object, port: int | str) -> int:
    """Resolve a Service's target port, which may be the name of a container's port."""
    if isinstance(port, int):
        return port
    found = [
        int(one["containerPort"])
        for container in pod.get("spec", {}).get("containers") or []
        for one in container.get("ports") or []
        if one.get("name") == port
    ]
    return next(iter(found), PORT)


async def read_tls(kube: Kube, namespace: str) -> Tls:
    """Read from the cluster's secrets how to speak TLS with Relay; what may not be read stays empty."""
    authority = await _first_secret(kube, namespace, AUTHORITIES, "ca.crt")
    client = await _first_secret(kube, namespace, CLIENT_CERTIFICATES, "tls.crt")
    return Tls(_value(authority, "ca.crt"), _value(client, "tls.crt"), _value(client, "tls.key"), RELAY_NAME)


async def _first_secret(kube: Kube, namespace: str, names: tuple[str, ...], key: str) -> dict[str, Any]:
    for name in names:
        try:
            secret = await kube.get(SECRETS, name, namespace=namespace)
        except BeeyardError as error:
            if error.code != FORBIDDEN:
                raise
            continue
        data: dict[str, Any] = (secret or {}).get("data") or {}
        if data.get(key):
            return data
    return {}


def _value(data: dict[str, Any], key: str) -> bytes:
    return base64.b64decode(data.get(key) or "")


def merged(given: Access, found: Tls) -> Access:
    """Fill what the user left open with what the cluster's secrets hold."""
    tls = given.tls or Tls()
    filled = replace(
        tls,
        ca=tls.ca or (b"" if tls.any_certificate else found.ca),
        certificate=tls.certificate or found.certificate,
        key=tls.key or found.key,
        server_name=tls.server_name or found.server_name,
    )
    return replace(given, tls=filled)


async def _access(kube: Kube, namespace: str, target: RelayTarget, given: Access) -> Access:
    if not target.tls and given.tls is None:
        return given
    return merged(given, await read_tls(kube, namespace))


@asynccontextmanager
async def open_relay(kube: Kube, hubbles: Hubbles, namespace: str, access: Access = PLAIN) -> AsyncIterator[Hubble]:
    """Connect to Relay through a port-forward to one of its pods.

    TLS is spoken where Relay's Service says so, with authority and certificate from the cluster's secrets where they
    may be read.

    Raises:
        BeeyardError: ``E-HUBBLE-010`` no Relay runs, ``E-KUBE-003`` a right is missing, ``E-KUBE-009`` the pod does not
            run any more.
    """
    target = await find_relay(kube, namespace)
    access = await _access(kube, namespace, target, access)
    pod, port = await find_pod(kube, namespace, target)
    async with (
        kube.port_forward(pod, namespace, port) as local,
        hubbles.open(f"127.0.0.1:{local}", access) as hubble,
    ):
        yield hubble


@asynccontextmanager
async def open_service(kube: Kube | None, hubbles: Hubbles, namespace: str, access: Access) -> AsyncIterator[Hubble]:
    """Connect to Relay's Service, from inside the cluster; forward a port if it does not answer.

    Raises:
        BeeyardError: as ``open_relay``; what the Service says if there is no other way.
    """
    host = f"{SERVICE}.{namespace}.svc"
    ways = [(f"{host}:80", access)] if access.tls is None else []
    ways.append((f"{host}:{TLS_PORT}", merged(access, await read_tls(kube, namespace) if kube else Tls())))
    failure: BeeyardError | None = None
    async with AsyncExitStack() as stack:
        for address, how in ways:
            try:
                hubble = await stack.enter_async_context(hubbles.open(address, how))
                await hubble.status(timeout=DIRECT_SECONDS)
            except (ConnectError, DeadlineError) as error:
                failure = failure or error
                continue
            yield hubble
            return
        if kube is None:
            assert failure is not None
            raise failure
        yield await stack.enter_async_context(open_relay(kube, hubbles, namespace, access))


async def relay_status(kube: Kube, hubbles: Hubbles, namespace: str) -> HubbleStatus:
    """Ask Relay for its status through a port-forward.

    Raises:
        BeeyardError: ``E-HUBBLE-010`` no Relay runs, or what the connection says.
    """
    async with open_relay(kube, hubbles, namespace) as hubble:
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
