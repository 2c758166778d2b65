"""Builds what an upgrade works with."""

from __future__ import annotations

import os
import time

from installer.adapters.k3s.datastore import LocalDatastore
from installer.domain.events import LogLine
from installer.pipeline.run import Emit
from installer.ports.guard import Guarding
from installer.services.upgrade import UpgradeService
from installer.wiring.guard import guard_service
from installer.wiring.install import install_service


def upgrade_service() -> UpgradeService:
    """Return the service that upgrades."""
    install = install_service()

    def guarding(emit: Emit) -> Guarding:
        return guard_service(dict(os.environ), lambda text: emit(LogLine(time.time(), "", "info", text)))

    return UpgradeService(install, LocalDatastore(), guarding)
