"""The guard of this host."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import installer
from installer.adapters.host.guard import restore, session, watchdog
from installer.adapters.host.guard.state import (
    ARMED,
    OFF,
    RESTORED,
    RESTORING,
    GuardFiles,
    alive,
    boot_id,
    started,
    uptime,
)
from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.guard import Reach, Restored, Session
from installer.ports.guard import Armed, Watch
from installer.ports.host import Processes

FOLDER: Final = Path("/var/lib/beeyard/guard")
LOG: Final = Path("/var/log/beeyard/guard.log")
_ROOT: Final = Path(installer.__file__).parent.parent
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from installer.adapters.host.guard.watchdog import main; main()"
)
_PATIENCE = 10.0
_POLL = 0.02


class HostGuard:
    """Implements ``installer.ports.guard.Guard`` for the network namespace that we are in.

    Args:
        processes: starts the watchdog.
        folder: state of the guard.
        log: what the watchdog did.
    """

    def __init__(self, processes: Processes, *, folder: Path = FOLDER, log: Path = LOG):
        self._processes = processes
        self._files = GuardFiles(folder)
        self._log = log

    def session(self, environment: Mapping[str, str]) -> Session | None:
        """Return the SSH session that drives us, None where there is none."""
        return session.find(environment)

    async def arm(self, *, seconds: float, reason: str, watch: Watch) -> Armed:
        """Write the network down and start the watchdog; it stands when this returns.

        Raises:
            RefusedError: ``E-GUARD-001`` another guard stands, and its owner lives.
            BeeyardError: ``E-GUARD-002`` it cannot be armed.
        """
        try:
            guard = await asyncio.to_thread(self._prepare, seconds, reason, watch.session)
            await self._start(guard["id"])
        except OSError as error:
            raise _not_armed(str(error)) from error
        return self._armed(guard)

    async def current(self) -> Armed | None:
        """Return the guard that stands."""
        guard = self._files.guard()
        return self._armed(guard) if guard is not None and _stands(guard) else None

    async def renew(self, armed: Armed) -> bool:
        """Give it its whole time again; a watchdog that was killed is started anew."""
        if not await asyncio.to_thread(self._change, armed.id, lambda: {"deadline": uptime() + armed.seconds}):
            return False
        if not self._files.watchdog():
            await self._start(armed.id)
        return True

    async def disarm(self, armed: Armed) -> bool:
        """Take it off for good, and let the watchdog end."""
        if not await asyncio.to_thread(self._change, armed.id, lambda: {"state": OFF}):
            return False
        await _until(lambda: not self._files.watchdog(), 2.0)
        return True

    async def restore(self) -> Restored:
        """Put the network back now, also from the last guard that was taken off.

        Raises:
            RefusedError: ``E-GUARD-003`` there is nothing to restore.
        """
        guard, snapshot = await asyncio.to_thread(self._take)
        lines = [f"guard {guard['id']} ({guard['reason']}): the network is put back, as it was asked for"]
        watchdog.note(self._log, lines)
        done, failed = await asyncio.to_thread(restore.put_back, snapshot)
        watchdog.note(self._log, watchdog.told(done, failed))
        self._files.finish(done, failed)
        return Restored(time.time(), guard["id"], guard["reason"], tuple(done), tuple(failed))

    async def last(self) -> Restored | None:
        """Return what the last restore did, None where none happened since the guard before."""
        guard = self._files.guard()
        if guard is None or guard["state"] != RESTORED:
            return None
        outcome = guard["outcome"]
        return Restored(outcome["at"], guard["id"], guard["reason"], tuple(outcome["done"]), tuple(outcome["failed"]))

    async def untold(self) -> Restored | None:
        """Return what the last restore did, once."""
        guard = self._files.guard()
        if guard is None or guard["state"] != RESTORED or guard.get("told"):
            return None
        with self._files.locked():
            self._files.keep({**guard, "told": True})
        return await self.last()

    async def reach(self, session_: Session, /) -> Reach:
        """Return how the session's other side is reached now."""
        return await asyncio.to_thread(session.reach, session_)

    def _prepare(self, seconds: float, reason: str, watched: Session | None) -> dict[str, Any]:
        """Write down who guards what; the network too, unless a guard whose owner died has it already."""
        self._files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._files.locked():
            found = self._files.guard()
            standing = found if found is not None and _stands(found) else None
            if standing is not None and (_owned(standing) or standing["state"] == RESTORING):
                raise _stands_already(standing)
            if standing is None:
                self._files.keep_snapshot(restore.take())
            guard = {
                "id": standing["id"] if standing else secrets.token_hex(4),
                "state": ARMED,
                "reason": reason,
                "armed_at": standing["armed_at"] if standing else time.time(),
                "seconds": seconds,
                "deadline": uptime() + seconds,
                "boot": boot_id(),
                "owner": os.getpid(),
                "owner_started": started(os.getpid()),
                "session": _session_record(watched),
            }
            self._files.keep(guard)
        return guard

    async def _start(self, guard_id: str) -> None:
        """Start the watchdog, unless it lives (a guard that is taken over has one), and wait until it stands.

        Raises:
            BeeyardError: ``E-GUARD-002``.
        """
        if self._files.watchdog():
            return
        base = [sys.executable, "-I", "-S", "-c", _BOOT, str(_ROOT), str(self._files.folder), str(self._log)]
        unit = ["systemd-run", "--quiet", "--collect", f"--unit=beeyard-guard-{guard_id}-{secrets.token_hex(2)}"]
        kept = ["--property=Restart=on-abnormal", "--property=OOMScoreAdjust=-900"]
        problem = ""
        for argv in ([*unit, *kept, *base],) * _under_systemd() + ([*base, "detach"],):
            try:
                await self._processes.run(argv)
            except BeeyardError as error:
                problem = error.why or error.what
                continue
            if await _until(lambda: bool(self._files.watchdog()), _PATIENCE):
                return
        await asyncio.to_thread(self._change, guard_id, lambda: {"state": OFF})
        raise _not_armed(problem or "its watchdog does not start")

    def _change(self, guard_id: str, fields: Any) -> bool:
        try:
            with self._files.locked():
                guard = self._files.guard()
                if guard is None or guard["id"] != guard_id or guard["state"] != ARMED:
                    return False
                self._files.keep({**guard, **fields()})
        except FileNotFoundError:
            return False
        return True

    def _take(self) -> tuple[dict[str, Any], dict[str, Any]]:
        guard, snapshot = self._files.guard(), self._files.snapshot()
        if guard is None or snapshot is None:
            raise _nothing("No guard was armed on this host.", "Guards are armed by install, upgrade and uninstall.")
        if guard["boot"] != boot_id():
            raise _nothing("The host was started since.", "What was there before went with the restart.")
        with self._files.locked():
            guard = self._files.guard() or guard
            if guard["state"] == RESTORING and self._files.watchdog():
                raise _nothing("The watchdog is putting it back right now.", f"See {self._log}.")
            self._files.keep({**guard, "state": RESTORING})
        return guard, snapshot

    def _armed(self, guard: Mapping[str, Any]) -> Armed:
        watched = guard.get("session")
        return Armed(
            id=guard["id"],
            reason=guard["reason"],
            armed_at=guard["armed_at"],
            seconds=guard["seconds"],
            remaining=max(guard["deadline"] - uptime(), 0.0),
            owner=guard["owner"],
            owned=_owned(guard),
            watchdog=self._files.watchdog(),
            session=Session(**watched) if watched else None,
        )


