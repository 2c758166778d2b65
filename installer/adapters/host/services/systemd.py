"""Services under systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from installer.adapters.host.services.common import checked_name, no_answer, not_started, not_stopped, wait_for
from installer.domain.errors import BeeyardError, DeadlineError
from installer.ports.host import (
    CommandResult,
    Files,
    Processes,
    ServiceFile,
    ServiceKind,
    ServiceState,
    ServiceUnit,
)

_UNITS: Final = Path("/etc/systemd/system")
_PROPERTIES: Final = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "MainPID",
    "Result",
    "ExecMainStatus",
    "StatusText",
    "InvocationID",
    "NRestarts",
    "Job",
)

_UNIT = """\
# Written by beeyard. Put changes of your own into a drop-in: systemctl edit {name}
[Unit]
Description={description}
Documentation={documentation}
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-{env_file}
{before}ExecStart={command}
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s

[Install]
WantedBy=multi-user.target
"""


class SystemdServices:
    """Implements ``installer.ports.host.ServiceManager`` with systemctl and journalctl.

    The unit is ``Type=notify`` with no start timeout, so ``systemctl start`` could wait for ever; jobs are therefore
    queued with ``--no-block`` and watched from here.
    """

    def __init__(
        self,
        processes: Processes,
        files: Files,
        *,
        settle: float = 0.3,
        patience: float = 10.0,
        answer: float = 30.0,
    ) -> None:
        """Set up.

        Args:
            processes: runs systemctl.
            files: deletes definitions.
            settle: seconds a fresh main process must live for the start to count.
            patience: seconds to wait for a main process; after that systemd holds the job back and we leave it to it.
            answer: seconds within which systemd must answer a question.
        """
        self._processes = processes
        self._files = files
        self._settle = settle
        self._patience = patience
        self._answer = answer

    @property
    def kind(self) -> ServiceKind:
        """Which one it is."""
        return ServiceKind.SYSTEMD

    def definition(self, unit: ServiceUnit) -> list[ServiceFile]:
        """Return the unit and its environment file (0600), without writing them."""
        name = checked_name(unit.name)
        env_file = _UNITS / f"{name}.service.env"
        text = _UNIT.format(
            name=name,
            description=_plain(unit.description),
            documentation=_plain(unit.documentation),
            env_file=env_file,
            before="".join(f"ExecStartPre=-/sbin/modprobe {_quoted(module)}\n" for module in unit.modules),
            command=" ".join(_quoted(arg) for arg in unit.argv),
        )
        env = "".join(f"{key}={_env_quoted(key, value)}\n" for key, value in sorted(unit.env.items()))
        return [
            ServiceFile(_UNITS / f"{name}.service", text.encode(), 0o644),
            ServiceFile(env_file, env.encode(), 0o600),
        ]

    async def state(self, name: str) -> ServiceState:
        """Return the state of a service; during the start ``detail`` tells what it waits for."""
        return _state(await self._show(name))

    async def reload(self) -> None:
        """Make systemd read changed units."""
        await self._systemctl("daemon-reload")

    async def enable(self, name: str) -> None:
        """Start the service at boot from now on."""
        await self._systemctl("enable", "--quiet", _unit(name))

    async def start(self, name: str) -> None:
        """Start the service without waiting for it to be ready (never hangs).

        Raises:
            BeeyardError: ``E-SVC-001`` with the journal's last lines.
        """
        await self._systemctl("reset-failed", _unit(name), check=False)
        before = await self._show(name)
        await self._queue("start", name)
        await self._watch_start(name, before["NRestarts"])

    async def stop(self, name: str, *, timeout: float = 90.0) -> None:
        """Stop the main process; its containers stay (KillMode=process).

        Raises:
            DeadlineError: ``E-SVC-002``.
        """
        if not (await self._loaded(name)):
            return
        await self._systemctl("stop", "--no-block", _unit(name))
        if not await wait_for(lambda: self._is_down(name), timeout):
            raise not_stopped(name, timeout, (await self.state(name)).detail)

    async def restart(self, name: str) -> None:
        """Stop and start the service.

        Raises:
            BeeyardError: ``E-SVC-001`` it did not come back; ``E-SVC-002`` the old process did not end.
        """
        await self._systemctl("reset-failed", _unit(name), check=False)
        old = (await self._show(name))["MainPID"]
        await self._queue("restart", name)

        async def old_is_gone() -> bool:
            return old == "0" or (await self._show(name))["MainPID"] != old

        if not await wait_for(old_is_gone, 90.0):
            raise not_stopped(name, 90.0, (await self.state(name)).detail)
        await self._watch_start(name, "0")

    async def remove(self, unit: ServiceUnit) -> None:
        """Stop, disable and delete the definition."""
        await self.stop(unit.name)
        await self._systemctl("disable", "--quiet", _unit(unit.name), check=False)
        for file in self.definition(unit):
            self._files.remove(file.path)
        await self.reload()
        await self._systemctl("reset-failed", _unit(unit.name), check=False)

    async def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the last lines of the unit's journal, oldest first; none where there is no journal."""
        argv = ["journalctl", "--unit", _unit(name), "--lines", str(lines), "--no-pager", "--quiet", "--output", "cat"]
        result = await self._processes.run(argv, check=False, timeout=self._answer)
        return result.out.splitlines() if result.rc == 0 else []

    async def _systemctl(self, *args: str, check: bool = True) -> CommandResult:
        argv = ["systemctl", "--no-ask-password", *args]
        try:
            return await self._processes.run(argv, check=check, timeout=self._answer)
        except DeadlineError as error:
            raise no_answer("systemd", error) from error

    async def _show(self, name: str) -> dict[str, str]:
        result = await self._systemctl("show", _unit(name), f"--property={','.join(_PROPERTIES)}")
        shown = dict(line.partition("=")[::2] for line in result.out.splitlines())
        return {key: shown.get(key, "") for key in _PROPERTIES}

    async def _loaded(self, name: str) -> bool:
        return (await self._show(name))["LoadState"] not in ("not-found", "")

    async def _is_down(self, name: str) -> bool:
        shown = await self._show(name)
        return shown["ActiveState"] in ("inactive", "failed") and shown["MainPID"] == "0"

    async def _queue(self, verb: str, name: str) -> None:
        """Queue a job; systemd refuses at once what it cannot load."""
        try:
            await self._systemctl(verb, "--no-block", _unit(name))
        except BeeyardError as error:
            if error.code != "E-HOST-002":
                raise
            raise not_started(name, error.why, [], f"run: systemctl status {_unit(name)}") from error

    async def _watch_start(self, name: str, restarts: str) -> None:
        """Watch until a main process lives for ``settle`` seconds, or the first one has died."""

        async def decided() -> bool:
            shown = await self._show(name)
            if shown["ActiveState"] == "failed" or shown["SubState"] == "auto-restart" or _more(shown, restarts):
                lines = await self.logs(name, 20)
                raise not_started(name, _state(shown).detail, lines, f"run: journalctl -u {_unit(name)}")
            return shown["MainPID"] != "0"

        async def never() -> bool:
            await decided()
            return False

        if await wait_for(decided, self._patience):
            await wait_for(never, self._settle)


