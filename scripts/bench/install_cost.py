"""Measure one install and one repeated install; see scripts/bench/install."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

BEEYARD = Path(sys.executable).with_name("beeyard")


def run(*arguments: str) -> tuple[list[dict[str, Any]], float, float, float]:
    """Run beeyard; return its events, wall seconds, own CPU seconds (without children), and peak memory in MB."""
    began = time.monotonic()
    with subprocess.Popen([BEEYARD, *arguments], stdout=subprocess.PIPE, text=True) as process:
        own: dict[str, float] = {}
        watcher = threading.Thread(target=watch, args=(process.pid, own))
        watcher.start()
        assert process.stdout is not None
        events = [json.loads(line) for line in process.stdout]
        if process.wait():
            raise SystemExit(f"beeyard failed: {events[-1]}")
        watcher.join()
    return events, time.monotonic() - began, own["cpu"], own["peak"]


def watch(pid: int, own: dict[str, float]) -> None:
    """Follow a process' own CPU time and peak memory until it ends."""
    tick = os.sysconf("SC_CLK_TCK")
    while True:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        except OSError:
            return
        if fields[0] == "Z" or peak is None:
            return
        own.update(cpu=(int(fields[11]) + int(fields[12])) / tick, peak=int(peak[1]) / 1024)
        time.sleep(0.05)


def transition(obj: dict[str, Any], kind: str) -> float:
    """Return when a condition became true, UNIX seconds (the API tells whole seconds)."""
    from datetime import datetime

    for condition in obj["status"]["conditions"]:
        if condition["type"] == kind and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"]).timestamp()
    raise SystemExit(f"{obj['metadata']['name']} is not {kind}")


def main(bundle: str) -> None:
    """Measure and print."""
    common = ("install", "--yes", "--allow-unsupported", "--no-merge", "-o", "json", "--bundle", bundle)
    events, wall, cpu, peak = run(*common)
    timings = events[-1]["timings"]
    ready = next(event["at"] for event in events if event["event"] == "step-done" and event["step"] == "ready")
    kubectl = ["/usr/local/bin/k3s", "kubectl", "get", "pods", "-A", "-o", "json"]
    pods = json.loads(subprocess.run(kubectl, capture_output=True, check=True).stdout)["items"]
    last = max(
        transition(pod, "Ready") for pod in pods if not pod["metadata"]["namespace"].startswith("beeyard-verify")
    )
    print(f"install           {wall:6.1f} s wall: " + ", ".join(f"{name} {time:.1f}" for name, time in timings.items()))
    print(f"beeyard's own CPU {cpu:6.1f} s  {cpu / wall:.2f} of the wall time")
    print(f"peak memory       {peak:6.0f} MB")
    print(f"ready told        {ready - last:6.1f} s after the last pod's Ready condition (whole seconds)")
    _, wall, cpu, _ = run(*common)
    print(f"second run        {wall:6.1f} s wall, {cpu:.1f} s own CPU")


if __name__ == "__main__":
    main(sys.argv[1])