def _session_record(watched: Session | None) -> dict[str, Any] | None:
    if watched is None:
        return None
    return {name: getattr(watched, name) for name in ("client", "client_port", "server", "server_port")}


def _stands(guard: Mapping[str, Any]) -> bool:
    return guard["state"] in (ARMED, RESTORING) and guard["boot"] == boot_id()


def _owned(guard: Mapping[str, Any]) -> bool:
    return alive(guard["owner"], guard["owner_started"])


def _under_systemd() -> bool:
    """Whether systemd has booted this host, and a unit of it would see the namespaces that we see."""
    if not Path("/run/systemd/system").is_dir():
        return False
    try:
        return all(Path(f"/proc/self/ns/{one}").samefile(f"/proc/1/ns/{one}") for one in ("net", "mnt", "pid"))
    except OSError:
        return False


async def _until(condition: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(_POLL)
    return True


def _stands_already(guard: Mapping[str, Any]) -> RefusedError:
    restoring = guard["state"] == RESTORING
    return RefusedError(
        "another guard stands on this host",
        why=f"{guard['reason']} (pid {guard['owner']})" + (", and the network is being put back" if restoring else ""),
        fix="Wait until it ends; `beeyard guard status` shows it"
        + (", `beeyard guard restore` finishes what was interrupted." if restoring else "."),
        code="E-GUARD-001",
        details={"id": guard["id"], "owner": guard["owner"], "state": guard["state"]},
    )


def _not_armed(why: str) -> BeeyardError:
    return BeeyardError(
        "the guard of the host's network cannot be armed",
        why=why,
        fix="Nothing was changed. Run as root, and check that /var/lib/beeyard can be written and has space left.",
        code="E-GUARD-002",
    )


def _nothing(why: str, fix: str) -> RefusedError:
    return RefusedError("there is nothing to restore", why=why, fix=fix, code="E-GUARD-003")
