"""Applies the actions of fixes to this host, and takes them back."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from installer.adapters.host import mounting, procfs
from installer.adapters.host.link_copy import LinkCopy
from installer.domain.errors import BeeyardError
from installer.domain.preflight.actions import (
    Action,
    DeleteLink,
    MountBpf,
    RemoveFile,
    RunCommand,
    SetSysctl,
    ShareMounts,
    WriteFile,
)
from installer.ports.host import Files, FileState, Processes

_KERNELS_OWN: Final = {"maps.debug", "progs.debug"}
"""What the kernel puts into every BPF file system."""
_SYSCTLS: Final = procfs.PROC / "sys"


class LocalChanges:
    """Implements ``installer.ports.changes.HostChanges``.

    Args:
        processes: runs ``ip``, ``mount`` and the commands of the actions.
        files: reads and writes.
    """

    def __init__(self, processes: Processes, files: Files) -> None:
        self._processes = processes
        self._files = files
        self._links = LinkCopy(processes)

    async def before(self, action: Action) -> dict[str, Any]:
        """Return what ``restore`` will need."""
        match action:
            case WriteFile(path=path) | RemoveFile(path=path):
                return {"file": _packed(self._files.read(Path(path))), "made": _missing_parents(Path(path))}
            case SetSysctl():
                return {"value": _sysctl(action)}
            case DeleteLink(name=name):
                return await self._links.copy(name)
            case ShareMounts():
                return {"mounts": mounting.propagation()}
            case MountBpf(path=path):
                return {"mounted": mounting.is_bpf(path)}
            case RunCommand():
                return {}

    async def apply(self, action: Action) -> None:
        """Do it."""
        match action:
            case WriteFile():
                self._files.write(Path(action.path), action.text.encode(), mode=action.mode, backup=False)
                await self._then(action)
            case RemoveFile(path=path):
                self._files.remove(Path(path))
            case SetSysctl():
                _write_sysctl(action, action.value)
            case RunCommand(argv=argv):
                await self._processes.run(argv, env={"LC_ALL": "C"})
            case DeleteLink(name=name):
                if _link_exists(name):
                    await self._processes.run(["ip", "link", "delete", name])
            case ShareMounts():
                await self._processes.run(["mount", "--make-rshared", "/"])
            case MountBpf(path=path):
                if not mounting.is_bpf(path):
                    await self._processes.run(["mount", "-t", "bpf", "bpf", path])

    async def restore(self, action: Action, before: Mapping[str, Any]) -> str:
        """Put back what was there before."""
        match action:
            case WriteFile() | RemoveFile():
                return await self._file_back(action, before)
            case SetSysctl():
                return _sysctl_back(action, str(before["value"]))
            case RunCommand(undo=undo):
                return await self._command_back(undo)
            case DeleteLink(name=name):
                return "" if _link_exists(name) else await self._links.make(before)
            case ShareMounts():
                return await mounting.put_back(self._processes, before["mounts"])
            case MountBpf(path=path):
                return "" if before["mounted"] or not mounting.is_bpf(path) else await self._unmount(path)

    async def _file_back(self, action: WriteFile | RemoveFile, before: Mapping[str, Any]) -> str:
        path = Path(action.path)
        if isinstance(action, RemoveFile):
            return self._put_back(path, before, None)
        left = self._put_back(path, before, action.text.encode())
        if not left:
            await self._then(action)
        return left

    async def _command_back(self, undo: Sequence[str]) -> str:
        done = await self._processes.run(undo, env={"LC_ALL": "C"}, check=False)
        return "" if done.rc == 0 else f"`{shlex.join(undo)}` failed: {(done.err or done.out).strip()}"

    async def _then(self, action: WriteFile) -> None:
        if action.then:
            await self._processes.run(action.then, env={"LC_ALL": "C"})

    def _put_back(self, path: Path, before: Mapping[str, Any], ours: bytes | None) -> str:
        """Put a file back, unless someone has changed it since."""
        now, old = self._files.read(path), _unpacked(before["file"])
        data = now.data if now else None
        if data not in (ours, old.data if old else None):
            return f"{path} was changed since"
        if old is not None:
            self._files.write(path, old.data, mode=old.mode, owner=(old.uid, old.gid), backup=False)
        else:
            self._files.remove(path)
        for folder in map(Path, before.get("made", ())):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return ""

    async def _unmount(self, path: str) -> str:
        pinned = sorted({entry.name for entry in os.scandir(path)} - _KERNELS_OWN)
        if pinned:
            return f"{path} is in use: {', '.join(pinned[:3])}"
        done = await self._processes.run(["umount", path], check=False)
        return "" if done.rc == 0 else f"{path} is in use: {done.err.strip()}"


def _packed(state: FileState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    text = base64.b64encode(state.data).decode()
    return {"data": text, "mode": state.mode, "uid": state.uid, "gid": state.gid}


def _unpacked(data: Mapping[str, Any] | None) -> FileState | None:
    if data is None:
        return None
    return FileState(base64.b64decode(data["data"]), int(data["mode"]), int(data["uid"]), int(data["gid"]))


def _missing_parents(path: Path) -> list[str]:
    """Return the folders that writing the file would make, the deepest first."""
    return [str(folder) for folder in path.parents if not folder.exists()]


def _link_exists(name: str) -> bool:
    return procfs.exists(Path("/sys/class/net") / name) or f"{name}:" in procfs.text(procfs.PROC / "net/dev").split()


def _sysctl(action: SetSysctl) -> str:
    path = _SYSCTLS / action.below_proc
    try:
        return path.read_text().strip()
    except OSError as error:
        raise _unusable(action, error) from error


def _write_sysctl(action: SetSysctl, value: str) -> None:
    path = _SYSCTLS / action.below_proc
    try:
        path.write_text(value)
    except OSError as error:
        raise _unusable(action, error) from error


def _sysctl_back(action: SetSysctl, old: str) -> str:
    path = _SYSCTLS / action.below_proc
    if not procfs.exists(path):
        return ""  # its link is gone
    now = _sysctl(action)
    if now not in (action.value, old):
        return f"{action.key} was changed to {now} since"
    _write_sysctl(action, old)
    return ""


def _unusable(action: SetSysctl, error: OSError) -> BeeyardError:
    return BeeyardError(
        f"the kernel parameter {action.key} cannot be set",
        why=str(error),
        fix="Set it where this host's kernel is configured (a container's host, for one).",
        code="E-FIX-001",
    )
