"""Hosts that cannot, floods, and ends: a clear answer, a count, and nothing left in the kernel."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from installer.adapters.bpf import process
from installer.adapters.bpf.source import TapOptions, TapSource
from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.flows.flow import Flow
from installer.domain.tap.directory import Directory
from installer.ports.flows import FlowRequest
from tests.bpf.conftest import PROGRAMS, PYTHON, Lab, Seen, Tapping, run
from tests.bpf.test_flows import FLOWS, between, total

pytestmark = pytest.mark.root

FLOOD = Path(__file__).with_name("flood.py")
WISH = {"sources": str(PROGRAMS), "interval": 0.2}
MANY_PORTS = """
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range({count}):
    try:
        sender.sendto(b"x", ("{address}", 10000 + port))
    except ConnectionRefusedError:
        pass
"""
QUESTIONS = """
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range({count}):
    sender.sendto(bytes.fromhex("123401000001000000000000") + b"\\x01a\\x00\\x00\\x01\\x00\\x01", ("{address}", 53))
"""
PARENT = """
import asyncio, sys
from installer.adapters.bpf import process

async def main():
    async with process.run({wish!r}) as tap:
        async for _ in tap.frames():
            print(tap.pid, flush=True)

asyncio.run(main())
"""


async def refused(wish: dict[str, object], python: str = "") -> BeeyardError:
    """Return what a tap is refused with."""
    with pytest.raises(BeeyardError) as caught:
        await _frames(WISH | wish, python)
    return caught.value


async def _frames(wish: dict[str, object], python: str = "", *, kill: bool = False) -> None:
    """Read frames to the end; kill the process after the first."""
    async with process.run(wish, python) as tap:
        async for _ in tap.frames():
            if kill:
                os.kill(tap.pid, signal.SIGKILL)


def wrapper(folder: Path, *argv: str) -> str:
    """Return a program that starts the system's Python in another way."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec {" ".join(argv)} "$@"\n')
    path.chmod(0o755)
    return str(path)


async def test_no_capabilities(tmp_path: Path) -> None:
    error = await refused({}, wrapper(tmp_path, "setpriv", "--bounding-set=-all", PYTHON))
    assert error.code == "E-BPF-001"
    assert "CAP_BPF" in error.why
    assert "sudo" in error.fix


async def test_lockdown(tmp_path: Path) -> None:
    (tmp_path / "lockdown").write_text("none integrity [confidentiality]\n")
    assert (await refused({"lockdown": str(tmp_path / "lockdown")})).code == "E-BPF-002"


async def test_no_bcc(tmp_path: Path) -> None:
    error = await refused({}, wrapper(tmp_path, PYTHON, "-S"))
    assert error.code == "E-BPF-003"
    assert "python3-bpfcc" in error.fix


def test_no_python() -> None:
    with pytest.raises(RefusedError) as caught:
        process.find_python(("/nonexistent/python3",))
    assert caught.value.code == "E-BPF-003"


@pytest.mark.skipif(Path("/sys/kernel/kheaders.tar.xz").exists(), reason="this kernel carries its headers")
async def test_no_headers(tmp_path: Path) -> None:
    error = await refused({"modules": str(tmp_path), "headers": str(tmp_path)})
    assert error.code == "E-BPF-004"
    assert "linux-headers" in error.fix


async def test_no_btf(tmp_path: Path) -> None:
    assert (await refused({"btf": str(tmp_path / "vmlinux")})).code == "E-BPF-005"
    (tmp_path / "vmlinux").write_bytes(b"no BTF at all, but long enough to be read")
    assert (await refused({"btf": str(tmp_path / "vmlinux")})).code == "E-BPF-005"


async def test_programs_that_do_not_compile(tmp_path: Path) -> None:
    for name in ("tap.h", "flows.c", "drops.c", "tcp.c"):
        (tmp_path / name).write_text((PROGRAMS / name).read_text())
    (tmp_path / "drops.c").write_text("this is no C\n")
    error = await refused({"sources": str(tmp_path)})
    assert error.code == "E-BPF-007"
    assert "error:" in error.why


