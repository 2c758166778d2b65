"""Measures how fast the cockpit is there; see ``scripts/bench/tui_start``."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

USABLE = b"Quit"
"""The footer is painted last; from then on keys work."""
BARE = """
from textual.app import App
from textual.widgets import Footer
class Bare(App):
    BINDINGS = [("q", "quit", "Quit")]
    def compose(self):
        yield Footer()
Bare().run()
"""
KUBECONFIG = """
{"apiVersion": "v1", "kind": "Config", "current-context": "x",
 "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
 "users": [{"name": "x", "user": {"token": "x"}}],
 "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}
"""


def first_picture(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the milliseconds from start to the first usable picture, and those of processor time in them."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    seen = b""
    while USABLE not in seen:
        seen += os.read(master, 65536)
    elapsed = time.perf_counter() - start
    process.send_signal(signal.SIGKILL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(master)
    return elapsed * 1000, (used.ru_utime + used.ru_stime) * 1000


def show(name: str, argv: list[str], runs: int, **changes: str) -> None:
    """Print the medians of some runs after one to warm up."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **changes}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # warm means: compiled
    times = [first_picture(argv, environment) for _ in range(runs + 1)][1:]
    wall, processor = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:<24}{wall:6.0f} ms  {processor:6.0f} ms of processor", flush=True)


def main(runs: int) -> None:
    """Measure and print."""
    beeyard = [".venv/bin/beeyard"]
    with tempfile.TemporaryDirectory() as folder:
        home = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}
        home["PYTHONPYCACHEPREFIX"] = f"{folder}/compiled"
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG)
        show("smallest Textual app", [sys.executable, "-c", BARE], runs, **home)
        show("beeyard, no kubeconfig", beeyard, runs, **home, KUBECONFIG=str(Path(folder) / "absent"))
        show("beeyard, kubeconfig", beeyard, runs, **home, KUBECONFIG=str(kubeconfig))
    print("budget                     700 ms")


if __name__ == "__main__":
    main(int(sys.argv[1]))
