"""Asking the agents themselves, by running their own command in their containers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.readiness_rules import Expected, Facts
from installer.domain.readiness_rules.facts import AGENT, name_of, namespace_of
from installer.domain.readiness_rules.workloads import find, pods_of
from installer.domain.status import AgentStatus
from installer.domain.status_rules.agents import read_agent
from installer.ports.cluster import Kube

AT_ONCE = 5
EXEC_SECONDS = 15.0
_CONTAINER = "cilium-agent"
_PROGRAMS = ("cilium-dbg", "cilium")
"""The agent's command: the second is its name before Cilium 1.15."""


def agent_pods(facts: Facts, expected: Expected) -> list[Any]:
    """Return the agents' pods whose agent runs, by node."""
    workload = next((one for one in expected.workloads if one.name == AGENT), None)
    item = find(facts, workload) if workload else None
    pods = pods_of(facts, item) if item else []
    return sorted(filter(_is_running, pods), key=lambda pod: str(pod.get("spec", {}).get("nodeName")))


def _is_running(pod: Any) -> bool:
    states = pod.get("status", {}).get("containerStatuses") or []
    return any(one["name"] == _CONTAINER and "running" in (one.get("state") or {}) for one in states)


async def ask_agents(kube: Kube, pods: Sequence[Any]) -> tuple[AgentStatus, ...]:
    """Return every agent's own status; one that does not answer says so in its ``error``."""
    slots = asyncio.Semaphore(AT_ONCE)
    return tuple(await asyncio.gather(*(_Agent(kube, pod, slots).status() for pod in pods)))


class _Agent:
    def __init__(self, kube: Kube, pod: Any, slots: asyncio.Semaphore):
        self._kube = kube
        self._slots = slots
        self._name, self._namespace = name_of(pod), namespace_of(pod)
        self._node = str(pod.get("spec", {}).get("nodeName", ""))

    async def status(self) -> AgentStatus:
        try:
            async with self._slots:
                status = await self._ask("status", "-o", "json")
                endpoints = await self._ask("endpoint", "list", "-o", "json")
            return read_agent(self._name, self._node, status, endpoints, self._namespace)
        except BeeyardError as error:
            return self._unknown(f"{error.what}: {error.why}".rstrip(": "))
        except (ValueError, AttributeError, TypeError) as error:
            return self._unknown(f"its answer is not understood: {error}")

    def _unknown(self, error: str) -> AgentStatus:
        return AgentStatus(self._name, self._node, namespace=self._namespace, error=error)

    async def _ask(self, *words: str) -> Any:
        """Run the agent's own command, by its present or its former name."""
        last: BeeyardError | None = None
        for program in _PROGRAMS:
            try:
                return await self._run(program, *words)
            except BeeyardError as error:
                if error.code != "E-STATUS-005":
                    raise
                last = last or error
        assert last is not None
        raise last

    async def _run(self, *argv: str) -> Any:
        try:
            done = await self._kube.exec(self._name, self._namespace, argv, container=_CONTAINER, timeout=EXEC_SECONDS)
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