def _unit(name: str) -> str:
    return f"{checked_name(name)}.service"


def _more(shown: dict[str, str], restarts: str) -> bool:
    return int(shown["NRestarts"] or 0) > int(restarts or 0)


def _state(shown: dict[str, str]) -> ServiceState:
    pid = int(shown["MainPID"] or 0)
    active = pid > 0 and shown["ActiveState"] in ("active", "activating", "reloading")
    settled = shown["ActiveState"] == "active" and pid > 0
    return ServiceState(
        installed=shown["LoadState"] not in ("not-found", ""),
        enabled=shown["UnitFileState"] in ("enabled", "enabled-runtime", "static", "linked"),
        active=active,
        pid=pid if active else 0,
        detail="" if settled else _detail(shown),
    )


def _detail(shown: dict[str, str]) -> str:
    if shown["LoadState"] not in ("loaded", "not-found", ""):
        return f"unit is {shown['LoadState']}"
    words = f"{shown['ActiveState']} ({shown['SubState']})"
    if shown["Result"] not in ("success", ""):
        words += f", {shown['Result']}, exit status {shown['ExecMainStatus']}"
    if shown["StatusText"]:
        words += f": {shown['StatusText']}"
    if shown["Job"] not in ("0", ""):
        words += f", job {shown['Job']} waits"
    return words


def _plain(text: str) -> str:
    """Return one line with systemd's specifiers taken literally."""
    return " ".join(text.split()).replace("%", "%%")


def _quoted(arg: str) -> str:
    """Quote an argument of a command line in a unit."""
    escaped = arg.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace("%", "%%").replace("$", "$$")}"'


def _env_quoted(key: str, value: str) -> str:
    """Quote a value of an environment file, where nothing is expanded."""
    if "\n" in value or "\0" in value:
        raise BeeyardError(
            f"the variable {key} has more than one line",
            why="environment files cannot hold it",
            fix=f"unset {key} or give it in one line",
            code="E-SVC-005",
        )
    for character in '\\"`$':
        value = value.replace(character, f"\\{character}")
    return f'"{value}"'
