"""Everything that is known of Cilium in any cluster: objects, the agents' own words, Relay's, Helm's.

What may not be read is left out and told, it does not spoil the rest.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from installer.domain.errors import BeeyardError
from installer.domain.readiness import Snapshot
from installer.domain.readiness_rules import Expected, Facts, expected_from
from installer.domain.readiness_rules.facts import AGENT, RELAY, SYSTEM, Workload, name_of
from installer.domain.readiness_rules.workloads import find, pods_of
from installer.domain.status import AgentStatus, HelmStatus, Notice, RelayStatus, Status
from installer.domain.status_rules.agents import agent_errors, agent_warnings, read_agent
from installer.domain.status_rules.objects import (
    count_pods,
    node_warnings,
    read_config,
    read_helm,
    read_nodes,
    read_workloads,
)
from installer.ports.cluster import CILIUM_ENDPOINTS, CONFIG_MAPS, PODS, SECRETS, Kube, Object
from installer.ports.hubble import Hubbles
from installer.services.readiness import look
from installer.services.relay import relay_status

AGENTS_AT_ONCE = 5
EXEC_SECONDS = 15.0
_CONTAINER = "cilium-agent"
_PROGRAMS = ("cilium-dbg", "cilium")
"""The agent's command: the second is its name before Cilium 1.15."""
T = TypeVar("T")


async def collect(
    kube: Kube,
    *,
    namespace: str = SYSTEM,
    hubbles: Hubbles | None = None,
    expected: Callable[[Facts], Expected] | None = None,
) -> Status:
    """Collect the status of a cluster.

    Args:
        kube: the cluster.
        namespace: Cilium's namespace.
        hubbles: asks Relay through a port-forward; None leaves it out.
        expected: tells what must be there; by default the agent, the operator, and whatever else is found.

    Raises:
        ConnectError: the API is out of reach.
        BeeyardError: ``E-KUBE-003`` even pods and workloads may not be read.
    """
    return await _Collector(kube, namespace, hubbles, expected or (lambda facts: expected_from(facts, namespace))).run()


