"""Everything that is known of Cilium in any cluster: objects, the agents' own words, Relay's, Helm's.

What may not be read is left out and told, it does not spoil the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from installer.domain.errors import BeeyardError
from installer.domain.overview import Unread
from installer.domain.readiness_rules import Expected, Facts, expected_from
from installer.domain.readiness_rules.facts import SYSTEM
from installer.domain.releases import Releases
from installer.domain.status import Status
from installer.domain.status_rules.assemble import Readings, assemble, without_unread
from installer.ports.cluster import (
    CILIUM_CLUSTERWIDE_POLICIES,
    CILIUM_ENDPOINTS,
    CILIUM_NETWORK_POLICIES,
    EVENTS,
    NETWORK_POLICIES,
    PODS,
    Kube,
    Object,
    Resource,
)
from installer.ports.hubble import Hubbles
from installer.services.agents import agent_pods, ask_agents
from installer.services.cluster_details import Details, Newest, ask_newest, unread
from installer.services.readiness import look

T = TypeVar("T")
NAMES = {
    PODS: "pods of all namespaces",
    EVENTS: "events of all namespaces",
    CILIUM_ENDPOINTS: "CiliumEndpoints",
    CILIUM_NETWORK_POLICIES: "CiliumNetworkPolicies",
    CILIUM_CLUSTERWIDE_POLICIES: "CiliumClusterwideNetworkPolicies",
    NETWORK_POLICIES: "NetworkPolicies",
}
"""What kinds of objects are called where they could not be read."""


async def collect(
    kube: Kube,
    *,
    namespace: str = SYSTEM,
    hubbles: Hubbles | None = None,
    expected: Callable[[Facts], Expected] | None = None,
    releases: Releases | None = None,
    newest_k3s: Newest | None = None,
    wall: Callable[[], float] = time.time,
) -> Status:
    """Collect the status of a cluster.

    Args:
        kube: the cluster.
        namespace: Cilium's namespace.
        hubbles: asks Relay through a port-forward; None leaves it out.
        expected: tells what must be there; by default the agent, the operator, and whatever else is found.
        releases: what is known of Cilium's releases, for update hints.
        newest_k3s: asks for the newest k3s of a channel; None asks nobody.
        wall: UNIX time.

    Raises:
        ConnectError: the API is out of reach.
        BeeyardError: ``E-KUBE-003`` even pods and workloads may not be read.
    """
    reader = _Reader(kube, namespace, expected or (lambda facts: expected_from(facts, namespace)))
    return await reader.run(Details(kube, namespace, hubbles), releases, newest_k3s, wall)


class _Reader:
    """Reads concurrently and keeps account of what could not be read."""

    def __init__(self, kube: Kube, namespace: str, expected: Callable[[Facts], Expected]):
        self._kube = kube
        self._namespace = namespace
        self._expected = expected
        self._unread: list[Unread] = []

    async def run(
        self,
        details: Details,
        releases: Releases | None,
        newest_k3s: Newest | None,
        wall: Callable[[], float],
    ) -> Status:
        facts, judgement = await look(self._kube, [self._namespace, SYSTEM], self._expected, self._refused)
        expected = self._expected(facts)
        unread_kinds = [one.resource.partition(".")[0] for one in self._unread]
        objects, (config_map, version, agents, relay), (certificates, secrets, k3s) = await asyncio.gather(
            asyncio.gather(*(self._objects(resource) for resource in NAMES)),
            asyncio.gather(
                self._try("ConfigMap cilium-config", details.config_map(), None),
                self._try("version", self._kube.version(), ""),
                ask_agents(self._kube, agent_pods(facts, expected)),
                details.relay(expected),
            ),
            asyncio.gather(
                self._try("certificate of the API", self._kube.certificates(), {}),
                self._try("certificates of Cilium", details.secrets(), {}),
                self._try("newest k3s", ask_newest(newest_k3s), "") if newest_k3s else _nothing(),
            ),
        )
        pods, events, endpoints, policies, clusterwide, network = objects
        helm = await self._try("Helm release", details.helm(config_map), None)
        return assemble(
            Readings(
                server=self._kube.server,
                context=self._kube.context,
                namespace=self._namespace,
                facts=facts,
                expected=expected,
                snapshot=without_unread(judgement.snapshot, unread_kinds),
                now=wall(),
                kubernetes=version,
                pods=pods,
                endpoints=endpoints,
                cilium_policies=policies,
                clusterwide_policies=clusterwide,
                network_policies=network,
                events=events or facts.events,
                agents=agents,
                config_map=config_map,
                helm=helm,
                relay=relay,
                certificates={**certificates, **secrets},
                releases=releases,
                newest_k3s=k3s,
                unread=self._unread,
            )
        )

    def _refused(self, resource: Resource, error: BeeyardError) -> None:
        self._unread.append(unread(resource.plural, error))

    async def _objects(self, resource: Resource) -> Sequence[Object]:
        return await self._try(NAMES[resource], self._kube.list(resource), [])

    async def _try(self, what: str, reading: Awaitable[T], otherwise: T) -> T:
        try:
            return await reading
        except BeeyardError as error:
            self._unread.append(unread(what, error))
            return otherwise


async def _nothing() -> str:
    return ""
