"""Hosts that are cut off for real, and come back."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from installer.adapters.host.guard.state import started
from tests.adapters.host.guard.conftest import ROOT, Guarded, heard, tell

pytestmark = pytest.mark.root

CUTS = {
    "route": "ip route add blackhole 203.0.113.0/24",
    "rule": "ip rule add prio 1 lookup 200; ip route add unreachable default table 200",
    "address": "ip addr flush dev eth7",
    "link": "ip link set eth7 down",
    "nftables": "nft add table ip cut; nft 'add chain ip cut in { type filter hook input priority 0; policy drop; }'",
    "iptables": "iptables-legacy -P INPUT DROP",
    "sysctl": "sysctl -qw net.ipv4.conf.all.arp_ignore=8",
}


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def restored(guarded: Guarded) -> bool:
    return guarded.record()["state"] == "restored"


@pytest.mark.parametrize("cut", CUTS)
def test_the_killed_owner_is_outlived(guarded: Guarded, cut: str) -> None:
    wait_until(guarded.talks)
    owner = guarded.arm()
    assert heard(owner) == "armed"
    tell(owner, f"break {CUTS[cut]}")
    assert heard(owner) == "broken"
    assert not guarded.talks()
    owner.kill()
    owner.wait()
    guarded.expire()
    wait_until(lambda: restored(guarded))
    wait_until(guarded.talks)
    assert "was not taken off in time" in guarded.log.read_text()


def test_it_restores_when_its_time_is_over(guarded: Guarded) -> None:
    owner = guarded.arm(2)
    assert heard(owner) == "armed"
    owner.kill()
    guarded.host.sh(CUTS["route"])
    wait_until(lambda: restored(guarded))
    wait_until(guarded.talks)


def test_a_change_that_ends_well_stays(guarded: Guarded) -> None:
    owner = guarded.arm(30, api="true")
    assert heard(owner) == "armed"
    watchdog = json.loads((guarded.guard / "watchdog.json").read_text())["pid"]
    assert os.getsid(watchdog) != os.getsid(owner.pid)
    tell(owner, "break ip route add 198.51.100.0/24 via 192.0.2.1")
    tell(owner, "leave")
    assert [heard(owner), heard(owner)] == ["broken", "left"]
    assert guarded.record()["state"] == "off"
    assert "198.51.100.0/24" in guarded.host.sh("ip route")
    assert started(watchdog) == 0


def test_an_api_that_does_not_come_back_lets_it_restore(guarded: Guarded) -> None:
    owner = guarded.arm(4, api="false")
    assert heard(owner) == "armed"
    tell(owner, f"break {CUTS['route']}")
    tell(owner, "leave")
    assert heard(owner) == "broken"
    told = heard(owner)
    assert told.startswith("E-GUARD-004")
    assert "the Kubernetes API does not answer" in told
    wait_until(guarded.talks)


def test_a_failed_change_leaves_a_reachable_host_alone(guarded: Guarded) -> None:
    owner = guarded.arm(30, api="true")
    assert heard(owner) == "armed"
    tell(owner, "break ip route add 198.51.100.0/24 via 192.0.2.1")
    tell(owner, "fail")
    assert heard(owner) == "broken"
    assert heard(owner).startswith("E-TEST-001")
    assert guarded.record()["state"] == "off"
    assert "198.51.100.0/24" in guarded.host.sh("ip route")


def test_two_guards_refuse(guarded: Guarded) -> None:
    first = guarded.arm()
    assert heard(first) == "armed"
    second = guarded.arm()
    assert heard(second).startswith("E-GUARD-001 another guard stands on this host")
    tell(first, "leave")
    assert heard(first) == "left"
    third = guarded.arm()
    assert heard(third) == "armed"


def test_the_guard_of_a_killed_run_is_taken_over_with_its_network(guarded: Guarded) -> None:
    first = guarded.arm(60)
    assert heard(first) == "armed"
    tell(first, f"break {CUTS['route']}")
    assert heard(first) == "broken"
    first.kill()
    first.wait()
    was = guarded.record()
    second = guarded.arm(2)
    assert heard(second) == "armed"
    assert guarded.record()["id"] == was["id"]
    second.kill()
    wait_until(lambda: restored(guarded))
    wait_until(guarded.talks)


def test_it_is_renewed_while_its_owner_lives(guarded: Guarded) -> None:
    owner = guarded.arm(8)
    assert heard(owner) == "armed"
    began = guarded.record()["deadline"]
    wait_until(lambda: float(str(guarded.record()["deadline"])) > float(str(began)) + 2.5)
    assert guarded.record()["state"] == "armed"


def test_a_watchdog_that_is_killed_is_started_anew(guarded: Guarded) -> None:
    owner = guarded.arm(8)
    assert heard(owner) == "armed"
    first = json.loads((guarded.guard / "watchdog.json").read_text())["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: json.loads((guarded.guard / "watchdog.json").read_text())["pid"] != first)
    tell(owner, f"break {CUTS['route']}")
    assert heard(owner) == "broken"
    owner.kill()
    owner.wait()
    guarded.expire()
    wait_until(lambda: restored(guarded))
    wait_until(guarded.talks)


def test_hangup_and_the_end_of_its_group_do_not_end_the_watchdog(guarded: Guarded) -> None:
    owner = guarded.arm()
    assert heard(owner) == "armed"
    watchdog = json.loads((guarded.guard / "watchdog.json").read_text())["pid"]
    os.kill(watchdog, signal.SIGHUP)
    tell(owner, f"break {CUTS['nftables']}")
    assert heard(owner) == "broken"
    owner.send_signal(signal.SIGHUP)
    owner.kill()
    owner.wait()
    guarded.expire()
    wait_until(lambda: restored(guarded))
    wait_until(guarded.talks)


def test_a_folder_that_is_gone_is_a_guard_taken_off(guarded: Guarded) -> None:
    owner = guarded.arm(2)
    assert heard(owner) == "armed"
    watchdog = json.loads((guarded.guard / "watchdog.json").read_text())["pid"]
    tell(owner, "break ip route add 198.51.100.0/24 via 192.0.2.1")
    assert heard(owner) == "broken"
    owner.kill()
    guarded.guard.rename(guarded.folder / "elsewhere")
    wait_until(lambda: started(watchdog) == 0)
    assert "198.51.100.0/24" in guarded.host.sh("ip route")


def test_its_files_are_for_root_only(guarded: Guarded) -> None:
    assert heard(guarded.arm()) == "armed"
    assert stat.S_IMODE(guarded.guard.stat().st_mode) == 0o700
    for path in guarded.guard.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_command_shows_restores_and_disarms(guarded: Guarded) -> None:
    # The command knows one folder: bind ours over it in a mount namespace of its own.
    def beeyard(*arguments: str) -> subprocess.CompletedProcess[str]:
        place = "mkdir -p /var/lib/beeyard /var/log/beeyard; mount -t tmpfs tmpfs /var/lib/beeyard"
        script = f"{place}; mkdir -p /var/lib/beeyard/guard; mount --bind {guarded.guard} /var/lib/beeyard/guard; "
        script += f"mount -t tmpfs tmpfs /var/log/beeyard; exec {sys.executable} -m installer {' '.join(arguments)}"
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]
        return subprocess.run(guarded.host.enter(*argv), capture_output=True, text=True, cwd=ROOT, check=False)

    guarded.guard.mkdir()
    assert beeyard("guard", "status").stdout == "no guard stands\n"
    refused = beeyard("guard", "restore")
    assert (refused.returncode, "E-GUARD-003" in refused.stderr) == (5, True)
    owner = guarded.arm()
    assert heard(owner) == "armed"
    tell(owner, f"break {CUTS['address']}")
    assert heard(owner) == "broken"
    shown = json.loads(beeyard("guard", "status", "-o", "json").stdout)
    assert (shown["armed"]["reason"], shown["armed"]["owned"], shown["restored"]) == ("a test", True, None)
    assert shown["armed"]["watchdog"] > 0
    done = beeyard("guard", "restore", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert "address 192.0.2.2/24 dev eth7: put back" in json.loads(done.stdout)["done"]
    wait_until(guarded.talks)
    assert "the network was put back" in beeyard("guard", "status").stdout
    owner.kill()
    again = guarded.arm()
    assert heard(again) == "armed"
    assert beeyard("guard", "disarm").stdout == "the guard is taken off\n"
    assert beeyard("guard", "disarm").stdout == "no guard stands\n"