class _Collector:
    """Collects concurrently and keeps account of what could not be read."""

    def __init__(self, kube: Kube, namespace: str, hubbles: Hubbles | None, expected: Callable[[Facts], Expected]):
        self._kube = kube
        self._namespace = namespace
        self._hubbles = hubbles
        self._expected = expected
        self._unread: list[str] = []
        self._slots = asyncio.Semaphore(AGENTS_AT_ONCE)

    async def run(self) -> Status:
        facts, judgement = await look(self._kube, [self._namespace, SYSTEM], self._expected)
        expected = self._expected(facts)
        config_map, version, pods, managed, agents, relay = await asyncio.gather(
            self._config_map(),
            self._try("version", self._kube.version(), ""),
            self._try("pods of all namespaces", self._kube.list(PODS), []),
            self._try("CiliumEndpoints", self._kube.list(CILIUM_ENDPOINTS), []),
            self._agents(facts, expected),
            self._relay(expected),
        )
        config, config_errors = read_config(config_map)
        helm = await self._helm(config_map)
        return Status(
            server=self._kube.server,
            context=self._kube.context,
            kubernetes=version,
            namespace=self._namespace,
            snapshot=judgement.snapshot,
            workloads=read_workloads(facts, expected, judgement.snapshot),
            nodes=read_nodes(facts),
            agents=tuple(agents),
            pods=count_pods(pods),
            managed=len(managed),
            config=config,
            helm=helm,
            relay=relay,
            errors=tuple(_errors(judgement.snapshot, agents, config_errors, relay)),
            warnings=tuple(_warnings(facts, judgement.snapshot, agents)),
            unread=tuple(self._unread),
        )

    async def _try(self, what: str, reading: Awaitable[T], otherwise: T) -> T:
        try:
            return await reading
        except BeeyardError as error:
            self._unread.append(f"{what}: {error.what}")
            return otherwise

    async def _config_map(self) -> Object | None:
        getting = self._kube.get(CONFIG_MAPS, "cilium-config", namespace=self._namespace)
        return await self._try("ConfigMap cilium-config", getting, None)

    async def _helm(self, config_map: Object | None) -> HelmStatus | None:
        notes = (config_map or {}).get("metadata", {}).get("annotations") or {}
        name = str(notes.get("meta.helm.sh/release-name") or "cilium")
        labels = f"owner=helm,name={name}"
        listing = self._kube.list(SECRETS, namespace=self._namespace, labels=labels)
        return read_helm(name, await self._try("Helm release", listing, []))

    async def _agents(self, facts: Facts, expected: Expected) -> Sequence[AgentStatus]:
        workload = next((one for one in expected.workloads if one.name == AGENT), None)
        pods = sorted(_pods(facts, workload), key=lambda pod: str(pod.get("spec", {}).get("nodeName")))
        return await asyncio.gather(*(self._agent(pod) for pod in pods if _is_running(pod)))

    async def _agent(self, pod: Object) -> AgentStatus:
        name, node = name_of(pod), str(pod.get("spec", {}).get("nodeName", ""))
        try:
            async with self._slots:
                status = await self._ask(name, "status", "-o", "json")
                endpoints = await self._ask(name, "endpoint", "list", "-o", "json")
            return read_agent(name, node, status, endpoints)
        except BeeyardError as error:
            return AgentStatus(name, node, error=f"{error.what}: {error.why}".rstrip(": "))
        except (ValueError, AttributeError, TypeError) as error:
            return AgentStatus(name, node, error=f"its answer is not understood: {error}")

    async def _ask(self, pod: str, *words: str) -> Any:
        """Run the agent's own command, by its present or its former name."""
        last: BeeyardError | None = None
        for program in _PROGRAMS:
            try:
                return await self._run(pod, program, *words)
            except BeeyardError as error:
                if error.code != "E-STATUS-005":
                    raise
                last = last or error
        assert last is not None
        raise last

    async def _run(self, pod: str, *argv: str) -> Any:
        try:
            done = await self._kube.exec(pod, self._namespace, argv, container=_CONTAINER, timeout=EXEC_SECONDS)
        except BeeyardError as error:
            if error.code == "E-KUBE-009":  # some runtimes tell a missing program so
                raise BeeyardError(error.what, why=error.why, fix=error.fix, code="E-STATUS-005") from error
            raise
        if done.rc in (126, 127):
            raise BeeyardError(f"no {argv[0]} in the agent", why=done.err.strip(), code="E-STATUS-005")
        if done.rc != 0:
            why = (done.err or done.out).strip()[-300:]
            raise BeeyardError(f"'{' '.join(argv)}' ended with {done.rc}", why=why, code="E-STATUS-006")
        return json.loads(done.out)

    async def _relay(self, expected: Expected) -> RelayStatus | None:
        enabled = any(one.name == RELAY and one.enabled for one in expected.workloads)
        if self._hubbles is None or not enabled:
            return None
        try:
            found = await relay_status(self._kube, self._hubbles, self._namespace)
        except BeeyardError as error:
            return RelayStatus(error=f"{error.what}: {error.why}".rstrip(": "))
        return RelayStatus(
            connected=found.connected_nodes or 0,
            unavailable=found.unavailable_names,
            flows=found.num_flows,
            max_flows=found.max_flows,
            rate=found.flows_rate,
            version=found.version,
        )


def _pods(facts: Facts, workload: Workload | None) -> list[Any]:
    item = find(facts, workload) if workload else None
    return pods_of(facts, item) if item else []


def _is_running(pod: Object) -> bool:
    states = pod.get("status", {}).get("containerStatuses") or []
    return any(one["name"] == _CONTAINER and "running" in (one.get("state") or {}) for one in states)


def _errors(
    snapshot: Snapshot, agents: Sequence[AgentStatus], config: Sequence[str], relay: RelayStatus | None
) -> list[Notice]:
    found = [
        Notice(one.subject, f"{one.what}{f': {one.evidence}' if one.evidence else ''}", one.code, one.fix)
        for one in snapshot.problems
    ]
    found += [notice for agent in agents for notice in agent_errors(agent)]
    found += [Notice("cilium-config", text, "E-STATUS-007") for text in config]
    if relay is not None and relay.error:
        found.append(Notice(RELAY, relay.error, "E-STATUS-008"))
    if relay is not None and relay.unavailable:
        found.append(Notice(RELAY, f"does not reach {', '.join(relay.unavailable)}", "E-STATUS-009"))
    return found


def _warnings(facts: Facts, snapshot: Snapshot, agents: Sequence[AgentStatus]) -> list[Notice]:
    silent = [one for one in snapshot.components if one.state.value in ("progressing", "unknown") and not one.problems]
    found = [Notice(one.name, one.detail or str(one.state)) for one in silent]
    found += [notice for node in facts.nodes for notice in node_warnings(node)]
    return found + [notice for agent in agents for notice in agent_warnings(agent)]
