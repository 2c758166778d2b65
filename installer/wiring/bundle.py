"""Builds what bundles are made, read and pushed with."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from installer import __version__
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.store.assets import asset
from installer.adapters.store.bundle_archives import BundleArchives
from installer.domain import proxy
from installer.domain.redact import Redactor
from installer.domain.spec import ClusterSpec
from installer.pipeline.chart_values import load_releases
from installer.services.bundle.create import BundleMaker
from installer.services.bundle.request import BundleRequest, BundleTools
from installer.wiring.sources import ReleaseSources

if TYPE_CHECKING:
    from installer.ports.helm import Helm


def bundle_maker(environment: Mapping[str, str], authfile: Path | None) -> BundleMaker:
    """Return the service that makes bundles."""
    return BundleMaker(lambda request: _for(request, environment, authfile))


@asynccontextmanager
async def _for(
    request: BundleRequest, environment: Mapping[str, str], authfile: Path | None
) -> AsyncIterator[BundleTools]:
    async with bundle_tools(request.spec, environment, authfile) as tools:
        yield tools


def bundle_archives() -> BundleArchives:
    """Return what reads bundles."""
    return BundleArchives()


@asynccontextmanager
async def bundle_tools(
    spec: ClusterSpec, environment: Mapping[str, str], authfile: Path | None
) -> AsyncIterator[BundleTools]:
    """Build the tools of one command.

    Raises:
        UsageError: ``E-REG-007`` the file with the credentials is unusable.
    """
    from installer.adapters.web.download import HttpDownloader
    from installer.adapters.web.registry.client import RegistryClient
    from installer.adapters.web.registry.credentials import config_path, of_registries, read_config

    downloads = spec.downloads
    path = authfile or config_path(environment)
    credentials = {**of_registries(spec.k3s.registries), **read_config(path, required=authfile is not None)}
    async with HttpDownloader(
        proxy=downloads.proxy or "",
        no_proxy=proxy.variables(spec, environment).get("NO_PROXY", ""),
        ca_file=Path(downloads.ca_file) if downloads.ca_file else None,
        environment=environment,
    ) as http:
        processes = LocalProcesses(Redactor().mask)
        yield BundleTools(
            downloader=http,
            sources=ReleaseSources(http, processes, k3s=downloads.k3s, channels=downloads.channels),
            registries=RegistryClient(http, credentials),
            archives=BundleArchives(),
            helm=open_helm,
            assets=asset,
            table=load_releases(asset),
            now=time.time,
            creator=f"beeyard-{__version__}",
        )


def open_helm(binary: Path) -> Helm:
    """Open a helm binary for rendering; loads pyhelm3 at first use."""
    from installer.adapters.helm.client import HelmClient

    return HelmClient(binary)
