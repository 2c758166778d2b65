"""Facts that are read now and then, not watched: configuration, Helm release, Relay's word, certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from installer.domain.errors import BeeyardError
from installer.domain.overview import Unread
from installer.domain.readiness_rules import Expected
from installer.domain.readiness_rules.facts import RELAY
from installer.domain.status import HelmStatus, RelayStatus
from installer.domain.status_rules.certificates import read_secrets
from installer.domain.status_rules.objects import read_helm
from installer.domain.x509 import Certificate
from installer.ports.cluster import CONFIG_MAPS, SECRETS, Kube, Object
from installer.ports.hubble import Hubbles
from installer.services.relay import relay_status

_TLS = "type=kubernetes.io/tls"
NETWORK_SECONDS = 10.0
Newest = Callable[[], Awaitable[str]]
"""Asks the network for the newest k3s of a channel."""


def unread(part: str, error: BeeyardError) -> Unread:
    """Return what is told of a part that could not be read."""
    words = {key: str(error.details.get(key, "")) for key in ("verb", "resource", "namespace")}
    return Unread(part, error.code, error.what, error.why, error.fix, **words)


async def ask_newest(newest_k3s: Newest) -> str:
    """Return the newest k3s; the network gets a few seconds for it, so that nothing waits for it long.

    Raises:
        BeeyardError: ``E-STATUS-017`` no answer in time, or what asking raises.
    """
    try:
        async with asyncio.timeout(NETWORK_SECONDS):
            return await newest_k3s()
    except TimeoutError:
        why = f"No answer within {NETWORK_SECONDS:g} s."
        fix = "See that this machine reaches the internet, or its proxy; all else does not depend on it."
        raise BeeyardError("the newest k3s is not known", why=why, fix=fix, code="E-STATUS-017") from None


@dataclass(frozen=True, slots=True)
class Details:
    """Reads them from one cluster; every method raises what the connection raises.

    Attributes:
        kube: the cluster.
        namespace: Cilium's namespace.
        hubbles: asks Relay through a port-forward; None leaves it out.
    """

    kube: Kube
    namespace: str
    hubbles: Hubbles | None = None

    async def config_map(self) -> Object | None:
        """Return ``cilium-config``."""
        return await self.kube.get(CONFIG_MAPS, "cilium-config", namespace=self.namespace)

    async def helm(self, config_map: Object | None) -> HelmStatus | None:
        """Return the Helm release that ``cilium-config`` names, None where there is none."""
        notes = (config_map or {}).get("metadata", {}).get("annotations") or {}
        name = str(notes.get("meta.helm.sh/release-name") or "cilium")
        listing = await self.kube.list(SECRETS, namespace=self.namespace, labels=f"owner=helm,name={name}")
        return read_helm(name, listing)

    async def relay(self, expected: Expected) -> RelayStatus | None:
        """Return Relay's word or why it gives none; None where it is not to be asked."""
        enabled = any(one.name == RELAY and one.enabled for one in expected.workloads)
        if self.hubbles is None or not enabled:
            return None
        try:
            found = await relay_status(self.kube, self.hubbles, self.namespace)
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

    async def secrets(self) -> dict[str, Certificate]:
        """Return the certificates of Cilium's and Hubble's TLS secrets."""
        return read_secrets(await self.kube.list(SECRETS, namespace=self.namespace, fields=_TLS))
