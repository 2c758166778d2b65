"""Collectors of a support archive that ask the cluster."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from installer.domain.errors import BeeyardError
from installer.domain.readiness_rules.facts import SYSTEM, Object, labels_of, name_of, namespace_of
from installer.domain.readiness_rules.pods import is_ready
from installer.domain.redact import Redactor
from installer.domain.sysdump.entry import part
from installer.domain.sysdump.objects import sanitize
from installer.ports.cluster import (
    CILIUM_CLUSTERWIDE_POLICIES,
    CILIUM_ENDPOINTS,
    CILIUM_NETWORK_POLICIES,
    CILIUM_NODES,
    CONFIG_MAPS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINTS,
    EVENTS,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Kube,
    Resource,
)
from installer.services.status import collect
from installer.services.sysdump import Collector, data_text

KINDS = (
    NODES,
    NAMESPACES,
    PODS,
    EVENTS,
    SERVICES,
    ENDPOINTS,
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NETWORK_POLICIES,
    CILIUM_NODES,
    CILIUM_ENDPOINTS,
    CILIUM_NETWORK_POLICIES,
    CILIUM_CLUSTERWIDE_POLICIES,
    CRDS,
)
_ASKED = {
    "status.txt": ("status", "--verbose"),
    "endpoints.txt": ("endpoint", "list"),
    "services.txt": ("service", "list"),
    "nodes.txt": ("node", "list"),
    "identities.txt": ("identity", "list"),
    "config.txt": ("config", "-a"),
    "metrics.txt": ("bpf", "metrics", "list"),
    "policy-maps.txt": ("bpf", "policy", "get", "--all", "-n"),
    "routes-of-services.txt": ("bpf", "lb", "list"),
    "health.txt": ("status", "--all-health"),
}
"""What every agent is asked, as arguments of ``cilium-dbg``."""

_AGENTS = 10
_LOGS = 80
_LINES = 2000
_OPEN_KEYS = ("ca.crt", "tls.crt", "namespace", "username", "type", "service-ca.crt")
_HELM = "helm.sh/release.v1"


@dataclass(slots=True)
class ClusterSource:
    """What is collected from one cluster.

    Attributes:
        kube: the connection.
        namespace: Cilium's namespace.
        pods: all pods, known after ``prepare``.
    """

    kube: Kube
    namespace: str = SYSTEM
    pods: Sequence[Object] = field(default_factory=list)

    async def prepare(self, redactor: Redactor) -> str:
        """Learn what is secret in this cluster, and which pods there are.

        Returns:
            Why the secrets could not be read, so that only what looks like one is masked; empty where they were.

        Raises:
            BeeyardError: not even pods may be read.
        """
        self.pods = await self.kube.list(PODS)
        try:
            redactor.learn(_values(await self.kube.list(SECRETS)))
        except BeeyardError as error:
            return f"{error.what}; only what looks like a secret is masked"
        return ""

    def collectors(self) -> Iterator[Collector]:
        """Yield the collectors."""
        yield Collector("cluster/version.txt", "version of the API", self._version, 10.0)
        yield Collector("cluster/status.json", "beeyard status", self._status, 40.0)
        for resource in KINDS:
            yield Collector(f"cluster/{resource.plural}.json", resource.plural, _Objects(self.kube, resource))
        yield from self._logs()
        yield from self._agents()

    async def _version(self) -> str:
        return await self.kube.version() + "\n"

    async def _status(self) -> str:
        return data_text((await collect(self.kube, namespace=self.namespace)).to_dict())

    def _logs(self) -> Iterator[Collector]:
        """Yield the logs of system pods, and of others that are not ready, those first."""
        number = 0
        for pod in sorted(self.pods, key=is_ready):
            if is_ready(pod) and namespace_of(pod) not in (SYSTEM, self.namespace):
                continue
            for container, previous in _containers(pod):
                number += 1
                if number > _LOGS:
                    return
                words = f"{part(namespace_of(pod))}/{part(name_of(pod))}/{part(container)}"
                title = "log" + (" of its run before" if previous else "")
                name = f"logs/{words}{'.previous' if previous else ''}.log"
                yield Collector(name, title, _Log(self.kube, pod, container, previous), 10.0)

    def _agents(self) -> Iterator[Collector]:
        agents = [pod for pod in self.pods if labels_of(pod).get("k8s-app") == "cilium" and _runs(pod, "cilium-agent")]
        for pod in agents[:_AGENTS]:
            for name, words in _ASKED.items():
                path = f"agents/{part(name_of(pod))}/{name}"
                yield Collector(path, f"cilium-dbg {' '.join(words)}", _Asked(self.kube, pod, words), 20.0)


def _runs(pod: Object, container: str) -> bool:
    states = pod.get("status", {}).get("containerStatuses") or []
    return any(one.get("name") == container and "running" in (one.get("state") or {}) for one in states)


def _containers(pod: Object) -> Iterator[tuple[str, bool]]:
    """Yield containers with a log, and whether it is that of the run before."""
    status = pod.get("status", {})
    for statuses in ("initContainerStatuses", "containerStatuses"):
        for state in status.get(statuses) or []:
            yield str(state["name"]), False
            if int(state.get("restartCount", 0)):
                yield str(state["name"]), True


def _values(secrets: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield what is secret in Secrets: certificates, names and Helm's releases are not."""
    for one in secrets:
        data = one.get("data") or {}
        if one.get("type") == _HELM or not isinstance(data, Mapping):
            continue
        for key, value in data.items():
            if key in _OPEN_KEYS:
                continue
            try:
                yield base64.b64decode(str(value), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                yield str(value)


class _Objects:
    def __init__(self, kube: Kube, resource: Resource):
        self._kube = kube
        self._resource = resource

    async def __call__(self) -> str:
        found = await self._kube.list(self._resource)
        return data_text([sanitize(one, self._resource.plural) for one in found]) if found else "[]\n"


class _Log:
    def __init__(self, kube: Kube, pod: Object, container: str, previous: bool):
        self._kube = kube
        self._pod = pod
        self._container = container
        self._previous = previous

    async def __call__(self) -> str:
        lines = await self._kube.logs(
            name_of(self._pod),
            namespace_of(self._pod),
            container=self._container,
            lines=_LINES,
            previous=self._previous,
        )
        return "\n".join(lines) + "\n" if lines else ""


class _Asked:
    """An agent's answer; its command has had two names."""

    def __init__(self, kube: Kube, pod: Object, words: tuple[str, ...]):
        self._kube = kube
        self._pod = pod
        self._words = words

    async def __call__(self) -> str:
        for program in ("cilium-dbg", "cilium"):
            done = await self._kube.exec(
                name_of(self._pod),
                namespace_of(self._pod),
                (program, *self._words),
                container="cilium-agent",
                timeout=15.0,
            )
            if done.rc not in (126, 127):
                break
        if done.rc != 0:
            raise BeeyardError(
                f"{program} {' '.join(self._words)} ended with {done.rc}",
                why=done.err.strip()[-300:],
                code="E-DUMP-005",
            )
        return done.out
