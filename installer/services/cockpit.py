"""The use cases that the cockpit is given, in one place."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.domain.overview import Overview
    from installer.ports.cluster import Kube
    from installer.ports.contexts import ContextInfo
    from installer.ports.settings import SettingsStore
    from installer.services.flow_feed import FlowFeeds
    from installer.services.install import InstallService
    from installer.services.kernel_proof import ProveKernel
    from installer.services.kernel_watch import TapFeeds
    from installer.services.policies.rollout import PolicyTools
    from installer.services.setup import SetupService
    from installer.services.upgrade import UpgradeService


@dataclass(frozen=True, slots=True)
class ClusterVersions:
    """Versions for the status bar; empty where unknown or absent.

    Attributes:
        kubernetes: such as ``v1.36.4+k3s1``.
        cilium: tag of the agents' image, such as ``v1.20.2``.
        hubble: tag of Relay's image.
    """

    kubernetes: str = ""
    cilium: str = ""
    hubble: str = ""


async def no_versions(kube: Kube) -> ClusterVersions:
    """Return the versions where nobody reads them."""
    del kube
    return ClusterVersions()


async def no_contexts() -> Sequence[ContextInfo]:
    """Return the contexts where there is no kubeconfig."""
    return ()


async def no_overview(kube: Kube, ask_network: bool) -> AsyncGenerator[Overview, None]:
    """Yield nothing where nobody reads overviews."""
    del kube, ask_network
    nothing: Sequence[Overview] = ()
    for overview in nothing:
        yield overview


def write_nothing(path: Path, chunks: Iterable[bytes], overwrite: bool) -> int:
    """Write no file where there is no store."""
    del path, overwrite
    return sum(map(len, chunks))


@dataclass(slots=True, kw_only=True)
class CockpitServices:
    """Ports and use cases of the cockpit. New fields have a default, so that tests give only what they need.

    Attributes:
        settings: where the user's settings are kept.
        contexts: lists the contexts of the kubeconfigs; an empty list where there is no kubeconfig.
        connect: opens a context, the usual one for None; raises what ``ports.cluster.Kubes.open`` raises.
        versions: reads versions of a cluster.
        has_kubeconfig: tells fast whether there is a kubeconfig; where there is none, Setup comes first.
        context: the context that the command line names, empty where it names none.
        root: whether we may change this host.
        environment: environment variables.
        log_file: where the cockpit writes its log, None for nowhere.
        setup: makes what the setup works with, at first use; None where nothing can be set up.
        install: makes the service that installs, at first use; None where nothing can be installed.
        upgrade: makes the service that upgrades; None where nothing can be upgraded.
        reports: folder where reports of runs are saved.
        overview: follows the overview of a cluster; the flag lets it ask the network for newer versions.
        flow_feeds: opens sources of flows; None where there are none.
        write_file: writes a file that the user asked for, from chunks, over another one only where told; returns its
            size. Raises what ``adapters.store.exports.write_export`` raises.
        kernel_proof: tries the kernel of this host for a cluster; None where it cannot.
        taps: starts the tap of this host; None where there is none.
        policies: makes what policies are changed with, at first use; None where they are only read.
        now: UNIX time.
        pause: waits some seconds; tests replace it by something that waits for them.
    """

    settings: SettingsStore
    connect: Callable[[ContextInfo | None], Awaitable[Kube]]
    contexts: Callable[[], Awaitable[Sequence[ContextInfo]]] = no_contexts
    versions: Callable[[Kube], Awaitable[ClusterVersions]] = no_versions
    has_kubeconfig: Callable[[], bool] = bool
    context: str = ""
    root: bool = field(default_factory=lambda: os.geteuid() == 0)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    log_file: Path | None = None
    setup: Callable[[], SetupService] | None = None
    install: Callable[[], InstallService] | None = None
    upgrade: Callable[[], UpgradeService] | None = None
    reports: Path = field(default_factory=Path.cwd)
    overview: Callable[[Kube, bool], AsyncGenerator[Overview, None]] = no_overview
    flow_feeds: FlowFeeds | None = None
    write_file: Callable[[Path, Iterable[bytes], bool], int] = write_nothing
    kernel_proof: ProveKernel | None = None
    taps: TapFeeds | None = None
    policies: Callable[[], PolicyTools] | None = None
    now: Callable[[], float] = time.time
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
