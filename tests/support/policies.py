"""A cluster in memory with policies, pods and their identities, and a cockpit on it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from installer.adapters.store.pending import FilePending
from installer.adapters.store.policy_history import FileHistory
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.flows.feed import Connected, Flows
from installer.domain.flows.flow import Answer, Flow
from installer.ports.cluster import CILIUM_ENDPOINTS, NAMESPACES, PODS, SERVICES, Resource, WatchEvent
from installer.ports.pending import Pending
from installer.services.policies.apply import Policies
from installer.services.policies.cookbook import Recipe, read_recipe
from installer.services.policies.rollout import PolicyTools
from installer.services.policies.world import POLICIES
from installer.tui.services import CockpitServices
from tests.support.cockpit import StubCluster, StubKube, stub_services

NOW = 1_790_000_000.0


def policy(name: str, subject: str, *peers: str, namespace: str = "shop", port: str = "8080") -> dict[str, Any]:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": subject}},
            "ingress": [
                {
                    "fromEndpoints": [{"matchLabels": {"app": peer}} for peer in peers],
                    "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}]}],
                }
            ],
        },
    }


def identity(namespace: str, app: str) -> tuple[str, ...]:
    return (
        f"k8s:app={app}",
        "k8s:io.cilium.k8s.policy.cluster=default",
        "k8s:io.cilium.k8s.policy.serviceaccount=default",
        f"k8s:io.kubernetes.pod.namespace={namespace}",
    )


def workload(namespace: str, app: str, count: int = 2, port: int = 8080) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = []
    for number in range(count):
        metadata: dict[str, Any] = {"namespace": namespace, "name": f"{app}-{number}", "labels": {"app": app}}
        ports = [{"name": "http", "containerPort": port}]
        pod = {
            "metadata": metadata,
            "spec": {"containers": [{"name": "main", "ports": ports}]},
            "status": {"phase": "Running", "podIPs": [{"ip": f"10.0.0.{number + 10}"}]},
        }
        endpoint = {"metadata": metadata, "status": {"identity": {"labels": list(identity(namespace, app))}}}
        found.append((pod, endpoint))
    return found


def shop_flow(source: str, dest: str, *, port: int = 8080, verdict: str = "FORWARDED", second: int = 0) -> Answer:
    from msgspec import convert

    side = {"namespace": "shop", "identity": 1}
    raw = {
        "time": f"2026-11-23T10:00:{second:02d}.000000000Z",
        "uuid": f"{source}-{dest}-{second}",
        "verdict": verdict,
        "type": "L3_L4",
        "is_reply": False,
        "traffic_direction": "INGRESS",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": port, "flags": {"SYN": True}}},
        "source": {**side, "pod_name": f"{source}-0", "labels": list(identity("shop", source))},
        "destination": {**side, "pod_name": f"{dest}-0", "labels": list(identity("shop", dest))},
        "node_name": "n1",
    }
    return Answer(flow=convert(raw, Flow))


class PolicyKube(StubKube):
    """Keeps objects; tells watchers of changes. ``forbidden`` holds verbs that this user may not use."""

    def __init__(self, *objects: dict[str, Any], pods: Sequence[tuple[dict[str, Any], dict[str, Any]]] = ()) -> None:
        super().__init__()
        self.objects: dict[tuple[Resource, str, str], dict[str, Any]] = {}
        self.forbidden: set[str] = set()
        self.pods = list(pods)
        self.away = False
        self._version = 10
        self._watchers: list[tuple[Resource, asyncio.Queue[WatchEvent]]] = []
        for item in objects:
            self._put(POLICIES[item["kind"]], item)

    def _key(self, resource: Resource, item: dict[str, Any]) -> tuple[Resource, str, str]:
        metadata = item["metadata"]
        return resource, metadata.get("namespace", "") if resource.namespaced else "", metadata["name"]

    def _put(self, resource: Resource, item: dict[str, Any], kind: str = "ADDED") -> dict[str, Any]:
        self._version += 1
        found = copy.deepcopy(item)
        found["metadata"]["resourceVersion"] = str(self._version)
        found["metadata"]["generation"] = self._version
        condition = {"type": "Valid", "status": "True", "observedGeneration": self._version}
        found["status"] = {"conditions": [condition]}
        self.objects[self._key(resource, found)] = found
        self._tell(resource, WatchEvent(kind, resource, found))
        return found

    def _tell(self, resource: Resource, event: WatchEvent) -> None:
        for watched, queue in self._watchers:
            if watched == resource:
                queue.put_nowait(event)

    def lose(self, message: str) -> None:
        self.away = True
        for resource, queue in self._watchers:
            queue.put_nowait(WatchEvent("LOST", resource, message=message))

    def put(self, item: dict[str, Any]) -> None:
        self._put(POLICIES[item["kind"]], item, "MODIFIED")

    def _check(self) -> None:
        if self.away:
            raise ConnectError("the API is out of reach", why="Connection refused", code="E-KUBE-001")

    async def list(self, resource: Resource, **_: Any) -> list[Any]:
        self._check()
        if resource == PODS:
            return [pod for pod, _ in self.pods]
        if resource == CILIUM_ENDPOINTS:
            return [endpoint for _, endpoint in self.pods]
        if resource == NAMESPACES:
            names = sorted({pod["metadata"]["namespace"] for pod, _ in self.pods})
            return [{"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in names]
        if resource == SERVICES:
            return []
        return [item for key, item in self.objects.items() if key[0] == resource]

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Any:
        self._check()
        return copy.deepcopy(self.objects.get((resource, (namespace or "") if resource.namespaced else "", name)))

    async def watch(self, resources: Sequence[tuple[Resource, str | None]], **_: Any) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watchers += [(resource, queue) for resource, _namespace in resources]
        for resource, _namespace in resources:
            yield WatchEvent("SYNCED", resource, objects=tuple(await self.list(resource)))
        while True:
            yield await queue.get()

    async def create(self, obj: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self._check()
        return obj if dry_run else self._put(POLICIES[obj["kind"]], obj)

    async def replace(self, obj: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self._check()
        resource = POLICIES[obj["kind"]]
        live = self.objects[self._key(resource, obj)]
        if live["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise BeeyardError("it was changed", code="E-KUBE-007")
        return obj if dry_run else self._put(resource, obj, "MODIFIED")

    async def delete(self, resource: Resource, name: str, *, namespace: str | None = None, **_: Any) -> None:
        self._check()
        gone = self.objects.pop((resource, (namespace or "") if resource.namespaced else "", name))
        self._tell(resource, WatchEvent("DELETED", resource, gone))

    async def may(self, verb: str, resource: Resource, *, namespace: str | None = None) -> bool:
        return verb not in self.forbidden


class PolicyCluster(StubCluster):
    """Opens one ``PolicyKube``."""

    def __init__(self, kube: PolicyKube):
        super().__init__()
        self.kube = kube

    async def connect(self, target: Any) -> Any:
        return self.kube


RECIPE = """\
# Let the frontend reach the backend. Nothing else.

apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: allow-frontend
  namespace: shop # set: namespace
spec:
  endpointSelector: {}
  ingress:
  - fromEndpoints:
    - matchLabels: {app: frontend}
"""


class Guards:
    """Stands for the process that takes changes back."""

    def __init__(self, folder: Path, kube: PolicyKube):
        self.store = FilePending(folder / "pending")
        self.history = FileHistory(folder / "history.jsonl")
        self.started: list[Pending] = []
        self._kube = kube

    def policies(self, kube: Any) -> Policies:
        return Policies(kube, self.history, author="ann@host", now=lambda: NOW)

    async def start(self, pending: Pending) -> None:
        self.started.append(pending)

    async def revert(self, pending_id: str) -> str:
        from installer.services.policies.revert import revert

        return await revert(pending_id, self.store, self._open, self.policies)

    async def _open(self, pending: Pending) -> Any:
        return KeptOpen(self._kube)

    def tools(self) -> PolicyTools:
        return PolicyTools(self.policies, lambda: self.store, self.start, self.revert, templates=self.recipes)

    def recipes(self) -> dict[str, Recipe]:
        return {"allow-frontend": read_recipe("allow-frontend", RECIPE)}


class KeptOpen:
    """A connection that the one who uses it must not close."""

    def __init__(self, kube: Any):
        self._kube = kube

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    async def close(self) -> None:
        """Stay open."""


def shop() -> PolicyKube:
    """A shop: the api is isolated, its clients are not; one policy is ignored by agents."""
    ignored = policy("ignored", "cart", "frontend")
    ignored["spec"]["ingress"][0]["fromEntities"] = ["world"]
    clusterwide = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "no-metadata-service"},
        "spec": {
            "endpointSelector": {},
            "enableDefaultDeny": {"ingress": False, "egress": False},
            "egressDeny": [{"toCIDR": ["169.254.169.254/32"]}],
        },
    }
    counts = (("shop", "frontend", 2), ("shop", "api", 3), ("shop", "cart", 1), ("ops", "prometheus", 1))
    pods = [one for namespace, app, count in counts for one in workload(namespace, app, count)]
    return PolicyKube(policy("api", "api", "frontend", "cart"), ignored, clusterwide, pods=pods)


def shop_services(kube: PolicyKube, folder: Path, answers: Sequence[Answer] = (), **changes: Any) -> CockpitServices:
    guards = Guards(folder, kube)

    async def feeds(request: Any, _: Any) -> Any:
        yield Connected("hubble-relay")
        yield Flows(tuple(answers))
        if request.choice.kind != "file":
            await asyncio.Event().wait()

    made = {"policies": guards.tools, "flow_feeds": feeds, "now": lambda: NOW, **changes}
    return stub_services(PolicyCluster(kube), **made)
