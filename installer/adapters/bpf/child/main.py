"""The tap's process: a wish comes on stdin's first line, frames (JSON lines) go to stdout; it ends with its parent."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from installer.adapters.bpf.child import drain, kernel, place
from installer.adapters.bpf.child.names import Names
from installer.adapters.bpf.child.program import Loaded, Wish, load
from installer.adapters.bpf.child.refusal import Refusal

_POLL = 0.05
_ROWS = 500
"""Rows a frame: their reader, a screen perhaps, takes a frame at once."""
_LOSSES = ("created", "shed", "events", "unread")


class Tap:
    """One run.

    Args:
        loaded: the programs at work.
        wish: what they watch.
        interval: seconds between two readings of the counters.
    """

    def __init__(self, loaded: Loaded, wish: Wish, interval: float) -> None:
        self._loaded = loaded
        self._interval = interval
        self._flows = drain.Flows(loaded) if wish.flows else None
        self._drops = drain.Drops(loaded) if wish.drops else None
        self._events = drain.Events(loaded) if wish.tcp or (wish.dns and wish.flows) else None
        cgroup = place.find_cgroup(Path("/proc/self/mounts").read_text()) if wish.flows else ""
        self._names = Names(cgroup)
        self._lost: dict[str, int] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        """Write frames until it is told to stop; the last one holds what came up to then."""
        due = time.monotonic() + self._interval
        while not self.stop.is_set():
            wait = min(_POLL, max(0.0, due - time.monotonic()))
            if self._events is not None:
                self._events.wait(wait)
                self._tell_events()
            else:
                self.stop.wait(wait)
            if time.monotonic() >= due:
                self._tell_counters()
                due = max(due + self._interval, time.monotonic())
        if self._events is not None:
            self._events.wait(0)
            self._tell_events()
        self._tell_counters()
        write({"kind": "end"})

    def _tell_events(self) -> None:
        assert self._events is not None
        tcp, dns = self._events.rows(_epoch())
        if tcp or dns:
            self._name()
            _write_rows("tcp", tcp)
            _write_rows("dns", dns)

    def _tell_counters(self) -> None:
        counters = self._counters()
        epoch = _epoch()
        flows = list(self._flows.rows(epoch)) if self._flows is not None else []
        drops = list(self._drops.rows(epoch)) if self._drops is not None else []
        self._name()
        _write_rows("flows", flows)
        _write_rows("drops", drops)
        evicted = self._flows.evicted(counters.pop("created")) if self._flows is not None else 0
        self._tell_losses({**counters, "evicted": evicted})

    def _counters(self) -> dict[str, int]:
        table = self._loaded.bpf["tap_counters"]
        return {name: sum(table[table.Key(index)]) for index, name in enumerate(_LOSSES)}

    def _tell_losses(self, lost: dict[str, int]) -> None:
        lost.pop("created", None)
        grown = {name: count - self._lost.get(name, 0) for name, count in lost.items()}
        self._lost.update((name, max(count, self._lost.get(name, 0))) for name, count in lost.items())
        grown = {name: count for name, count in grown.items() if count > 0}
        write({"kind": "tick", "time": time.time_ns(), "lost": grown})

    def _name(self) -> None:
        readers = [one for one in (self._flows, self._drops, self._events) if one is not None]
        groups = self._flows.groups if self._flows is not None else set()
        news = self._names.news(set().union(*(one.spaces for one in readers)), groups)
        if news:
            write({"kind": "names", **news})


def _epoch() -> int:
    return time.time_ns() - time.monotonic_ns()


def _write_rows(kind: str, rows: list[drain.Row]) -> None:
    for start in range(0, len(rows), _ROWS):
        write({"kind": kind, "rows": rows[start : start + _ROWS]})


def write(frame: dict[str, Any]) -> None:
    """Write a frame; a parent that is gone ends the process."""
    try:
        sys.stdout.buffer.write(json.dumps(frame, separators=(",", ":")).encode() + b"\n")
        sys.stdout.buffer.flush()
    except OSError:
        os._exit(0)


def _obey(stop: threading.Event) -> None:
    """Stop at the line ``stop``; end at once when the parent is gone, also out of a slow compilation."""
    for line in sys.stdin.buffer:
        if line.strip() == b"stop":
            stop.set()
    os._exit(0)


def main() -> None:
    """Run, and end without waiting for the thread that reads stdin."""
    code = 1
    try:
        _main()
        code = 0
    except Exception:  # noqa: BLE001 - the parent tells the last line of stderr
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _main() -> None:
    kernel.die_with_parent()
    asked = json.loads(sys.stdin.buffer.readline() or b"{}")
    interval = float(asked.pop("interval", 1.0))
    wish, stop = Wish(**asked), threading.Event()
    threading.Thread(target=_obey, args=(stop,), daemon=True).start()
    began = time.monotonic()
    try:
        loaded = load(wish)
    except Refusal as no:
        write({"kind": "refused", "code": no.code, "what": no.what, "why": no.why, "fix": no.fix})
        return
    ready = {"kind": "ready", "notes": loaded.notes, "headers": loaded.headers, "seconds": time.monotonic() - began}
    tap = Tap(loaded, wish, interval)
    tap.stop = stop
    write(ready)
    tap.run()
