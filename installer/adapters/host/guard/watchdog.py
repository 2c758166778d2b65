"""The watchdog: waits for the guard's deadline, and puts the network back unless the guard was taken off before.

A process of its own, detached from whoever armed it: a killed beeyard, a closed terminal and a lost connection do not
end it. What it needs is in its memory before it says that it stands.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from installer.adapters.host.guard import restore
from installer.adapters.host.guard.state import RESTORING, GuardFiles

_LONGEST_LOOK = 0.5
"""Seconds between two looks at the guard, which may be renewed or taken off."""
_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main() -> None:
    """Run it: folder of the guard, log file, and ``detach`` where no service manager keeps it."""
    folder, log, *how = sys.argv[2:]
    if "detach" in how:
        _detach()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_FOLDERS}"
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900")
    watch(GuardFiles(Path(folder)), Path(log))


def watch(files: GuardFiles, log: Path) -> None:
    """Wait, and put back."""
    guard, snapshot = files.guard(), files.snapshot()
    if guard is None or snapshot is None:
        return
    files.sign_watchdog()
    left: float | None = 0.0  # a watchdog that was killed while it restored is started again, and goes on
    while guard["state"] != RESTORING and (left := files.take_due(guard["id"])):
        time.sleep(min(left, _LONGEST_LOOK))
    if left is None:
        return
    note(log, [f"guard {guard['id']} ({guard['reason']}) was not taken off in time: the network is put back"])
    done, failed = restore.put_back(snapshot)
    note(log, told(done, failed))
    with suppress(OSError):
        files.finish(done, failed)


def told(done: Sequence[str], failed: Sequence[str]) -> list[str]:
    """Return the lines for the log of a restore."""
    return [*done, *(f"could not be put back: {line}" for line in failed)] or ["nothing was different"]


def note(log: Path, lines: Sequence[str]) -> None:
    """Add lines to the log; one that cannot be written does not stop the restore."""
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
            file.writelines(f"{stamp} {line}\n" for line in lines)


def _detach() -> None:
    """Leave terminal, session and process group of whoever started it."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
