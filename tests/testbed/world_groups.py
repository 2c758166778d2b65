"""The control groups of a world: below ours in each version 1 hierarchy, at the top of a version 2 one.

The namespace's root is the world's group. In version 2 a group with controllers holds no processes, so the world's own
begin in a group ``init`` below it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_CONTROLLERS = "cpuset cpu io memory pids hugetlb"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy of control groups.

    Attributes:
        mount: where it is mounted.
        kind: ``cgroup`` or ``cgroup2``.
        options: controllers of a version 1 hierarchy, as mount takes them.
    """

    mount: Path
    kind: str
    options: str


@dataclass(slots=True)
class Groups:
    """A world's groups, one in each hierarchy, and those we came from."""

    folders: list[Path] = field(default_factory=list)
    _home: list[Path] = field(default_factory=list)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in the world's groups: what is unshared and forked here has them as its root."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")
        try:
            yield
        finally:
            for home in self._home:
                (home / "cgroup.procs").write_text("0")

    def remove(self) -> None:
        """End what is left in the groups and remove them."""
        for folder in self.folders:
            _remove(folder)


def hierarchies() -> list[Hierarchy]:
    """Return the hierarchies of this host in the order of their mounts."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup":
            kept = [word for word in options.split(",") if word not in ("rw", "ro")]
            found.append(Hierarchy(Path(left.split()[4]), kind, ",".join(kept)))
        elif kind == "cgroup2":
            found.append(Hierarchy(Path(left.split()[4]), kind, ""))
    return found


def make(name: str) -> Groups:
    """Make a world's groups."""
    groups = Groups()
    for hierarchy in hierarchies():
        own = hierarchy.mount / _own_group(hierarchy, "self").lstrip("/")
        groups._home.append(own)
        parent = hierarchy.mount if hierarchy.kind == "cgroup2" else own
        folder = parent / name
        _remove(folder)  # what a killed world has left
        folder.mkdir()
        if hierarchy.kind == "cgroup2":
            _delegate(parent)
        elif (folder / "cpuset.cpus").exists():
            for part in ("cpuset.cpus", "cpuset.mems"):
                (folder / part).write_text((parent / part).read_text())
            (folder / "cgroup.clone_children").write_text("1")
        groups.folders.append(folder)
    return groups


def leave_root() -> None:
    """Move the first process below the namespace's root where that is version 2, and hand its controllers down."""
    for hierarchy in hierarchies():
        if hierarchy.kind == "cgroup2":
            below = hierarchy.mount / "init"
            below.mkdir(exist_ok=True)
            (below / "cgroup.procs").write_text("0")
            _delegate(hierarchy.mount)


def join(pid: int) -> None:
    """Move this process to the groups of another one."""
    for hierarchy in hierarchies():
        group = hierarchy.mount / _own_group(hierarchy, str(pid)).lstrip("/")
        (group / "cgroup.procs").write_text("0")


def _delegate(folder: Path) -> None:
    there = (folder / "cgroup.controllers").read_text().split()
    for name in _CONTROLLERS.split():
        if name in there:
            with suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _own_group(hierarchy: Hierarchy, pid: str) -> str:
    """Return a process's group in a hierarchy, from the hierarchy's root."""
    wanted = set(hierarchy.options.split(",")) if hierarchy.kind == "cgroup" else {""}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if set(controllers.split(",")) <= wanted:
            return group
    return "/"


def _remove(folder: Path) -> None:
    _empty(folder)
    for below, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(below).rmdir()


def _empty(folder: Path) -> None:
    limit = time.monotonic() + 10
    while pids := [pid for path in folder.rglob("cgroup.procs") for pid in _read(path)]:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > limit:
            return
        time.sleep(0.02)


def _read(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split() if int(word) not in (0, os.getpid())]
    except OSError:
        return []
