"""Failure modes provoked on a running cluster: the right cause is read, and is gone when mended.

The others have recorded evidence in tests/unit/diagnosis, or are provoked in namespaces (tests/cli/test_doctor.py,
tests/adapters/host/test_facts.py).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import beeyard, install, kubectl, objects

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

PATIENCE = 90.0
CNI = Path("/etc/cni/net.d/00-flannel.conflist")


def doctor() -> dict[str, Any]:
    done = beeyard("doctor", "-o", "json")
    assert done.rc in (0, 1), done.err
    told: dict[str, Any] = done.json()
    assert "error" not in told, told
    assert told["ok"] is (done.rc == 0)
    return told


def causes(told: dict[str, Any]) -> list[str]:
    return [told["cause"]["code"], *(one["code"] for one in told["others"])] if told["cause"] else []


def read_cause(code: str) -> dict[str, Any]:
    """Ask the doctor until he names a cause; the cluster takes a moment to suffer."""
    end = time.monotonic() + PATIENCE
    while True:
        told = doctor()
        if code in causes(told):
            found: dict[str, Any] = next(one for one in [told["cause"], *told["others"]] if one["code"] == code)
            return found
        assert time.monotonic() < end, f"{code} not among {causes(told)}"


@contextmanager
def pod(name: str, **container: Any) -> Iterator[None]:
    """A pod that sleeps, on the pod network."""
    image = objects("-n", "kube-system", "ds", "cilium")["spec"]["template"]["spec"]["containers"][0]["image"]
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "sleeper", "image": image, "command": ["sleep", "1000"], **container}],
        },
    }
    subprocess.run(
        ["/usr/local/bin/k3s", "kubectl", "apply", "-f", "-"], input=json.dumps(manifest), text=True, check=True
    )
    try:
        yield
    finally:
        kubectl("delete", "pod", name, "-n", "default", "--wait=true", check=False)


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def _cluster(cluster: Path) -> None:
    """Every test has the module's cluster."""


def test_a_healthy_cluster_has_nothing() -> None:
    told = doctor()
    assert told["ok"], told
    assert told["cluster"].startswith("https://")
    assert len(told["looked"]) > 5


def test_mode_4_and_7_and_15_of_the_host() -> None:
    """A second VXLAN device, kube-proxy's rules, a strict reverse path filter: all at once, each is named."""
    run("ip", "link", "add", "flannel.1", "type", "vxlan", "id", "1", "dstport", "8472", "dev", "lo")
    run("ip", "link", "add", "cilium_host", "type", "veth", "peer", "name", "cilium_net")
    run("sysctl", "-w", "net.ipv4.conf.cilium_host.rp_filter=1")
    run("iptables", "-t", "nat", "-N", "KUBE-SVC-TESTTESTTESTTEST")
    try:
        told = doctor()
        assert {"E-PRE-042", "E-DIA-007", "E-DIA-015"} <= set(causes(told)), causes(told)
        modes = {one["code"]: one["mode"] for one in [told["cause"], *told["others"]] if "mode" in one}
        assert (modes["E-PRE-042"], modes["E-DIA-007"], modes["E-DIA-015"]) == (4, 7, 15)
        text = beeyard("doctor").out
        assert "net.ipv4.conf.cilium_host.rp_filter = 1" in text
        assert "sysctl -w net.ipv4.conf.cilium_host.rp_filter=0" in " ".join(text.split())
    finally:
        run("iptables", "-t", "nat", "-X", "KUBE-SVC-TESTTESTTESTTEST")
        run("ip", "link", "delete", "cilium_host")
        run("ip", "link", "delete", "flannel.1")
    assert doctor()["ok"]


def test_mode_5_another_cni_configuration_wins() -> None:
    CNI.write_text('{"cniVersion":"0.3.1","name":"cbr0","plugins":[{"type":"flannel","delegate":{}}]}')
    try:
        with pod("on-flannel"):
            found = read_cause("E-DIA-005")
            assert found["mode"] == 5
            assert 'plugin type="flannel" failed' in found["evidence"]
            assert found["where"].startswith("event FailedCreatePodSandBox")
    finally:
        CNI.unlink()


