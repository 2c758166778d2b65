"""The area of the user's kubeconfig; implements ``installer.ports.residue.Area``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from installer.domain.errors import BeeyardError
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.scope import Scope
from installer.ports.host import Files
from installer.ports.kubeconfig import UserKubeconfigs
from installer.ports.residue import Seen

_SECTIONS: Final = ("clusters", "contexts", "users")


class KubeconfigArea:
    """Takes our entries out by structure; where nothing else has changed since, the file is what it was to the byte."""

    kinds = frozenset({Kind.KUBECONFIG})

    def __init__(
        self,
        files: Files,
        kubeconfigs: UserKubeconfigs,
        before: Callable[[], Inventory | None],
        copy_of: Callable[[str], Path | None],
    ) -> None:
        """Set up.

        Args:
            files: reads and writes.
            kubeconfigs: takes entries out.
            before: gives the inventory of the time before the install.
            copy_of: gives the copy of a file by its sha256.
        """
        self._files = files
        self._kubeconfigs = kubeconfigs
        self._before = before
        self._copy_of = copy_of

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return the user's kubeconfig, also where there is no file yet."""
        del before
        if not scope.kubeconfig:
            return Seen()
        path = Path(scope.kubeconfig)
        try:
            found = self._files.read(path)
        except BeeyardError as error:
            return Seen(missing=(f"{path}: {error.why}",))
        facts: dict[str, Any] = {"folder": path.parent.is_dir(), "holds": False}
        if found is not None:
            digest = hashlib.sha256(found.data).hexdigest()
            facts |= {"sha256": digest, "mode": f"{found.mode:04o}", "uid": found.uid, "gid": found.gid, "kept": True}
            facts["holds"] = scope.context in _names(found.data)
        return Seen((Item(Kind.KUBECONFIG, str(path), facts, {"context": scope.context}),))

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Take our entries out, with a backup of what was there."""
        failed = []
        for item in items:
            try:
                self._kubeconfigs.remove(item.name, str(item.handle["context"]))
                self._as_before(Path(item.name), str(item.handle["context"]))
            except (BeeyardError, OSError) as error:
                failed.append(f"{item.name}: {error}")
        return failed

    def _as_before(self, path: Path, name: str) -> None:
        """Give back the very bytes of before where they say the same, and drop the copies made on the way."""
        inventory = self._before()
        old = inventory.get(Kind.KUBECONFIG, str(path)) if inventory is not None else None
        if old is None:
            return
        now, copy = self._files.read(path), self._copy_of(str(old.facts.get("sha256", "")))
        if now is None and not old.facts.get("sha256"):
            self._drop_backups(path)
            if not old.facts.get("folder"):
                with suppress(OSError):  # others put something there meanwhile
                    path.parent.rmdir()
        elif copy is not None and _same(now.data if now is not None else b"", copy.read_bytes(), name):
            owner = (int(old.facts["uid"]), int(old.facts["gid"]))
            self._files.write(path, copy.read_bytes(), mode=int(old.facts["mode"], 8), owner=owner, backup=False)
            self._drop_backups(path)

    def _drop_backups(self, path: Path) -> None:
        for backup in path.parent.glob(f"{path.name}.beeyard-*"):
            backup.unlink(missing_ok=True)

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Nothing more: what the user changed since stays."""
        del changes
        return []


def _parsed(data: bytes) -> Any:
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError:
        return None


def _names(data: bytes) -> set[str]:
    """Return all names of clusters, contexts and users."""
    return set(_entry_names(_parsed(data)))


def _entry_names(document: Any) -> Iterator[str]:
    for section in _SECTIONS if isinstance(document, dict) else ():
        for entry in document.get(section) or []:
            if isinstance(entry, dict):
                yield str(entry.get("name"))


def _same(one: bytes, other: bytes, name: str) -> bool:
    """Whether two kubeconfigs say the same of all others; an empty section says as much as none."""
    return bool(_told(_parsed(one), name) == _told(_parsed(other), name))


def _told(document: Any, name: str) -> Any:
    if not isinstance(document, dict):
        return {}
    told = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    for section in _SECTIONS:
        told[section] = [one for one in document.get(section) or [] if (one or {}).get("name") != name]
    if told.get("current-context") == name:
        del told["current-context"]
    return {key: value for key, value in told.items() if value}
