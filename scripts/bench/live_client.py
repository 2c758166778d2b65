"""Live flows from a local server: what the client takes, and whether it takes all. See ``live_client``."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from installer.adapters.hubble.client import GrpcHubbles
from installer.domain.flows.feed import Disconnected, Flows
from installer.domain.flows.printing.choice import printer
from installer.domain.flows.printing.options import PrintOptions
from installer.ports.flows import FlowRequest
from installer.services.flows import FeedOptions, FlowFeed

SERVER = Path(__file__).with_name("flow_server.py")


class Meter:
    """Time and processor time since the first flow."""

    def __init__(self) -> None:
        self.flows, self._start, self._cpu = 0, 0.0, 0.0

    def add(self, count: int) -> None:
        """Count flows."""
        if not self.flows:
            self._start, self._cpu = time.perf_counter(), time.process_time()
        self.flows += count

    def line(self, what: str, sent: int) -> str:
        """Return the figures in a line."""
        wall, cpu = time.perf_counter() - self._start, time.process_time() - self._cpu
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return (
            f"{what:<34}{self.flows / wall:>9,.0f} flows/s  {cpu / self.flows * 1e6:5.1f} us of CPU a flow "
            f"({cpu / wall * 100:3.0f} % of a core)  lost {sent - self.flows}  {memory:.0f} MB"
        )


async def read(address: str, meter: Meter) -> None:
    """Decode and convert."""
    async with GrpcHubbles().open(address) as hubble:
        async for batch in hubble.batches(FlowRequest(follow=True, number=1)):
            meter.add(len(batch))


async def observe(address: str, meter: Meter) -> None:
    """Follow with doubles dropped and in order of time, and print compact lines."""
    write = printer("compact", PrintOptions()).write
    sink = os.open(os.devnull, os.O_WRONLY)
    feed = FlowFeed(lambda: GrpcHubbles().open(address), FeedOptions(poll_seconds=0))
    async with aclosing(feed.events(FlowRequest(follow=True))) as stream:
        async for told in stream:
            if isinstance(told, Flows):
                meter.add(len(told.answers))
                os.write(sink, "".join(map(write, told.answers)).encode())
            elif isinstance(told, Disconnected):  # the server has sent everything
                return


def measure_command(rate: int, seconds: float) -> None:
    """Run a server and ``beeyard observe -f``; its lines are counted, its start is in its processor time."""
    server = subprocess.Popen([sys.executable, str(SERVER), str(rate), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        address = f"127.0.0.1:{server.stdout.readline().strip()}"
        with tempfile.TemporaryFile() as out:
            argv = [sys.executable, "-m", "installer", "observe", "-f", "--server", address]
            client = subprocess.Popen(argv, stdout=out, stderr=subprocess.DEVNULL)
            sent = int(server.stdout.readline())
            time.sleep(1.5)  # flows wait a moment for earlier ones
            client.send_signal(signal.SIGINT)
            client.wait()
            out.seek(0)
            lines = sum(1 for _ in out)
    finally:
        server.kill()
        server.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"beeyard observe -f, {rate:,}/s: sent {sent:,}, printed {lines:,}, lost {sent - lines}  "
          f"({used.ru_utime + used.ru_stime:.1f} s of CPU with all that ran)")  # fmt: skip


def measure(what: str, rate: int, seconds: float) -> None:
    """Run a server and one kind of client."""
    argv = [sys.executable, str(SERVER), str(rate), str(seconds)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    meter = Meter()
    try:
        address = f"127.0.0.1:{server.stdout.readline().strip()}"
        asyncio.run((observe if what == "print" else read)(address, meter))
        sent = int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()
    words = {"print": "follow, order, print compact", "read": "decode and convert"}[what]
    print(meter.line(f"{words}, {f'{rate:,}/s' if rate else 'full speed'}", sent), flush=True)


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rate", type=int, default=15_000)
    args = parser.parse_args()
    measure_command(args.rate, args.seconds)
    for what, rate in (("read", args.rate), ("print", args.rate), ("read", 0)):
        measure(what, rate, args.seconds)


if __name__ == "__main__":
    main()
