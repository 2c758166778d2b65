"""Two hosts in network namespaces of their own: the one that is guarded, and a peer that speaks with it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from installer.adapters.host.guard.state import GuardFiles

ROOT = Path(__file__).parents[4]
TAKE = "import json; from installer.adapters.host.guard import restore; print(json.dumps(restore.take()))"
PUT_BACK = (
    "import json, sys; from installer.adapters.host.guard import restore; "
    "print(json.dumps(restore.put_back(json.load(sys.stdin))))"
)
NETWORK = """
ip link set lo up
ip addr add 192.0.2.2/24 dev eth7; ip addr add 2001:db8::2/64 dev eth7 nodad; ip link set eth7 up
ip route add default via 192.0.2.1 metric 5; ip -6 route add default via 2001:db8::1
"""
PEER = """
ip link set lo up
ip addr add 192.0.2.1/24 dev peer7; ip addr add 203.0.113.9/32 dev lo
ip addr add 2001:db8::1/64 dev peer7 nodad; ip link set peer7 up
"""
KNOCK = """
import socket
with socket.socket() as knock:
    knock.settimeout(0.5)
    knock.bind(("203.0.113.9", 0))
    try:
        knock.connect(("192.0.2.2", 9))
    except ConnectionRefusedError:
        pass  # an answer
"""


@dataclass
class Namespace:
    """A network namespace, held by a process."""

    holder: subprocess.Popen[bytes]

    @classmethod
    def new(cls) -> Namespace:
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=-1, stdout=-1)
        assert holder.stdout is not None
        holder.stdout.readline()
        return cls(holder)

    def enter(self, *argv: str) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--net", *argv]

    def sh(self, script: str, *, check: bool = True) -> str:
        done = subprocess.run(self.enter("sh", "-ec", script), capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def python(self, code: str, text: str = "") -> str:
        done = subprocess.run(
            self.enter(sys.executable, "-c", code), input=text, capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self) -> None:
        self.holder.kill()
        self.holder.communicate()


@dataclass
class Guarded:
    """The guarded host, its peer, and where its guard is kept."""

    host: Namespace
    peer: Namespace
    folder: Path
    programs: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "log/guard.log"

    def take(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.host.python(TAKE))
        return found

    def put_back(self, snapshot: dict[str, object]) -> tuple[list[str], list[str]]:
        done, failed = json.loads(self.host.python(PUT_BACK, json.dumps(snapshot)))
        return done, failed

    def arm(self, seconds: float = 60, api: str = "", **environment: str) -> subprocess.Popen[str]:
        """Start a program that arms the guard, and return it when the guard stands (or was refused)."""
        argv = [sys.executable, "-m", "tests.adapters.host.guard.arming", str(self.guard), str(self.log)]
        own = {key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"}
        program = subprocess.Popen(
            self.host.enter(*argv, str(seconds), api),
            stdin=-1,
            stdout=-1,
            text=True,
            cwd=ROOT,
            env={**own, **environment},
        )
        self.programs.append(program)
        return program

    @property
    def guard(self) -> Path:
        return self.folder / "guard"

    def record(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.guard / "guard.json").read_text())
        return found

    def expire(self) -> None:
        """Let the guard's time be over now; only a watchdog whose owner is dead is left alone with that."""
        files = GuardFiles(self.guard)
        with files.locked():
            files.keep({**(files.guard() or {}), "deadline": 0.0})

    def talks(self) -> bool:
        """Whether the peer gets an answer from the host: over a route, through the firewall, to an address."""
        argv = ["sh", "-c", "ip neigh flush dev peer7; exec " + shlex.join([sys.executable, "-c", KNOCK])]
        return subprocess.run(self.peer.enter(*argv), capture_output=True, check=False).returncode == 0


def heard(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def tell(program: subprocess.Popen[str], line: str) -> None:
    assert program.stdin is not None
    program.stdin.write(f"{line}\n")
    program.stdin.flush()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    host, peer = Namespace.new(), Namespace.new()
    made = Guarded(host, peer, tmp_path)
    try:
        host.sh(f"ip link add eth7 type veth peer name peer7 netns {peer.holder.pid}")
        peer.sh(PEER)
        host.sh(NETWORK)
        yield made
    finally:
        for program in made.programs:
            program.kill()
            program.communicate()
        with suppress(OSError, ValueError):  # a folder that is gone ends the watchdog
            (made.guard / "guard.json").rename(made.guard / "gone.json")
        host.end()
        peer.end()
