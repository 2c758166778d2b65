"""What k3s and Cilium leave is told, and taken away with real tools; what others have stays to the byte."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.host.residue_scripts import AFTERWARDS, BARE, CLUSTER, LOOK, OTHERS, SESSION
from tests.adapters.host.waiting import until

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[3]
CGROUPS = next(
    (one for one in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if (one / "cgroup.procs").exists()), None
)
PYTHON = shlex.quote(sys.executable)
CLEARING = f"{PYTHON} -m tests.adapters.host.clearing /var/lib/beeyard"
STATE = "/var/lib/beeyard/inventory"
CONFIG = b"flannel-backend: none\n"
SCOPE = {
    "kubeconfig": "/run/home/.kube/config",
    "context": "beeyard",
    "known": True,
    "wrote": {"/etc/rancher/k3s/config.yaml": hashlib.sha256(CONFIG).hexdigest()},
    "arrived": ["/opt/cni/bin/loopback", "/opt/cni/bin/cilium-cni"],
}


class Host:
    """A host of namespaces, with a control group of its own, that scripts run on one after the other."""

    def __init__(self, group: Path) -> None:
        enter = (
            f"echo $$ > {group}/cgroup.procs; exec unshare --cgroup --net --mount --propagation private --pid --fork"
        )
        plant = f"{PYTHON} -m tests.support.bpf_plant"
        self._shell = subprocess.Popen(
            ["sh", "-c", f"{enter} --mount-proc --kill-child bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PLANT": plant, "PY": PYTHON, "LC_ALL": "C"},
        )

    def run(self, script: str) -> str:
        """Run a script and return what it prints; a failing command of it fails the test."""
        assert self._shell.stdin
        assert self._shell.stdout
        end = f"end-{uuid.uuid4().hex}"
        self._shell.stdin.write(f"( set -e\n{script}\n); echo {end} $?\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(end):
                assert line.split()[1] == "0", "".join(lines)
                return "".join(lines)
            lines.append(line)
        raise AssertionError("".join(lines))

    def clearing(self, verb: str) -> Any:
        return json.loads(self.run(f"{CLEARING} {verb}").splitlines()[-1])

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.close()
        self._shell.stdout.close()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    assert CGROUPS is not None
    group = CGROUPS / f"beeyard-residue-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    made = Host(group)
    try:
        made.run(BARE)
        made.run(f"mkdir {STATE}; cat > {STATE}/scope.json <<'END'\n{json.dumps(SCOPE)}\nEND")
        yield made
    finally:
        made.close()
        await until(lambda: "populated 0" in (group / "cgroup.events").read_text())
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()


def test_a_host_is_as_it_was_before_the_install(host: Host) -> None:
    host.run(OTHERS)
    host.clearing("keep")
    before = host.run(LOOK)
    host.run(CLUSTER)
    dirty = host.clearing("judge")
    names = {(one["kind"], one["name"]) for one in dirty["left"]}
    assert dirty["clean"] is False
    assert dirty["compared"] == "inventory"
    assert {("link", "cilium_vxlan"), ("link", "lxc0123456789ab"), ("ipset", "cilium_node_set_v4")} <= names
    assert {"xdp eth7 cil_xdp_entry", "tcx ingress eth7 cil_from_netdev", "cgroup connect4 / cil_sock4_conne"} <= {
        name for kind, name in names if kind == "bpf program"
    }
    assert all(one["fix"] for one in dirty["left"])
    assert not names & {("link", "lxcbr0"), ("link", "lxcmine"), ("file", "/usr/local/bin/ctr")}
    assert not any("foreign" in name or "MINE" in name for _, name in names)
    cleared = host.clearing("clear")
    assert cleared["clean"] is True, cleared
    assert [text for text in cleared["failures"] if "0123456789ab" not in text] == []
    after = host.run("rm /usr/local/bin/ctr\n" + LOOK)
    assert after == before
    assert host.clearing("now")["drift"] == []


def test_what_came_after_the_install_and_is_not_ours_stays(host: Host) -> None:
    host.clearing("keep")
    host.run(CLUSTER + AFTERWARDS)
    cleared = host.clearing("clear")
    assert cleared["clean"] is True, cleared
    seen = host.run(LOOK)
    for kept in ("br9", "lookup 79", "--dport 8080", "20-nerdctl.conflist", "/usr/local/bin/ctr"):
        assert kept in seen
    for gone in ("cilium", "CILIUM", "KUBE", "lxc0", "cni-5f1c", "/usr/local/bin/k3s", "kubectl"):
        assert gone not in seen
    drift = host.clearing("now")["drift"]
    assert any("br9 is new" in line for line in drift)
    assert any("dport 8080" in line for line in drift)


CONFUSABLE = ("lookup 2004 priority 9", "CNI-HOSTPORT-OTHER", "dev eth7 table 2004")
PLAIN_OTHERS = "\n".join(line for line in OTHERS.splitlines() if not any(one in line for one in CONFUSABLE))


def test_without_an_inventory_rules_tell_what_is_ours(host: Host) -> None:
    host.run(PLAIN_OTHERS)
    host.run(CLUSTER)
    assert host.clearing("judge")["compared"] == "rules"
    cleared = host.clearing("clear")
    assert cleared["clean"] is True, cleared
    seen = host.run(LOOK)
    for kept in (
        "lxcbr0",
        "lxcmine",
        "lookup 77",
        "lookup 78",
        "-N MINE",
        "inet mine",
        "foreign_tc",
        "foreign_cg",
        "87-podman",
    ):
        assert kept in seen
    for gone in (
        "cilium_",
        "CILIUM",
        "KUBE-F",
        "KUBE-S",
        "lookup 2004",
        "lookup 2005",
        "cni-5f1c",
        "05-cilium",
        "99-zzz",
    ):
        assert gone not in seen
    rules = host.run("ip -4 rule; ip -6 rule")
    assert rules.count("0:\tfrom all lookup local") == 2
    assert "100:\t" not in rules


def answered(word: str) -> str:
    return f"echo {word} > /run/in; until grep -q {word} /run/out 2>/dev/null; do sleep 0.02; done"


def test_a_connection_lives_through_it(host: Host) -> None:
    host.run(SESSION + answered("before"))
    host.clearing("keep")
    host.run(CLUSTER + answered("dirty"))
    assert host.clearing("clear")["clean"] is True
    assert host.run(answered("after") + "\ncat /run/out").split() == ["before", "dirty", "after"]


def test_a_second_look_finds_a_clean_host(host: Host) -> None:
    assert host.clearing("judge")["left"] == []
    host.run(PLAIN_OTHERS)
    found = {one["name"] for one in host.clearing("judge")["left"]}
    config = {"/etc/rancher/k3s", "/etc/rancher/k3s/config.yaml"}  # no record tells that they are somebody else's
    assert found == {*config, "/var/lib/kubelet", "/opt/cni/bin/loopback"}  # the last came while beeyard installed
