"""What a run changes, written into its journal before it is changed, with what was there: ``undo`` reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from installer.domain.undo import stamp
from installer.ports.host import Files, ServiceState
from installer.ports.store import Journal

FOLDER = "before"
"""Folder of a run for copies of files as they were."""


class Book:
    """Writes records of changes; without a journal nothing is written.

    Args:
        journal: the run's journal.
        files: reads the host's files and writes copies.
    """

    def __init__(self, journal: Journal | None = None, files: Callable[[], Files] | None = None):
        self._journal = journal
        self._files = files
        self._known: set[Path] = set()

    def before(self, path: Path) -> None:
        """Keep a file as it is now; only the first time in a run.

        Raises:
            BeeyardError: ``E-RUN-002``, ``E-HOST-01x``: it cannot be kept, so it must not be changed.
        """
        if self._journal is None or self._files is None or path in self._known:
            return
        self._known.add(path)
        found = self._files().read(path)
        if found is None:
            self._journal.append("change", what="file", path=str(path), existed=False)
            return
        copy = f"{FOLDER}/{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
        self._files().write(self._journal.folder / copy, found.data, mode=0o600, backup=False)
        self._journal.append(
            "change",
            what="file",
            path=str(path),
            existed=True,
            copy=copy,
            mode=found.mode,
            uid=found.uid,
            gid=found.gid,
            stamp=stamp(found.data),
        )

    def after(self, path: Path) -> None:
        """Note what a file is now, so that a change by somebody else is seen later."""
        if self._journal is None or self._files is None:
            return
        found = self._files().read(path)
        self._journal.append("changed", what="file", path=str(path), stamp=stamp(found.data if found else None))

    def binary(self, path: Path) -> None:
        """Note a program that was not there."""
        if self._journal is not None and not path.exists():
            self._journal.append("change", what="file", path=str(path), existed=False)

    def service(self, name: str, state: ServiceState) -> None:
        """Note a service as it is."""
        if self._journal is not None:
            self._journal.append(
                "change",
                what="service",
                name=name,
                installed=state.installed,
                enabled=state.enabled,
                active=state.active,
            )

    def release(self, name: str, namespace: str, revision: int) -> None:
        """Note a Helm release as it is; revision 0 stands for none."""
        if self._journal is not None:
            self._journal.append("change", what="release", name=name, namespace=namespace, revision=revision)
