"""The use cases that the cockpit is given, in one place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.ports.contexts import ContextInfo
    from installer.ports.settings import SettingsStore


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
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
