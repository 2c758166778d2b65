"""Measures the tap: packets, throughput, events, start. Run by ``scripts/bench/tap`` under the system's Python."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from installer.adapters.bpf.child import drain, kernel  # noqa: E402
from installer.adapters.bpf.child.program import Loaded, Wish, load  # noqa: E402

_TEST_RUN = 10
_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_BOOT = "import sys; sys.path.append(sys.argv[1]); from installer.adapters.bpf.child.main import main; main()"
_RECEIVE = """
import socket, time
server = socket.create_server(("10.254.7.2", 7000))
print("ready", flush=True)
connection, _ = server.accept()
room, total, start = bytearray(1 << 20), 0, time.perf_counter()
while got := connection.recv_into(room):
    total += got
print(total / (time.perf_counter() - start), flush=True)
"""
_SEND = """
import socket, time, sys
connection = socket.create_connection(("10.254.7.2", 7000))
data, end = bytes(1 << 20), time.perf_counter() + float(sys.argv[1])
while time.perf_counter() < end:
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


def per_packet(loaded: Loaded, base: int) -> None:
    """Print nanoseconds a packet, beyond those of an empty program."""
    import bcc

    program = loaded.bpf.load_func("tap_egress", bcc.BPF.CGROUP_SKB).fd
    repeat = 1_000_000
    for name, frame in (("TCP", packet(6, 80, bytes(1000))), ("UDP", packet(17, 80, bytes(100)))):
        runs = [(test_run(base, frame, repeat), test_run(program, frame, repeat)) for _ in range(7)]
        without, with_tap = (statistics.median(column) for column in zip(*runs))  # noqa: B905 - Python 3.9
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


def stream(seconds: float) -> float:
    """Return bytes a second from one namespace to the other."""
    inside = ["ip", "netns", "exec"]
    receiver = subprocess.Popen(
        [*inside, "bytap-b", "/usr/bin/python3", "-c", _RECEIVE], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    receiver.stdout.readline()
    subprocess.run([*inside, "bytap-a", "/usr/bin/python3", "-c", _SEND, str(seconds)], check=True)
    rate = float(receiver.stdout.readline())
    receiver.wait()
    return rate


def throughput(rounds: int, seconds: float) -> None:
    """Print the throughput with and without the tap, measured in turn."""
    pairs, starts = [], []
    with namespaces():
        stream(0.5)
        for number in range(rounds):
            without = stream(seconds) if number % 2 == 0 else 0.0
            with tap() as first:
                starts.append(first)
                tapped = stream(seconds)
            pairs.append((without or stream(seconds), tapped))
    plain, tapped_rate = (statistics.median(column) for column in zip(*pairs))  # noqa: B905
    loss = statistics.median(1 - tapped / without for without, tapped in pairs)
    print(f"TCP between two namespaces: {plain / 1e9:.2f} GB/s without, {tapped_rate / 1e9:.2f} GB/s with the tap")
    print(f"loss, median of {rounds} pairs: {loss:.1%} ({', '.join(f'{1 - b / a:+.1%}' for a, b in pairs)})")
    print(f"start to the first rows: {statistics.median(starts):.2f} s (longest {max(starts):.2f} s; interval of 1 s)")


def main() -> None:
    """Run all."""
    rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
    throughput(rounds, seconds)
    loaded = load(Wish(sources=str(ROOT / "bpf"), drops=False, tcp=False))
    per_packet(loaded, kernel.load_program(kernel.CGROUP_SKB, kernel.NOTHING))
    events(loaded)


main()
