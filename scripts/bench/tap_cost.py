"""Measures the tap: packets, throughput, events, start. Run by ``scripts/bench/tap`` under the system's Python."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import platform
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from installer.adapters.bpf.child import drain, kernel  # noqa: E402
from installer.adapters.bpf.child.place import find_cgroup  # noqa: E402
from installer.adapters.bpf.child.program import Loaded, Wish, load  # noqa: E402

_TEST_RUN = 10
_SETTLE = 0.02
_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_BOOT = "import sys; sys.path.append(sys.argv[1]); from installer.adapters.bpf.child.main import main; main()"
_RECEIVE = """
import mmap, socket, struct, sys
server = socket.create_server(("10.254.7.2", 7000))
file = open(sys.argv[1], "r+b")
shared = mmap.mmap(file.fileno(), 8)
print("ready", flush=True)
connection, _ = server.accept()
room, total = bytearray(1 << 17), 0
while got := connection.recv_into(room):
    total += got
    shared[:8] = struct.pack("=Q", total)
"""
_SEND = """
import socket
connection = socket.create_connection(("10.254.7.2", 7000))
data = bytes(1 << 17)
while True:
    connection.sendall(data)
"""


def test_run(program: int, packet: bytes, repeat: int) -> float:
    """Return the nanoseconds that a program takes for a packet."""
    data = ctypes.create_string_buffer(packet, len(packet))
    out = ctypes.create_string_buffer(4096)
    where = ctypes.addressof(data), ctypes.addressof(out)
    attributes = struct.pack("=IIIIQQII", program, 0, len(packet), 4096, *where, repeat, 0)
    buffer = ctypes.create_string_buffer(attributes.ljust(144, b"\0"), 144)
    if ctypes.CDLL(None, use_errno=True).syscall(_BPF, _TEST_RUN, buffer, 144) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return float(struct.unpack_from("=I", buffer.raw, 36)[0])


def packet(protocol: int, port: int, payload: bytes) -> bytes:
    """Return an Ethernet frame from 10.0.0.1 to 10.0.0.2."""
    head = struct.pack("!HH", 40000, port)
    head += (
        struct.pack("!IIBBHHH", 1, 1, 5 << 4, 16, 1000, 0, 0)
        if protocol == 6
        else struct.pack("!HH", 8 + len(payload), 0)
    )
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(head) + len(payload), 1, 0, 64, protocol, 0) + addresses
    return bytes(12) + b"\x08\x00" + header + head + payload


def typical(program: int, frame: bytes) -> float:
    """Return the nanoseconds for a packet: the median of many runs that are too short to be interrupted often."""
    return statistics.median(test_run(program, frame, 1500) for _ in range(3000))


def per_packet(loaded: Loaded, base: int) -> None:
    """Print nanoseconds a packet, beyond those of an empty program."""
    import bcc

    program = loaded.bpf.load_func("tap_egress", bcc.BPF.CGROUP_SKB).fd
    for name, frame in (("TCP", packet(6, 80, bytes(1000))), ("UDP", packet(17, 80, bytes(100)))):
        without, with_tap = (typical(one, frame) for one in (base, program))
        print(f"{name} packet of a known flow: {with_tap - without:.0f} ns more than an empty program ({without:.0f})")
    fresh = []
    for number in range(2000):
        frame = packet(17, 1000 + number, bytes(100))
        fresh.append(test_run(program, frame, 1) - test_run(base, frame, 1))
    print(f"UDP packet of a new flow, one at a time: {statistics.median(fresh):.0f} ns")


def events(loaded: Loaded) -> None:
    """Print how many events are taken out of the ring, decoded and written as JSON in a second."""
    import bcc

    program = loaded.bpf.load_func("tap_egress", bcc.BPF.CGROUP_SKB).fd
    question = b"\0\7\1\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0\1\0\1"
    frame, stop = packet(17, 53, question), threading.Event()
    made = [0]

    def produce() -> None:
        while not stop.is_set():
            test_run(program, frame, 2000)
            made[0] += 2000

    reader = drain.Events(loaded)
    producer = threading.Thread(target=produce)
    producer.start()
    began, told = time.perf_counter(), 0
    while time.perf_counter() - began < 3:
        reader.wait(0.05)
        _, dns = reader.rows(0)
        json.dumps(dns)
        told += len(dns)
    took = time.perf_counter() - began
    stop.set()
    producer.join()
    table = loaded.bpf["tap_counters"]
    lost = sum(table[table.Key(2)])
    print(f"events made: {made[0] / took:,.0f}/s")
    print(f"events drained: {told / took:,.0f}/s, shed and counted: {lost / took:,.0f}/s")


@contextmanager
def namespaces() -> Iterator[None]:
    """Make two namespaces with a cable."""

    def ip(*argv: str) -> None:
        subprocess.run(["ip", *argv], check=True)

    ip("netns", "add", "bytap-a")
    ip("netns", "add", "bytap-b")
    try:
        ip("link", "add", "cable", "netns", "bytap-a", "type", "veth", "peer", "name", "cable", "netns", "bytap-b")
        for side, host in (("a", 1), ("b", 2)):
            ip("-n", f"bytap-{side}", "addr", "add", f"10.254.7.{host}/24", "dev", "cable")
            ip("-n", f"bytap-{side}", "link", "set", "cable", "up")
        yield
    finally:
        ip("netns", "del", "bytap-a")
        ip("netns", "del", "bytap-b")


@contextmanager
def tap() -> Iterator[float]:
    """Run the tap's process as beeyard does; the value is its time to the first frame with rows."""
    began = time.perf_counter()
    process = subprocess.Popen(
        ["/usr/bin/python3", "-s", "-c", _BOOT, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"sources": str(ROOT / "bpf"), "interval": 1.0}).encode() + b"\n")
    process.stdin.flush()
    first = 0.0
    for line in process.stdout:
        if b'"rows"' in line[:40]:
            first = time.perf_counter() - began
            break
    sink = threading.Thread(target=lambda: all(True for _ in process.stdout or ()))
    sink.start()
    try:
        yield first
    finally:
        process.stdin.close()
        process.wait()
        sink.join()


