"""Services where there is no service manager: beeyard's own supervisor keeps the program running."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from installer.adapters.host.services import supervisor
from installer.adapters.host.services.common import checked_name, not_started, not_stopped, wait_for
from installer.domain.errors import BeeyardError
from installer.ports.host import Files, Processes, ServiceFile, ServiceKind, ServiceState, ServiceUnit

ROOT: Final = Path("/var/lib/beeyard/services")
SHARE_ROOT: Final = ("mount", "--make-rshared", "/")
_UNTIL_REBOOT: Final = (
    "this host has no service manager: it is kept running until the next boot, then run `beeyard install --yes` again"
)


class SupervisedServices:
    """Implements ``installer.ports.host.ServiceManager`` with ``supervisor.py``, one detached process per service.

    State lies below ``root/<name>/``. ``enabled`` means "kept running until the next boot": nothing here starts a
    service at boot, and ``state().detail`` says so.
    """

    def __init__(
        self,
        processes: Processes,
        files: Files,
        *,
        root: Path = ROOT,
        boot_id_file: Path = Path(supervisor.BOOT_ID),
        prepare: Sequence[Sequence[str]] = (SHARE_ROOT,),
        backoff: tuple[float, float, float] = (1.0, 60.0, 60.0),
        settle: float = 0.3,
    ) -> None:
        """Set up.

        Args:
            processes: runs the supervisor.
            files: reads definitions.
            root: folder of all services' state.
            boot_id_file: tells boots apart.
            prepare: commands run before the first start; their failure does not matter.
            backoff: seconds before the first restart, at most, and of life after which counting begins anew.
            settle: seconds a fresh process must live for the start to count.
        """
        self._processes = processes
        self._files = files
        self._root = root
        self._boot_id_file = boot_id_file
        self._prepare = [list(argv) for argv in prepare]
        self._backoff = backoff
        self._settle = settle

    @property
    def kind(self) -> ServiceKind:
        """Which one it is."""
        return ServiceKind.NONE

    def definition(self, unit: ServiceUnit) -> list[ServiceFile]:
        """Return the supervisor's description of the unit and its environment (0600), without writing them."""
        folder = self._folder(unit.name)
        described = {
            "description": unit.description,
            "argv": list(unit.argv),
            "log": str(unit.log),
            "prepare": [*self._prepare, *(["modprobe", module] for module in unit.modules)],
            "backoff": list(self._backoff),
        }
        return [
            ServiceFile(folder / "unit.json", _json(described), 0o644),
            ServiceFile(folder / "env.json", _json(dict(sorted(unit.env.items()))), 0o600),
        ]

    async def state(self, name: str) -> ServiceState:
        """Return the state of a service; ``detail`` is always filled, see the class."""
        if self._files.read(self._folder(name) / "unit.json") is None:
            return ServiceState(installed=False, enabled=False, active=False, detail="not installed")
        found = await self._status(name)
        pid = int(found["pid"])
        enabled = found["supervisor"] > 0
        return ServiceState(installed=True, enabled=enabled, active=pid > 0, pid=pid, detail=_detail(found))

    async def reload(self) -> None:
        """Do nothing: the definition is read at every start."""

    async def enable(self, name: str) -> None:
        """Do nothing: no start at boot is possible, and a running service is kept running anyway."""

    async def start(self, name: str) -> None:
        """Start a supervisor and its program; a program left behind by a dead supervisor is taken over.

        Raises:
            BeeyardError: ``E-SVC-001`` with the last lines of the log.
        """
        try:
            await self._supervisor("start", name)
        except BeeyardError as error:
            if error.code != "E-HOST-002":
                raise
            raise await self._not_started(name, error.why) from error
        await self._settled(name)

    async def stop(self, name: str, *, timeout: float = 90.0) -> None:
        """Stop supervisor and main process; its containers stay.

        Raises:
            DeadlineError: ``E-SVC-002``.
        """
        if self._files.read(self._folder(name) / "unit.json") is None:
            return
        try:
            await self._supervisor("stop", name, str(timeout), timeout=timeout + 30.0)
        except BeeyardError as error:
            if error.code != "E-HOST-002":
                raise
            raise not_stopped(name, timeout, (await self.state(name)).detail) from error

    async def restart(self, name: str) -> None:
        """Stop and start the service."""
        await self.stop(name)
        await self.start(name)

    async def remove(self, unit: ServiceUnit) -> None:
        """Stop the service and delete its folder; the log stays."""
        await self.stop(unit.name)
        await self._processes.run(["rm", "-rf", "--", str(self._folder(unit.name))])

    async def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the last lines of the service's log, oldest first."""
        unit = self._files.read(self._folder(name) / "unit.json")
        if unit is None:
            return []
        log = json.loads(unit.data)["log"]
        result = await self._processes.run(["tail", "-n", str(lines), log], check=False)
        return result.out.splitlines() if result.rc == 0 else []

    def _folder(self, name: str) -> Path:
        return self._root / checked_name(name)

    async def _supervisor(self, verb: str, name: str, *args: str, timeout: float = 60.0) -> str:
        program = [sys.executable, "-I", "-S", supervisor.__file__]
        argv = [*program, verb, str(self._folder(name)), str(self._boot_id_file), *args]
        return (await self._processes.run(argv, timeout=timeout)).out

    async def _status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._supervisor("status", name))
        return found

    async def _settled(self, name: str) -> None:
        """Watch a fresh program for ``settle`` seconds; its end in that time is a failed start."""

        async def never() -> bool:
            found = await self._status(name)
            if found["pid"] == 0:
                raise await self._not_started(name, _detail(found))
            return False

        await wait_for(never, self._settle)

    async def _not_started(self, name: str, detail: str) -> BeeyardError:
        lines = await self.logs(name, 20)
        return not_started(name, detail, lines, "mend what the log shows and run again")


def _json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()


def _detail(found: dict[str, Any]) -> str:
    if found["supervisor"] and found["pid"]:
        return _UNTIL_REBOOT
    if found["supervisor"]:
        return f"{found.get('last') or 'starting'}; next start in {found.get('delay', 0):g} s"
    if found["pid"]:
        return f"runs as pid {found['pid']}, but its supervisor has died: it would not be restarted; start it again"
    if found["rebooted"]:
        return "it ran before the last boot; nothing starts it at boot, run `beeyard install --yes` again"
    return "it ended, and its supervisor has died; start it again" if found["known"] else "stopped"
