"""Services under OpenRC, kept running by its supervise-daemon."""

from __future__ import annotations

import shlex
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

_SCRIPTS: Final = Path("/etc/init.d")
_ENVIRONMENTS: Final = Path("/etc/rancher/k3s")
_ROTATIONS: Final = Path("/etc/logrotate.d")
_OPTIONS: Final = Path("/run/openrc/options")
_ANSWER_SECONDS = 60.0
_WORDS = {3: "stopped", 4: "stopping", 8: "starting", 16: "inactive", 32: "crashed", 64: "unsupervised"}
_ORPHANED = (32, 64)

_SCRIPT = """\
#!/sbin/openrc-run
# Written by beeyard. Put settings of your own into /etc/conf.d/{name}
description={description}
supervisor=supervise-daemon
name={name}
command={command}
command_args={args}
output_log={log}
error_log={log}
pidfile=/run/{name}.pid
respawn_delay=5
respawn_max=0
retry="TERM/75/KILL/5"

depend() {{
    after network-online firewall
    want cgroups
}}

start_pre() {{
    ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    mount --make-rshared / || ewarn "/ cannot be made a shared mount"
{modules}    return 0
}}

set -o allexport
if [ -r {env_file} ]; then . {env_file}; fi
set +o allexport
"""

_ROTATION = """\
{log} {{
    missingok
    notifempty
    copytruncate
    size 16M
    rotate 2
}}
"""


