"""Builds what an install works with."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from installer.adapters.bpf.proof import prove
from installer.adapters.host import facts
from installer.adapters.host.clock import steady
from installer.adapters.host.files import LocalFiles
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.host.services import detect
from installer.adapters.store.assets import asset
from installer.adapters.store.journal import FileRunStore
from installer.adapters.store.kubeconfig_file import KubeconfigFile, find_invoker
from installer.adapters.store.lock import FileLock
from installer.adapters.store.runlog import FileRunLog
from installer.domain import proxy
from installer.domain.preflight import HostFacts
from installer.domain.redact import Redactor
from installer.domain.releases import Releases
from installer.domain.spec import ClusterSpec
from installer.pipeline.chart_values import load_releases
from installer.pipeline.run import Tools
from installer.ports.host import Processes, ServiceKind
from installer.ports.store import RunLock, RunStore
from installer.services import proofs
from installer.services.explain import explain
from installer.services.install import InstallService, MakeTools
from installer.services.logged import OpenLog
from installer.wiring.cluster import LazyHubbles, LazyKubes, network_proof
from installer.wiring.guard import guard_service
from installer.wiring.sources import ReleaseSources

if TYPE_CHECKING:
    from installer.ports.helm import Helm

STATE = Path("/var/lib/beeyard")


class LocalProbe:
    """Looks at this host, once a run."""

    def __init__(self, processes: Processes, manager: ServiceKind, data_dir: Path, environment: Mapping[str, str]):
        self._arguments = (processes, manager, data_dir, environment)

    async def gather(self) -> HostFacts:
        """Return the host's facts, and what came of trying its kernel."""
        processes, manager, data_dir, environment = self._arguments
        found, proof = await asyncio.gather(
            facts.gather(processes, manager=manager, data_dir=data_dir, environ=environment), prove(processes)
        )
        return dataclasses.replace(found, kernel_proof=proof)


def open_helm(binary: Path, kubeconfig: Path) -> Helm:
    """Open the helm binary for a cluster; loads pyhelm3 at first use."""
    from installer.adapters.helm.client import HelmClient

    return HelmClient(binary, kubeconfig)


@asynccontextmanager
async def tools(spec: ClusterSpec, environment: Mapping[str, str], redactor: Redactor) -> AsyncIterator[Tools]:
    """Build the tools of one run."""
    from installer.adapters.web.download import HttpDownloader
    from installer.wiring.uninstall import remember

    processes, files = LocalProcesses(redactor.mask), LocalFiles()
    services = await detect(processes, files)
    downloads = spec.downloads
    ca_file = Path(downloads.ca_file) if downloads.ca_file else None
    variables = proxy.variables(spec, environment)
    no_proxy = variables.get("NO_PROXY", "")
    async with HttpDownloader(
        proxy=downloads.proxy or "", no_proxy=no_proxy, ca_file=ca_file, environment=environment
    ) as downloader:
        hubbles = LazyHubbles()
        yield Tools(
            processes=processes,
            files=files,
            services=services,
            probe=LocalProbe(processes, services.kind, Path(spec.k3s.data_dir), environment),
            downloader=downloader,
            sources=ReleaseSources(downloader, processes, k3s=downloads.k3s, channels=downloads.channels),
            kubes=LazyKubes(),
            helm=open_helm,
            kubeconfigs=KubeconfigFile(files, environment, find_invoker(environment)),
            assets=asset,
            now=steady(),
            wait_ready=lambda run, timeout: proofs.wait(run, hubbles, timeout),
            prove=lambda run: proofs.prove(run, hubbles, network_proof),
            remember=remember,
            explain=explain,
        )


class Parts(TypedDict):
    """What every service that changes this host works with."""

    tools: MakeTools
    table: Releases
    runs: RunStore
    open_log: OpenLog
    lock: RunLock


def parts(redactor: Redactor) -> Parts:
    """Build what every service that changes this host works with."""
    return Parts(
        tools=lambda spec, environment: tools(spec, environment, redactor),
        table=load_releases(asset),
        runs=FileRunStore(STATE, redactor=redactor),
        open_log=lambda run_id: FileRunLog(run_id, redactor, fallback=STATE / "runs" / run_id),
        lock=FileLock(STATE),
    )


def install_service() -> InstallService:
    """Return the service that installs."""
    redactor = Redactor()
    return InstallService(
        **parts(redactor),
        redactor=redactor,
        read_current=lambda: LocalFiles().read(STATE / "cluster.yaml"),
        read=LocalFiles().read,
        guarding=guard_service,
    )
