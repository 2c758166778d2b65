"""Builds what tells of runs and takes them back."""

from __future__ import annotations

from installer.adapters.store.journal import FileRunStore
from installer.adapters.store.lock import FileLock
from installer.domain.redact import Redactor
from installer.services.runs import RunHistory
from installer.services.undo import UndoService
from installer.wiring import install
from installer.wiring.guard import guard_service
from installer.wiring.uninstall import uninstall_service


def run_history() -> RunHistory:
    """Return the history of this host's runs."""
    return RunHistory(FileRunStore(install.STATE), FileLock(install.STATE))


def undo_service() -> UndoService:
    """Return the service that takes runs back."""
    return UndoService(
        **install.parts(Redactor()),
        uninstall=uninstall_service(),
        guarding=guard_service,
        state_dir=install.STATE,
    )
