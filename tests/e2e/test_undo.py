"""The history of runs, and runs taken back: a change of the cluster (killed half-way, too), then the cluster itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import KUBECONFIG
from tests.support.cluster import BEEYARD, STATE, beeyard, install, kubectl, objects, run_testbed

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

CONFIG = Path("/etc/rancher/k3s/config.yaml")
RECORDS = ("installed.json", "cluster.yaml")


@pytest.fixture(scope="module", autouse=True)
def _of_its_own() -> Iterator[None]:
    """A cluster that one run made; the last test takes it away, and no other module shall think that it is there."""
    if len(list((STATE / "runs").glob("*"))) > 1:
        run_testbed("down")
    yield
    run_testbed("down")


def state() -> dict[str, Any]:
    """Return what a run may change: our records, k3s' configuration, the release's settings."""
    settings = objects("configmap", "-n", "kube-system", "cilium-config")["data"]
    records = {name: (STATE / name).read_text() for name in RECORDS}
    return {"config": CONFIG.read_text(), "mode": CONFIG.stat().st_mode, "cilium": settings, **records}


def runs() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = beeyard("runs", "list", "-o", "json").json()["runs"]
    return listed


def change(bundle: Path) -> None:
    """Bring the cluster to another configuration: k3s' file and the release's values change."""
    done = install(
        bundle,
        "--kubeconfig",
        str(KUBECONFIG),
        "--skip-verify",
        "--set",
        "k3s.config.kubelet-arg=max-pods=90",
        "--set",
        "hubble.ui=false",
    )
    assert done.rc == 0, done.err


def test_the_history_tells_what_made_the_cluster(cluster: Path) -> None:
    made = runs()[-1]
    assert (made["kind"], made["outcome"]) == ("install", "done")
    assert {"k3s", "cilium"} <= {step["step"] for step in made["steps"]}
    assert f"file {CONFIG} made" in made["changes"]
    assert "Helm release kube-system/cilium made" in made["changes"]
    shown = beeyard("runs", "show", made["run"][:20])
    assert (shown.rc, f"run {made['run']}" in shown.out) == (0, True)
    assert made["run"] in beeyard("runs").out
    unknown = beeyard("runs", "show", "1999")
    assert (unknown.rc, "E-RUN-005" in unknown.err) == (2, True)


def test_a_change_is_taken_back_even_when_the_undo_is_killed(cluster: Path, bundle: Path) -> None:
    before = state()
    first = runs()[-1]["run"]
    change(bundle)
    after = state()
    assert "max-pods=90" in after["config"]
    assert after["cluster.yaml"] != before["cluster.yaml"]
    refused = beeyard("undo", first, "--yes")
    assert (refused.rc, "E-UNDO-002" in refused.err) == (5, True)
    assert runs()[0]["run"] in refused.err
    planned = beeyard("undo", "--dry-run")
    assert (planned.rc, "-kubelet-arg" in planned.out) == (0, True)
    assert state() == after
    kill_in("service")
    assert runs()[0]["outcome"] == "killed"
    done = beeyard("undo", "--yes", "-o", "json")
    assert done.rc == 0, done.err
    assert state() == before
    told = runs()
    assert [run["outcome"] for run in told[:3]] == ["done", "killed", "undone"]
    assert "max-pods=90" not in kubectl("get", "--raw", f"/api/v1/nodes/{node()}/proxy/configz")
    again = beeyard("undo", told[2]["run"], "--yes")
    assert (again.rc, "E-UNDO-001" in again.err) == (5, True)
    # What was taken back can be made again: the records were taken back with it.
    assert install(bundle, "--kubeconfig", str(KUBECONFIG), "--dry-run").out.endswith("Nothing to change.\n")


def test_the_guard_stood_and_was_taken_off(cluster: Path) -> None:
    told = beeyard("guard", "status", "-o", "json").json()
    assert told == {"armed": None, "restored": None}
    assert json.loads((STATE / "guard/guard.json").read_text())["state"] == "off"


def kill_in(step: str) -> None:
    """Undo, and kill it when it begins a step."""
    argv = [str(BEEYARD), "undo", "--yes", "-o", "json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as undoing:
        assert undoing.stdout is not None
        for line in undoing.stdout:
            event = json.loads(line)
            if event["event"] == "step-started" and event["step"] == step:
                os.kill(undoing.pid, signal.SIGKILL)
                return
        raise AssertionError(f"step {step} never began")


def node() -> str:
    return str(objects("nodes")["items"][0]["metadata"]["name"])


def test_the_run_that_made_the_cluster_is_taken_back(cluster: Path) -> None:
    planned = beeyard("undo", "--dry-run")
    assert (planned.rc, "taking it back takes the cluster away" in planned.out) == (0, True)
    unasked = beeyard("undo")
    assert (unasked.rc, "E-CLI-002" in unasked.err) == (2, True)
    done = beeyard("undo", "--yes")
    assert done.rc == 0, done.err
    assert beeyard("uninstall", "--verify-clean").rc == 0
    assert not CONFIG.exists()
    assert runs()[-1]["outcome"] == "undone"
    nothing = beeyard("undo", "--yes")
    assert (nothing.rc, "E-UNDO-001" in nothing.err) == (5, True)
