"""Two network namespaces with a cable between them, and a tap on the kernel that carries it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.bpf.source import TapOptions, TapSource
from installer.domain.flows.flow import Answer, Flow
from installer.domain.tap.directory import Directory
from installer.ports.flows import FlowRequest

PROGRAMS = Path(__file__).parents[2] / "bpf"
PYTHON = "/usr/bin/python3"


def run(*argv: str, text: str | None = None) -> str:
    """Run a command, which must succeed."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, input=text, timeout=60).stdout


@dataclass
class Lab:
    """Namespaces ``a`` and ``b``; addresses are the ``n``-th network's."""

    a: str
    b: str
    net: int

    def address(self, side: str, family: int = 4) -> str:
        """Return an address of a side, ``a`` or ``b``."""
        host = 1 if side == "a" else 2
        return f"10.{self.net >> 8}.{self.net & 255}.{host}" if family == 4 else f"fd00:{self.net:x}::{host}"

    def inside(self, side: str, *argv: str) -> str:
        """Run a command on a side."""
        return run("ip", "netns", "exec", getattr(self, side), *argv)

    def python(self, side: str, code: str) -> str:
        """Run Python on a side."""
        return self.inside(side, PYTHON, "-c", code)

    def start(self, side: str, code: str) -> subprocess.Popen[str]:
        """Start Python on a side; it prints a line when it is ready."""
        argv = ("ip", "netns", "exec", getattr(self, side), PYTHON, "-u", "-c", code)
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def retransmits(self, side: str) -> int:
        """Return how many segments of TCP a side has sent again, as the kernel counts."""
        text = self.inside(side, "cat", "/proc/net/snmp")
        lines = [line.split() for line in text.splitlines() if line.startswith("Tcp:")]
        return int(dict(zip(*lines, strict=True))["RetransSegs"])

    def drop(self, side: str, match: str) -> None:
        """Let netfilter drop what comes to a side and matches."""
        chain = "add chain inet t c { type filter hook input priority 0 ; }"
        rules = f"add table inet t\n{chain}\nadd rule inet t c {match} drop\n"
        run("ip", "netns", "exec", getattr(self, side), "nft", "-f", "-", text=rules)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Make the namespaces and delete them."""
    net = (os.getpid() * 7 + abs(hash(request.node.nodeid))) % 0x7FFF + 0x4000
    made = Lab(f"byt-{os.getpid()}-{net:x}a", f"byt-{os.getpid()}-{net:x}b", net)
    try:
        for side in (made.a, made.b):
            run("ip", "netns", "add", side)
            run("ip", "-n", side, "link", "set", "lo", "up")
        run("ip", "link", "add", "cable", "netns", made.a, "type", "veth", "peer", "name", "cable", "netns", made.b)
        for letter, side in (("a", made.a), ("b", made.b)):
            run("ip", "-n", side, "addr", "add", f"{made.address(letter)}/24", "dev", "cable")
            run("ip", "-n", side, "addr", "add", f"{made.address(letter, 6)}/64", "dev", "cable", "nodad")
            run("ip", "-n", side, "link", "set", "cable", "up")
        yield made
    finally:
        for side in (made.a, made.b):
            subprocess.run(["ip", "netns", "del", side], check=False, capture_output=True)


@dataclass
class Seen:
    """What a tap told so far."""

    source: TapSource
    pids: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def flows(self) -> list[Flow]:
        """The flows among it."""
        return [answer.flow for answer in self.answers if answer.flow is not None]

    def lost(self, source: str) -> int:
        """Return how many events were lost for a reason."""
        told = [answer.lost_events for answer in self.answers if answer.lost_events is not None]
        return sum(int(lost.num_events_lost) for lost in told if lost.source == source)

    async def until(self, enough: Callable[[Seen], bool], seconds: float = 15.0) -> None:
        """Wait until it is enough."""
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: enough(self)), seconds)


Tapping = Callable[..., AbstractAsyncContextManager[Seen]]


@pytest.fixture
def tapping() -> Tapping:
    """Return what runs a tap: it works when the context is entered, and has told all when it is left."""

    @asynccontextmanager
    async def opened(options: TapOptions | None = None, request: FlowRequest | None = None) -> AsyncIterator[Seen]:
        ready = asyncio.Event()
        notes: list[str] = []

        def on_ready(told: Sequence[str]) -> None:
            notes.extend(told)
            ready.set()

        source = TapSource(PROGRAMS, Directory(), "node1", options or TapOptions(interval=0.2), on_ready)
        seen = Seen(source, notes=notes)

        async def follow() -> None:
            async for batch in source.batches(request or FlowRequest()):
                async with seen.changed:
                    seen.answers += batch
                    seen.changed.notify_all()

        task = asyncio.ensure_future(follow())
        try:
            await _first(ready.wait(), task)
            yield seen
            source.stopping.set()
            await asyncio.wait_for(task, 15)
        finally:
            task.cancel()
            await asyncio.wait([task])

    return opened


async def _first(waiting: Coroutine[Any, Any, Any], task: asyncio.Future[None]) -> None:
    """Wait for the first of both; raise what the task raised."""
    other = asyncio.ensure_future(waiting)
    futures: list[asyncio.Future[Any]] = [other, task]
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    if task.done():
        other.cancel()
        task.result()
    assert other.done(), "the tap did not get ready"