async def test_a_process_that_dies() -> None:
    with pytest.raises(BeeyardError) as caught:
        await _frames(dict(WISH), kill=True)
    assert caught.value.code == "E-BPF-010"


def held(pid: int) -> tuple[set[int], set[int]]:
    """Return the numbers of the programs and links that a process holds."""
    programs, links = set(), set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        text = ""
        with suppress(FileNotFoundError):  # it was closed meanwhile
            text = path.read_text()
        programs |= {int(number) for number in re.findall(r"^prog_id:\t(\d+)", text, re.MULTILINE)}
        links |= {int(number) for number in re.findall(r"^link_id:\t(\d+)", text, re.MULTILINE)}
    return programs, links


def in_kernel(kind: str) -> set[int]:
    """Return the numbers of all there are; bpftool fails when one goes away while it lists them."""
    for _ in range(20):
        done = subprocess.run(["bpftool", "-j", kind, "show"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return {item["id"] for item in json.loads(done.stdout)}
    raise AssertionError(done.stdout + done.stderr)


async def gone(programs: set[int], links: set[int]) -> None:
    """Wait until the kernel has freed them: it does so after a grace period."""
    async with asyncio.timeout(20):
        while in_kernel("prog") & programs or in_kernel("link") & links:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("end", ["stop", "kill", "kill the parent"])
async def test_nothing_is_left_behind(end: str) -> None:
    child = subprocess.Popen(  # noqa: ASYNC220 - it only starts here
        [sys.executable, "-c", PARENT.format(wish=WISH)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with child:
        assert child.stdout is not None
        pid = int(await asyncio.to_thread(child.stdout.readline))
        programs, links = held(pid)
        assert len(programs) == 7
        assert len(links) >= 2
        assert programs <= in_kernel("prog")
        victim, number = {"stop": (child.pid, signal.SIGINT), "kill": (pid, signal.SIGKILL)}.get(
            end, (child.pid, signal.SIGKILL)
        )
        os.kill(victim, number)
        await gone(programs, links)
        attached = run("bpftool", "cgroup", "tree", "-j")
        assert not {item for item in programs if f'"id":{item},' in attached}
        child.kill()
    assert not Path(f"/proc/{pid}/fdinfo/0").exists()


async def test_a_flood_of_new_flows_is_shed_and_counted(lab: Lab, tapping: Tapping) -> None:
    count, here, there = 3000, lab.address("a"), lab.address("b")
    few = TapOptions(drops=False, tcp=False, dns=False, interval=0.2, new_flows=100)
    async with tapping(few) as seen:
        lab.python("a", MANY_PORTS.format(count=count, address=there))
    told = total(between(seen, here, there, "EGRESS"), "packets")
    assert 0 < told < count
    assert seen.lost("TAP_NEW_FLOWS_TOO_FAST") >= count - told


async def test_a_full_table_forgets_the_oldest_and_counts_them(lab: Lab, tapping: Tapping) -> None:
    there = lab.address("b")
    small = TapOptions(drops=False, tcp=False, dns=False, interval=30, table=1024)
    async with tapping(small) as seen:
        lab.python("a", MANY_PORTS.format(count=5000, address=there))
    assert len(between(seen, lab.address("a"), there, "EGRESS")) <= 1024
    assert seen.lost("TAP_FLOW_TABLE_FULL") > 1000


async def test_a_flood_of_events_is_shed_and_counted(lab: Lab, tapping: Tapping) -> None:
    count, there = 4000, lab.address("b")
    narrow = TapOptions(flows=False, drops=False, tcp=False, interval=0.2, ring_pages=1)
    async with tapping(narrow) as seen:
        lab.python(
            "a",
            "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 4001))\n"
            + QUESTIONS.format(count=count, address=there),
        )
    told = sum(1 for flow in seen.flows if flow.ip and flow.ip.destination == there)
    assert 0 < told < count
    assert told + seen.lost("TAP_EVENT_RING_FULL") >= count


def flood(lab: Lab, *arguments: int | str) -> subprocess.Popen[str]:
    """Start a flood within a side; it goes on until its stdin is closed, and prints what it sent."""
    argv = ("ip", "netns", "exec", lab.a, PYTHON, str(FLOOD), *map(str, arguments))
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def to_port(seen: Seen, port: int, verdict: str) -> list[Flow]:
    return [
        flow
        for flow in seen.flows
        if flow.verdict == verdict and flow.l4 and flow.l4.udp and flow.l4.udp.destination_port == port
    ]


async def test_a_flood_of_packets_is_counted_to_the_last_one(lab: Lab, tapping: Tapping) -> None:
    async with tapping(TapOptions(tcp=False, dns=False, interval=0.2)) as seen:
        with flood(lab, 4, 40, "127.0.0.1", 7009) as sender:
            await seen.until(lambda told: bool(to_port(told, 7009, "FORWARDED")), 60)  # it speaks in the midst of it
            words, _ = await asyncio.to_thread(sender.communicate)
        sent = int(words.split()[0])
    assert sent >= 4 * 40 * 1024
    assert total(to_port(seen, 7009, "FORWARDED"), "packets") == sent
    assert {flow.drop_reason_desc for flow in to_port(seen, 7009, "DROPPED")} == {"NO_SOCKET"}
    assert total(to_port(seen, 7009, "DROPPED"), "packets") == sent


async def test_a_flood_of_new_flows_is_shed_and_none_is_forgotten(lab: Lab, tapping: Tapping) -> None:
    options = TapOptions(drops=False, tcp=False, dns=False, interval=0.2, new_flows=500)
    async with tapping(options) as seen:
        with flood(lab, 2, 16, "127.0.0.1", 7010, 16_384) as sender:
            await seen.until(lambda told: bool(to_port(told, 7010, "FORWARDED")), 60)
            words, _ = await asyncio.to_thread(sender.communicate)
        sent = int(words.split()[0])
    told, shed = total(to_port(seen, 7010, "FORWARDED"), "packets"), seen.lost("TAP_NEW_FLOWS_TOO_FAST")
    assert 0 < told < sent <= told + shed  # what others sent meanwhile may be among what was shed
    assert not seen.lost("TAP_FLOW_TABLE_FULL")


CHURN = """
import socket
sender = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(3):
    sender.sendto(b"x", ("127.0.0.1", {port}))
"""


async def test_namespaces_that_come_and_go(tapping: Tapping) -> None:
    ports = range(7100, 7112)
    async with tapping(TapOptions(tcp=False, dns=False, interval=0.2)) as seen:
        for port in ports:
            inside = f"ip link set lo up && exec {PYTHON} -c '{CHURN.format(port=port)}'"
            await asyncio.to_thread(run, "unshare", "-n", "sh", "-c", inside)
        await seen.until(lambda told: bool(to_port(told, ports[-1], "FORWARDED")))
    assert [total(to_port(seen, port, "FORWARDED"), "packets") for port in ports] == [3] * len(ports)
    assert [total(to_port(seen, port, "DROPPED"), "packets") for port in ports] == [3] * len(ports)


async def test_it_ends_when_nobody_wants_more(lab: Lab) -> None:
    source = TapSource(PROGRAMS, Directory(), "node1", FLOWS)
    batches = source.batches(FlowRequest())
    with lab.start(
        "a",
        "print('ready')\nimport socket, time\ns = socket.socket(type=socket.SOCK_DGRAM)\n"
        f"while True:\n    s.sendto(b'x', ('{lab.address('b')}', 9)); time.sleep(0.05)",
    ) as talker:
        assert await anext(batches)
        await batches.aclose()
        talker.kill()
    assert not source.stopping.is_set()
