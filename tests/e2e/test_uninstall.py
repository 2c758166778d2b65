"""Install, then uninstall: the host is as it was, also when the uninstall is killed again and again."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.domain.residue.inventory import Inventory, Kind, load
from tests.support.cluster import BEEYARD, STATE, beeyard, install, kubectl, run_testbed

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(900)]

CONFIG = Path("/etc/rancher/k3s/config.yaml")
CNI = Path("/etc/cni/net.d/99-mine.conflist")
DROPIN = Path("/etc/rancher/k3s/config.yaml.d/mine.yaml")
MERGED = Path("/run/beeyard-uninstall/kubeconfig")
OURS = "# a comment that no YAML writer keeps\nwrite-kubeconfig-mode: '0600'\n"
WORK = """\
# mine
apiVersion: v1
kind: Config
clusters: [{name: work, cluster: {server: "https://work.example:6443"}}]
contexts: [{name: work, context: {cluster: work, user: work}}]
users: [{name: work, user: {token: t}}]
current-context: work
"""
PASSING = (Kind.MODULE, Kind.PORT, Kind.PROCESS)
FOREIGN = ("ip", "rule", "add", "from", "203.0.113.128/25", "lookup", "77", "priority", "7777")


@pytest.fixture
def users_host() -> Iterator[None]:
    """A host without a cluster, with files and rules of its user."""
    run_testbed("down")
    for path, text in ((CONFIG, OURS), (CNI, '{"name": "mine"}\n'), (MERGED, WORK)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    MERGED.chmod(0o600)
    subprocess.run(FOREIGN, check=True)
    yield
    run_testbed("down")
    subprocess.run([*FOREIGN[:2], "del", *FOREIGN[3:]], check=False)
    MERGED.unlink(missing_ok=True)


def lasting(inventory: Inventory) -> dict[str, Any]:
    """Return what has to be equal: all but what comes and goes by itself."""
    kept = (item for item in inventory if item.kind not in PASSING and not item.facts.get("dynamic"))
    return {f"{item.kind} {item.name}": dict(item.facts) for item in kept}


def read_inventory(name: str) -> Inventory:
    path = STATE / "inventory" / name
    return load(path.read_bytes(), str(path))


def kill_at(step: str) -> list[str]:
    """Uninstall until a step begins, kill it there; return the steps that it came to."""
    argv = [str(BEEYARD), "uninstall", "--yes", "-o", "json"]
    begun: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "step-started":
                begun.append(event["step"])
            if begun[-1:] == [step]:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, (process.returncode, begun)
    return begun


def test_the_host_is_as_it_was_after_an_uninstall_that_was_killed_at_every_step(users_host: None, bundle: Path) -> None:
    assert beeyard("uninstall", "--verify-clean").rc in (0, 1)
    done = install(bundle, "--kubeconfig", str(MERGED), "--skip-verify")
    assert done.rc == 0, done.err
    before = read_inventory("before.json")
    assert CONFIG.read_text() != OURS
    assert not CNI.exists()
    DROPIN.parent.mkdir(exist_ok=True)
    DROPIN.write_text("node-label: [mine=yes]\n")
    unclean = beeyard("uninstall", "--verify-clean", "-o", "json")
    assert unclean.rc == 1
    assert len(unclean.json()["left"]) > 20

    dry = beeyard("uninstall", "--dry-run")
    assert dry.rc == 0, dry.err
    assert "stop service k3s" in dry.out
    assert "restore file /etc/rancher/k3s/config.yaml" in dry.out
    assert kubectl("get", "nodes")  # nothing has changed
    asked = beeyard("uninstall")
    assert (asked.rc, "E-CLI-002" in asked.err) == (2, True)

    steps = ("cluster", "service", "programs", "network", "places", "kubeconfig", "files", "sysctls")
    for step in steps:
        assert kill_at(step) == list(steps[: steps.index(step) + 1])
    refused = install(bundle)
    assert (refused.rc, "E-UNINSTALL-003" in refused.err) == (5, True), refused.err
    done = beeyard("uninstall", "--yes", "-o", "json")
    assert done.rc == 0, done.err + done.out
    assert done.events()[-1]["report"]["clean"] is True

    assert lasting(read_inventory("after.json")) == lasting(before)
    assert (CONFIG.read_text(), MERGED.read_text(), CNI.exists()) == (OURS, WORK, True)
    assert list(MERGED.parent.iterdir()) == [MERGED]
    copies = list((STATE / "runs").glob("**/mine.yaml"))
    assert [copy.read_text() for copy in copies] == ["node-label: [mine=yes]\n"]
    clean = beeyard("uninstall", "--verify-clean", "-o", "json")
    assert (clean.rc, clean.json()["compared"], clean.json()["left"]) == (0, "inventory", [])
    again = beeyard("uninstall", "--yes")
    assert (again.rc, "Nothing to uninstall" in again.err) == (0, True)


def test_kept_data_makes_the_same_cluster_again_and_purge_leaves_nothing(bare_host: None, bundle: Path) -> None:
    assert install(bundle, "--no-merge", "--skip-verify").rc == 0
    kubectl("create", "namespace", "kept")
    kubectl("create", "namespace", "dropped")
    plan = beeyard("uninstall", "--dry-run", "--keep-data", "--crds", "delete", "--namespaces", "drop*", "-o", "json")
    step = next(one for one in plan.events()[0]["plan"]["steps"] if one["step"] == "cluster")
    assert [one["target"] for one in step["changes"]][:2] == ["namespace dropped", "kube-system/cilium"]
    done = beeyard("uninstall", "--yes", "--keep-data", "--crds", "delete", "--namespaces", "drop*")
    assert done.rc == 0, done.err
    assert "/var/lib/rancher/k3s/server" in done.err
    assert [path.name for path in Path("/var/lib/rancher/k3s").iterdir()] == ["server"]
    clean = beeyard("uninstall", "--verify-clean", "-o", "json")
    assert clean.rc == 0, clean.out
    assert "/var/lib/rancher/k3s/server" in [one["what"] for one in clean.json()["kept"]]

    again = install(bundle, "--no-merge", "--skip-verify")
    assert again.rc == 0, again.err
    names = kubectl("get", "namespaces", "-o", "name")
    assert ("namespace/kept" in names, "namespace/dropped" in names) == (True, False)

    done = beeyard("uninstall", "--yes", "--purge")
    assert done.rc == 0, done.err
    assert not STATE.exists()
    assert not Path("/var/log/beeyard").exists()
    clean = beeyard("uninstall", "--verify-clean", "-o", "json")
    assert (clean.rc, clean.json()["compared"]) == (0, "rules"), clean.out


def test_a_cluster_of_others_is_refused(bare_host: None, bundle: Path) -> None:
    Path("/usr/local/bin/k3s").write_text("#!/bin/sh\n")
    Path("/var/lib/rancher/k3s/server").mkdir(parents=True)
    refused = beeyard("uninstall", "--yes")
    assert (refused.rc, "E-UNINSTALL-001" in refused.err) == (5, True)
    assert Path("/usr/local/bin/k3s").exists()
    forced = beeyard("uninstall", "--yes", "--force")
    assert forced.rc == 0, forced.err
    assert not Path("/usr/local/bin/k3s").exists()
    assert not Path("/var/lib/rancher").exists()
