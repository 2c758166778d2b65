"""Keeps CiliumNode, CiliumEndpoint and CiliumIdentity objects like the agent's view, in the background."""

import ipaddress
import json
import threading

from . import log
from .kube import ApiError, Client
from .model import Endpoint, Object, View

API = "/apis/cilium.io/v2"


class Writer:
    """Writes what changed; retries what failed with the next change or after a second."""

    def __init__(self, client: Client, node: str, cluster: str) -> None:
        self.client, self.node, self.cluster = client, node, cluster
        self._wanted: dict[str, tuple[str, Object]] = {}
        self._written: dict[str, str] = {}
        self._wake = threading.Event()

    def want(self, view: View, node: Object) -> None:
        """Say what should exist; returns at once."""
        wanted: dict[str, tuple[str, Object]] = {}
        if node and view.pod_cidr:
            wanted[f"{API}/ciliumnodes/{self.node}"] = (f"{API}/ciliumnodes", cilium_node(view, node))
        local = [e for e in view.endpoints if not view.pod_cidr or _inside(e.ip, view.pod_cidr)]
        for endpoint in local:
            wanted[f"{API}/ciliumidentities/{endpoint.identity}"] = (
                f"{API}/ciliumidentities",
                cilium_identity(endpoint),
            )
            collection = f"{API}/namespaces/{endpoint.namespace}/ciliumendpoints"
            wanted[f"{collection}/{endpoint.name}"] = (collection, cilium_endpoint(endpoint, _internal_ip(node)))
        self._wanted = wanted
        self._wake.set()

    def run(self) -> None:
        """Write for ever."""
        pending = False
        while True:
            self._wake.wait(1.0 if pending else None)
            self._wake.clear()
            pending = self._sync(self._wanted)

    def _sync(self, wanted: dict[str, tuple[str, Object]]) -> bool:
        failed = False
        for path, (collection, body) in wanted.items():
            text = json.dumps(body, sort_keys=True)
            if self._written.get(path) != text:
                try:
                    self.client.apply(collection, body["metadata"]["name"], body)
                    self._written[path] = text
                except (ApiError, OSError) as err:
                    failed = not (isinstance(err, ApiError) and err.status == 404)
                    log.warning("Unable to write object, retrying", path=path, error=err)
        for path in [p for p in self._written if p not in wanted and "/ciliumendpoints/" in p]:
            try:
                self.client.delete(path)
                del self._written[path]
            except (ApiError, OSError):
                failed = True
        return failed


def _inside(ip: str, cidr: str) -> bool:
    return ipaddress.ip_address(ip) in ipaddress.ip_network(cidr)


def _internal_ip(node: Object) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((str(a["address"]) for a in addresses if a["type"] == "InternalIP"), "")


def cilium_node(view: View, node: Object) -> Object:
    """The CiliumNode of a Kubernetes node."""
    meta = node["metadata"]
    hosts = ipaddress.ip_network(view.pod_cidr).hosts()
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNode",
        "metadata": {
            "name": meta["name"],
            "labels": meta.get("labels") or {},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}],
        },
        "spec": {
            "addresses": [
                {"ip": _internal_ip(node), "type": "InternalIP"},
                {"ip": str(next(hosts)), "type": "CiliumInternalIP"},
            ],
            "bootid": ((node.get("status") or {}).get("nodeInfo") or {}).get("bootID", ""),
            "encryption": {},
            "health": {},
            "ingress": {},
            "ipam": {"podCIDRs": [view.pod_cidr], "pools": {}},
        },
    }


def cilium_identity(endpoint: Endpoint) -> Object:
    """The CiliumIdentity of an endpoint's labels."""
    shown = {k: v for k, v in endpoint.labels.items() if not k.startswith("io.cilium.k8s.namespace.labels.")}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumIdentity",
        "metadata": {"name": str(endpoint.identity), "labels": shown},
        "security-labels": {f"k8s:{key}": value for key, value in endpoint.labels.items()},
    }


def cilium_endpoint(endpoint: Endpoint, node_ip: str) -> Object:
    """The CiliumEndpoint of a pod."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": endpoint.name, "uid": endpoint.uid}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumEndpoint",
        "metadata": {
            "name": endpoint.name,
            "namespace": endpoint.namespace,
            "labels": endpoint.pod_labels,
            "ownerReferences": [owner],
        },
        "status": {
            "encryption": {},
            "external-identifiers": {
                "container-id": endpoint.container,
                "k8s-namespace": endpoint.namespace,
                "k8s-pod-name": endpoint.name,
                "pod-name": endpoint.full_name,
            },
            "id": endpoint.id,
            "identity": {"id": endpoint.identity, "labels": endpoint.label_list},
            "networking": {"addressing": [{"ipv4": endpoint.ip}], "node": node_ip},
            "state": "ready",
        },
    }
