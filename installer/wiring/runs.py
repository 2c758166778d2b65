"""Builds what tells of runs and takes them back."""

from __future__ import annotations

from installer.adapters.store.assets import asset
from installer.adapters.store.journal import FileRunStore
from installer.adapters.store.lock import FileLock
from installer.adapters.store.runlog import FileRunLog
from installer.domain.redact import Redactor
from installer.pipeline.chart_values import load_releases
from installer.ports.store import RunLog
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
    state, redactor = install.STATE, Redactor()

    def open_log(run_id: str) -> RunLog:
        return FileRunLog(run_id, redactor, fallback=state / "runs" / run_id)

    return UndoService(
        tools=lambda spec, environment: install.tools(spec, environment, redactor),
        table=load_releases(asset),
        runs=FileRunStore(state, redactor=redactor),
        open_log=open_log,
        lock=FileLock(state),
        uninstall=uninstall_service(),
        guarding=guard_service,
        state_dir=state,
    )
