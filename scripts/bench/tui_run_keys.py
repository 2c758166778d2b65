"""Measures the run screen under load; see ``scripts/bench/tui_run``."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.domain.events import Event

PER_SECOND = 200
PAUSE = 0.02
"""Seconds between two batches of events."""
KEYS = ((b"l", b"warning and"), (b"l", b"error and"), (b"l", b"debug"), (b"l", b"info and"), (b"s", b"preflight,"))
"""Keys, and what is on the screen once they have worked; the log is filtered anew each time."""
STEPS = 9
"""Presses of ``s`` that bring back all steps."""


def serve(pods: int) -> None:
    """Run the cockpit with a run that never ends."""
    from installer.domain.spec import ClusterSpec
    from installer.pipeline.run import Options
    from installer.tui.app import Cockpit
    from installer.tui.settings import Settings
    from tests.support.cockpit import stub_services
    from tests.support.scripted_run import ScriptedInstall, first_half, until_ready

    script = ScriptedInstall()
    app = Cockpit(stub_services(install=lambda: script), Settings(), areas=())

    async def stream() -> None:
        app.run_host.start(ClusterSpec(), Options())
        app.show_run()
        await asyncio.sleep(1)
        for event in (*first_half(), *until_ready()):
            script.emit(event)
        due, number = time.monotonic(), 0
        while True:
            due += PAUSE
            for _ in range(round(PER_SECOND * PAUSE)):
                number += 1
                script.emit(an_event(number, pods))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(app.run_async())
            await asyncio.sleep(2)
            group.create_task(stream())

    asyncio.run(run())


def an_event(number: int, pods: int) -> Event:
    """Return log lines mostly, progress often, readiness five times a second."""
    from installer.domain.events import LogLine, ReadinessChanged, StepProgress
    from tests.support.scripted_run import snapshot

    now = time.time()
    if number % 40 == 0:
        return ReadinessChanged(now, snapshot(number // 40 % pods, pods))
    if number % 4 == 0:
        return StepProgress(now, "fetch", f"file-{number % 3}", number * 1000, 10**9)
    return LogLine(now, "ready", random.choice(("debug", "info")), f"line {number} of what happens on this host")


class Terminal:
    """A terminal with the cockpit in it."""

    def __init__(self, pods: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        command = [sys.executable, "-m", "scripts.bench.tui_run_keys", "serve", str(pods)]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)

    def read_until(self, text: bytes, seconds: float = 30.0) -> float:
        """Read until a text was drawn; return the milliseconds."""
        start, seen = time.perf_counter(), b""
        while text not in seen:
            if time.perf_counter() - start > seconds:
                raise SystemExit(f"{text!r} was not drawn within {seconds:g} s")
            if select.select([self.master], [], [], 0.1)[0]:
                seen = seen[-200:] + os.read(self.master, 65536)
        return (time.perf_counter() - start) * 1000

    def rest(self, seconds: float) -> None:
        """Read and drop what is drawn for a while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.master], [], [], left)[0]:
                os.read(self.master, 65536)

    def cpu(self) -> float:
        """Return the processor seconds used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def measure(pods: int, presses: int) -> tuple[list[float], float, float]:
    """Return the ms of each press, the share of a core while nobody presses, and the processor ms that a press adds."""
    terminal = Terminal(pods)
    try:
        terminal.read_until(b"Filter")
        terminal.rest(3.0)
        began, before = time.perf_counter(), terminal.cpu()
        terminal.rest(5.0)
        used = (terminal.cpu() - before) / (time.perf_counter() - began)
        times, pressed = [], 0
        began, before = time.perf_counter(), terminal.cpu()
        for key, text in cycle(KEYS):
            pressed += STEPS if key == b"s" else 1
            os.write(terminal.master, key)
            times.append(terminal.read_until(text))
            if key == b"s":
                os.write(terminal.master, key * (STEPS - 1))
                terminal.read_until(b"all steps")
            terminal.rest(random.uniform(0.02, 0.12))
            if len(times) >= presses:
                more = terminal.cpu() - before - used * (time.perf_counter() - began)
                return times, used, more * 1000 / pressed
    finally:
        terminal.close()
    raise AssertionError


def main(presses: int) -> None:
    """Measure and print."""
    for pods in (7, 500):
        times, used, more = measure(pods, presses)
        p99 = statistics.quantiles(times, n=100)[98]
        print(
            f"{pods:>4} pods, {PER_SECOND} events/s: key to picture median {statistics.median(times):5.1f} ms, "
            f"p99 {p99:5.1f} ms, worst {max(times):5.1f} ms (budget 50 ms); {used:4.0%} of a core, "
            f"{more:4.1f} ms of processor a press"
        )


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
