"""Worlds: a command, and a whole cluster, in namespaces of its own, so that several run side by side on one host.

A world sees the host's files through an overlay: what it writes lies in memory and is gone at its end. It has its own
network (and beside it one called ``outside``, where its default route leads), processes, host name and control groups.
Only the checkout and the build cache are the host's own.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.testbed import world_groups, world_init
from tests.testbed.cache import cache_dir
from tests.testbed.shell import BuildError, say

_NAMESPACES = ("mount", "cgroup", "uts", "ipc", "pid", "net", "time")

USAGE = """usage: scripts/testbed world NAME [OPTION…] [-- COMMAND…]

Runs COMMAND (default: a shell) in a world of that name; in the one that runs already, where there is one. A world ends
with the command that made it, with all its processes and everything it wrote outside the checkout.

  --cut-off        loopback only: no other link, no address, no route
  --share PATH     the host's own PATH, writable (repeatable)
  --later SECONDS  the monotonic clock and the time since boot are that much further (only when it is made)
"""


def main(argv: Sequence[str]) -> int:
    """Run a command in a world; return its exit code."""
    words, _, command = _split(argv)
    name, options = (words[0], words[1:]) if words else ("", [])
    if not name or name.startswith("-"):
        print(USAGE, end="", file=sys.stdout if name in ("-h", "--help") else sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    plan = world_init.Plan(name=name, command=tuple(command or [os.environ.get("SHELL", "/bin/sh")]))
    rest = iter(options)
    for word in rest:
        if word == "--cut-off":
            plan.cut_off = True
        elif word == "--share":
            plan.shared.append(Path(next(rest)).resolve())
        elif word == "--later":
            plan.later = int(next(rest))
        else:
            raise BuildError(f"world: unknown option {word}")
    return run(plan)


def _split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    words = list(argv)
    if "--" not in words:
        return words, "", []
    at = words.index("--")
    return words[:at], "--", words[at + 1 :]


def run(plan: world_init.Plan) -> int:
    """Make the world that is planned, or join it where it runs; return the command's exit code."""
    if os.geteuid() != 0:
        raise BuildError("a world needs root")
    if not plan.name.replace("-", "").isalnum():
        raise BuildError(f"a world's name has letters, digits and dashes only, not {plan.name!r}")
    plan.shared += [Path(__file__).resolve().parents[2], cache_dir()]
    with _owned(plan.name) as ours:
        return _make(plan) if ours else _join(plan)


@contextmanager
def _owned(name: str) -> Iterator[bool]:
    """Hold the world's lock as long as it runs; yields False where somebody else does."""
    with _record(name).with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            _record(name).unlink(missing_ok=True)


def _record(name: str) -> Path:
    """Return the file that names the process which is the world's first."""
    folder = cache_dir() / "worlds"
    folder.mkdir(exist_ok=True)
    return folder / name


def _make(plan: world_init.Plan) -> int:
    groups = world_groups.make(f"beeyard-world-{plan.name}")
    try:
        with groups.entered():
            world_init.unshare(with_time=bool(plan.later))
            if plan.later:
                offsets = f"monotonic {plan.later} 0\nboottime {plan.later} 0\n"
                Path("/proc/self/timens_offsets").write_text(offsets)
            ready, tell = os.pipe()
            first = os.fork()
            if first == 0:
                os.close(ready)
                os._exit(world_init.begin(plan, tell))
            os.close(tell)
        if os.read(ready, 1):
            _record(plan.name).write_text(str(first))
        return _wait(first)
    finally:
        groups.remove()


def _wait(first: int) -> int:
    """Wait for the world's first process, passing on the signals that ask us to end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: _signal(first, got))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal gives it to the command as well
    _, status = os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status) % 256


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _join(plan: world_init.Plan) -> int:
    first = _first_process(plan.name)
    world_groups.join(first)
    namespaces = [f"--{kind}" for kind in _NAMESPACES]
    enter = ["nsenter", "--target", str(first), *namespaces, f"--wdns={Path.cwd()}", "--"]
    return subprocess.run([*enter, *plan.command], check=False).returncode


def _first_process(name: str) -> int:
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        with suppress(FileNotFoundError, ValueError):
            return int(_record(name).read_text())
        time.sleep(0.05)
    say(f"world {name} is being made or ended by another process")
    raise BuildError(f"world {name} did not get ready")
