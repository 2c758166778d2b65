"""Finding and ending the processes of a world; every one of them is the harness's or the install's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PATIENCE = 60.0


def words(pid: int) -> list[str]:
    """Return a process's command line; empty for one that is gone or of the kernel."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def pids() -> Iterator[int]:
    """Return the processes there are."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            yield int(path.name)


def state(pid: int) -> str:
    """Return the letter of a process's state, empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def find(true: Callable[[list[str]], bool]) -> list[int]:
    """Return the processes whose command line holds true."""
    return [pid for pid in pids() if pid != os.getpid() and (line := words(pid)) and true(line) and state(pid) != "Z"]


def named(*names: str) -> list[int]:
    """Return the processes with one of these names."""
    return find(lambda line: Path(line[0]).name in names or line[0] in names)


def server() -> list[int]:
    """Return k3s' own process."""
    return find(lambda line: Path(line[0]).name == "k3s" and line[1:2] == ["server"])


def supervisor() -> list[int]:
    """Return the process that keeps k3s running."""
    return find(lambda line: "start" in line and any(word.endswith("supervisor.py") for word in line))


def helm() -> list[int]:
    """Return helm while it changes a release."""
    return find(lambda line: Path(line[0]).name.startswith("helm") and line[1:2] == ["upgrade"])


def kill(found: list[int], how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to each."""
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, how)


def wait(true: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not within `patience` seconds.
    """
    limit = time.monotonic() + patience
    while not true():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited {patience:g} s for {what}")
        time.sleep(0.01)


def everything_but_us() -> list[int]:
    """Return all processes of this world except this one, those above it and its first one."""
    spared, pid = {1}, os.getpid()
    while pid > 1:
        spared.add(pid)
        pid = _parent(pid)
    return [pid for pid in pids() if pid not in spared and words(pid)]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:
        return 0
