"""The Kernel screen over the real tap: real packets in namespaces of the test's own, and nothing left behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from installer.services.kernel_watch import TapWish
from installer.tui.kernel.drops import DropTarget
from installer.wiring.tap_feed import open_tap
from tests.bpf.conftest import Lab
from tests.bpf.conftest import lab as lab
from tests.bpf.test_faults import gone, held, in_kernel
from tests.tui.kernel.conftest import OpenNode

pytestmark = pytest.mark.root

SEND = """
import socket
for port in (7001, 7002):
    sender = socket.socket(type=socket.SOCK_DGRAM)
    for _ in range(20):
        sender.sendto(bytes(1000), ("{address}", port))
"""
RECEIVE = """
import socket
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind(("", 7001))
print("ready")
while True:
    server.recv(2000)
"""


def tap(wish: TapWish, kube: Any) -> Any:
    return open_tap(kube, wish)


def child() -> int:
    """Return the number of the tap's process."""
    tasks = Path("/proc/self/task").iterdir()
    for pid in [int(pid) for task in tasks for pid in (task / "children").read_text().split()]:
        with suppress(FileNotFoundError):  # it has ended meanwhile
            if b"bpf.child.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    raise AssertionError("the tap has no process")


async def test_packets_are_seen_and_leaving_takes_the_programs_out_of_the_kernel(lab: Lab, open_node: OpenNode) -> None:
    await asyncio.to_thread(lab.drop, "b", "udp dport 7002")
    server = await asyncio.to_thread(lab.start, "b", RECEIVE)
    try:
        await look(lab, open_node)
    finally:
        server.kill()
        server.communicate()


async def look(lab: Lab, open_node: OpenNode) -> None:
    here, there = lab.address("a"), lab.address("b")
    async with open_node(services={"taps": tap}, cluster=False, areas=("kernel", "overview"), size=(200, 50)) as node:
        await node.press("t", "s")
        await node.until(lambda: node.watch.word == "on")
        programs, links = held(child())
        assert programs
        await node.press("slash", *f"ip={here} and ip={there}", "enter")
        await asyncio.to_thread(lab.python, "a", SEND.format(address=there))
        await node.sees(f"{lab.a}", ":7001", ":7002", "20.6 kB")
        await node.press("d")
        await node.sees("NETFILTER_DROP")
        drop = next(one for one in node.watch.board.drops.distinct() if one.key[4] == 7002)
        assert (drop.reason, drop.packets.total) == ("NETFILTER_DROP", 20)
        node.screen.rows.mark(DropTarget(drop.key))
        await node.sees("DROPPED NETFILTER_DROP", "a rule of nftables")
        await node.press("2")
        await node.until(lambda: node.watch.word == "off")
        await gone(programs, links)
        await node.press("5")
        await node.until(lambda: node.watch.word == "on")
        programs, links = held(child())
        assert programs <= in_kernel("prog")
    await gone(programs, links)
