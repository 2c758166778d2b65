"""Services on a cluster that is there already."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from installer.adapters.store.assets import asset
from installer.ports.hubble import PLAIN, Access

if TYPE_CHECKING:
    from installer.domain.releases import Releases
    from installer.domain.status import Status
    from installer.ports.cluster import Kube
    from installer.ports.hubble import Hubble, Hubbles
    from installer.services.readiness import OnChange
    from installer.services.verify import OnCheck, Proof


def find_asset(relative: str) -> Path:
    """Return the path of a file or folder that beeyard ships."""
    return asset(relative)


class LazyHubbles:
    """Loads gRPC when the first connection is opened."""

    @asynccontextmanager
    async def open(self, address: str, access: Access = PLAIN) -> AsyncIterator[Hubble]:
        """Connect."""
        from installer.adapters.hubble.client import GrpcHubbles

        async with GrpcHubbles().open(address, access) as hubble:
            yield hubble


class LazyKubes:
    """Loads the Kubernetes client when the first connection is opened."""

    async def open(self, kubeconfig: str | None = None, context: str | None = None) -> Kube:
        """Open a connection."""
        from installer.adapters.kube.opener import Kubeconfigs

        return await Kubeconfigs().open(kubeconfig, context)


def known_releases() -> Releases:
    """Return what is known of Cilium's releases."""
    from installer.domain.releases import parse_releases

    return parse_releases(yaml.safe_load(asset("charts/cilium/releases.yaml").read_text()))


async def newest_k3s(channel: str = "stable") -> str:
    """Ask the channel server for the newest k3s.

    Raises:
        BeeyardError: ``E-K3S-00x``, ``E-WEB-0xx``.
    """
    from installer.adapters.k3s.releases import K3sReleases
    from installer.adapters.web.download import HttpDownloader

    async with HttpDownloader() as downloader:
        return str(await K3sReleases(downloader).resolve(channel))


@dataclass(slots=True)
class ClusterServices:
    """Use cases on one cluster.

    Attributes:
        kube: the connection.
        hubbles: opens Relay.
    """

    kube: Kube
    hubbles: Hubbles

    async def status(self, namespace: str, *, ask_k3s: bool = False) -> Status:
        """Return the status of this cluster; ``ask_k3s`` asks the network for the newest k3s."""
        from installer.services.status import collect

        newest = newest_k3s if ask_k3s else None
        return await collect(
            self.kube, namespace=namespace, hubbles=self.hubbles, releases=known_releases(), newest_k3s=newest
        )

    async def wait_ready(self, namespace: str, timeout: float, on_change: OnChange) -> None:
        """Wait until everything that is there is ready.

        Raises:
            BeeyardError: what waiting does not solve.
            DeadlineError: ``E-READY-001``.
        """
        from installer.domain.readiness_rules import expected_from
        from installer.services.cluster_facts import list_facts
        from installer.services.readiness import wait_ready
        from installer.services.relay import relay_probe

        expected = expected_from(await list_facts(self.kube, [namespace, "kube-system"]), namespace)
        relay = any(item.name == "hubble-relay" and item.enabled for item in expected.workloads)
        probes = [relay_probe(self.kube, self.hubbles, namespace)] if relay else []
        await wait_ready(self.kube, expected, timeout=timeout, on_change=on_change, probes=probes)

    def proof(self, namespace: str, *, image: str, on_check: OnCheck) -> Proof:
        """Return a network proof on this cluster."""
        return network_proof(self.kube, self.hubbles, namespace, image, on_check)


def network_proof(kube: Kube, hubbles: Hubbles, namespace: str, image: str, on_check: OnCheck) -> Proof:
    """Build a network proof with the manifests of ``manifests/verify``."""
    from installer.adapters.host.process_identity import is_gone, own_identity
    from installer.services.verify import Fixtures, Proof

    folder = asset("manifests/verify")

    def read(name: str) -> tuple[dict[str, object], ...]:
        return tuple(item for item in yaml.safe_load_all((folder / name).read_text()) if item)

    return Proof(
        kube=kube,
        hubbles=hubbles,
        fixtures=Fixtures(read("workloads.yaml"), read("allow-frontend.yaml")[0], read("allow-frontend-get.yaml")[0]),
        now=time.monotonic,
        wall=time.time,
        holder=own_identity(),
        is_gone=is_gone,
        image=image,
        on_check=on_check,
        cilium_namespace=namespace,
    )


@asynccontextmanager
async def cluster(kubeconfig: str | None, context: str | None) -> AsyncIterator[ClusterServices]:
    """Connect to a cluster.

    Raises:
        ConnectError: ``E-KUBE-001`` out of reach, ``E-KUBE-002`` no usable kubeconfig.
    """
    kube = await LazyKubes().open(kubeconfig, context)
    try:
        yield ClusterServices(kube, LazyHubbles())
    finally:
        await kube.close()
