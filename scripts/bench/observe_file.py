"""Figures of ``beeyard observe --input-file``: wall time, processor time and memory, beside a plain reader's.

hubble 1.19 took 3.2 s and 72 MB to print these flows compact on a machine on which the plain reader below took
``PLAIN_THEN`` seconds. Its time on this machine is estimated by the plain reader's time in the same run. Its time from
jsonpb to jsonpb was never measured; it decodes the same, and encodes besides, so it is taken to be no less than that
of compact, which is the hardest assumption for us.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOWS = 98_790
HUBBLE_COMPACT, HUBBLE_MB = 3.2, 72
PLAIN_THEN = 1.15
"""Seconds of the plain reader where hubble took 3.2 s; taken later, with priority over all other processes."""

PLAIN = """
import json, sys
write = sys.stdout.write
for line in open(sys.argv[1], encoding="utf-8"):
    flow = json.loads(line)["flow"]
    source, destination = flow.get("source") or {}, flow.get("destination") or {}
    write(f"{flow['time']}: {source.get('pod_name')} -> {destination.get('pod_name')} {flow['verdict']}\\n")
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: seconds of wall and processor time, megabytes of all its processes together."""

    wall: float
    cpu: float
    memory: float


def make_recording(path: Path) -> None:
    """Repeat the recording of the tests with later times and other ids until there are enough flows."""
    lines = gzip.decompress((ROOT / "tests/fixtures/hubble/flows-cilium-1.16.jsonl.gz").read_bytes()).splitlines(True)
    with path.open("wb") as file:
        for number in range(FLOWS):
            lap, index = divmod(number, len(lines))
            line = re.sub(rb'"2026-11-23T08:', b'"2026-11-23T%02d:' % (8 + lap % 16), lines[index])
            file.write(re.sub(rb'"uuid":"....', b'"uuid":"%04x' % lap, line, count=1))


def measure(argv: list[str], out: Path) -> Cost:
    """Run a command with its output in a file, and sum the memory of its processes while it runs."""
    start, before, peak = time.perf_counter(), os.times(), 0.0
    with out.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, sum(map(memory_mb, family(process.pid))))
            time.sleep(0.02)
    wall, after = time.perf_counter() - start, os.times()
    assert process.returncode == 0
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, cpu, peak)


def family(pid: int) -> Iterator[int]:
    """Yield a process and its children."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def memory_mb(pid: int) -> float:
    """Return what a process holds in memory; pages that forks share count for each of them."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1000 if found else 0.0


def best(argv: list[str], out: Path, runs: int) -> Cost:
    """Return the fastest of some runs, after one that warms the caches, with the most memory of all of them."""
    costs = [measure(argv, out) for _ in range(runs + 1)]
    fastest = min(costs, key=lambda cost: cost.wall)
    return Cost(fastest.wall, fastest.cpu, max(cost.memory for cost in costs))


def main() -> None:
    """Print a line for each way of reading."""
    runs = int(sys.argv[1])
    beeyard = [str(ROOT / ".venv/bin/beeyard"), "observe", "--input-file"]
    with tempfile.TemporaryDirectory() as folder:
        recording, out = Path(folder) / "flows.jsonl", Path(folder) / "out"
        make_recording(recording)
        print(f"{FLOWS} flows, {recording.stat().st_size / 1e6:.0f} MB; {len(os.sched_getaffinity(0))} processors")
        plain = best([sys.executable, "-c", PLAIN, str(recording)], out, runs)
        hubble = HUBBLE_COMPACT * plain.wall / PLAIN_THEN
        report("json.loads and one f-string", plain, 0.0, 0.0)
        for name, options, limit in (
            ("compact", [], 1.1 / HUBBLE_COMPACT * hubble),
            ("compact --verdict DROPPED", ["--verdict", "DROPPED"], 1.1 / HUBBLE_COMPACT * hubble),
            ("compact --label k8s:app=frontend", ["--label", "k8s:app=frontend"], 1.1 / HUBBLE_COMPACT * hubble),
            ("jsonpb", ["-o", "jsonpb"], hubble / 4),
        ):
            report(name, best([*beeyard, str(recording), *options], out, runs), hubble, limit)
            if name == "jsonpb":
                assert out.read_bytes() == recording.read_bytes(), "jsonpb differs from what was read"


def report(name: str, cost: Cost, hubble: float, limit: float) -> None:
    """Print a line."""
    line = f"{name:<36} {cost.wall:5.2f} s wall  {cost.cpu:5.2f} s cpu  {cost.memory:4.0f} MB"
    if hubble:
        said = "ok" if cost.wall <= limit and cost.memory <= 150 else "TOO SLOW"
        line += f"  hubble ~{hubble:.1f} s: {hubble / cost.wall:.1f} x as fast; limit {limit:.2f} s, 150 MB: {said}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