@contextmanager
def stream() -> Iterator[Callable[[float], tuple[float, float]]]:
    """Run a TCP stream from one namespace to the other; the value measures it for some seconds.

    It gives bytes a second, and bytes a second of processor time of both ends. Each end has a processor of its own and
    sends or takes 128 KiB at once, as iperf3 does.
    """
    first, *others = sorted(os.sched_getaffinity(0))
    inside = [["taskset", "-c", str(cpu), "ip", "netns", "exec"] for cpu in (first, (others or [first])[0])]
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(8))
        file.flush()
        receiver = subprocess.Popen(
            [*inside[1], "bytap-b", "/usr/bin/python3", "-c", _RECEIVE, file.name], stdout=subprocess.PIPE, text=True
        )
        assert receiver.stdout is not None
        receiver.stdout.readline()
        sender = subprocess.Popen([*inside[0], "bytap-a", "/usr/bin/python3", "-c", _SEND], stderr=subprocess.DEVNULL)
        shared = mmap.mmap(file.fileno(), 8)

        def state() -> tuple[int, float, float]:
            busy = sum(int(Path(f"/proc/{one.pid}/schedstat").read_text().split()[0]) for one in (sender, receiver))
            return struct.unpack("=Q", shared[:8])[0], time.perf_counter(), busy / 1e9

        def rate(seconds: float) -> tuple[float, float]:
            before = state()
            time.sleep(seconds)
            size, clock, busy = (now - then for now, then in zip(state(), before))  # noqa: B905
            return max(size, 1) / clock, max(size, 1) / max(busy, 1e-9)

        try:
            yield rate
        finally:
            sender.kill()
            sender.wait()
            receiver.wait()


def throughput(loaded: Loaded, rounds: int, seconds: float) -> None:
    """Print what a stream loses to the programs, and to empty ones; "nothing" shows how exact that is."""
    import bcc

    cgroup = os.open(find_cgroup(Path("/proc/self/mounts").read_text()), os.O_RDONLY)
    while loaded.held:
        os.close(loaded.held.pop())
    tap = [loaded.bpf.load_func(name, bcc.BPF.CGROUP_SKB).fd for name in ("tap_egress", "tap_ingress")]
    subjects = {
        "nothing": [],
        "empty programs": [kernel.load_program(kernel.CGROUP_SKB, kernel.NOTHING)] * 2,
        "tap": tap,
    }
    rates: dict[str, list[tuple[tuple[float, float], ...]]] = {name: [] for name in subjects}

    def measured(programs: list[int], attached: bool) -> tuple[float, float]:
        links = attach(programs or tap, cgroup)
        if not (programs and attached):
            detach(links)  # what comes and goes disturbs both sides alike
        time.sleep(_SETTLE)
        found = rate(seconds)
        if programs and attached:
            detach(links)
        return found

    with namespaces(), stream() as rate:
        rate(1.0)
        for number in range(rounds):
            for name, programs in subjects.items():
                order = (False, True) if number % 2 else (True, False)
                one = {attached: measured(programs, attached) for attached in order}
                rates[name].append((one[False], one[True]))
    for index, what in enumerate(("second", "second of processor time")):
        plain = statistics.median(without[index] for pairs in rates.values() for without, _ in pairs)
        print(f"TCP stream: {plain / 1e9:.2f} GB a {what}")
        for name, pairs in rates.items():
            losses = [1 - attached[index] / without[index] for without, attached in pairs]
            print(f"  lost to {name}: {statistics.median(losses):+.1%} (standard error {error(losses):.1%})")


def error(values: list[float]) -> float:
    """Return the standard error of a median, from medians of resampled values."""
    chance = random.Random(1)
    return statistics.stdev(statistics.median(chance.choices(values, k=len(values))) for _ in range(300))


def attach(programs: list[int], cgroup: int) -> list[int]:
    """Attach a program to what leaves sockets and one to what reaches them; return the links."""
    kinds = (kernel.CGROUP_EGRESS, kernel.CGROUP_INGRESS)
    return [kernel.attach_cgroup(program, cgroup, kind) for program, kind in zip(programs, kinds, strict=True)]


def detach(links: list[int]) -> None:
    """Take them away."""
    for link in links:
        os.close(link)


def talk(done: threading.Event) -> None:
    """Send a datagram to this host again and again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not done.wait(0.02):
            with suppress(OSError):
                sender.sendto(b"hello", ("127.0.0.1", 9))


def start() -> None:
    """Print how long the tap's process takes to its first rows, on a host where a packet goes every 20 ms."""
    seconds, done = [], threading.Event()
    talker = threading.Thread(target=talk, args=(done,))
    talker.start()
    try:
        for _ in range(3):
            with tap() as first:
                seconds.append(first)
    finally:
        done.set()
        talker.join()
    print(f"start to the first rows: {statistics.median(seconds):.2f} s (longest {max(seconds):.2f} s)")


def main() -> None:
    """Run all."""
    rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
    start()
    loaded = load(Wish(sources=str(ROOT / "bpf"), drops=False, tcp=False))
    throughput(loaded, rounds, seconds)
    per_packet(loaded, kernel.load_program(kernel.CGROUP_SKB, kernel.NOTHING))
    events(loaded)


main()
