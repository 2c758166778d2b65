"""Writes nodes, pods and workloads into a bare API server, as kubelet and controllers would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.discovery import Discovery
from installer.adapters.kube.errors import Target
from installer.adapters.kube.paths import resource_path
from installer.adapters.kube.transport import Request
from installer.domain.errors import BeeyardError
from installer.domain.readiness_rules import Facts
from installer.ports.cluster import (
    CILIUM_NODES,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    Object,
    Resource,
)

_SERVER_SIDE = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "ownerReferences",
    "generation",
    "finalizers",
)
_KINDS = {"Node": NODES, "Pod": PODS, "DaemonSet": DAEMON_SETS, "Deployment": DEPLOYMENTS, "CiliumNode": CILIUM_NODES}


class BareCluster:
    """The objects of one test; ``clear`` removes them all."""

    def __init__(self, kube: KubeClient):
        self.kube = kube

    async def put_all(self, facts: Facts, *, ciliumnodes: bool = True) -> None:
        """Create everything that is recorded (events left out)."""
        for item in (*facts.nodes, *facts.daemonsets, *facts.deployments, *facts.pods):
            await self.put(item)
        if ciliumnodes:
            await self.define(CILIUM_NODES, "CiliumNode")
            for item in facts.ciliumnodes:
                await self.kube.apply(_fresh(item))

    async def put(self, item: Mapping[str, Any]) -> None:
        """Create an object if need be, then write its status."""
        resource = _KINDS[item["kind"]]
        namespace, name = item["metadata"].get("namespace"), item["metadata"]["name"]
        if await self.kube.get(resource, name, namespace=namespace) is None:
            await self.kube.create(_fresh(item))
        if resource == NODES:  # admission taints every new node
            await self._merge(resource, name, namespace, {"spec": {"taints": item["spec"].get("taints")}})
        await self.status(resource, name, item["status"], namespace=namespace)

    async def status(self, resource: Resource, name: str, status: Mapping[str, Any], *, namespace: str | None) -> None:
        """Write an object's status."""
        await self._merge(resource, name, namespace, {"status": dict(status)}, sub="status")

    async def _merge(self, resource: Resource, name: str, namespace: str | None, body: Object, sub: str = "") -> None:
        path = resource_path(resource, namespace, name, sub)
        target = Target("patch", resource.plural, namespace or "", name)
        await self.kube._transport.json(Request(target, path, "PATCH", (), body, "application/merge-patch+json"))

    async def define(self, resource: Resource, kind: str) -> None:
        """Create a CRD that takes anything."""
        group, version = resource.api.split("/")
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        names = {"plural": resource.plural, "singular": kind.lower(), "kind": kind}
        spec = {
            "group": group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": names,
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        }
        metadata = {"name": f"{resource.plural}.{group}"}
        kind_of = {"apiVersion": CRDS.api, "kind": "CustomResourceDefinition"}
        await self.kube.apply({**kind_of, "metadata": metadata, "spec": spec})
        async for _ in self._established(resource):
            break
        await self._discovered(resource, kind)

    async def _discovered(self, resource: Resource, kind: str) -> None:
        """Wait until the server tells the new kind: it does a moment after the CRD is established."""
        async with asyncio.timeout(30):
            while True:
                with suppress(BeeyardError):
                    await Discovery(self.kube._transport).resource(resource.api, kind)
                    return
                await asyncio.sleep(0.05)

    async def _established(self, resource: Resource) -> Any:
        """Yield once a new type's CRD is established."""
        stream = self.kube.watch([(CRDS, None)])
        async for event in stream:
            found: Sequence[Object] = event.objects or ([event.object] if event.object else [])
            if any(_is_served(crd, resource) for crd in found):
                await stream.aclose()
                yield True
                return

    async def clear(self) -> None:
        """Remove what tests may have made."""
        for resource in (PODS, DAEMON_SETS, DEPLOYMENTS, NODES):
            for item in await self.kube.list(resource, namespace="kube-system" if resource.namespaced else None):
                metadata = item["metadata"]
                await self.kube.delete(resource, metadata["name"], namespace=metadata.get("namespace"), grace=0)
        await self.kube.delete(CRDS, "ciliumnodes.cilium.io")
        await self._gone()

    async def _gone(self) -> None:
        stream = self.kube.watch([(CRDS, None)])
        names = {"ciliumnodes.cilium.io"}
        async for event in stream:
            if event.kind == "SYNCED":
                names &= {item["metadata"]["name"] for item in event.objects}
            elif event.kind == "DELETED" and event.object:
                names.discard(event.object["metadata"]["name"])
            if not names:
                await stream.aclose()


def _is_served(crd: Object, resource: Resource) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    established = any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
    return bool(crd["spec"]["names"]["plural"] == resource.plural and established)


def _fresh(item: Mapping[str, Any]) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _SERVER_SIDE}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
