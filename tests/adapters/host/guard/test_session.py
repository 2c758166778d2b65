"""The SSH session of a run: found below sudo, and heard over a real connection that is cut and mended."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.adapters.host.guard.conftest import ROOT, Guarded, Namespace, heard, tell
from tests.adapters.host.guard.test_guard import CUTS, restored, wait_until

pytestmark = pytest.mark.root

# Stands for sshd: takes one connection, then runs a program below it that was given the session's addresses.
SERVER = """
import os, socket, subprocess, sys
with socket.create_server(("192.0.2.2", 22)) as listener:
    print("listening", flush=True)
    connection, peer = listener.accept()
    ours = connection.getsockname()
    session = f"{peer[0]} {peer[1]} {ours[0]} {ours[1]}"
    # As sudo does: the program itself does not get the variable, its parent has it.
    shell = [sys.executable, "-c", "import os, subprocess, sys; env = dict(os.environ); del env['SSH_CONNECTION']; "
             "sys.exit(subprocess.run(sys.argv[1:], env=env).returncode)", *sys.argv[1:]]
    sys.exit(subprocess.run(shell, env={**os.environ, "SSH_CONNECTION": session}).returncode)
"""
CLIENT = """
import socket, sys
with socket.socket() as connection:
    connection.bind(("203.0.113.9", 0))
    connection.connect(("192.0.2.2", 22))
    print("connected", flush=True)
    sys.stdin.readline()
"""
LOOK = """
import json, dataclasses, os, sys
from installer.adapters.host.guard import session
found = session.find(os.environ)
print(json.dumps(found and dataclasses.asdict(found)), flush=True)
for line in sys.stdin:
    print(json.dumps(dataclasses.asdict(session.reach(found))), flush=True)
"""


def start(where: Namespace, *argv: str, programs: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    program = subprocess.Popen(where.enter(sys.executable, *argv), stdin=-1, stdout=-1, text=True, cwd=ROOT)
    programs.append(program)
    return program


def connected(guarded: Guarded, *argv: str) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    """Start a program in a session from the peer; return it and the client."""
    server = start(guarded.host, "-c", SERVER, sys.executable, *argv, programs=guarded.programs)
    assert heard(server) == "listening"
    client = start(guarded.peer, "-c", CLIENT, programs=guarded.programs)
    assert heard(client) == "connected"
    return server, client


def test_an_idle_session_gives_a_sign_of_life_and_a_cut_one_does_not(guarded: Guarded) -> None:
    program, client = connected(guarded, "-c", LOOK)
    found = json.loads(heard(program))
    assert (found["client"], found["server"], found["server_port"]) == ("203.0.113.9", "192.0.2.2", 22)

    def reach() -> dict[str, object]:
        tell(program, "look")
        answer: dict[str, object] = json.loads(heard(program))
        return answer

    wait_until(lambda: _idle(guarded) > 1500)
    idle = reach()
    assert idle["connected"] is True
    assert idle["route"] == "dev eth7 via 192.0.2.1"
    assert isinstance(idle["heard"], int)
    assert idle["heard"] <= 1000  # asked, it answered
    guarded.host.sh(CUTS["nftables"])
    wait_until(lambda: _idle(guarded) > 1500)
    cut = reach()
    assert (cut["connected"], cut["route"]) == (True, idle["route"])
    assert isinstance(cut["heard"], int)
    assert cut["heard"] > 1500
    guarded.host.sh("nft delete table ip cut; ip route add 203.0.113.0/24 via 192.0.2.9")
    assert reach()["route"] == "dev eth7 via 192.0.2.9"
    guarded.host.sh("ip route del 203.0.113.0/24")
    assert "keepalive" not in guarded.host.sh("ss -tnoH state established")
    client.kill()
    client.wait()
    wait_until(lambda: reach()["connected"] is False)


def test_an_idle_session_that_nobody_can_ask_stays_unknown(guarded: Guarded) -> None:
    server, _ = connected(guarded, "-c", LOOK)
    found = json.loads(heard(server))
    addresses = f"{found['client']} {found['client_port']} {found['server']} {found['server_port']}"
    argv = guarded.host.enter("env", f"SSH_CONNECTION={addresses}", sys.executable, "-c", LOOK)
    beside = subprocess.Popen(argv, stdin=-1, stdout=-1, text=True, cwd=ROOT)
    guarded.programs.append(beside)
    assert json.loads(heard(beside)) == found
    wait_until(lambda: _idle(guarded) > 1500)
    tell(beside, "look")
    told = json.loads(heard(beside))
    assert (told["connected"], told["heard"], told["route"]) == (True, None, "dev eth7 via 192.0.2.1")


def _idle(guarded: Guarded) -> int:
    """Return the milliseconds for which the session was silent, as the host's own tool tells."""
    told = guarded.host.sh("ss -tinH state established '( sport = :22 )'")
    ages = [int(word.partition(":")[2]) for word in told.split() if word.startswith(("lastrcv:", "lastack:"))]
    return min(ages, default=0)


@pytest.mark.parametrize("cut", ["route", "nftables"])
def test_a_session_that_is_cut_gets_its_network_back(guarded: Guarded, cut: str) -> None:
    """The API answers all the time: that alone must not take the guard off."""
    argv = ("-m", "tests.adapters.host.guard.arming", str(guarded.guard), str(guarded.log), "3", "true")
    program, _ = connected(guarded, *argv)
    assert heard(program) == "armed"
    tell(program, f"break {CUTS[cut]}")
    tell(program, "leave")
    assert heard(program) == "broken"
    told = heard(program)
    assert told.startswith("E-GUARD-004")
    assert "SSH client" in told or "silent for too long" in told
    assert restored(guarded)
    wait_until(guarded.talks)


def test_a_session_that_is_heard_takes_the_guard_off(guarded: Guarded) -> None:
    argv = ("-m", "tests.adapters.host.guard.arming", str(guarded.guard), str(guarded.log), "20", "true")
    program, _ = connected(guarded, *argv)
    assert heard(program) == "armed"
    tell(program, "break ip route add 198.51.100.0/24 via 192.0.2.1")
    tell(program, "leave")
    assert [heard(program), heard(program)] == ["broken", "left"]
    assert guarded.record()["state"] == "off"
