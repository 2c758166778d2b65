"""Applying the safe fixes of preflight, with a record, and taking them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from installer.domain.preflight.actions import Action, RunCommand, touches_network
from installer.domain.preflight.fix_record import Entry, dump, load
from installer.domain.preflight.fixes import Fix
from installer.ports.changes import HostChanges
from installer.ports.guard import Guarding
from installer.ports.host import Files
from installer.ports.store import RunLock


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of taking one action back.

    Attributes:
        entry: the action.
        left: why it was left as it is, empty when it was taken back.
    """

    entry: Entry
    left: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"code": self.entry.code, "commands": list(self.entry.action.told()), "left": self.left}


@dataclass(slots=True)
class FixService:
    """Keeps the record true: an action is in it before it changes anything, and until it is taken back.

    Attributes:
        changes: changes the host.
        files: keeps the record.
        lock: keeps an install and fixes apart.
        now: UNIX time in seconds.
        record: the record's file.
        guarding: puts the network back where a change of it cuts the host off; None for no guard.
    """

    changes: HostChanges
    files: Files
    lock: RunLock
    now: Callable[[], float]
    record: Path = Path("/var/lib/beeyard/fixes.json")
    guarding: Guarding | None = None

    def applied(self) -> list[Entry]:
        """Return what was applied and not taken back, oldest first.

        Raises:
            BeeyardError: ``E-FIX-002`` the record is damaged.
        """
        found = self.files.read(self.record)
        return load(found.data if found else None, str(self.record))

    async def apply(self, fix: Fix) -> None:
        """Apply one fix, action by action.

        Raises:
            RefusedError: ``E-RUN-001`` a run is going on.
            BeeyardError: an action failed; those before it stay, and are in the record.
        """
        with self.lock.hold("beeyard preflight --fix"):
            async with self._guarded(fix.title, fix.actions):
                await self._apply(fix)

    async def _apply(self, fix: Fix) -> None:
        entries = self.applied()
        for action in fix.actions:
            if isinstance(action, RunCommand) and any(one.done and one.action == action for one in entries):
                continue  # two findings may want the same; it is taken back once
            entry = Entry(fix.code, self.now(), action, await self.changes.before(action))
            self._keep([*entries, entry])
            await self.changes.apply(action)
            entries.append(replace(entry, done=True))
            self._keep(entries)

    async def undo(self) -> list[Undone]:
        """Take everything back, the newest first; what others changed since is left alone, and stays in the record.

        Raises:
            RefusedError: ``E-RUN-001`` a run is going on.
            BeeyardError: one action could not be taken back; it and those before it are still in the record.
        """
        with self.lock.hold("beeyard preflight --undo-fixes"):
            async with self._guarded("taking fixes back", [entry.action for entry in self.applied()]):
                return await self._undo()

    async def _undo(self) -> list[Undone]:
        undone: list[Undone] = []
        entries, kept = self.applied(), list[Entry]()
        while entries:
            entry = entries[-1]
            left = await self.changes.restore(entry.action, entry.before)
            entries.pop()
            if left and entry.done:  # what was only begun may never have changed anything
                kept.insert(0, entry)
            self._keep([*entries, *kept])
            undone.append(Undone(entry, left if entry.done else ""))
        return undone

    def _guarded(self, what: str, actions: Iterable[Action]) -> AbstractAsyncContextManager[object]:
        if self.guarding is None or not any(map(touches_network, actions)):
            return nullcontext()
        return self.guarding.over(f"beeyard preflight: {what}")

    def _keep(self, entries: list[Entry]) -> None:
        if entries:
            self.files.write(self.record, dump(entries), mode=0o600, backup=False)
        else:
            self.files.remove(self.record)