def test_mode_8_more_operators_than_nodes() -> None:
    kubectl("-n", "kube-system", "scale", "deploy/cilium-operator", "--replicas=2")
    try:
        found = read_cause("E-DIA-008")
        assert found["mode"] == 8
        assert "cilium-operator-" in found["subject"]
        status = beeyard("status")
        assert "[E-DIA-008]" in status.out
        assert status.rc == 1
        assert beeyard("status", "-o", "json").json()["diagnosis"]["cause"]["code"] == "E-DIA-008"
    finally:
        kubectl("-n", "kube-system", "scale", "deploy/cilium-operator", "--replicas=1")


def test_mode_19_a_plugin_is_not_where_containerd_looks() -> None:
    plugin = Path("/opt/cni/bin/loopback")
    aside = plugin.rename(plugin.with_name("loopback.aside"))
    try:
        with pod("without-plugin"):
            found = read_cause("E-DIA-019")
            assert found["mode"] == 19
            assert "/opt/cni/bin" in found["what"]
    finally:
        aside.rename(plugin)


def test_mode_22_certificates_of_relay_do_not_belong_together() -> None:
    secret = objects("-n", "kube-system", "secret", "hubble-relay-client-certs")
    foreign = objects("-n", "kube-system", "cm", "kube-root-ca.crt")["data"]["ca.crt"]
    patch(secret["metadata"]["name"], {"stringData": {"ca.crt": foreign}})
    kubectl("-n", "kube-system", "rollout", "restart", "deploy/hubble-relay")
    try:
        assert read_cause("E-DIA-022")["mode"] == 22
    finally:
        patch(secret["metadata"]["name"], {"data": {"ca.crt": secret["data"]["ca.crt"]}})
        kubectl("-n", "kube-system", "rollout", "restart", "deploy/hubble-relay")
        kubectl("-n", "kube-system", "rollout", "status", "deploy/hubble-relay", "--timeout=120s")


def patch(name: str, change: dict[str, Any]) -> None:
    kubectl("-n", "kube-system", "patch", "secret", name, "--type=merge", "-p", json.dumps(change))


def test_mode_23_two_balancers_want_one_port() -> None:
    ports = [{"containerPort": 8081, "hostPort": 8081}]
    with pod("svclb-one-x", ports=ports), pod("svclb-two-x", ports=ports):
        found = read_cause("E-DIA-023")
        assert found["mode"] == 23
        assert "servicelb" in found["fix"]


def test_mode_27_a_release_left_pending() -> None:
    name = kubectl("-n", "kube-system", "get", "secret", "-l", "owner=helm,status=deployed", "-o", "name").split()[-1]
    kubectl("-n", "kube-system", "label", name, "status=pending-upgrade", "--overwrite")
    try:
        found = read_cause("E-DIA-027")
        assert found["mode"] == 27
        assert "pending-upgrade" in found["what"]
        assert found["where"].startswith("secret sh.helm.release.v1.cilium")
    finally:
        kubectl("-n", "kube-system", "label", name, "status=deployed", "--overwrite")


def test_mode_29_containerd_tells_which_host_was_asked() -> None:
    with pod("no-image", image="localhost:1/cilium/none:1", imagePullPolicy="Always"):
        found = read_cause("E-DIA-029")
        assert found["mode"] == 29
        assert "localhost:1/cilium/none:1" in found["what"]


def test_mode_6_ends_an_install_with_its_cause(bundle: Path) -> None:
    """The failed run, its JSON, its log, the doctor and the status all tell the same cause."""
    values = 'cilium.values={"k8sServiceHost": "127.0.0.9", "k8sServicePort": 6444}'
    arguments = ["--no-merge", "--skip-verify", "--timeout", "180", "--set", values]
    try:
        done = install(bundle, *arguments, timeout=300)
        assert done.rc != 0
        text = " ".join(done.err.split())
        assert "Cause E-DIA-006 the agent does not reach the Kubernetes API at 127.0.0.9:6444" in text, done.err
        assert "(init config)" in text or "container config" in text, done.err
        assert text.count("fix: ") == 1, done.err
        told = doctor()
        assert causes(told)[0] == "E-DIA-006", told
        told = install(bundle, *arguments, "-o", "json", timeout=300).events()[-1]
        assert told["error"]["details"]["diagnosis"]["cause"]["code"] == "E-DIA-006"
    finally:
        healed = install(bundle, "--no-merge", "--skip-verify", timeout=400)
        assert healed.rc == 0, healed.err


def test_in_the_end_nothing_is_left() -> None:
    end = time.monotonic() + PATIENCE
    while not (told := doctor())["ok"]:
        assert time.monotonic() < end, told
