"""One connection to one cluster."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from installer.adapters.kube.certificates import serving_certificate
from installer.adapters.kube.collection import Selection, list_all
from installer.adapters.kube.discovery import Discovery
from installer.adapters.kube.errors import AbsentError, GoneError, Target, absent
from installer.adapters.kube.exec import run_in_container
from installer.adapters.kube.paths import resource_name, resource_path
from installer.adapters.kube.portforward import forward_port
from installer.adapters.kube.transport import Request, Transport
from installer.adapters.kube.watch import WatchStream
from installer.domain.errors import BeeyardError
from installer.domain.x509 import Certificate
from installer.ports.cluster import PODS, ExecResult, Object, Resource

FIELD_MANAGER = "beeyard"
_HEALTH_SECONDS = 3.0
_STRICT = ("fieldValidation", "Strict")
_WRITES = {
    "PATCH": ("patch", "application/apply-patch+yaml"),
    "POST": ("create", "application/json"),
    "PUT": ("update", "application/json"),
}


class KubeClient:
    """Implements ``ports.cluster.Kube``."""

    def __init__(self, transport: Transport, context: str, certificate: Certificate | None = None):
        """Take the connection, its context's name, and the client's certificate where it has one."""
        self._transport = transport
        self._context = context
        self._certificate = certificate
        self._discovery = Discovery(transport)

    @property
    def server(self) -> str:
        """The API's URL."""
        return self._transport.server

    @property
    def context(self) -> str:
        """The kubeconfig context in use."""
        return self._context

    async def version(self) -> str:
        """Return the server's git version."""
        answer = await self._json(Request(Target("get", "version"), "/version"))
        return str(answer.get("gitVersion", ""))

    async def healthy(self) -> bool:
        """Whether ``/readyz`` says ok."""
        request = Request(Target("get", "readyz"), "/readyz")
        try:
            await self._transport.text(request, seconds=_HEALTH_SECONDS)
        except (BeeyardError, AbsentError, GoneError):
            return False
        return True

    async def certificates(self) -> dict[str, Certificate]:
        """Return the certificates of this connection by name."""
        found = {"client certificate": self._certificate} if self._certificate else {}
        if context := self._transport.tls:
            found["API server"] = await serving_certificate(self.server, context, self._transport.tls_name)
        return found

    async def list(
        self, resource: Resource, *, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """Return objects; an absent resource type gives an empty list."""
        try:
            items, _ = await list_all(self._transport, Selection(resource, namespace, labels, fields))
        except AbsentError:
            return []
        return items

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Object | None:
        """Return one object or None."""
        target = Target("get", resource_name(resource), namespace or "", name)
        try:
            return await self._transport.json(Request(target, resource_path(resource, namespace, name)))
        except AbsentError:
            return None

    def watch(self, resources: Sequence[tuple[Resource, str | None]], *, reconnect: bool = True) -> WatchStream:
        """Watch several resources at once; see ``WatchStream``, which may be closed early with ``aclose``."""
        selections = [Selection(resource, namespace) for resource, namespace in resources]
        return WatchStream(self._transport, selections, reconnect=reconnect)

    async def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply as field manager ``beeyard``, forced."""
        return await self._write("PATCH", obj, [("force", "true"), *_dry(dry_run)])

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object."""
        return await self._write("POST", obj, [_STRICT, *_dry(dry_run)])

    async def replace(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Replace an object that was read before."""
        return await self._write("PUT", obj, [_STRICT, *_dry(dry_run)])

    async def may(self, verb: str, resource: Resource, *, namespace: str | None = None) -> bool:
        """Whether RBAC lets this user do it."""
        group, _, _ = resource.api.rpartition("/")
        wanted = {"verb": verb, "group": group, "resource": resource.plural, "namespace": namespace or ""}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        target = Target("create", "selfsubjectaccessreviews")
        answer = await self._json(Request(target, path, "POST", body=review))
        return bool((answer.get("status") or {}).get("allowed"))

    async def _write(self, method: str, obj: Object, query: Sequence[tuple[str, str]]) -> Object:
        resource = await self._discovery.resource(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
        metadata = obj.get("metadata") or {}
        namespace = (metadata.get("namespace") or "default") if resource.namespaced else ""
        name = str(metadata.get("name", ""))
        verb, media = _WRITES[method]
        request = Request(
            Target(verb, resource_name(resource), namespace, name),
            resource_path(resource, namespace, "" if method == "POST" else name),
            method,
            [("fieldManager", FIELD_MANAGER), *query],
            obj,
            media,
        )
        return await self._json(request)

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, grace: int | None = None
    ) -> None:
        """Delete an object; no error when it is gone."""
        target = Target("delete", resource_name(resource), namespace or "", name)
        query = [("propagationPolicy", "Background")]
        query += [("gracePeriodSeconds", str(grace))] if grace is not None else []
        try:
            await self._transport.json(Request(target, resource_path(resource, namespace, name), "DELETE", query))
        except AbsentError:
            return

    async def logs(
        self, pod: str, namespace: str, *, container: str = "", lines: int = 20, previous: bool = False
    ) -> builtins.list[str]:
        """Return the last log lines of a container; an empty list when there are none yet."""
        query = [("tailLines", str(lines)), ("previous", str(previous).lower())]
        query += [("container", container)] if container else []
        path = resource_path(PODS, namespace, pod, "log")
        try:
            text = await self._transport.text(Request(Target("get", "pods/log", namespace, pod), path, query=query))
        except AbsentError:
            return []
        except BeeyardError as error:
            if error.code == "E-KUBE-008" and "HTTP 400" in error.why:  # the container has not started yet
                return []
            raise
        return text.splitlines()

    async def exec(
        self, pod: str, namespace: str, argv: Sequence[str], *, container: str = "", timeout: float = 15.0
    ) -> ExecResult:
        """Run a command in a container."""
        return await run_in_container(self._transport, pod, namespace, argv, container=container, seconds=timeout)

    def port_forward(
        self, pod: str, namespace: str, port: int, *, local_port: int = 0
    ) -> AbstractAsyncContextManager[int]:
        """Listen on 127.0.0.1 at a free port, bridged to the pod's port."""
        return forward_port(self._transport, pod, namespace, port, local_port=local_port)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def _json(self, request: Request) -> Object:
        try:
            return await self._transport.json(request)
        except AbsentError as error:
            raise absent(request.target, error.message) from error


def _dry(dry_run: bool) -> list[tuple[str, str]]:
    return [("dryRun", "All")] if dry_run else []
