"""The main job, end to end on a real Kubernetes: install, run again, change, look, prove."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest
import yaml

from tests.support.cluster import KUBECONFIG, STATE, beeyard, install, kubectl, objects, run_testbed, tree_state

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

MERGED = Path("/root/.kube/beeyard-test")
WATCHED = [Path("/etc/rancher"), Path("/usr/local/bin"), Path("/root/.kube"), STATE / "cache", STATE / "runs"]


def test_the_node_is_ready_and_every_pod_runs(cluster: Path) -> None:
    nodes = objects("nodes")["items"]
    assert [condition["status"] for condition in nodes[0]["status"]["conditions"] if condition["type"] == "Ready"] == [
        "True"
    ]
    pods = objects("pods", "-A")["items"]
    names = {pod["metadata"]["labels"].get("k8s-app") for pod in pods}
    assert {"cilium", "cilium-envoy", "hubble-relay", "hubble-ui", "kube-dns"} <= names
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}


def test_k3s_runs_without_flannel_network_policy_and_kube_proxy(cluster: Path) -> None:
    config = yaml.safe_load(Path("/etc/rancher/k3s/config.yaml").read_text())
    assert config["flannel-backend"] == "none"
    assert config["disable-network-policy"] is True
    assert config["disable-kube-proxy"] is True
    assert not Path("/sys/class/net/flannel.1").exists()


def test_the_kubeconfig_is_merged_private_and_works(cluster: Path) -> None:
    assert stat.S_IMODE(MERGED.stat().st_mode) == 0o600
    assert stat.S_IMODE(KUBECONFIG.stat().st_mode) == 0o600
    assert yaml.safe_load(MERGED.read_text())["current-context"] == "beeyard"
    assert "kube-system" in kubectl("--kubeconfig", str(MERGED), "--context", "beeyard", "get", "ns")


def test_a_second_run_changes_nothing_says_so_and_writes_nothing(cluster: Path, bundle: Path) -> None:
    before = tree_state(WATCHED)
    versions = {
        item["metadata"]["name"]: item["metadata"]["generation"] for item in objects("ds,deploy", "-A")["items"]
    }
    started = time.monotonic()
    done = install(bundle, "--kubeconfig", str(MERGED))
    seconds = time.monotonic() - started
    print(f"second run: {seconds:.1f} s")
    assert done.rc == 0, done.err
    assert "Nothing to change" in done.err
    assert tree_state(WATCHED) == before
    assert versions == {
        item["metadata"]["name"]: item["metadata"]["generation"] for item in objects("ds,deploy", "-A")["items"]
    }


def test_a_second_dry_run_has_an_empty_plan(cluster: Path, bundle: Path) -> None:
    done = beeyard(
        "install",
        "--dry-run",
        "--allow-unsupported",
        "--bundle",
        str(bundle),
        "--kubeconfig",
        str(MERGED),
        "-o",
        "json",
    )
    assert done.rc == 0, done.err
    plan = next(event for event in done.events() if event["event"] == "plan")["plan"]
    assert plan["changes"] == 0


def test_networks_of_a_running_cluster_cannot_change(cluster: Path, bundle: Path) -> None:
    done = install(bundle, "--set", "k3s.clusterCIDR=10.52.0.0/16")
    assert done.rc == 5
    assert "E-K3S-023" in done.err
    assert "10.42.0.0/16" in Path("/etc/rancher/k3s/config.yaml").read_text()


def test_status_shows_all_parts(cluster: Path) -> None:
    done = beeyard("status", "-o", "json")
    assert done.rc == 0, done.err + done.out
    status = done.json()
    names = {component["name"] for component in status["readiness"]["components"]}
    assert {"cilium", "cilium-operator", "hubble-relay", "hubble-ui"} <= names
    text = beeyard("status", "--wait", "--timeout", "30")
    assert text.rc == 0
    assert "cilium" in text.out
    assert "ready" in text.out


def test_verify_proves_the_network_with_a_real_denied_connection(cluster: Path) -> None:
    done = beeyard("verify", "-o", "json")
    assert done.rc == 0, done.out + done.err
    outcomes = {check["id"]: check["outcome"] for check in done.json()["checks"]}
    assert outcomes.pop("cross-node") == "unchecked"
    assert set(outcomes.values()) == {"passed"}
    assert {"policy-denies", "policy-allows", "l7-get", "l7-post", "hubble", "dns", "api"} <= set(outcomes)
    print(f"verify: {done.json()['seconds']} s")
    left = [ns for ns in objects("ns")["items"] if ns["metadata"]["name"].startswith("beeyard-verify-")]
    assert all(ns["status"]["phase"] == "Terminating" for ns in left)


def test_verify_says_that_policies_are_not_enforced(cluster: Path, bundle: Path) -> None:
    done = install(bundle, "--set", "cilium.values={testbed: {enforce: false}}", "--skip-verify", "--no-merge")
    assert done.rc == 0, done.err
    proof = beeyard("verify", "-o", "json")
    assert proof.rc == 1
    checks = {check["id"]: check for check in proof.json()["checks"]}
    assert checks["policy-denies"]["outcome"] == "failed"
    assert "not enforced" in checks["policy-denies"]["detail"]
    assert checks["l7-post"]["outcome"] == "unchecked"
    assert install(bundle, "--no-merge", "--skip-verify").rc == 0


def test_hubble_can_be_switched_off_and_on(cluster: Path) -> None:
    off = beeyard("hubble", "disable")
    assert off.rc == 0, off.err
    assert "hubble-relay" not in kubectl("get", "deploy", "-n", "kube-system")
    unchecked = beeyard("verify", "-o", "json").json()
    hubble = next(check for check in unchecked["checks"] if check["id"] == "hubble")
    assert hubble["outcome"] == "unchecked"
    on = beeyard("hubble", "enable")
    assert on.rc == 0, on.err
    assert "hubble-relay" in kubectl("get", "deploy", "-n", "kube-system")
    again = beeyard("hubble", "enable")
    assert "Nothing to change" in again.err


def test_no_secret_in_logs_journal_and_events(cluster: Path) -> None:
    token = Path("/var/lib/rancher/k3s/server/token").read_text().strip()
    key = yaml.safe_load(KUBECONFIG.read_text())["users"][0]["user"]["client-key-data"]
    for root in (Path("/var/log/beeyard"), STATE / "runs"):
        for path in root.rglob("*"):
            if path.is_file():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
                text = path.read_text()
                assert token not in text
                assert key not in text


def test_readme_command_from_a_bare_host(bare_host: None) -> None:
    run_testbed("up", "-o", "json")
    assert json.loads(kubectl("get", "nodes", "-o", "json"))["items"]


@pytest.mark.parametrize("arguments", [["--no-hubble"]])
def test_without_hubble(bare_host: None, bundle: Path, arguments: list[str]) -> None:
    done = install(bundle, "--no-merge", *arguments)
    assert done.rc == 0, done.err
    assert "hubble" not in kubectl("get", "deploy,ds", "-A")
