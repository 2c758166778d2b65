"""A daemon for the tests of service managers: tells what it was given, and behaves as its first argument says.

``ready`` sends READY=1, ``mute`` never does, ``crash`` ends with status 3, ``deaf`` ignores SIGTERM, ``chatty`` prints
a lot. All but ``crash`` leave a grandchild in a session of its own, which stands for a container, and write a report
in Python's own notation: the smallest Python of Debian has no json.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path


def notify(message: str) -> None:
    """Send a message to systemd if it asked for one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address[0] == "@" else address)
            channel.send(message.encode())


def grandchild() -> int:
    """Leave a process behind in a session of its own."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.execv("/bin/sleep", ["sleep", "1000"])
    return pid


def main() -> None:
    """Write a report, then behave as told until SIGTERM."""
    mode, report = sys.argv[1:3]
    if mode == "crash":
        print("cannot read the flux capacitor", flush=True)
        sys.exit(3)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else lambda *_: sys.exit(0))
    facts = {"pid": os.getpid(), "child": grandchild(), "argv": sys.argv[1:], "env": dict(os.environ)}
    made = Path(f"{report}.tmp")
    made.write_text(repr(facts), encoding="utf-8")
    made.rename(report)
    print(f"daemon is up in mode {mode}", flush=True)
    if mode == "ready":
        notify("READY=1\nSTATUS=all is well")
    while True:
        if mode == "chatty":
            print("x" * 4000, flush=True)
        time.sleep(0.01 if mode == "chatty" else 60)


main()
