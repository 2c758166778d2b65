"""Reads a cluster for the policy engine; what RBAC forbids is left out and told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.policy.model import Knowledge, Settings
from installer.domain.policy.world import (
    World,
    read_cidr_groups,
    read_node_addresses,
    read_pods,
    read_services,
    read_settings,
)
from installer.ports.cluster import (
    CILIUM_CLUSTERWIDE_POLICIES,
    CILIUM_ENDPOINTS,
    CILIUM_NETWORK_POLICIES,
    CONFIG_MAPS,
    CRDS,
    DAEMON_SETS,
    ENDPOINTS,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SERVICES,
    Kube,
    Object,
    Resource,
)

T = TypeVar("T")
CIDR_GROUPS = Resource("cilium.io/v2alpha1", "ciliumcidrgroups", namespaced=False)
CLUSTER_NETWORK_POLICIES = Resource("policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", namespaced=False)
POLICIES: dict[str, Resource] = {
    "CiliumNetworkPolicy": CILIUM_NETWORK_POLICIES,
    "CiliumClusterwideNetworkPolicy": CILIUM_CLUSTERWIDE_POLICIES,
    "NetworkPolicy": NETWORK_POLICIES,
    "ClusterNetworkPolicy": CLUSTER_NETWORK_POLICIES,
}
"""Resource by kind of policy."""


async def read_world(kube: Kube, *, cilium_namespace: str = "kube-system") -> World:
    """Read all that verdicts depend on.

    Args:
        kube: connection to the cluster.
        cilium_namespace: where Cilium's configuration is.

    Raises:
        ConnectError: the cluster is out of reach.
    """
    reader = _Reader(kube)
    settings_read = _settings(reader, cilium_namespace)
    lists = [
        reader.all_of(resource)
        for resource in (PODS, CILIUM_ENDPOINTS, NAMESPACES, SERVICES, ENDPOINTS, CIDR_GROUPS, CRDS, NODES)
    ]
    policies = [reader.policies(kind, resource) for kind, resource in POLICIES.items()]
    settings, (pods, endpoints, namespaces, services, backends, groups, crds, nodes), found = await asyncio.gather(
        settings_read, _all(lists), _all(policies)
    )
    labels = {str(item["metadata"]["name"]): dict(item["metadata"].get("labels") or {}) for item in namespaces}
    return World(
        objects=tuple(item for items in found for item in items),
        pods=read_pods(pods, endpoints, labels, settings),
        settings=settings,
        knowledge=Knowledge(
            services=None if reader.failed(SERVICES) else read_services(services, backends),
            cidr_groups=None if reader.failed(CIDR_GROUPS) else read_cidr_groups(groups),
        ),
        services=tuple(services),
        namespaces=labels,
        crds={str(item["spec"]["names"]["kind"]): item for item in crds if item["spec"]["names"]["kind"] in POLICIES},
        unread=tuple(reader.unread),
        node_addresses=read_node_addresses(nodes),
    )


async def _all(work: Sequence[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*work))


async def _settings(reader: _Reader, namespace: str) -> Settings:
    config, agents = await asyncio.gather(
        reader.get(CONFIG_MAPS, "cilium-config", namespace), reader.get(DAEMON_SETS, "cilium", namespace)
    )
    containers: list[dict[str, Any]] = []
    if agents is not None:
        containers = agents["spec"]["template"]["spec"].get("containers") or []
    image = next((str(item.get("image", "")) for item in containers if item.get("name") == "cilium-agent"), "")
    return read_settings((config or {}).get("data"), image=image)


class _Reader:
    """Reads and remembers what could not be read."""

    def __init__(self, kube: Kube):
        self._kube = kube
        self._failed: set[Resource] = set()
        self.unread: list[str] = []

    def failed(self, resource: Resource) -> bool:
        return resource in self._failed

    async def all_of(self, resource: Resource) -> list[Object]:
        try:
            return await self._kube.list(resource)
        except ConnectError:
            raise
        except BeeyardError as error:
            self._forget(resource, error)
            return []

    async def policies(self, kind: str, resource: Resource) -> list[Object]:
        """Return policies with their kind, which lists leave out of their items."""
        return [{**item, "apiVersion": resource.api, "kind": kind} for item in await self.all_of(resource)]

    async def get(self, resource: Resource, name: str, namespace: str) -> Object | None:
        try:
            return await self._kube.get(resource, name, namespace=namespace)
        except ConnectError:
            raise
        except BeeyardError as error:
            self._forget(resource, error)
            return None

    def _forget(self, resource: Resource, error: BeeyardError) -> None:
        self._failed.add(resource)
        self.unread.append(error.what)
