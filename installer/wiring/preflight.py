"""Builds what looks at this host."""

from __future__ import annotations

import os

from installer.adapters.host.files import LocalFiles
from installer.domain.setup.judgement import Look
from installer.domain.spec import ClusterSpec
from installer.services.setup import SetupService
from installer.wiring.install import STATE, install_service


async def look(spec: ClusterSpec) -> Look:
    """Look at this host, its kernel included."""
    setup = SetupService(install_service(), LocalFiles(), dict(os.environ), STATE, root=os.geteuid() == 0)
    return await setup.look(spec)
