"""Processes of the cluster: k3s, its containerd, the shims, and all that runs in containers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from installer.adapters.host import procfs
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.scope import Scope
from installer.ports.residue import Seen

_PATIENCE: Final = 10.0
_POLL: Final = 0.05
_SHIM_SOCKET: Final = "/run/k3s/containerd"


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    started: str
    comm: str
    exe: str
    argv: tuple[str, ...]
    local: bool
    groups: tuple[str, ...]


class ProgramArea:
    """Implements ``installer.ports.residue.Area`` for processes.

    Programs of k3s count only in our own process namespace, so that clusters in containers of this host (k3d, kind)
    stay alone; what runs in pods is told by its ancestors and by its control group.
    """

    kinds = frozenset({Kind.PROCESS})

    def __init__(self, *, grace: float = 0.0, patience: float = _PATIENCE) -> None:
        """Set up.

        Args:
            grace: seconds that programs have to end by themselves before they are killed.
            patience: seconds until processes that were killed must be gone.
        """
        self._grace = grace
        self._patience = patience

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return the cluster's processes."""
        del before
        table = {one.pid: one for one in _all()}
        roots = {pid for pid, one in table.items() if _is_program(one, scope)}
        ours = {pid for pid, one in table.items() if pid in roots or _descends(one, table, roots) or _in_pod(one)}
        ours -= _own_ancestors(table)
        return Seen(tuple(_item(table[pid]) for pid in sorted(ours)))

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """End them; a pid that has changed hands since is left alone."""
        alive = list(items)
        if self._grace:
            shims = [one for one in alive if one.name.startswith("containerd-shim")]
            await _ended([one for one in alive if one not in shims], signal.SIGTERM, self._grace)
        alive = await _ended(alive, signal.SIGKILL, self._patience)
        return [f"{one.name} does not end" for one in alive]

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Processes are not put back."""
        del changes
        return []


async def _ended(items: Sequence[Item], how: signal.Signals, seconds: float) -> list[Item]:
    """Send a signal and wait for the end; return who did not end in time."""
    for item in items:
        pid = int(item.handle["pid"])
        if _lives(pid, str(item.handle["started"])):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
    deadline = time.monotonic() + seconds
    alive = list(items)
    while alive and time.monotonic() < deadline:
        alive = [one for one in alive if _lives(int(one.handle["pid"]), str(one.handle["started"]))]
        if alive:
            await asyncio.sleep(_POLL)
    return alive


def _all() -> Iterator[_Process]:
    own_space = _space("self")
    for pid in procfs.processes():
        fields = _stat(pid)
        if len(fields) < 20 or fields[0] in ("Z", "X"):
            continue
        argv = tuple(part for part in procfs.text(Path(f"/proc/{pid}/cmdline")).split("\0") if part)
        groups = tuple(line.split(":", 2)[-1] for line in procfs.text(Path(f"/proc/{pid}/cgroup")).splitlines())
        comm = procfs.text(Path(f"/proc/{pid}/comm")).strip()
        local = _space(str(pid)) == own_space
        yield _Process(pid, int(fields[1]), fields[19], comm, _exe(pid), argv, local, groups)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name: state, parent, … start time (index 19)."""
    return procfs.text(Path(f"/proc/{pid}/stat")).rpartition(") ")[2].split()


def _lives(pid: int, started: str) -> bool:
    fields = _stat(pid)
    return len(fields) > 19 and fields[19] == started and fields[0] not in ("Z", "X")


def _space(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _exe(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


def _is_program(one: _Process, scope: Scope) -> bool:
    """Whether a process is k3s, came with it, is a shim of its containerd, or beeyard's supervisor of it."""
    if not one.local:
        return False
    if one.exe == f"{scope.bin_dir}/k3s" or one.exe.startswith(f"{scope.data_dir}/data/"):
        return True
    if one.comm.startswith("containerd-shim") and any(word.startswith(_SHIM_SOCKET) for word in one.argv):
        return True
    supervises = any(word.endswith("/supervisor.py") for word in one.argv)
    return supervises and any(word == f"{scope.state_dir}/services/{scope.service}" for word in one.argv)


def _descends(one: _Process, table: dict[int, _Process], roots: set[int]) -> bool:
    seen = set()
    while one.parent in table and one.parent not in seen:
        if one.parent in roots:
            return True
        seen.add(one.parent)
        one = table[one.parent]
    return False


def _in_pod(one: _Process) -> bool:
    return any(group.startswith(("/kubepods/", "/kubepods.slice/")) for group in one.groups)


def _own_ancestors(table: dict[int, _Process]) -> set[int]:
    """Return ourselves and what started us, which must never be killed: beeyard may run in a pod's shell."""
    found, pid = set(), os.getpid()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def _item(one: _Process) -> Item:
    name = f"{one.comm or one.exe} (pid {one.pid})"
    return Item(Kind.PROCESS, name, {"of": "k3s"}, {"pid": one.pid, "started": one.started})
