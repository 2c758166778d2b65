"""Builds what the cockpit works with. Everything heavy is imported when it is first used, after the first picture."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from installer.adapters.store.settings import SettingsFile, log_path, settings_path
from installer.services.cockpit import ClusterVersions, CockpitServices

if TYPE_CHECKING:
    from installer.domain.flows.feed import Told
    from installer.domain.overview import Overview
    from installer.domain.spec import ClusterSpec
    from installer.ports.cluster import Kube
    from installer.ports.contexts import ContextInfo
    from installer.services.flow_feed import FeedRequest
    from installer.services.install import InstallService
    from installer.services.kernel_proof import KernelReport
    from installer.services.kernel_watch import TapWish
    from installer.services.policies.rollout import PolicyTools
    from installer.services.setup import SetupService
    from installer.services.upgrade import UpgradeService

_LOG_BYTES = 1_000_000


def cockpit_services(
    kubeconfig: str | None = None, context: str | None = None, *, log_file: Path | None = None
) -> CockpitServices:
    """Return the services of the cockpit.

    Args:
        kubeconfig: path that the command line names.
        context: context that the command line names.
        log_file: where the log goes, as ``open_log`` returned it.
    """
    clusters = _Clusters(kubeconfig, context)
    return CockpitServices(
        settings=SettingsFile(settings_path()),
        contexts=clusters.contexts,
        connect=clusters.connect,
        versions=_versions,
        install=_install,
        setup=_setup,
        upgrade=_upgrade,
        has_kubeconfig=clusters.exist,
        overview=_overview,
        context=context or "",
        log_file=log_file,
        flow_feeds=_flows,
        write_file=_write_file,
        policies=_policies,
        kernel_proof=_kernel_proof,
        taps=_tap,
    )


class _Clusters:
    """The clusters of the kubeconfigs."""

    def __init__(self, kubeconfig: str | None, context: str | None):
        self._kubeconfig = kubeconfig
        self._context = context

    def exist(self) -> bool:
        """Whether there is a kubeconfig that can be read."""
        from installer.adapters.kube.access import has_kubeconfig

        return has_kubeconfig(self._kubeconfig, os.environ)

    async def contexts(self) -> Sequence[ContextInfo]:
        """List the contexts."""
        import asyncio

        return await asyncio.to_thread(self._read)

    def _read(self) -> Sequence[ContextInfo]:
        from installer.adapters.kube.access import list_contexts

        return list_contexts(self._kubeconfig, os.environ)

    async def connect(self, target: ContextInfo | None) -> Kube:
        """Connect to a context, to the usual one for None."""
        from installer.adapters.kube.opener import Kubeconfigs

        if target is None:
            return await Kubeconfigs().open(self._kubeconfig, self._context)
        source = target.source if target.source and os.pathsep not in target.source else self._kubeconfig
        return await Kubeconfigs().open(source, target.name)


def _setup() -> SetupService:
    """Make what the setup works with."""
    from installer.adapters.host.files import LocalFiles
    from installer.services.setup import SetupService
    from installer.wiring.install import STATE, install_service

    return SetupService(install_service(), LocalFiles(), dict(os.environ), STATE, root=os.geteuid() == 0)


def _install() -> InstallService:
    """Make the service that installs."""
    from installer.wiring.install import install_service

    return install_service()


def _upgrade() -> UpgradeService:
    """Make the service that upgrades."""
    from installer.wiring.upgrade import upgrade_service

    return upgrade_service()


def _flows(request: FeedRequest, kube: Kube | None) -> AsyncGenerator[Told, None]:
    """Open a source of flows."""
    from installer.wiring.flow_feeds import open_feed

    return open_feed(request, kube)


def _tap(wish: TapWish, kube: Kube | None) -> AsyncGenerator[Told, None]:
    """Start the tap of this host."""
    from installer.wiring.tap_feed import open_tap

    return open_tap(kube, wish)


async def _kernel_proof(spec: ClusterSpec | None) -> KernelReport:
    """Try this host's kernel."""
    import asyncio
    from importlib import import_module

    await asyncio.to_thread(import_module, "installer.wiring.install")  # slow, and a screen is waiting
    from installer.services.kernel_proof import prove_kernel

    return await prove_kernel(_setup(), spec)


def _policies() -> PolicyTools:
    """Make what changes policies."""
    from installer.wiring.policies import policy_tools

    return policy_tools()


def _write_file(path: Path, chunks: Iterable[bytes], overwrite: bool) -> int:
    """Write a file that the user asked for."""
    from installer.adapters.store.exports import write_export

    return write_export(path, chunks, overwrite=overwrite)


async def _versions(kube: Kube) -> ClusterVersions:
    from installer.services.cluster_versions import read_versions

    return await read_versions(kube)


async def _overview(kube: Kube, ask_network: bool) -> AsyncGenerator[Overview, None]:
    from installer.services.overview import follow
    from installer.wiring.cluster import LazyHubbles, known_releases, newest_k3s

    newest = newest_k3s if ask_network else None
    overviews = follow(kube, hubbles=LazyHubbles(), releases=known_releases(), newest_k3s=newest)
    async with aclosing(overviews):
        async for overview in overviews:
            yield overview


def open_log() -> Path | None:
    """Send Python's logging to this user's log of the cockpit; None where it cannot be written."""
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return path
