"""Measures the Flows screen under load; see ``scripts/bench/tui_flows``."""

from __future__ import annotations

import fcntl
import inspect
import json
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.tui.flows.model import FlowsModel

SERVER = Path(__file__).with_name("flow_server.py")
KEYS = (
    (b" ", b"PAUSED"),
    (b" ", b"LIVE"),
    (b"t", b"Top by"),
    (b"t", b"VERDICT"),
    (b"v", b"verdict in"),
    (b"v", b"all flows"),
)
"""Keys, and what is drawn once they have worked."""


def serve(address: str, report: Path) -> None:
    """Run the cockpit on a server; write what it has taken in to a file, twice a second."""
    from installer.services.flow_feed import FeedChoice
    from installer.tui.app import Cockpit
    from installer.tui.areas import AREAS
    from installer.tui.flows.screen import FlowsScreen
    from installer.tui.settings import Settings
    from installer.wiring.flow_feeds import open_feed
    from tests.support.cockpit import stub_services

    class Measured(Cockpit):
        """The cockpit, telling what it takes in."""

        CSS_PATH = str(Path(inspect.getfile(Cockpit)).with_name("app.tcss"))

        def on_ready(self) -> None:
            """Choose the source when the screen is there."""
            self.set_timer(1.0, self.begin)

        def begin(self) -> None:
            """Follow the server."""
            screen = self.screen
            assert isinstance(screen, FlowsScreen)
            screen.open_feed(FeedChoice("server", address))
            self.set_interval(0.5, lambda: tell(screen.model, report))

    areas = [area for area in AREAS if area.id == "flows"]
    services = stub_services(flow_feeds=lambda request, kube: open_feed(replace(request, last=0), kube), now=time.time)
    Measured(services, Settings(history=100_000), areas=areas).run()


def tell(model: FlowsModel, report: Path) -> None:
    """Write what was taken in."""
    lag = model.lag.worst()
    told = {
        "flows": model.store.next,
        "missing": model.store.losses.total,
        "lag": lag.median if lag else 0.0,
        "kept": len(model.store),
    }
    part = report.with_suffix(".part")
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(report)


class Terminal:
    """A terminal with the cockpit in it."""

    def __init__(self, address: str, report: Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "GRPC_VERBOSITY": "NONE"}
        command = [sys.executable, "-m", "scripts.bench.tui_flows_keys", "serve", address, str(report)]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)

    def read_until(self, text: bytes, seconds: float = 30.0) -> float:
        """Read until a text was drawn; return the milliseconds."""
        start, seen = time.perf_counter(), b""
        while text not in seen:
            if time.perf_counter() - start > seconds:
                raise SystemExit(f"{text!r} was not drawn within {seconds:g} s: {seen[-2000:]!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                seen = seen[-4000:] + os.read(self.master, 65536)
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

    def memory(self) -> float:
        """Return the resident memory in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def press(terminal: Terminal, seconds: float) -> list[tuple[bytes, float]]:
    """Press keys for a while; return each with the milliseconds until its picture."""
    times = []
    end = time.perf_counter() + seconds
    for key, text in cycle(KEYS):
        os.write(terminal.master, key)
        times.append((text, terminal.read_until(text)))
        terminal.rest(random.uniform(0.1, 0.3))
        if time.perf_counter() > end and text == KEYS[-1][1]:
            break
    return times


def measure(rate: int, seconds: float) -> None:
    """Run a server and the cockpit, and print the figures."""
    argv = [sys.executable, str(SERVER), str(rate), str(seconds + 12)]
    environment = {**os.environ, "PYTHONPATH": "."}
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        terminal = Terminal(f"127.0.0.1:{server.stdout.readline().strip()}", report)
        try:
            terminal.read_until(b"LIVE")
            terminal.read_until(b"/s", 60)
            terminal.rest(6.0)
            began, before = time.perf_counter(), terminal.cpu()
            terminal.rest(seconds / 2)
            used = (terminal.cpu() - before) / (time.perf_counter() - began)
            told = json.loads(report.read_text())
            pressed = press(terminal, seconds / 2)
            memory = terminal.memory()
            sent = int(server.stdout.readline())
            terminal.rest(2.0)
            end = json.loads(report.read_text())
        finally:
            terminal.close()
            server.kill()
            server.wait()
    times = [time for _, time in pressed]
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{rate:,} flows/s: {used:.0%} of a core while following, lag {told['lag'] * 1000:.0f} ms, {memory:.0f} MB")
    print(
        f"key to picture: median {statistics.median(times):.1f} ms, p99 {p99:.1f} ms, worst {max(times):.1f} ms, "
        f"{len(times)} presses (budget 50 ms)"
    )
    for text in dict.fromkeys(text for _, text in KEYS):
        each = [time for drawn, time in pressed if drawn == text]
        print(f"  {text.decode():<12} median {statistics.median(each):5.1f} ms, worst {max(each):5.1f} ms")
    print(f"sent {sent:,}, taken in {end['flows']:,}, missing as told {end['missing']:,}, kept {end['kept']:,}")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], Path(sys.argv[3]))
    else:
        measure(int(sys.argv[1]), float(sys.argv[2]))
