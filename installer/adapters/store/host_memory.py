"""What the host was before the install: ``<state>/inventory``; implements ``installer.ports.residue.HostMemory``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from installer.adapters.store.runlog import LOGS
from installer.domain.errors import BeeyardError
from installer.domain.residue.inventory import Inventory, Kind, load
from installer.ports.host import Files


class FileMemory:
    """Files below the state folder, 0600.

    ``before.json`` is the inventory of the install that stands, ``files/`` has copies by sha256; ``last.json`` is the
    one of an install that was taken away. ``uninstall.json`` is there while an uninstall is on its way.

    Args:
        state: such as ``/var/lib/beeyard``.
        files: writes atomically.
        logs: folder of the logs of runs.
    """

    def __init__(self, state: Path, files: Files, *, logs: Path = LOGS):
        self._state = state
        self._folder = state / "inventory"
        self._files = files
        self._logs = logs

    def before(self) -> Inventory | None:
        """Return the inventory of the install that stands, or of the last one that was taken away."""
        for name in ("before.json", "last.json"):
            if found := self._files.read(self._folder / name):
                return load(found.data, str(self._folder / name))
        return None

    def stands(self) -> bool:
        """Whether an inventory is kept for an install that was not taken away yet."""
        return (self._folder / "before.json").exists()

    def keep(self, inventory: Inventory) -> None:
        """Keep an inventory and copies of files; the copies come first, so that what is told of is there."""
        for item in inventory.of(Kind.FILE, Kind.KUBECONFIG):
            if item.facts.get("kept") and item.facts.get("sha256"):
                self._copy(Path(item.name), str(item.facts["sha256"]))
        self._write("before.json", inventory.dump())

    def _copy(self, path: Path, digest: str) -> None:
        found = self._files.read(path)
        if found is not None:
            self._files.write(self._folder / "files" / digest, found.data, mode=0o600, backup=False)

    def copy_of(self, digest: str) -> Path | None:
        """Return the copy of a file by its sha256, None where there is none."""
        path = self._folder / "files" / digest
        return path if digest and path.is_file() else None

    def arrived(self) -> tuple[str, ...]:
        """Return the files that came while beeyard installed."""
        return tuple(self._json("arrived.json") or ())

    def keep_arrived(self, names: Sequence[str]) -> None:
        """Add to them."""
        self._write_json("arrived.json", sorted({*self.arrived(), *names}))

    def goal(self) -> dict[str, Any] | None:
        """Return what an uninstall that is not finished yet set out to do."""
        found = self._json("uninstall.json")
        return found if isinstance(found, dict) else None

    def keep_goal(self, goal: dict[str, Any]) -> None:
        """Write it down."""
        self._write_json("uninstall.json", goal)

    def kept_data(self) -> tuple[str, ...]:
        """Return the folders of a cluster that an uninstall left on purpose."""
        return tuple(self._json("kept.json") or ())

    def close(self, after: Inventory, kept_data: Sequence[str]) -> None:
        """End an uninstall; killed in between, the next one ends it again."""
        self._write("after.json", after.dump())
        if kept_data:
            self._write_json("kept.json", list(kept_data))
        else:
            (self._folder / "kept.json").unlink(missing_ok=True)
        if self.stands():
            (self._folder / "before.json").replace(self._folder / "last.json")
        (self._folder / "arrived.json").unlink(missing_ok=True)
        (self._folder / "uninstall.json").unlink(missing_ok=True)

    def archive(self, paths: Sequence[Path], folder: Path) -> None:
        """Copy files into a folder of ours, with their whole path below it."""
        for path in paths:
            if found := self._files.read(path):
                self._files.write(folder / path.relative_to("/"), found.data, mode=0o600, backup=False)

    def purge(self) -> None:
        """Remove all of beeyard's state and logs."""
        shutil.rmtree(self._logs, ignore_errors=True)
        shutil.rmtree(self._state, ignore_errors=True)

    def _json(self, name: str) -> Any:
        found = self._files.read(self._folder / name)
        try:
            return json.loads(found.data) if found else None
        except ValueError as error:
            raise BeeyardError(
                f"{self._folder / name} cannot be read",
                why=str(error),
                fix=f"Move {self._folder / name} away and run again.",
                code="E-RESIDUE-001",
            ) from error

    def _write(self, name: str, data: bytes) -> None:
        self._files.write(self._folder / name, data, mode=0o600, backup=False)

    def _write_json(self, name: str, value: Any) -> None:
        self._write(name, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