class OpenrcServices:
    """Implements ``installer.ports.host.ServiceManager`` with rc-service and rc-update.

    supervise-daemon starts the program and returns; it restarts it for ever, and stops only the program itself.
    Readiness messages (``sd_notify``) do not exist here, nor are they needed: readiness is judged by the API.
    """

    def __init__(self, processes: Processes, files: Files, *, settle: float = 0.5) -> None:
        """Set up.

        Args:
            processes: runs rc-service.
            files: reads OpenRC's state, deletes definitions.
            settle: seconds a fresh process must live for the start to count.
        """
        self._processes = processes
        self._files = files
        self._settle = settle

    @property
    def kind(self) -> ServiceKind:
        """Which one it is."""
        return ServiceKind.OPENRC

    def definition(self, unit: ServiceUnit) -> list[ServiceFile]:
        """Return the init script, its environment file (0600) and the rotation of its log, without writing them."""
        name = checked_name(unit.name)
        env_file = _env_file(name)
        script = _SCRIPT.format(
            name=name,
            description=shlex.quote(" ".join(unit.description.split())),
            command=shlex.quote(unit.argv[0]),
            args=shlex.quote(shlex.join(unit.argv[1:])),
            log=shlex.quote(str(unit.log)),
            modules="".join(f"    modprobe {shlex.quote(module)} 2>/dev/null\n" for module in unit.modules),
            env_file=shlex.quote(str(env_file)),
        )
        env = "".join(f"{key}={shlex.quote(value)}\n" for key, value in sorted(unit.env.items()))
        return [
            ServiceFile(_SCRIPTS / name, script.encode(), 0o755),
            ServiceFile(env_file, env.encode(), 0o600),
            ServiceFile(_ROTATIONS / name, _ROTATION.format(log=unit.log).encode(), 0o644),
        ]

    async def state(self, name: str) -> ServiceState:
        """Return the state of a service."""
        if self._files.read(_SCRIPTS / checked_name(name)) is None:
            return ServiceState(installed=False, enabled=False, active=False, detail="not installed")
        status = await self._rc_service(name, "status", check=False)
        pid = await self._child(name)
        active = pid > 0 and status.rc == 0
        return ServiceState(
            installed=True,
            enabled=await self._enabled(name),
            active=active,
            pid=pid if active else 0,
            detail="" if active else _detail(status, pid),
        )

    async def reload(self) -> None:
        """Make OpenRC read changed scripts."""
        await self._run(["rc-update", "-u"], "OpenRC")

    async def enable(self, name: str) -> None:
        """Start the service at boot from now on."""
        await self._run(["rc-update", "-q", "add", checked_name(name), "default"], "OpenRC")

    async def start(self, name: str) -> None:
        """Start the service without waiting for it to be ready (never hangs).

        A crashed service, whose supervisor is gone, is reset first: OpenRC would take it for started.

        Raises:
            BeeyardError: ``E-SVC-001`` with the last lines of the log.
        """
        status = await self._rc_service(name, "status", check=False)
        if status.rc in _ORPHANED or (status.rc == 0 and await self._child(name) == 0):
            await self._reset(name)
        try:
            await self._rc_service(name, "start")
        except BeeyardError as error:
            if error.code != "E-HOST-002":
                raise
            raise await self._not_started(name, error.why) from error
        await self._settled(name)

    async def stop(self, name: str, *, timeout: float = 90.0) -> None:
        """Stop the main process; its containers stay.

        Raises:
            DeadlineError: ``E-SVC-002``.
        """
        if self._files.read(_SCRIPTS / checked_name(name)) is None:
            return
        if (await self._rc_service(name, "status", check=False)).rc in _ORPHANED:
            await self._reset(name)
        try:
            await self._processes.run(["rc-service", name, "stop"], timeout=timeout)
        except DeadlineError as error:
            raise not_stopped(name, timeout, error.why) from error

    async def restart(self, name: str) -> None:
        """Stop and start the service."""
        await self.stop(name)
        await self.start(name)

    async def remove(self, unit: ServiceUnit) -> None:
        """Stop, disable and delete the definition; the log stays."""
        await self.stop(unit.name)
        await self._run(["rc-update", "-q", "-a", "delete", checked_name(unit.name)], "OpenRC", check=False)
        for file in self.definition(unit):
            self._files.remove(file.path)
        await self.reload()

    async def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the last lines of the service's log, oldest first."""
        log = self._value_of(name, "output_log")
        if not log:
            return []
        result = await self._processes.run(["tail", "-n", str(lines), log], check=False)
        return result.out.splitlines() if result.rc == 0 else []

    async def _run(self, argv: list[str], who: str, *, check: bool = True) -> CommandResult:
        try:
            return await self._processes.run(argv, check=check, timeout=_ANSWER_SECONDS)
        except DeadlineError as error:
            raise no_answer(who, error) from error

    async def _rc_service(self, name: str, verb: str, *, check: bool = True) -> CommandResult:
        return await self._run(["rc-service", "--nocolor", checked_name(name), verb], "OpenRC", check=check)

    async def _enabled(self, name: str) -> bool:
        result = await self._run(["rc-update", "show"], "OpenRC", check=False)
        rows = (line.partition("|") for line in result.out.splitlines())
        return any(service.strip() == name and levels.strip() for service, _, levels in rows)

    async def _child(self, name: str) -> int:
        """Return the pid of the program itself if it lives, else 0."""
        saved = self._files.read(_OPTIONS / name / "child_pid")
        pid = saved.data.decode().strip() if saved else ""
        if not pid.isdigit():
            return 0
        command = self._files.read(Path(f"/proc/{pid}/cmdline"))
        return int(pid) if command and command.data else 0

    async def _reset(self, name: str) -> None:
        """Forget a crashed service, and end the program that its dead supervisor has left behind."""
        orphan = await self._child(name)
        await self._rc_service(name, "zap", check=False)
        if orphan == 0 or not self._runs_our_command(name, orphan):
            return
        await self._processes.run(["kill", str(orphan)], check=False)

        async def gone() -> bool:
            return not self._runs_our_command(name, orphan)

        if not await wait_for(gone, 75.0):
            await self._processes.run(["kill", "-9", str(orphan)], check=False)

    def _runs_our_command(self, name: str, pid: int) -> bool:
        command = self._files.read(Path(f"/proc/{pid}/cmdline"))
        wanted = self._value_of(name, "command").encode()
        return bool(command and wanted and wanted in command.data.split(b"\0"))

    def _value_of(self, name: str, variable: str) -> str:
        """Return a plain variable of the init script that we wrote."""
        script = self._files.read(_SCRIPTS / checked_name(name))
        for line in script.data.decode(errors="replace").splitlines() if script else ():
            if line.startswith(f"{variable}="):
                return "".join(shlex.split(line.partition("=")[2])[:1])
        return ""

    async def _settled(self, name: str) -> None:
        """Watch a fresh process for ``settle`` seconds; a restart or death in that time is a failed start."""
        seen: set[int] = set()

        async def settled() -> bool:
            pid = await self._child(name)
            if seen and pid not in seen:
                raise await self._not_started(name, "it ended at once and is being restarted")
            if pid:
                seen.add(pid)
            return False

        await wait_for(settled, self._settle)
        if not seen:
            raise await self._not_started(name, "it has no process")

    async def _not_started(self, name: str, detail: str) -> BeeyardError:
        return not_started(name, detail, await self.logs(name, 20), f"run: rc-service {name} start")


def _env_file(name: str) -> Path:
    return _ENVIRONMENTS / f"{name}.env"


def _detail(status: CommandResult, pid: int) -> str:
    word = _WORDS.get(status.rc, f"status {status.rc}" if status.rc else "started, but no process is there")
    return f"{word}; its program still runs unsupervised as pid {pid}" if pid else word
