"""What the rest of the program needs of the host it runs on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from installer.domain.preflight import HostFacts


@dataclass(frozen=True, slots=True)
class CommandResult:
    """One finished command.

    Attributes:
        argv: the command, secrets already masked.
        rc: exit status (negative: killed by that signal).
        out: standard output.
        err: standard error.
        seconds: wall time.
    """

    argv: tuple[str, ...]
    rc: int
    out: str
    err: str
    seconds: float


class Processes(Protocol):
    """Runs commands. Arguments are lists; there is no shell."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command to its end.

        Args:
            argv: program and arguments.
            env: variables added to our own environment.
            stdin: bytes for standard input; none closes it.
            timeout: seconds until the command (and its group) is killed.
            check: raise on a non-zero exit status.
            on_line: called for every line of standard error and output as it comes.

        Raises:
            BeeyardError: ``E-HOST-001`` program missing, ``E-HOST-002`` non-zero exit (last lines in ``why``).
            DeadlineError: ``E-HOST-003`` timeout.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileState:
    """A regular file as it is.

    Attributes:
        data: content.
        mode: permission bits.
        uid: owner.
        gid: group.
    """

    data: bytes
    mode: int
    uid: int
    gid: int


class Files(Protocol):
    """Reads and writes files of the host, atomically and with a backup."""

    def read(self, path: Path) -> FileState | None:
        """Return the file, or None where there is none.

        Raises:
            BeeyardError: ``E-HOST-010`` it cannot be read.
        """
        ...

    def write(
        self, path: Path, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None, backup: bool = True
    ) -> Path | None:
        """Replace a file atomically (temporary file in the same folder, fsync, rename); make parent folders.

        Returns:
            The backup's path (``NAME.beeyard-<UTC time>``, mode kept) where a different file was replaced.

        Raises:
            BeeyardError: ``E-HOST-011`` not writable, ``E-HOST-012`` no space left.
        """
        ...

    def install(self, source: Path, path: Path, *, mode: int = 0o755) -> None:
        """Put a (large) file in place atomically: hard link or copy into the target's folder, fsync, rename.

        Raises:
            BeeyardError: ``E-HOST-011`` not writable, ``E-HOST-012`` no space left.
        """
        ...

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        ...


class HostProbe(Protocol):
    """Looks at the host without changing it."""

    async def gather(self) -> HostFacts:
        """Return the host's facts."""
        ...


class ServiceKind(StrEnum):
    """Which program keeps k3s running."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """A service to be kept running.

    Attributes:
        name: short name, such as ``k3s``.
        description: one line.
        argv: absolute program path and its arguments.
        env: environment; written to a 0600 file, never to the unit itself.
        log: log file where the manager has no journal of its own.
        documentation: URL.
        modules: kernel modules to try to load before the start.
    """

    name: str
    description: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    log: Path = Path("/var/log/k3s.log")
    documentation: str = "https://k3s.io"
    modules: tuple[str, ...] = ("br_netfilter", "overlay")


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as it is.

    Attributes:
        installed: its definition exists.
        enabled: it starts at boot (for ``none``: it is kept running until the next boot).
        active: it runs now.
        pid: main process, 0 when not running.
        detail: the manager's own words when it is not active.
    """

    installed: bool
    enabled: bool
    active: bool
    pid: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """A file that makes up a service definition."""

    path: Path
    data: bytes
    mode: int


class ServiceManager(Protocol):
    """systemd, OpenRC, or our own supervisor where there is neither."""

    @property
    def kind(self) -> ServiceKind:
        """Which one it is."""
        ...

    def definition(self, unit: ServiceUnit) -> list[ServiceFile]:
        """Return the files that define the unit, without writing them."""
        ...

    async def state(self, name: str) -> ServiceState:
        """Return the state of a service."""
        ...

    async def reload(self) -> None:
        """Make the manager read changed definitions."""
        ...

    async def enable(self, name: str) -> None:
        """Start the service at boot from now on."""
        ...

    async def start(self, name: str) -> None:
        """Start the service without waiting for it to be ready (never hangs).

        Raises:
            BeeyardError: ``E-SVC-001`` with the manager's last log lines.
        """
        ...

    async def stop(self, name: str, *, timeout: float = 90.0) -> None:
        """Stop the service; its containers stay (KillMode=process).

        Raises:
            DeadlineError: ``E-SVC-002``.
        """
        ...

    async def restart(self, name: str) -> None:
        """Stop and start the service."""
        ...

    async def remove(self, unit: ServiceUnit) -> None:
        """Stop, disable and delete the definition."""
        ...

    async def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the last lines of the service's log, oldest first."""
        ...
