"""Small clusters for tests, made of objects as the API returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from installer.domain.policy.model import Knowledge, Settings
from installer.domain.policy.world import Pod, World, read_pods, read_services

Raw = dict[str, Any]
NAMESPACE = "k8s:io.kubernetes.pod.namespace"


def pod(
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    *,
    ports: Mapping[str, int] | None = None,
    probe: int | None = None,
    ip: str = "",
    phase: str = "Running",
    account: str = "default",
) -> Raw:
    """Return a Pod."""
    container: Raw = {"ports": [{"name": key, "containerPort": number} for key, number in (ports or {}).items()]}
    if probe is not None:
        container["readinessProbe"] = {"httpGet": {"port": probe, "path": "/"}}
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": dict(labels)},
        "spec": {"containers": [container], "serviceAccountName": account},
        "status": {"phase": phase, "podIPs": [{"ip": ip}] if ip else []},
    }


def service(namespace: str, name: str, selector: Mapping[str, str], port: int, target: int | str, **spec: Any) -> Raw:
    """Return a Service."""
    ports = [{"port": port, "targetPort": target}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": dict(selector), "ports": ports, **spec},
    }


KUBE_DNS = pod("kube-system", "coredns-1", {"k8s-app": "kube-dns"}, account="coredns", probe=8080)
DNS_SERVICE = service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, 53, 53)
SHOP = (
    KUBE_DNS,
    pod("shop", "web-1", {"app": "web"}, ports={"http": 8080}, probe=8080, ip="10.42.0.7"),
    pod("shop", "front-1", {"app": "front"}, ip="10.42.0.8"),
    pod("shop", "job-1", {"app": "job"}, phase="Succeeded"),
    pod("ops", "prom-1", {"app": "prom"}),
)
"""A shop with a web server behind a Service on port 80, and monitoring in another namespace."""
SERVICES = (DNS_SERVICE, service("shop", "web", {"app": "web"}, 80, "http", clusterIP="10.43.0.9"))
NAMESPACES = {"shop": {"team": "a", "kubernetes.io/metadata.name": "shop"}, "ops": {"team": "b"}, "kube-system": {}}


def world(
    *policies: Raw,
    pods: Sequence[Raw] = SHOP,
    services: Sequence[Raw] = SERVICES,
    settings: Settings | None = None,
    nodes: tuple[str, ...] = ("192.168.0.4",),
) -> World:
    """Return a cluster with these policies applied."""
    chosen = settings or Settings()
    return World(
        objects=policies,
        pods=read_pods(pods, [], NAMESPACES, chosen),
        settings=chosen,
        knowledge=Knowledge(services=read_services(services, []), cidr_groups={}),
        services=tuple(services),
        namespaces=NAMESPACES,
        node_addresses=nodes,
    )


def named(world: World, name: str) -> Pod:
    """Return the pod whose name begins so."""
    return next(one for one in world.pods if one.name.startswith(name))


def policy(spec: Raw, *, kind: str = "CiliumNetworkPolicy", name: str = "p", namespace: str = "shop") -> Raw:
    """Return a policy object."""
    api = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    metadata = {"name": name} if "Clusterwide" in kind else {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
