"""Who an address is: pods of the API, network namespaces by name, the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.flows.flow import Endpoint, Workload

NETNS = "netns"
_HOST = Endpoint(identity=1, labels=("reserved:host",))
_UNKNOWN = Endpoint()
_MOST_LEARNED = 20_000


@dataclass(frozen=True, slots=True)
class Pod:
    """What a flow says of a pod."""

    uid: str
    endpoint: Endpoint
    addresses: tuple[str, ...]
    host_network: bool


class Directory:
    """Names both sides of what the kernel saw. A pod that is gone keeps its name until its address is another's.

    Namespaces come from the tap's process, pods from the API; a local address is learnt from the sockets that use it.
    """

    def __init__(self) -> None:
        self._spaces: dict[int, tuple[str, str]] = {}
        self._groups: dict[int, str] = {}
        self._pods: dict[str, Pod] = {}
        self._by_address: dict[str, Pod] = {}
        self._identities: dict[str, int] = {}
        self._learned: dict[str, int | None] = {}
        self._known: dict[tuple[str, int, int], Endpoint] = {}

    def add_spaces(self, spaces: Mapping[int, tuple[str, str, Sequence[str]]], groups: Mapping[int, str]) -> None:
        """Take network namespaces (kind ``host``, ``netns`` or ``pod``, name, addresses) and paths of groups."""
        for number, (kind, name, addresses) in spaces.items():
            self._spaces[number] = kind, name
            for address in addresses:
                self.learn(address, number)
        self._groups.update(groups)
        self._known.clear()

    def add_pod(self, pod: Mapping[str, Any]) -> None:
        """Take a pod of the API, new or changed."""
        known = _pod(pod)
        self._pods[known.uid] = known
        if not known.host_network:
            self._by_address.update((address, known) for address in known.addresses)
        self._known.clear()

    def add_cilium_endpoint(self, item: Mapping[str, Any]) -> None:
        """Take a CiliumEndpoint: its identity, by its addresses."""
        status = item.get("status") or {}
        number = (status.get("identity") or {}).get("id")
        for pair in (status.get("networking") or {}).get("addressing") or ():
            for address in pair.values():
                if isinstance(number, int):
                    self._identities[address] = number
        self._known.clear()

    def is_pod(self, address: str) -> bool:
        """Tell whether an address is a pod's own."""
        return address in self._by_address

    def learn(self, address: str, space: int) -> None:
        """Remember that an address is used by a socket of a namespace; one that several use says nothing."""
        if _is_loopback(address):
            return
        before = self._learned.get(address, space)
        if len(self._learned) > _MOST_LEARNED:
            self._learned.clear()
        if address not in self._learned or before != space:
            self._learned[address] = space if before == space else None
            self._known.clear()

    def endpoint(self, address: str, space: int = 0, group: int = 0) -> Endpoint:
        """Return who an address is.

        Args:
            address: as text.
            space: the network namespace it is local to; 0 where it is the other side.
            group: the control group of its socket, where known.
        """
        key = (address, space, group)
        known = self._known.get(key)
        if known is None:
            if len(self._known) > _MOST_LEARNED:
                self._known.clear()
            known = self._known[key] = self._find(address, space, group)
        return known

    def _find(self, address: str, space: int, group: int) -> Endpoint:
        pod = self._by_address.get(address) or self._local_pod(space, group)
        if pod is not None:
            number = self._identities.get(address, 0)
            old = pod.endpoint
            return Endpoint(0, number, "", old.namespace, old.labels, old.pod_name, old.workloads)
        where = space or self._learned.get(address) or 0
        kind, name = self._spaces.get(where, ("", ""))
        if kind == "host":
            return _HOST
        if kind == "netns":
            return Endpoint(namespace=NETNS, pod_name=name, labels=(f"netns:{name}",))
        return Endpoint(labels=(f"pod-uid:{name}",)) if kind == "pod" else _UNKNOWN

    def _local_pod(self, space: int, group: int) -> Pod | None:
        kind, name = self._spaces.get(space, ("", ""))
        if kind == "pod":
            return self._pods.get(name)
        path = self._groups.get(group, "") if kind == "host" else ""
        if "pod" not in path:
            return None
        uid = path.replace("_", "-")
        return next((pod for pod in self._pods.values() if pod.host_network and f"pod{pod.uid}" in uid), None)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _pod(raw: Mapping[str, Any]) -> Pod:
    metadata, spec, status = raw.get("metadata") or {}, raw.get("spec") or {}, raw.get("status") or {}
    namespace = metadata.get("namespace") or ""
    labels = [f"k8s:{key}={value}" for key, value in sorted((metadata.get("labels") or {}).items())]
    labels.append(f"k8s:io.kubernetes.pod.namespace={namespace}")
    endpoint = Endpoint(
        namespace=namespace, labels=tuple(labels), pod_name=metadata.get("name") or "", workloads=_workloads(metadata)
    )
    addresses = [item.get("ip", "") for item in status.get("podIPs") or ()]
    uid = (metadata.get("annotations") or {}).get("kubernetes.io/config.hash") or metadata.get("uid") or ""
    return Pod(_dashed(uid), endpoint, tuple(filter(None, addresses)), bool(spec.get("hostNetwork")))


def _dashed(uid: str) -> str:
    """Return a uid as control groups write it; static pods' has no dashes."""
    if len(uid) != 32:
        return uid
    return "-".join((uid[:8], uid[8:12], uid[12:16], uid[16:20], uid[20:]))


def _workloads(metadata: Mapping[str, Any]) -> tuple[Workload, ...]:
    for owner in metadata.get("ownerReferences") or ():
        name, kind = owner.get("name") or "", owner.get("kind") or ""
        template = (metadata.get("labels") or {}).get("pod-template-hash")
        if kind == "ReplicaSet" and template:
            return (Workload(name.removesuffix(f"-{template}"), "Deployment"),)
        return (Workload(name, kind),)
    return ()
