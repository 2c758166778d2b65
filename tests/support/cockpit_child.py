"""A cockpit that installs at once, for a process of its own: ``python -m tests.support.cockpit_child BUNDLE FILE``."""

from __future__ import annotations

import asyncio
import sys

from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options
from installer.tui.app import Cockpit
from installer.tui.settings import Settings
from installer.wiring.cockpit import cockpit_services


def spec_of(bundle: str, kubeconfig: str) -> ClusterSpec:
    """Return a cluster from a bundle."""
    return ClusterSpec.model_validate({"downloads": {"bundle": bundle}, "k3s": {"kubeconfig": {"path": kubeconfig}}})


async def install(bundle: str, kubeconfig: str) -> None:
    """Run the cockpit and begin as soon as it is up."""
    app = Cockpit(cockpit_services(), Settings(), area="setup")
    async with asyncio.TaskGroup() as group:
        group.create_task(app.run_async())
        while not app.is_running:
            await asyncio.sleep(0.05)
        app.run_host.start(spec_of(bundle, kubeconfig), Options(allow_unsupported=True))
        app.show_run()


if __name__ == "__main__":
    asyncio.run(install(*sys.argv[1:3]))
