"""The Kubernetes API, as far as the rest of the program needs it. Objects are plain dicts, as in JSON."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from installer.domain.x509 import Certificate

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object.

    Attributes:
        api: ``v1``, ``apps/v1``, ``cilium.io/v2`` …
        plural: ``pods``, ``ciliumnodes`` …
        namespaced: whether it lives in namespaces.
    """

    api: str
    plural: str
    namespaced: bool = True


PODS = Resource("v1", "pods")
NODES = Resource("v1", "nodes", namespaced=False)
EVENTS = Resource("v1", "events")
NAMESPACES = Resource("v1", "namespaces", namespaced=False)
SERVICES = Resource("v1", "services")
SERVICE_ACCOUNTS = Resource("v1", "serviceaccounts")
SECRETS = Resource("v1", "secrets")
CONFIG_MAPS = Resource("v1", "configmaps")
ENDPOINTS = Resource("v1", "endpoints")
DAEMON_SETS = Resource("apps/v1", "daemonsets")
DEPLOYMENTS = Resource("apps/v1", "deployments")
CRDS = Resource("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False)
CILIUM_NODES = Resource("cilium.io/v2", "ciliumnodes", namespaced=False)
CILIUM_ENDPOINTS = Resource("cilium.io/v2", "ciliumendpoints")
CILIUM_NETWORK_POLICIES = Resource("cilium.io/v2", "ciliumnetworkpolicies")
CILIUM_CLUSTERWIDE_POLICIES = Resource("cilium.io/v2", "ciliumclusterwidenetworkpolicies", namespaced=False)
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "networkpolicies")


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change seen by a watch.

    Attributes:
        kind: ``SYNCED`` (first list complete; ``objects`` holds it, also after every re-list), ``ADDED``, ``MODIFIED``,
            ``DELETED``, ``LOST`` (connection lost; a re-list follows by itself, ``message`` tells why).
        resource: which watch it is from.
        object: the object of ADDED, MODIFIED, DELETED.
        objects: the list of SYNCED.
        message: cause of LOST.
        namespace: namespace of the watch it is from, None for all.
    """

    kind: str
    resource: Resource
    object: Object | None = None
    objects: tuple[Object, ...] = ()
    message: str = ""
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Result of a command in a container."""

    rc: int
    out: str
    err: str


class Kube(Protocol):
    """One connection to one cluster.

    Every call raises ``ConnectError`` (``E-KUBE-001``) when the API is out of reach, ``BeeyardError`` ``E-KUBE-003``
    when RBAC forbids it (verb and resource named), ``E-KUBE-004`` not found where that is an error.
    """

    @property
    def server(self) -> str:
        """The API's URL."""
        ...

    @property
    def context(self) -> str:
        """The kubeconfig context in use."""
        ...

    async def version(self) -> str:
        """Return the server's git version, such as ``v1.36.4+k3s1``."""
        ...

    async def healthy(self) -> bool:
        """Whether ``/readyz`` says ok; False instead of an error when out of reach."""
        ...

    async def certificates(self) -> dict[str, Certificate]:
        """Return the certificates of this connection: ``API server``, and ``client certificate`` where it uses one."""
        ...

    async def list(
        self, resource: Resource, *, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """Return objects; an absent resource type (CRD missing) gives an empty list."""
        ...

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Object | None:
        """Return one object or None."""
        ...

    def watch(
        self, resources: Sequence[tuple[Resource, str | None]], *, reconnect: bool = True
    ) -> AsyncIterator[WatchEvent]:
        """Watch several (resource, namespace or None) at once; list first, and again after a loss or a 410."""
        ...

    async def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply as field manager ``beeyard`` (force)."""
        ...

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object; fields that the API does not know are an error (servers from 1.25 on)."""
        ...

    async def replace(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Replace an object as it was read; its ``metadata.resourceVersion`` must still be the newest.

        Raises:
            BeeyardError: ``E-KUBE-007`` someone changed or deleted it meanwhile, ``E-KUBE-004`` it is gone.
        """
        ...

    async def may(self, verb: str, resource: Resource, *, namespace: str | None = None) -> bool:
        """Whether RBAC lets this user do it (asked of the API, nothing is tried)."""
        ...

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, grace: int | None = None
    ) -> None:
        """Delete an object; no error when it is gone."""
        ...

    async def logs(
        self, pod: str, namespace: str, *, container: str = "", lines: int = 20, previous: bool = False
    ) -> builtins.list[str]:
        """Return the last log lines of a container; an empty list when there are none yet."""
        ...

    async def exec(
        self, pod: str, namespace: str, argv: Sequence[str], *, container: str = "", timeout: float = 15.0
    ) -> ExecResult:
        """Run a command in a container.

        Raises:
            DeadlineError: ``E-KUBE-006`` no end within ``timeout`` seconds.
        """
        ...

    def port_forward(
        self, pod: str, namespace: str, port: int, *, local_port: int = 0
    ) -> AbstractAsyncContextManager[int]:
        """Listen on 127.0.0.1, bridged to the pod's port; the context's value is the local port.

        Args:
            pod: name of the pod.
            namespace: its namespace.
            port: its port.
            local_port: where to listen; 0 takes a free one.

        Raises:
            BeeyardError: ``E-KUBE-009`` the pod does not run.
            UsageError: ``E-KUBE-012`` the local port is taken.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Kubes(Protocol):
    """Opens connections."""

    async def open(self, kubeconfig: str | None = None, context: str | None = None) -> Kube:
        """Open a connection by kubeconfig path (else ``KUBECONFIG``, k3s' file, ``~/.kube/config``) and context.

        Raises:
            ConnectError: ``E-KUBE-001`` out of reach, ``E-KUBE-002`` no usable kubeconfig.
        """
        ...
