"""Builds what looks at this host."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from installer.adapters.host.files import LocalFiles
from installer.domain import proxy
from installer.domain.preflight.surroundings import Source
from installer.domain.setup.judgement import Look
from installer.domain.spec import ClusterSpec
from installer.services.preflight_fixes import FixService
from installer.services.setup import SetupService
from installer.wiring.install import STATE, install_service


async def look(spec: ClusterSpec) -> Look:
    """Look at this host, its kernel included."""
    setup = SetupService(install_service(), LocalFiles(), dict(os.environ), STATE, root=os.geteuid() == 0)
    return await setup.look(spec)


def fix_service(tell: Callable[[str], None] = lambda _: None) -> FixService:
    """Return the service that applies safe fixes to this host; ``tell`` receives lines of the guard."""
    from installer.adapters.host.changes import LocalChanges
    from installer.adapters.host.processes import LocalProcesses
    from installer.adapters.store.lock import FileLock
    from installer.wiring.guard import guard_service

    files = LocalFiles()
    changes = LocalChanges(LocalProcesses(), files)
    guarding = guard_service(dict(os.environ), tell)
    return FixService(changes, files, FileLock(STATE), time.time, STATE / "fixes.json", guarding)


async def knock(spec: ClusterSpec, urls: dict[str, str]) -> tuple[Source, ...]:
    """Ask the sources of downloads whether they are there, as a download would."""
    from installer.adapters.web.knock import knock as ask

    environment, downloads = dict(os.environ), spec.downloads
    variables = proxy.variables(spec, environment)
    return await ask(
        urls,
        proxy=downloads.proxy or "",
        no_proxy=variables.get("NO_PROXY", ""),
        ca_file=Path(downloads.ca_file) if downloads.ca_file else None,
        environment=environment,
    )
