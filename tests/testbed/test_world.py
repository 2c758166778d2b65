"""A world: what happens in it stays in it, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.testbed import world_groups

pytestmark = pytest.mark.root

TESTBED = Path(__file__).parents[2] / "scripts/testbed"


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def world(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TESTBED, "world", name, *words], capture_output=True, text=True, timeout=60, check=False)


def shell(name: str, script: str, *options: str) -> str:
    done = world(name, *options, "--", "sh", "-ec", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def lasting(name: str) -> Iterator[subprocess.Popen[str]]:
    """A world that says when it is there and lasts until its input ends."""
    command = [str(TESTBED), "world", name, "--", "sh", "-c", "echo here; cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "here\n"
        yield running


def groups(name: str) -> list[Path]:
    return [path for item in world_groups.hierarchies() for path in item.mount.rglob(f"beeyard-world-{name}")]


def test_what_is_written_stays_in_it(name: str) -> None:
    shell(name, "echo x > /etc/beeyard-world-test; mkdir -p /var/lib/rancher/k3s; ip link del eth0; hostname other")
    assert not Path("/etc/beeyard-world-test").exists()
    assert not Path("/var/lib/rancher/k3s").exists() or not list(Path("/var/lib/rancher/k3s").iterdir())
    assert os.uname().nodename != "other"
    assert not groups(name)


def test_its_exit_code_is_the_commands(name: str) -> None:
    assert world(name, "--", "sh", "-c", "exit 7").returncode == 7
    missing = world(name, "--", "no-such-command")
    assert missing.returncode == 127
    assert "no-such-command" in missing.stderr


def test_it_has_processes_network_and_groups_of_its_own(name: str) -> None:
    said = shell(
        name, "hostname; echo $$; ip route; cut -d: -f3 /proc/self/cgroup | sort -u; ip netns exec outside true"
    )
    lines = said.splitlines()
    assert lines[0] == name
    assert int(lines[1]) < 100
    assert "default via 203.0.113.1 dev eth0" in said
    assert set(lines[-2:]) <= {"/", "/init"}


def test_cut_off_has_loopback_only(name: str) -> None:
    said = shell(name, "ip -o link; ip route; ip -o address show scope global", "--cut-off")
    assert [line.split(": ")[1] for line in said.splitlines()] == ["lo"]


def test_mounts_propagate_in_it_and_carry_overlays(name: str) -> None:
    script = """
    mkdir -p /var/lib/rancher/l /var/lib/rancher/u /var/lib/rancher/w /var/lib/kubelet/m
    mount -t overlay -o lowerdir=/var/lib/rancher/l,upperdir=/var/lib/rancher/u,workdir=/var/lib/rancher/w x \
      /var/lib/kubelet/m
    grep -c shared: /proc/self/mountinfo
    """
    assert int(shell(name, script)) > 5
    assert name not in Path("/proc/mounts").read_text()


def test_a_clock_that_is_further(name: str) -> None:
    host = float(Path("/proc/uptime").read_text().split()[0])
    assert float(shell(name, "cat /proc/uptime", "--later", "86400").split()[0]) > host + 86000


def test_a_second_command_joins_it(name: str) -> None:
    with lasting(name) as first:
        shell(name, "echo hello > /etc/seen; hostname")
        assert shell(name, "cat /etc/seen; cut -d: -f3 /proc/self/cgroup | sort -u").splitlines()[0] == "hello"
        first.communicate("")
    assert not groups(name)


def test_all_its_processes_end_with_it_even_when_it_is_killed(name: str) -> None:
    mark = f"/tmp/{name}"
    with lasting(name) as first:
        shell(name, f"ln -s /bin/sleep {mark}; setsid {mark} 600 >/dev/null 2>&1 &")
        assert running_with(mark)
        first.send_signal(signal.SIGKILL)
    poll(lambda: not running_with(mark))
    assert shell(name, "true") == ""  # what the killed one has left is in nobody's way
    assert not groups(name)


def running_with(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0] == word:
            found.append(path.parent.name)
    return found


def poll(true: object) -> None:
    """Wait until something holds; the test's own time limit ends a wait in vain."""
    assert callable(true)
    while not true():
        os.sched_yield()
