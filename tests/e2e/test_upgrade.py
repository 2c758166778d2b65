"""Upgrades on a real Kubernetes: both parts, failing ones taken back, killed ones gone on with, pods unharmed.

One cluster for all, in order: every test starts from where the one before has left it.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster import BEEYARD, STATE, Finished, beeyard, install, kubectl, objects, run_testbed
from tests.testbed import restamp

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

OLD = {"k3s": "v1.20.2+k3s1", "cilium": restamp.OLDER_CHART}
TALK = """
apiVersion: v1
kind: Pod
metadata: {name: listener, labels: {app: listener}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: nc
      image: docker.io/rancher/mirrored-library-busybox:1.37.0
      command: [sh, -c, "tail -f /dev/null | nc -l -p 9000 > /tmp/heard"]
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: nc
      image: docker.io/rancher/mirrored-library-busybox:1.37.0
      command: [sh, -c, "(i=0; while :; do echo $i; i=$((i+1)); sleep 0.2; done) | nc $LISTENER 9000"]
      env: [{name: LISTENER, value: "@ADDRESS@"}]
"""


@dataclass(frozen=True)
class Bundles:
    """Bundles of several versions."""

    older: Path
    newer: Path
    broken: Path


@pytest.fixture(scope="module")
def bundles(bundle: Path) -> Bundles:
    return Bundles(restamp.older(bundle), restamp.newer(bundle), restamp.broken(bundle))


@pytest.fixture(scope="module", autouse=True)
def _cluster(bundles: Bundles) -> Iterator[None]:
    """A cluster of the older versions; two pods that keep a connection open."""
    run_testbed("down")
    few = ("--no-hubble", "--set", "cilium.envoy=embedded")  # fewer pods to roll
    offline = ("--set", "downloads.channels=http://127.0.0.1:1")
    done = install(bundles.older, "--no-merge", "--skip-verify", *few, *offline)
    assert done.rc == 0, done.err
    listener, talker = TALK.split("---")
    apply(listener)
    kubectl("wait", "--for=condition=Ready", "pod/listener", "--timeout=60s")
    apply(talker.replace("@ADDRESS@", objects("pod", "listener")["status"]["podIP"]))
    kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=60s")
    yield
    run_testbed("down")


def apply(text: str) -> None:
    command = ["/usr/local/bin/k3s", "kubectl", "apply", "-f", "-"]
    subprocess.run(command, input=text, text=True, check=True, timeout=60, stdout=subprocess.DEVNULL)


def upgrade(bundle: Path, *arguments: str) -> Finished:
    return beeyard("upgrade", "--yes", "--allow-unsupported", "--bundle", str(bundle), *arguments)


def versions() -> dict[str, str]:
    """Return what runs, as beeyard has it written down and as the cluster tells it."""
    record = json.loads((STATE / "installed.json").read_text())
    now = {"k3s": record["k3s_version"], "cilium": record["chart_version"]}
    assert objects("nodes")["items"][0]["status"]["nodeInfo"]["kubeletVersion"] == now["k3s"]
    image = objects("ds", "cilium", "-n", "kube-system")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(now["cilium"])
    return now


def kept_spec() -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((STATE / "cluster.yaml").read_text())["spec"]
    return spec


def pods() -> dict[str, tuple[str, int]]:
    """Return uid and restarts of the pods that an upgrade has nothing to do with."""
    found = [*objects("pods")["items"], *objects("pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")["items"]]
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(one["restartCount"] for one in pod["status"]["containerStatuses"]),
        )
        for pod in found
    }


def heard() -> int:
    """Return the last number that came over the open connection."""
    return int(kubectl("exec", "listener", "--", "tail", "-n", "1", "/tmp/heard") or -1)


@pytest.fixture
def unharmed() -> Iterator[None]:
    """Pods stay the same ones, and the connection between them stays open."""
    before, count = pods(), heard()
    yield
    assert pods() == before
    assert heard() > count


def test_without_a_version_it_only_looks() -> None:
    done = beeyard("upgrade", "-o", "json")
    assert done.rc == 0, done.err
    report = done.json()
    assert report["now"] == OLD
    assert "127.0.0.1" in report["unknown"]
    text = beeyard("upgrade")
    assert f"Cilium {restamp.OLDER_CHART}" in text.out


def test_the_plan_tells_the_way_and_every_object_and_changes_nothing(bundles: Bundles) -> None:
    arguments = ["--bundle", str(bundles.newer), "--dry-run", "--allow-unsupported", "-o", "json"]
    done = beeyard("upgrade", *arguments, "--set", "cilium.values.clustermesh.enableMCSAPISupport=false")
    assert done.rc == 0, done.err
    plan = next(event["plan"] for event in done.events() if event["event"] == "plan")
    steps = [step["step"] for step in plan["steps"]]
    assert steps.index("k3s-1.21.3") < steps.index("cilium-1.20.99")
    changes = {change["target"]: change for step in plan["steps"] for change in step["changes"]}
    assert "+  datapath-mode: veth" in changes["ConfigMap kube-system/cilium-config"]["diff"]
    assert "upgradeCompatibility: '1.19'" in changes["kube-system/cilium"]["diff"]
    assert "mcsapi" in changes["kube-system/cilium"]["diff"]
    assert any("enableMCSAPISupport: moved to" in warning for warning in plan["warnings"])
    assert versions() == OLD
    assert not (STATE / "upgrade.json").exists()


def test_what_cannot_be_is_refused_before_any_change(bundles: Bundles) -> None:
    older = upgrade(bundles.older, "--cilium", "1.18.0")
    assert (older.rc, "E-UPGRADE-012" in older.err) == (2, True)
    asked = beeyard("upgrade", "--bundle", str(bundles.newer), "--allow-unsupported")
    assert (asked.rc, "E-CLI-002" in asked.err) == (2, True)
    assert versions() == OLD


def test_a_k3s_that_does_not_stay_up_is_taken_back_with_its_datastore(bundles: Bundles, unharmed: None) -> None:
    kubectl("create", "configmap", "before-the-upgrade")
    done = upgrade(bundles.broken, "--no-rollback")
    assert done.rc == 1, done.err
    assert "E-SVC-001" in done.err or "E-UPGRADE-013" in done.err  # its manager's word, or ours
    assert "this k3s is broken" in done.err
    assert "--rollback" in beeyard("upgrade").out
    back = beeyard("upgrade", "--rollback", "--yes")
    assert back.rc == 0, back.err
    assert "k3s v1.20.2+k3s1 runs again" in back.err
    assert versions() == OLD
    assert "before-the-upgrade" in kubectl("get", "configmap")
    assert not (STATE / "upgrade.json").exists()


def test_killed_in_the_hop_of_k3s_it_goes_on_and_a_cilium_that_fails_its_proof_is_taken_back(
    bundles: Bundles, unharmed: None
) -> None:
    arguments = ("--set", "cilium.values.testbed.enforce=false")
    killed_at("k3s-1.21.3", bundles.newer, *arguments)
    left = json.loads((STATE / "upgrade.json").read_text())
    assert left["hop"]["id"] == "k3s-1.21.3"
    other = upgrade(bundles.broken)
    assert (other.rc, "E-UPGRADE-005" in other.err) == (5, True)
    done = upgrade(bundles.newer, *arguments)
    assert done.rc == 1, done.err
    assert "E-VERIFY-002" in done.err
    assert "Cilium 1.19.99 runs again" in done.err
    assert versions() == {"k3s": restamp.NEWER_K3S, "cilium": restamp.OLDER_CHART}
    assert "cilium" not in kept_spec() or "values" not in kept_spec()["cilium"]
    assert not (STATE / "upgrade.json").exists()


def test_killed_in_the_hop_of_cilium_it_goes_on_where_it_stopped(bundles: Bundles, unharmed: None) -> None:
    killed_at("cilium-1.20.99", bundles.newer, "--set", "cilium.values.debug.enabled=true")
    story = beeyard("upgrade")
    assert "beeyard upgrade --rollback" in story.out
    done = beeyard("upgrade", "--yes", "--allow-unsupported")
    assert done.rc == 0, done.err
    assert "going on where" in done.err
    assert versions() == {"k3s": restamp.NEWER_K3S, "cilium": "1.20.99"}
    assert kept_spec()["cilium"]["values"] == {"debug": {"enabled": True}}
    assert "pre-flight" not in kubectl("get", "ds,deploy,sa", "-n", "kube-system")
    again = upgrade(bundles.newer)
    assert (again.rc, "Nothing to upgrade" in again.err) == (0, True)
    same = install(bundles.newer, "--no-merge", "--skip-verify", "--dry-run")
    assert same.rc == 0, same.err


def killed_at(step: str, bundle: Path, *arguments: str) -> None:
    """Run an upgrade and kill it in a step, once that has begun to change something."""
    command = [str(BEEYARD), "upgrade", "--yes", "--allow-unsupported", "-o", "json", "--bundle", str(bundle)]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        event: dict[str, Any] = {}
        while (event.get("event"), event.get("step")) != ("step-started", step):
            line = process.stdout.readline()
            assert line, f"it ended with {event}: {process.communicate()[1]}"
            event = json.loads(line)
        while not record_of(step):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()


def record_of(step: str) -> bool:
    """Whether the record tells that a hop is open."""
    path = STATE / "upgrade.json"
    hop = json.loads(path.read_text())["hop"] if path.exists() else None
    return bool(hop and hop["id"] == step)
