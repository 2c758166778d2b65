"""What this host's logs, kernel and routing rules say, for a diagnosis: bounded in time and size, root or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installer.domain.diagnosis.evidence import Evidence, Source
from installer.domain.diagnosis.texts import rule_evidence, since_start, text_evidence
from installer.domain.errors import BeeyardError
from installer.domain.preflight.facts import HostFacts
from installer.ports.host import Processes, ServiceManager

SECONDS = 5.0
LINES = 400
_BYTES = 512 * 1024
SERVICES = ("k3s", "k3s-agent")
_NETWORK_UNITS = ("systemd-networkd", "NetworkManager")


@dataclass(slots=True)
class Gathered:
    """What was looked at.

    Attributes:
        lines: evidence, oldest first within each place.
        looked: places that were read, in words.
        unread: places that could not be, with the reason.
    """

    lines: list[Evidence] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def take(self, place: str, lines: Sequence[Evidence]) -> None:
        """Take in what a place told."""
        self.looked.append(place)
        self.lines += lines

    def join(self, other: Gathered) -> None:
        """Take in all of another."""
        self.lines += other.lines
        self.looked += other.looked
        self.unread += other.unread


@dataclass(frozen=True, slots=True)
class HostTexts:
    """Reads the ends of texts of this host.

    Attributes:
        processes: runs ``tail``, ``dmesg``, ``ip``, ``journalctl``.
        services: knows where k3s' log is.
        data_dir: k3s' data folder.
    """

    processes: Processes
    services: ServiceManager
    data_dir: Path = Path("/var/lib/rancher/k3s")

    @property
    def containerd_log(self) -> Path:
        """Where k3s' containerd writes its log."""
        return self.data_dir / "agent/containerd/containerd.log"

    async def k3s_log(self, lines: int = LINES) -> tuple[str, list[str]]:
        """Return the service's name and the end of its log; an empty name where there is no such service.

        Raises:
            BeeyardError: it cannot be read.
        """
        for name in SERVICES:
            if (await self.services.state(name)).installed:
                return name, await self.services.logs(name, lines)
        return "", []

    async def tail(self, path: Path) -> list[str]:
        """Return the last lines of a file.

        Raises:
            BeeyardError: ``E-HOST-002`` it cannot be read.
        """
        return (await self.output("tail", "-c", str(_BYTES), str(path)))[-LINES:]

    async def output(self, *argv: str) -> list[str]:
        """Return what a command prints.

        Raises:
            BeeyardError: ``E-HOST-001`` there is no such program, ``E-HOST-002`` it failed, ``E-HOST-003`` no end.
        """
        return (await self.processes.run(argv, timeout=SECONDS)).out.splitlines()


async def read_host(texts: HostTexts, facts: HostFacts | None) -> Gathered:
    """Read k3s' and containerd's log, the kernel's messages, routing rules and the network managers' journals.

    Args:
        texts: reads them.
        facts: what is known of the host, None where it could not be looked at.
    """
    found = Gathered()
    reader = _Reader(texts, found)
    k3s, containerd, kernel, rules, managers = await asyncio.gather(
        reader.k3s(),
        reader.read("containerd's log", lambda: texts.tail(texts.containerd_log), there=texts.containerd_log),
        reader.read("kernel messages", lambda: texts.output("dmesg")),
        reader.read("routing rules", lambda: texts.output("ip", "rule")),
        reader.managers(),
    )
    found.lines += k3s
    found.lines += text_evidence(Source.CONTAINERD, str(texts.containerd_log), containerd)
    found.lines += text_evidence(Source.KERNEL, "dmesg", kernel[-LINES:])
    found.lines += text_evidence(Source.HOST, "journal of the network managers", managers)
    if facts is not None:
        found.lines += rule_evidence(rules, facts)
    return found


class _Reader:
    """Reads one place after the other; what fails is told, not raised."""

    def __init__(self, texts: HostTexts, found: Gathered):
        self._texts = texts
        self._found = found

    async def k3s(self) -> list[Evidence]:
        name = ""

        async def log() -> list[str]:
            nonlocal name
            name, lines = await self._texts.k3s_log()
            return lines

        lines = await self.read("log of k3s", log)
        return list(text_evidence(Source.K3S, f"log of {name}", since_start(lines)))

    async def managers(self) -> list[str]:
        units = [word for unit in _NETWORK_UNITS for word in ("--unit", unit)]
        argv = ("journalctl", *units, "--since", "-1h", "--lines", "200", "--no-pager", "--quiet")
        try:
            return await self._texts.output(*argv)
        except (BeeyardError, TimeoutError):  # no journal, no such units: nothing is missed
            return []

    async def read(
        self, place: str, reading: Callable[[], Awaitable[list[str]]], *, there: Path | None = None
    ) -> list[str]:
        """Read a place within its time; ``there`` is a file without which there is nothing to read."""
        try:
            if there is not None and not there.exists():
                return []
            async with asyncio.timeout(SECONDS + 1):
                lines = await reading()
        except TimeoutError:
            self._found.unread.append(f"{place}: no answer within {SECONDS + 1:g} s")
        except (BeeyardError, OSError) as error:
            why = error.why.splitlines()[-1] if isinstance(error, BeeyardError) and error.why else str(error)
            self._found.unread.append(f"{place}: {why}")
        else:
            self._found.looked.append(place)
            return lines
        return []
